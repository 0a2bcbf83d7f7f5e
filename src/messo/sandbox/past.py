"""What a sandbox has behind it: a month of figures, a day of queues, and services in review."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.events import figures
from messo.operations import samples
from messo.services import Manager, Permission, manage, review
from messo.services.payload import Data
from messo.settings import Settings

_DAYS = 30
_A_DAY, _STEP = timedelta(days=1), timedelta(minutes=10)
_SLOW = (60, 72)  # of those steps
# Of each hundred messages; what citizens share of their reading is less than what they read.
_OF_HUNDRED = {
    ("processed", ""): 91,
    ("rejected", "USER_NOT_FOUND"): 6,
    ("rejected", "SERVICE_NOT_ALLOWED"): 3,
    ("notified", "email"): 40,
    ("read", ""): 55,
    ("paid", ""): 18,
}
_WAITING = Data(
    name="Mensa scolastica",
    description="Iscrizioni, menù e tariffe della **mensa** delle scuole di Pontelungo.",
    topic_id=6,
    metadata={
        "scope": "LOCAL",
        "privacy_url": "https://example.org/privacy",
        "email": "mensa@example.org",
    },
)
_TO_CHANGE = Data(
    name="Centri estivi",
    description="Iscrizioni ai centri estivi.",
    topic_id=6,
    metadata={
        "scope": "LOCAL",
        "privacy_url": "https://example.org/privacy",
        "email": "estate@example.org",
    },
)
_REASON = "Scrivi per quali età sono i centri estivi, e da quando ci si iscrive."


async def add(
    conn: Connection,
    secrets: Secrets,
    settings: Settings,
    actor: str,
    institution_id: str,
    service_id: str,
) -> None:
    """Once, when the sandbox is made. `service_id`: whose figures these are."""
    await figures.add(conn, _figures(service_id))
    await samples.put(conn, list(_samples(clock.now())))
    manager = Manager(institution_id, frozenset(Permission), actor)
    for data in (_WAITING, _TO_CHANGE):
        made = await manage.create(conn, secrets, manager, data)
        most = settings.service_max_amount
        await review.submit(conn, manager, made["id"], auto_publish=True, most=most)
    now = await review.read(conn, made["id"])
    await review.reject(conn, "operator:sandbox", made["id"], now.version, _REASON)


def _figures(service_id: str) -> figures.Tally:
    """Quieter at the end of the week, and the same in every sandbox."""
    counted: figures.Tally = Counter()
    today = clock.day_in_rome(clock.now())
    for ago in range(1, _DAYS):
        day = today - timedelta(days=ago)
        weekend = 5
        sent = 12 + ago % 4 if day.weekday() >= weekend else 120 + ago * 7 % 45
        counted[service_id, day, "accepted", ""] = sent
        for (kind, about), share in _OF_HUNDRED.items():
            counted[service_id, day, kind, about] = sent * share // 100
    return counted


def _samples(now: datetime) -> Iterator[tuple[datetime, str, float]]:
    """A day of queues: busy by day, quiet by night, and a mail server that was slow for a while."""
    total, day = 0.0, clock.day_in_rome(now - _A_DAY)
    for step in range(_A_DAY // _STEP):
        at = (now - _A_DAY + step * _STEP).replace(second=0, microsecond=0)
        if clock.day_in_rome(at) != day:
            total, day = 0.0, clock.day_in_rome(at)
        busy = max(0.05, math.sin((at.hour + at.minute / 60 - 6) / 24 * 2 * math.pi))
        total += round(14 * busy)
        slow = _SLOW[0] <= step < _SLOW[1]
        yield at, "depth:messages.process", round(6 * busy)
        yield at, "age:messages.process", busy / 2
        yield (
            at,
            "depth:notifications.deliver.email",
            round(40 * busy * (step - _SLOW[0]) if slow else busy),
        )
        yield at, "age:notifications.deliver.email", 60.0 * (step - _SLOW[0]) if slow else busy
        for kind, share in (("accepted", 1), ("processed", 0.91), ("rejected", 0.09)):
            yield at, f"total:{kind}", round(total * share)
        yield at, "total:notified", round(total * 0.4)
