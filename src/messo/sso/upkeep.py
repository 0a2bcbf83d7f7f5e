"""What this room forgets and gives out: of erased citizens everything, of everybody what is old."""

from datetime import datetime, timedelta
from typing import Any

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.ids import lowest_id
from messo.recipients.erase import Eraser
from messo.sso import logout
from messo.sso.clients import queries
from messo.sso.export import access_object, consent_object
from messo.sso.history import list_accesses, list_consents
from messo.sso.logout import Entered

KEEP = timedelta(days=730)  # accesses: as long as the reference platform keeps its audit
_CODES = timedelta(minutes=10)
_LOGOUTS = timedelta(days=2)
_AT_ONCE = 10_000


async def export(conn: Connection, fiscal_code: str) -> dict[str, Any]:
    """What a citizen's archive holds from this room, by file name."""
    accesses = await list_accesses(conn, fiscal_code, None)
    consents = await list_consents(conn, fiscal_code)
    return {
        "access.json": {
            "accesses": [access_object(one) for one in accesses],
            "consents": [consent_object(one) for one in consents],
        }
    }


def eraser(secrets: Secrets) -> Eraser:
    """Part of erasing a citizen; not of who has enrolled again since that moment.

    The sites that had let them in are told that it is over; what those know, they keep.
    """

    async def erase(conn: Connection, fiscal_code: str, before: datetime) -> None:
        whose = {"bucket": conn.bucket(fiscal_code), "fiscal_code": fiscal_code, "before": before}
        rows = await conn.rows(queries.erase_accesses, **whose)
        entered = [row for row in rows if row["outcome"] == "redeemed"]
        knows: dict[str, bool] = {}
        for row in entered:
            client_id = row["client_id"]
            knows[client_id] = knows.get(client_id, False) or "fiscal_code" in row["claims"]
        told = [Entered(client_id, None, code) for client_id, code in sorted(knows.items())]
        await logout.queue(conn, secrets, fiscal_code, told)
        await conn.run(queries.erase_consents, **whose)

    return erase


async def forget_old(conn: Connection) -> bool:
    """The periodic step: delete a bounded number of what is old; True if more may be left."""
    now, more = clock.now(), False
    ends = (
        (queries.forget_old_codes, now - _CODES),
        (queries.forget_late_launches, now),
        (queries.forget_late_assertions, now),
        (queries.forget_expired_consents, now),
        (queries.forget_old_logouts, now - _LOGOUTS),
        (queries.forget_old_accesses, lowest_id(now - KEEP)),
    )
    for bucket in range(conn.buckets):
        for statement, before in ends:
            gone = await conn.run(statement, bucket=bucket, before=before, limit=_AT_ONCE)
            more = more or gone == _AT_ONCE
    return more
