"""Mails that come back, as servers of different makes write them."""

BOUNDARY = "4rT9/bounces.example.org"

POSTFIX = """\
Return-Path: <>
Delivered-To: {path}
Received: by mx.example.org (Postfix); Tue, 24 Nov 2026 10:00:00 +0100 (CET)
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {path}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="{boundary}"

This is a MIME-encapsulated message.

--{boundary}
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.net.
Action: delivered
Status: 2.0.0

--{boundary}
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
X-Postfix-Queue-ID: 4XyZ
Arrival-Date: Tue, 24 Nov 2026 10:00:00 +0100 (CET)

Final-Recipient: rfc822; anna@example.net
Original-Recipient: rfc822;anna@example.net
Action: {action}
Status: {status}
Remote-MTA: dns; in.example.net
Diagnostic-Code: smtp; 550 5.7.1 not what counts

--{boundary}
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: Messo <no-reply@example.org>
To: anna@example.net
Content-Type: multipart/report; report-type=delivery-status; boundary="inner"

--inner
Content-Type: message/delivery-status

Reporting-MTA: dns; forged.example.com

Action: failed
Status: 5.1.1

--inner--
--{boundary}--
"""

EXCHANGE = """\
From: postmaster@example.net
To: <{path}>
Subject: Undeliverable: Avviso
Content-Type: multipart/report;\tboundary=_000_NDR_;
\treport-type="delivery-status"
MIME-Version: 1.0

--_000_NDR_
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="_001_NDR_"

--_001_NDR_
Content-Type: text/html; charset="us-ascii"

<p>Your message couldn't be delivered.</p>
--_001_NDR_--

--_000_NDR_
Content-Type: message/delivery-status

Reporting-MTA: dns;EX01.example.net
Received-From-MTA: dns;mx.example.org

Final-recipient: RFC822;Anna@example.net
Action: FAILED (no mailbox)
Status: 5.1.10 (Unknown)
X-Display-Name: Anna

--_000_NDR_--
"""

QMAIL = """\
From: MAILER-DAEMON@example.net
To: {path}
Subject: failure notice

Hi. This is the program at example.net.
<anna@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)
"""

AWAY = """\
From: anna@example.net
To: {path}
Subject: Fuori ufficio
Auto-Submitted: auto-replied
Content-Type: text/plain

Action: failed
Status: 5.1.1
"""

RECEIPT = """\
From: anna@example.net
To: {path}
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: message/disposition-notification

Action: failed
Status: 5.1.1
--b--
"""

TWO_ENDS = """\
To: {path}
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; one@example.net
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; two@example.net
Action: relayed
Status: 2.1.9
--b--
"""


def postfix(path: str, status: str = "5.1.1", action: str = "failed") -> bytes:
    text = POSTFIX.format(path=path, status=status, action=action, boundary=BOUNDARY)
    return text.replace("\n", "\r\n").encode()


def exchange(path: str) -> bytes:
    return EXCHANGE.format(path=path).encode()
