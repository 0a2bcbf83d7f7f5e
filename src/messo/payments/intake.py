"""Payment events come in: pushed to us, or from a file. Idempotent, and nothing is lost.

What cannot be understood is a dead letter, which operators see, and never holds up the others.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter

from messo.base import clock, metrics
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.payments import ledger
from messo.payments.ledger import Seen, queries
from messo.payments.payment_event import Unusable, read_event

counted = Counter(
    "messo_payment_events",
    "Payment events that came in, by what came of them.",
    ["outcome"],
    registry=metrics.registry,
)
_ABOUT = "payments.dead_letter"


@dataclass(slots=True)
class Taken:
    """How many events: `paid` settled a notice, `known` told nothing new, `ignored` name none."""

    paid: int = 0
    known: int = 0
    ignored: int = 0
    dead: int = 0

    def add(self, other: "Taken") -> None:
        """Count these too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


async def take(conn: Connection, secrets: Secrets, events: Sequence[Any]) -> Taken:
    """Enter these events, at most a thousand, in the caller's transaction.

    An event is decoded JSON, or bytes that are none. The same events again change nothing.
    """
    now = clock.now()
    read = [(event, read_event(event, now)) for event in events]
    seen = [one for _, one in read if isinstance(one, Seen)]
    dead = [(event, one.reason) for event, one in read if isinstance(one, Unusable)]
    taken = Taken(ignored=len(events) - len(seen) - len(dead), dead=len(dead))
    if seen:
        taken.paid = await ledger.record_paid(conn, seen)
        taken.known = len(seen) - taken.paid
    if dead:
        await _bury(conn, secrets, dead)
    for name in Taken.__slots__:
        counted.labels(name).inc(getattr(taken, name))
    return taken


async def dead_letters(conn: Connection, limit: int) -> Sequence[Row]:
    """`id`, `at`, `reason` of events that could not be used, the newest first."""
    return await conn.rows(queries.list_dead_letters, limit=limit)


async def dead_letter(conn: Connection, secrets: Secrets, letter_id: str) -> bytes | None:
    """The event itself, as it came; None if it is not here. `SecretError` if it cannot be opened."""
    sealed = await conn.value(queries.read_dead_letter, id=letter_id)
    return None if sealed is None else secrets.unseal(sealed, _ABOUT)


async def _bury(conn: Connection, secrets: Secrets, dead: Sequence[tuple[Any, str]]) -> None:
    letters = {}
    for event, reason in dead:
        body = event if isinstance(event, bytes) else _written(event)
        letters[hashlib.sha256(body).hexdigest()[:16]] = (reason, body)
    await conn.run(
        queries.add_dead_letters,
        ids=list(letters),
        now=clock.now(),
        reasons=[reason for reason, _ in letters.values()],
        sealed=[secrets.seal(body, _ABOUT) for _, body in letters.values()],
    )


def _written(event: Any) -> bytes:  # noqa: ANN401  JSON
    try:
        # What the faster encoder refuses, half a surrogate pair, came in all the same.
        return json.dumps(event).encode()
    except RecursionError:
        # It could just be read, a few calls further up. No event is like that, and the others of
        # its batch must not fail with it.
        return b"nested too deeply to be kept"
