"""Telling sites that a login has ended: who has to be told is queued with the fact itself.

OpenID Connect Back-Channel Logout 1.0. What is told is sealed until it is sent (`logout_step.py`).
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from messo.base import clock, work
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.ids import new_id
from messo.sso import claims
from messo.sso.clients import client_of, queries
from messo.sso.codes import LIFE as CODE_LIFE

LOGOUT = "sso.logout"
_REMEMBERED = timedelta(days=30)  # no site's own session is expected to last longer


class Ended(msgspec.Struct, frozen=True):
    """Whose login has ended, in the words of one site. `sid` None: all that it has of them."""

    sub: str
    sid: str | None


async def queue(
    conn: Connection,
    secrets: Secrets,
    client_ids: Sequence[str],
    fiscal_code: str,
    session_id: str | None,
) -> int:
    """Tell each of these clients once, in the caller's transaction; how many will be told.

    Those that do not exist or take no logout are passed over. `session_id` None: whatever the
    citizen's sessions there came from.
    """
    return await _queue(conn, secrets, fiscal_code, [(one, session_id) for one in client_ids])


async def of_sessions(
    conn: Connection, secrets: Secrets, fiscal_code: str, session_ids: Sequence[str] | None
) -> int:
    """Tell every site that this citizen was signed on to in these sessions; how many tellings.

    None: in any session, and each site is told once that all of theirs are over. The sessions
    themselves need not be there any more. Codes of theirs that are under way are worth nothing.
    """
    await _void_codes(conn, fiscal_code, session_ids, None)
    rows = await conn.rows(
        queries.list_entered,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        session_ids=session_ids,
        since=clock.now() - _REMEMBERED,
    )
    ended = {
        (row["client_id"], None if session_ids is None else str(row["session_id"])) for row in rows
    }
    return await _queue(conn, secrets, fiscal_code, sorted(ended, key=str))


async def of_client(conn: Connection, secrets: Secrets, fiscal_code: str, client_id: str) -> None:
    """Tell this site that all it has of this citizen is over; its codes are worth nothing."""
    await _void_codes(conn, fiscal_code, None, [client_id])
    await queue(conn, secrets, [client_id], fiscal_code, None)


async def _void_codes(
    conn: Connection,
    fiscal_code: str,
    session_ids: Sequence[str] | None,
    client_ids: Sequence[str] | None,
) -> None:
    now = clock.now()
    await conn.run(
        queries.end_open_accesses,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        session_ids=session_ids,
        client_ids=client_ids,
        now=now,
        since=now - CODE_LIFE,
    )


def seal(secrets: Secrets, logout_id: str, ended: Ended) -> bytes:
    """What is stored until the site has been told."""
    return secrets.seal(msgspec.json.encode(ended), _about(logout_id))


def unseal(secrets: Secrets, logout_id: str, sealed: bytes) -> Ended:
    """What `seal` was given. `SecretError` if its secret is no longer listed."""
    return msgspec.json.decode(secrets.unseal(sealed, _about(logout_id)), type=Ended)


async def _queue(
    conn: Connection,
    secrets: Secrets,
    fiscal_code: str,
    ended: Sequence[tuple[str, str | None]],
) -> int:
    if not ended:
        return 0
    rows = await conn.rows(
        queries.find_clients_to_tell, ids=sorted({client_id for client_id, _ in ended})
    )
    known = {row["id"]: client_of(row) for row in rows}
    told = [(known[client_id], session) for client_id, session in ended if client_id in known]
    if not told:
        return 0
    ids = [new_id() for _ in told]
    buckets, now = [conn.bucket(one) for one in ids], clock.now()
    sealed = [
        seal(
            secrets,
            logout_id,
            Ended(
                claims.subject(secrets, client, fiscal_code),
                claims.session_reference(secrets, client, session) if session else None,
            ),
        )
        for logout_id, (client, session) in zip(ids, told, strict=True)
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


def _about(logout_id: str) -> str:
    return f"{LOGOUT}:{logout_id}"
