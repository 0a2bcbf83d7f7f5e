"""On which days somebody is reminded, at what time, and why not: pure functions.

Days are those of Rome's calendar. Whoever plans, hands over, sends or explains asks here.
"""

import functools
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ROME = ZoneInfo("Europe/Rome")
Kind = Literal["due", "last", "undated", "unread"]
# Why somebody is not reminded. Those from "consent" to "read" are the citizen's own affair.
Reason = Literal[
    "consent",
    "devices_off",
    "service_off",
    "inbox_closed",
    "archived",
    "read",
    "quiet_hours",
    "gone",
    "paid",
    "cancelled",
    "expired",
    "past_due",
    "in_progress",
    "not_checked",
    "too_late",
]
FIRST = timedelta(days=3)  # after processing, at the earliest
APART = 3  # days between two reminders, the last one excepted
_DAY = 24 * 60
_BUFFER = 60  # minutes left at the end of a window, for asking the node once more


@dataclass(frozen=True, slots=True)
class Window:
    """When reminders may be sent, in minutes of Rome's day; `until` is not included."""

    since: int = 8 * 60
    until: int = 20 * 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """Planned days: before the due date, and after processing."""

    due: tuple[int, ...] = (13, 10, 7, 4)
    undated: tuple[int, ...] = (3, 6, 9, 12)
    unread: tuple[int, ...] = (3, 6, 9)


@dataclass(frozen=True, slots=True)
class Quiet:
    """A citizen's quiet hours, in minutes of Rome's day; they may pass midnight."""

    since: int
    until: int

    def covers(self, minute: int) -> bool:
        """Whether this minute of a day is quiet."""
        if self.since <= self.until:
            return self.since <= minute < self.until
        return minute >= self.since or minute < self.until


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be reminded of. `processed_at`: of the first message about it.

    `due`: the day by which a notice is to be paid; None if it has none. `is_notice`: it is a
    notice, else a message that nobody has opened; `until`: when such a message is out of date.
    """

    key: str
    processed_at: datetime
    is_notice: bool
    due: date | None = None
    quiet: Quiet | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """One reminder: its day, its kind, and the moment from which it may be sent."""

    day: date
    kind: Kind
    at: datetime


def plan(
    wish: Wish,
    sent: Sequence[tuple[date, Kind]],
    now: datetime,
    schedule: Schedule,
    window: Window,
) -> list[Planned]:
    """The reminders that are still to come, the earliest first.

    `sent`: those that were handed over already. A planned day that breaks a rule is dropped, never
    moved: the first reminder comes three full days after processing, two are three days apart,
    and none falls into quiet hours. The last one, a day before the due date, need not be apart.
    """
    planned: list[Planned] = []
    past = sorted(sent)
    candidates = _days(wish, schedule)
    minute = time_of(wish, {day for day, _ in candidates}, window)
    if minute is None:
        return []
    left = _most(wish, schedule) - sum(kind != "last" for _, kind in past)
    for day, kind in candidates:
        at = at_minute(day, minute)
        if day < _rome(now).date() or _rome(at).replace(tzinfo=None) < _earliest(wish):
            continue
        if wish.until is not None and at >= wish.until:
            continue
        days = [*(when for when, _ in past), *(one.day for one in planned)]
        if kind == "last":
            if day in days or (day, kind) in past:
                continue
        elif left <= 0 or any(abs((day - other).days) < APART for other in days):
            continue
        planned.append(Planned(day, kind, at))
        left -= kind != "last"
    return sorted(planned)


def time_of(wish: Wish, days: Collection[date], window: Window) -> int | None:
    """At which minute of those days: always the same, so that three days are three full days.

    Spread by the key. If one of the days is only just three full days after processing, not before
    the minute of processing. None if quiet hours leave nothing.
    """
    earliest, minutes = _earliest(wish), open_minutes(window.since, window.until, wish.quiet)
    if earliest.date() in days:
        minute = -(-(earliest - datetime.combine(earliest, time())) // timedelta(minutes=1))
        # If none is left, that day is dropped, and the others are free.
        minutes = open_minutes(max(window.since, minute), window.until, wish.quiet) or minutes
    if not minutes:
        return None
    # The end is left for what has to be looked at once more, where there is room for that.
    minutes = minutes[: max(1, len(minutes) - min(_BUFFER, len(minutes) // 2))]
    return minutes[zlib.crc32(wish.key.encode()) % len(minutes)]


def open_minutes(since: int, until: int, quiet: Quiet | None) -> Sequence[int]:
    """The minutes of a day in which a reminder may be sent."""
    if quiet is None:
        return range(since, until)
    return [minute for minute in range(since, until) if not quiet.covers(minute)]


@functools.lru_cache(maxsize=1000)  # a thousand reminders of one batch ask the same
def open_until(now: datetime, quiet: Quiet | None, window: Window) -> datetime | None:
    """Until when a reminder may be sent, from now on; None if it may not be now."""
    here = _rome(now)
    minute = here.hour * 60 + here.minute
    if not window.since <= minute < window.until or (quiet and quiet.covers(minute)):
        return None
    end = next((m for m in range(minute, window.until) if quiet and quiet.covers(m)), window.until)
    return at_minute(here.date(), end)


def opens_again(now: datetime, quiet: Quiet | None, window: Window) -> datetime | None:
    """The next moment of this day at which a reminder may be sent; None if there is none."""
    here = _rome(now)
    minutes = open_minutes(max(window.since, here.hour * 60 + here.minute + 1), window.until, quiet)
    return at_minute(here.date(), minutes[0]) if minutes else None


def is_quiet(now: datetime, quiet: Quiet | None) -> bool:
    """Whether these quiet hours cover this moment."""
    here = _rome(now)
    return quiet is not None and quiet.covers(here.hour * 60 + here.minute)


@functools.lru_cache(maxsize=10)
def day_of(now: datetime) -> date:
    """The day in Rome."""
    return _rome(now).date()


@functools.lru_cache(maxsize=10)
def start_of(day: date) -> datetime:
    """The first moment of a day in Rome, UTC."""
    return datetime.combine(day, time(), ROME).astimezone(UTC)


def at_minute(day: date, minute: int) -> datetime:
    """This minute of a day in Rome, UTC. Windows lie far from the hour that clocks skip."""
    here = datetime.combine(day, time(), ROME) + timedelta(minutes=minute)
    return here.astimezone(UTC)


def fits(kind: Kind, day: date, due: date | None) -> bool:
    """Whether a reminder of this kind is still right on its day, now that the due date is this."""
    if kind == "last":
        return due is not None and (due - day).days == 1
    if kind == "due":
        return due is not None and day < due
    return due is None or kind == "unread"


def _earliest(wish: Wish) -> datetime:
    """Three full days after processing, by Rome's clocks."""
    return _rome(wish.processed_at).replace(tzinfo=None) + FIRST


def _days(wish: Wish, schedule: Schedule) -> list[tuple[date, Kind]]:
    """All days of its schedule, in order; of a notice with a due date the last one too."""
    if not wish.is_notice:
        return _after(wish, schedule.unread, "unread")
    if wish.due is None:
        return _after(wish, schedule.undated, "undated")
    due = wish.due
    days: list[tuple[date, Kind]] = [
        (due - timedelta(days=n), "due") for n in sorted(schedule.due, reverse=True)
    ]
    return [*days, (due - timedelta(days=1), "last")]


def _after(wish: Wish, days: Sequence[int], kind: Kind) -> list[tuple[date, Kind]]:
    first = _rome(wish.processed_at).date()
    return [(first + timedelta(days=n), kind) for n in sorted(days)]


def _most(wish: Wish, schedule: Schedule) -> int:
    if not wish.is_notice:
        return len(schedule.unread)
    return len(schedule.undated if wish.due is None else schedule.due)


def _rome(moment: datetime) -> datetime:
    return moment.astimezone(ROME)
