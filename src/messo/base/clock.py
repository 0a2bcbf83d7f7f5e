"""The time as everything in Messo reads it: aware, UTC, and only from here."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, UTC, to the microsecond."""
    return datetime.now(UTC)


def to_wire(moment: datetime) -> str:
    """`2030-01-31T22:59:59.000Z`: UTC with exactly three digits of a second."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
