"""Telling sites that a login has ended: who has to be told is queued with the fact itself.

OpenID Connect Back-Channel Logout 1.0. What is told is sealed until it is sent (`logout_step.py`).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from messo.base import clock, work
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.ids import new_id
from messo.login import close_all_sessions, close_session
from messo.recipients.profile import lock_profile
from messo.sso import claims
from messo.sso.clients import Client, find_clients, queries
from messo.sso.codes import LIFE, TOKEN_LIFE

LOGOUT = "sso.logout"
_REMEMBERED = timedelta(days=30)  # no site's own session is expected to last longer


class Ended(msgspec.Struct, frozen=True):
    """Whose login has ended, in the words of one site. `sid` None: all that it has of them."""

    sub: str
    sid: str | None


class Entered(NamedTuple):
    """A site that a citizen was let in at. `session_id` None: whatever they have there.

    `knows_code`: whether it has got the fiscal code, so that it may be told by it.
    """

    client_id: str
    session_id: str | None
    knows_code: bool


async def log_out(
    conn: Connection, secrets: Secrets, fiscal_code: str, session_id: str | None
) -> bool:
    """Close one session of this citizen, or all, and the logins that they gave elsewhere.

    False if there is none. A site is let in before all of this or not at all: whoever changes
    anything of a citizen locks their profile first.
    """
    await lock_profile(conn, fiscal_code)
    if session_id is None:
        closed = await close_all_sessions(conn, fiscal_code) > 0
    else:
        closed = await close_session(conn, fiscal_code, session_id)
    if closed:
        ended = None if session_id is None else [session_id]
        await of_sessions(conn, secrets, fiscal_code, ended)
    return closed


async def of_sessions(
    conn: Connection, secrets: Secrets, fiscal_code: str, session_ids: Sequence[str] | None
) -> int:
    """Tell every site that this citizen was signed on to in these sessions; how many tellings.

    None: in any session, and each site is told once that all of theirs are over. The sessions
    themselves need not be there any more. Codes and tokens of theirs are worth nothing.
    """
    return await _end(conn, secrets, fiscal_code, session_ids, None)


async def of_client(conn: Connection, secrets: Secrets, fiscal_code: str, client_id: str) -> int:
    """Tell this site that all it has of this citizen is over; its codes are worth nothing."""
    return await _end(conn, secrets, fiscal_code, None, [client_id])


async def _end(
    conn: Connection,
    secrets: Secrets,
    fiscal_code: str,
    session_ids: Sequence[str] | None,
    client_ids: Sequence[str] | None,
) -> int:
    now = clock.now()
    whose = {
        "bucket": conn.bucket(fiscal_code),
        "fiscal_code": fiscal_code,
        "session_ids": session_ids,
        "client_ids": client_ids,
    }
    await conn.run(queries.end_accesses, **whose, now=now, since=now - LIFE - TOKEN_LIFE)
    rows = await conn.rows(queries.list_entered, **whose, since=now - _REMEMBERED)
    entered = [
        Entered(row["client_id"], row["session_id"] or None, row["knows_code"]) for row in rows
    ]
    return await queue(conn, secrets, fiscal_code, entered)


def seal(secrets: Secrets, logout_id: str, ended: Ended) -> bytes:
    """What is stored until the site has been told."""
    return secrets.seal(msgspec.json.encode(ended), _about(logout_id))


def unseal(secrets: Secrets, logout_id: str, sealed: bytes) -> Ended:
    """What `seal` was given. `SecretError` if its secret is no longer listed."""
    return msgspec.json.decode(secrets.unseal(sealed, _about(logout_id)), type=Ended)


async def queue(
    conn: Connection, secrets: Secrets, fiscal_code: str, entered: Sequence[Entered]
) -> int:
    """Tell each of these once, in the caller's transaction; how many will be told.

    Clients that do not exist or take no logout are passed over.
    """
    if not entered:
        return 0
    clients = await find_clients(conn, {one.client_id for one in entered})
    known = {client.id: client for client in clients if client.backchannel_logout_uri}
    told = [(known[one.client_id], one) for one in entered if one.client_id in known]
    if not told:
        return 0
    ids = [new_id() for _ in told]
    buckets, now = [conn.bucket(one) for one in ids], clock.now()
    sealed = [
        seal(secrets, logout_id, _ended(secrets, client, fiscal_code, one))
        for logout_id, (client, one) in zip(ids, told, strict=True)
    ]
    await conn.run(
        queries.put_logouts,
        buckets=buckets,
        ids=ids,
        client_ids=[client.id for client, _ in told],
        sealed=sealed,
        now=now,
    )
    # A lane for each site: one that hangs keeps its own waiting.
    lanes = [work.lane_of(client.id) for client, _ in told]
    await work.queue_across(conn, buckets, LOGOUT, ids, lanes, now)
    return len(told)


def _ended(secrets: Secrets, client: Client, fiscal_code: str, entered: Entered) -> Ended:
    session = entered.session_id
    return Ended(
        claims.subject(secrets, client, fiscal_code, knows_code=entered.knows_code),
        claims.session_reference(secrets, client, session) if session else None,
    )


def _about(logout_id: str) -> str:
    return f"{LOGOUT}:{logout_id}"
