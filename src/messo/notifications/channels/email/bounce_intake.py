"""Bounces come in: handed over by a mail server, or read from a Maildir.

A bounce counts by the signed return path that it was sent to; what else it says of whom it is
about is not believed. Without such a path nothing else of it is read, for anybody may send one.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import Counter

from messo.base import clock, log, metrics
from messo.base.addresses import Network
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Answer, ClientGoneError, Parameter, Problem, Request, Route
from messo.base.ids import lowest_id
from messo.base.limits import RateLimit
from messo.base.wire import ProblemDocument
from messo.notifications.channels.email import return_path
from messo.notifications.channels.email.bounces import LONGEST, read_report, sent_to, verdict
from messo.notifications.channels.email.suppression import queries

logger = log.get(__name__)

_OLDEST = timedelta(days=14)  # mail servers give up after five days; later it is a replay
_AT_ONCE = 100  # files of one run
_KINDS = frozenset({"message/rfc822", "message/global", "text/plain"})

read_mails = Counter(
    "messo_mail_bounces",
    "Mails that came back, by outcome.",
    ["outcome"],
    registry=metrics.registry,
)


@dataclass(frozen=True, slots=True)
class Bounce:
    """What became of a delivery: "failed", "delayed" …; `gone`: its address does not exist."""

    delivery_id: str
    action: str
    gone: bool
    status: str


def read_bounce(
    secrets: Secrets, template: str, raw: bytes, now: datetime, recipient: str | None = None
) -> Bounce | None:
    """A report that was sent to a return path of ours in the last 14 days, or None.

    `recipient`: whom the mail server took it for, where it says so.
    """
    if recipient is None:
        delivery_id = return_path.find(secrets, template, sent_to(raw))
    else:
        delivery_id = return_path.read(secrets, template, recipient)
    if delivery_id is None or delivery_id < lowest_id(now - _OLDEST):
        return None
    report = read_report(raw)
    if report is None:
        return None
    return Bounce(delivery_id, report.action, verdict(report) == "gone", report.status)


async def take(
    conn: Connection,
    secrets: Secrets,
    template: str,
    raw: bytes,
    now: datetime,
    recipient: str | None = None,
) -> bool:
    """One mail that came back. False if it is no bounce of a delivery of ours: nothing changes."""
    bounce = read_bounce(secrets, template, raw, now, recipient)
    return bounce is not None and (await record(conn, [bounce], now)).known[0]


@dataclass(frozen=True, slots=True)
class Recorded:
    """For each bounce, in order: whether its delivery is known, and whether anything was changed."""

    known: list[bool]
    changed: list[bool]


async def record(conn: Connection, bounces: Sequence[Bounce], now: datetime) -> Recorded:
    """What failed is FAILED, and an address that is gone is switched off.

    Said twice, a bounce changes nothing the second time, also when the citizen has switched the
    address on again in between.
    """
    rows = await conn.rows(
        queries.find_bounced,
        buckets=list(range(conn.buckets)),
        ids=sorted({bounce.delivery_id for bounce in bounces}),
    )
    buckets = {row["id"]: row["bucket"] for row in rows}
    # Of several about one delivery, what says that the address is gone counts.
    failed = {
        bounce.delivery_id: bounce
        for bounce in sorted(bounces, key=lambda one: one.gone)
        if bounce.action == "failed" and bounce.delivery_id in buckets
    }
    changed: set[str] = set()
    # One bucket, except on a cluster: there a statement writes to one of them at a time.
    for bucket in sorted({buckets[delivery_id] for delivery_id in failed}):
        of_bucket = sorted(one for one in failed if buckets[one] == bucket)
        moved = await conn.rows(queries.fail_bounced, bucket=bucket, ids=of_bucket, now=now)
        gone = [row for row in moved if failed[row["id"]].gone]
        if gone:
            await conn.run(
                queries.suppress,
                bucket=bucket,
                now=now,
                fiscal_codes=[row["fiscal_code"] for row in gone],
                addresses=[row["address"] for row in gone],
                reasons=[failed[row["id"]].status for row in gone],
            )
        changed.update(row["id"] for row in moved)
    return Recorded(
        [bounce.delivery_id in buckets for bounce in bounces],
        [bounce.delivery_id in changed for bounce in bounces],
    )


@dataclass(frozen=True)
class BounceRoutes:
    """The route that mail servers hand bounces to. `template` "": none can be ours.

    `limit` counts by client address, which `trusted` proxies may tell; all unknown ones are one.
    """

    pool: Pool
    secrets: Secrets
    template: str
    limit: RateLimit
    trusted: Sequence[Network]

    async def take(self, request: Request) -> Answer:
        self._charge(request)
        raw, now = await _mail(request), clock.now()
        given = request.query.get("recipient")
        # A plus sign that nobody encoded arrives as a blank, and no address of ours has one.
        recipient = None if given is None else given.replace(" ", "+")
        bounce = read_bounce(self.secrets, self.template, raw, now, recipient)
        if bounce is None:
            raise _not_ours()
        async with self.pool.transaction() as conn:
            recorded = await record(conn, [bounce], now)
        if not recorded.known[0]:
            raise _not_ours()
        read_mails.labels("taken").inc()
        return Answer(202, b"", ())

    def _charge(self, request: Request) -> None:
        if seconds := self.limit.charge(request, request.client_address(self.trusted) or ""):
            raise Problem(
                429,
                "Too many requests",
                f"Try again in {seconds} seconds.",
                headers=[(b"retry-after", b"%d" % seconds)],
            )

    def routes(self) -> list[Route]:
        """As served and as documented."""
        problem = ProblemDocument
        return [
            Route(
                "POST",
                "/messo/v1/mail-bounces",
                "takeMailBounce",
                self.take,
                "Hand over a mail that came back",
                "For the mail server that receives bounces: the whole report (RFC 3464) as "
                "message/rfc822, at most 1 MiB. No key is needed: it counts by the signed address "
                "that it was sent to. Sent again, it changes nothing.",
                None,
                {
                    202: (None, "Taken."),
                    413: (problem, "Larger than 1 MiB."),
                    415: (problem, "Not sent as message/rfc822 or text/plain."),
                    422: (problem, "No report about a mail of ours: do not send it again."),
                    429: (problem, "Too fast: wait as long as Retry-After says."),
                    503: (problem, "Try again after Retry-After."),
                },
                (
                    Parameter(
                        "recipient",
                        "query",
                        "The envelope recipient, if the headers of the report do not tell it.",
                    ),
                ),
                public=True,
            )
        ]


@dataclass(frozen=True)
class BounceMailbox:
    """A Maildir that a mail server delivers bounces to.

    A file is put away once the database says already what it says: what changes something is
    read again in a transaction of its own, so that nothing is lost when a commit fails.
    """

    maildir: Path
    secrets: Secrets
    template: str

    async def run(self, conn: Connection) -> bool:
        """Take up to 100 new mails; whether there is more to do."""
        now = clock.now()
        names, bounces = await asyncio.to_thread(self._read, now)
        known = {name: bounce for name, bounce in zip(names, bounces, strict=True) if bounce}
        recorded = await record(conn, list(known.values()), now)
        changed = {name for name, moved in zip(known, recorded.changed, strict=True) if moved}
        taken = {name for name, was in zip(known, recorded.known, strict=True) if was}
        done = [name for name in names if name not in changed]
        moved = await asyncio.to_thread(self._put_away, done)
        read_mails.labels("taken").inc(len(taken - changed))
        read_mails.labels("not ours").inc(len(set(names) - taken))
        return bool(changed) or moved == _AT_ONCE

    def _read(self, now: datetime) -> tuple[list[str], list[Bounce | None]]:
        with os.scandir(self.maildir / "new") as entries:
            files = [e.name for e in entries if e.is_file(follow_symlinks=False)]
        names = sorted(name for name in files if not name.startswith("."))[:_AT_ONCE]
        return names, [self._bounce(name, now) for name in names]

    def _bounce(self, name: str, now: datetime) -> Bounce | None:
        try:
            with (self.maildir / "new" / name).open("rb") as file:
                raw = file.read(LONGEST + 1)
        except OSError as error:
            logger.warning("mail that came back cannot be read", error=log.describe(error))
            return None
        return read_bounce(self.secrets, self.template, raw, now)

    def _put_away(self, names: Sequence[str]) -> int:
        """Mark as seen and move; how many were. Another worker may have moved them first."""
        (self.maildir / "cur").mkdir(exist_ok=True)
        moved = 0
        for name in names:
            try:
                (self.maildir / "new" / name).replace(
                    self.maildir / "cur" / f"{name.partition(':')[0]}:2,S"
                )
            except OSError as error:
                logger.warning("mail that came back is not put away", error=log.describe(error))
            else:
                moved += 1
        return moved


async def _mail(request: Request) -> bytes:
    kind = (request.header(b"content-type") or "").split(";", 1)[0].strip().lower()
    if kind not in _KINDS or request.header(b"content-encoding") not in {None, "identity"}:
        raise Problem(
            415,
            "Unsupported media type",
            "Send the mail as it is, with Content-Type: message/rfc822.",
            field="Content-Type",
        )
    body, more = bytearray(), True
    if int(request.header(b"content-length") or 0) > LONGEST:
        raise _too_large()
    while more:
        event = await request.receive()
        if event["type"] == "http.disconnect":
            raise ClientGoneError
        body += event.get("body", b"")
        more = event.get("more_body", False)
        if len(body) > LONGEST:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    return Problem(
        413,
        "Payload too large",
        f"The mail may be at most {LONGEST} bytes.",
        headers=[(b"connection", b"close")],
    )


def _not_ours() -> Problem:
    read_mails.labels("not ours").inc()
    return Problem(
        422,
        "Not a bounce",
        "This is no delivery status notification that was sent to a return path of this "
        "installation in the last 14 days.",
    )
