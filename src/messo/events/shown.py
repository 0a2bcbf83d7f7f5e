"""A webhook as its institution sees it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET

from messo.base import clock
from messo.base.db import Row
from messo.events import wire
from messo.events.sign import SigningSecret, live


def shown(row: Row, secrets: Sequence[SigningSecret], *, with_secret: bool) -> wire.Webhook:
    """A row of events.webhook and its secrets, without its health; the newest secret if so asked."""
    signing = live(secrets, clock.now())
    old = [one.until for one in signing if one.until is not None]
    return wire.Webhook(
        id=row["id"],
        service_id=row["service_id"],
        url=row["url"],
        kinds=row["kinds"],
        state=row["state"],
        created_at=clock.to_wire(row["created_at"]),
        stopped_at=_moment(row["stopped_at"]),
        stopped_why=row["stopped_why"] or UNSET,
        secret=signing[0].secret if with_secret else UNSET,
        old_secret_until=_moment(max(old, default=None)),
    )


def health(row: Row) -> wire.Health:
    """A row of `read_health`."""
    return wire.Health(
        waiting=row["waiting"],
        dead_letters=row["dead"],
        last_success_at=_moment(row["success_at"]),
        last_failure_at=_moment(row["failure_at"]),
        last_error=row["last_error"] or UNSET,
        failing_since=_moment(row["failing_since"]),
        next_try_at=_moment(row["next_try_at"]),
    )


def _moment(moment: datetime | None) -> Any:  # noqa: ANN401  a text or UNSET, as msgspec has it
    return UNSET if moment is None else clock.to_wire(moment)
