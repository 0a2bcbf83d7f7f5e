"""The time as everything in Messo reads it: aware, UTC, and only from here."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

_ROME = ZoneInfo("Europe/Rome")


def now() -> datetime:
    """The present moment, UTC, to the microsecond."""
    return datetime.now(UTC)


def day_in_rome(moment: datetime) -> date:
    """The day by Rome's calendar; the first or last there is where that calendar has none."""
    try:
        return moment.astimezone(_ROME).date()
    except OverflowError:
        return moment.date()


def day_begins(day: date) -> datetime:
    """The first moment of a day by Rome's calendar; the earliest there is where UTC has none."""
    try:
        return datetime.combine(day, time(), _ROME).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def to_wire(moment: datetime) -> str:
    """`2030-01-31T22:59:59.000Z`: UTC with exactly three digits of a second."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
