"""Payment events come in: pushed to us, or from a file. Idempotent, and nothing is lost.

What cannot be understood is a dead letter, which operators see, and never holds up the others.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import Counter

from messo.base import clock, metrics
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection, Row
from messo.operations import record
from messo.payments import ledger
from messo.payments.ledger import Seen, queries
from messo.payments.payment_event import Unusable, read_event, read_json

counted = Counter(
    "messo_payment_events",
    "Payment events that came in, by what came of them.",
    ["outcome"],
    registry=metrics.registry,
)
_ABOUT = "payments.dead_letter"
_PLACE = re.compile(r"(\d{1,16})\.([0-9a-f]{1,64})", re.ASCII)


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


@dataclass(frozen=True)
class Replayed:
    """How many dead letters could be used this time, and how many could not."""

    used: int
    still_dead: int


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


async def dead_letters(conn: Connection, limit: int, before: str = "") -> Sequence[Row]:
    """`id`, `at`, `reason` of events that could not be used, the newest first.

    `before`: the `place_of` the last of a page before; what is no place is as none.
    """
    at, letter_id = _read_place(before)
    return await conn.rows(
        queries.list_dead_letters, before_at=at, before_id=letter_id, limit=limit
    )


def place_of(letter: Row) -> str:
    """Where a dead letter stands in the list."""
    return f"{int(letter['at'].timestamp() * 1_000_000)}.{letter['id']}"


def _read_place(text: str) -> tuple[datetime | None, str]:
    found = _PLACE.fullmatch(text)
    if found is None:
        return None, "~"  # above every id
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(found[1])), found[2]


async def count_dead_letters(conn: Connection, most: int) -> int:
    """How many there are, counted no further than this."""
    return int(await conn.value(queries.count_dead_letters, most=most))


async def replay(
    conn: Connection, secrets: Secrets, actor: str, letter_ids: Sequence[str]
) -> Replayed:
    """Try these dead letters again, at most a thousand (audited). What can be used is dead no more."""
    now, still_dead = clock.now(), 0
    usable: dict[str, Any] = {}
    for row in await conn.rows(queries.hold_dead_letters, ids=list(letter_ids)):
        try:
            event = _read_again(secrets.unseal(row["sealed"], _ABOUT))
        except SecretError:
            still_dead += 1
            continue
        if isinstance(read_event(event, now), Unusable):
            still_dead += 1
        else:
            usable[row["id"]] = event
    if usable:
        await take(conn, secrets, list(usable.values()))
        await conn.run(queries.drop_dead_letters, ids=list(usable))
    done = Replayed(len(usable), still_dead)
    if usable or still_dead:
        await record(conn, actor, "payments.replay", _ABOUT, used=done.used, dead=done.still_dead)
    return done


def _read_again(body: bytes) -> Any:  # noqa: ANN401  JSON, or bytes that are none
    try:
        return read_json(body)
    except (ValueError, RecursionError):
        return body


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
