"""Tickets: a button that a citizen pressed here lets one login at that site pass without a question.

Without a ticket no remembered consent works by itself, whoever asks (OpenID Connect Core 1.0,
section 3.1.2.4): a page elsewhere must not be able to sign somebody on who never wanted to go there.
"""

from dataclasses import dataclass
from datetime import timedelta

from messo.base import clock
from messo.base.db import Connection
from messo.sso.clients import queries
from messo.sso.known_sites import origin_of, origins_of

LIFE = timedelta(seconds=120)  # for the way from our page over the institution's to /authorize


@dataclass(frozen=True)
class Ticket:
    """That the citizen wanted to go there; None: by the button of a service, not of a message."""

    message_id: str | None


async def leave(
    conn: Connection, session_digest: bytes, service_id: str, address: str, message_id: str | None
) -> int:
    """Put a ticket for each client that `address` may belong to; how many.

    Those are the usable clients, live and for tests, of the institution that owns the service, with
    a redirect URI of the same scheme, host and port. None at all: the site has to ask.
    """
    origin = origin_of(address)
    rows = await conn.rows(queries.clients_beside_service, service_id=service_id)
    # In one order, so that two that press at once do not wait for each other in a circle.
    clients = sorted(row["id"] for row in rows if origin in origins_of([row["redirects"]]))
    if not clients:
        return 0
    return await conn.run(
        queries.leave_tickets,
        bucket=conn.bucket(session_digest.hex()),
        session_digest=session_digest,
        client_ids=clients,
        message_id=message_id,
        expires_at=clock.now() + LIFE,
    )


async def take(conn: Connection, session_digest: bytes, client_id: str) -> Ticket | None:
    """The ticket of a session for this client, which is then gone. One that is late is none."""
    row = await conn.row(
        queries.take_ticket,
        bucket=conn.bucket(session_digest.hex()),
        session_digest=session_digest,
        client_id=client_id,
    )
    if row is None or row["expires_at"] <= clock.now():
        return None
    return Ticket(row["message_id"])
