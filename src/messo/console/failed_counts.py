"""How much of each kind was given up, counted no further than a glance needs."""

from messo.base.db import Connection
from messo.events.dead_letters import count_dead
from messo.messages.failed import count_failed
from messo.payments.intake import count_dead_letters
from messo.recipients.data_requests import count_requests

MOST = 1000


async def count_all(conn: Connection) -> dict[str, str]:
    """`messages`, `webhooks`, `payments`, `requests`: a number, or `1000+`."""
    requests = sum(
        row["requests"] for row in await count_requests(conn) if row["status"] == "FAILED"
    )
    found = {
        "messages": await count_failed(conn, MOST + 1),
        "webhooks": await count_dead(conn, MOST + 1),
        "payments": await count_dead_letters(conn, MOST + 1),
        "requests": requests,
    }
    return {kind: f"{MOST}+" if n > MOST else str(n) for kind, n in found.items()}
