"""A citizen's e-mail address: whose it is, and the token that proves it.

An address counts for one citizen only once it is proven, and then for nobody else; the key of
`recipients.email_owner` decides, also between two who prove it in the same moment.
"""

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from messo.base import clock
from messo.base.crypto import key_digest
from messo.base.db import Connection
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.recipients.change import change_profile
from messo.recipients.profile import Profile, lock_enrolled, lock_profile, queries
from messo.recipients.wire import EMAIL

# `send_validation(conn, fiscal_code, email, token)`: whoever mails queues it in this transaction,
# under the citizen's lock. `Problem` 429 when it was too many within an hour: rolled back with the
# rest, so that the link of the newest mail goes on working.
SendValidation = Callable[[Connection, str, str, str], Awaitable[None]]

_LIVES = timedelta(days=30)
_AGAIN_AFTER = timedelta(minutes=1)  # a second wish within it sends no second mail
_ADDRESS = re.compile(EMAIL)
_LONGEST = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets


def is_address(text: str) -> bool:
    """Whether it looks like an e-mail address that a server would take."""
    return len(text) <= _LONGEST and _ADDRESS.match(text) is not None


async def is_email_taken(conn: Connection, fiscal_code: str, email: str) -> bool:
    """Whether another citizen has proven this address, in whatever letter case."""
    address = email.lower()
    owner = await conn.value(queries.email_owner, bucket=conn.bucket(address), email=address)
    return owner is not None and owner != fiscal_code


async def is_email_already_taken(conn: Connection, profile: Profile) -> bool:
    """The profile's own address is not proven, and somebody else's is the same."""
    if profile.email is None or profile.is_email_validated:
        return False
    return await is_email_taken(conn, profile.fiscal_code, profile.email)


async def begin_validation(conn: Connection, fiscal_code: str) -> str | None:
    """A fresh token for the profile's address, which ends every older one.

    None where nothing is to be proven: no profile, no address, or proven already. The token is
    for whoever mails it and nowhere else: only its SHA-256 is kept, for 30 days.
    """
    profile = await lock_profile(conn, fiscal_code)
    if profile is None or profile.email is None or profile.is_email_validated:
        return None
    return await _begin(conn, profile.fiscal_code, profile.email)


async def ask_validation(
    conn: Connection, fiscal_code: str, send: SendValidation | None = None
) -> None:
    """A citizen wants the mail that proves their address.

    `Problem` 404 without a profile, 400 without an address or when it is proven, 429 from `send`.
    Asked twice within a minute, one mail goes out.
    """
    profile = await lock_enrolled(conn, fiscal_code)
    if profile.email is None:
        raise Problem(400, "Bad request", "Your profile has no e-mail address yet.", field="email")
    if profile.is_email_validated:
        raise Problem(400, "Bad request", "Your e-mail address is confirmed already.")
    live = await conn.row(
        queries.read_validation,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        now=clock.now(),
    )
    if (
        live
        and live["email"] == profile.email
        and clock.now() - live["created_at"] < _AGAIN_AFTER
        and send is not None
    ):
        return
    await start_validation(conn, fiscal_code, profile.email, send)


async def start_validation(
    conn: Connection, fiscal_code: str, email: str | None, send: SendValidation | None
) -> None:
    """A new address, under the citizen's lock: its token, and the mail where there is a mailer.

    `Problem` 429 from `send`: whoever changes addresses again and again would have us write to
    everybody.
    """
    if email is None:
        await conn.run(
            queries.drop_validation, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
        )
        return
    token = await _begin(conn, fiscal_code, email)
    if send is not None:
        await send(conn, fiscal_code, email, token)


async def confirm_email(conn: Connection, fiscal_code: str, token: str) -> bool:
    """Whether the token proves the address that is the profile's now; if so it is proven.

    The citizen is logged in: a mail scanner that follows the link proves nothing. False for a
    token that is wrong, used, replaced, expired or of an earlier address, and when somebody else
    has proven the address meanwhile.
    """
    profile = await lock_profile(conn, fiscal_code)
    live = await conn.row(
        queries.read_validation,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        now=clock.now(),
    )
    if profile is None or live is None or profile.email is None or profile.is_email_validated:
        return False
    if live["email"] != profile.email or not hmac.compare_digest(live["digest"], _digest(token)):
        return False
    address = profile.email.lower()
    won = await conn.run(
        queries.own_email, bucket=conn.bucket(address), email=address, fiscal_code=fiscal_code
    )
    if not won and await is_email_taken(conn, fiscal_code, address):
        return False
    await change_profile(conn, profile, replace(profile, is_email_validated=True))
    await conn.run(
        queries.drop_validation, bucket=conn.bucket(fiscal_code), fiscal_code=fiscal_code
    )
    return True


async def _begin(conn: Connection, fiscal_code: str, email: str) -> str:
    token, now = f"{new_id()}:{secrets.token_hex(12)}", clock.now()
    await conn.run(
        queries.put_validation,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        digest=_digest(token),
        email=email,
        now=now,
        expires_at=now + _LIVES,
    )
    return token


def _digest(token: str) -> bytes:
    return key_digest(token)
