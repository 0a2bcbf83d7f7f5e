"""What `rules.plan` promises, for arbitrary times, due dates, quiet hours and what was sent before."""

import math
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from messo.reminders.rules import (
    Kind,
    Planned,
    Quiet,
    Schedule,
    Window,
    Wish,
    fits,
    open_until,
    opens_again,
    plan,
)

ROME = ZoneInfo("Europe/Rome")
USUAL = Schedule()
DAY = Window()
MONDAY = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)  # noon in Rome

# Both changes of clocks lie within.
moments = st.integers(0, 240 * 24 * 3600).map(
    lambda seconds: datetime(2026, 9, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
quiets = st.none() | st.builds(Quiet, st.integers(0, 1439), st.integers(0, 1439))
windows = st.tuples(st.integers(8, 19), st.integers(1, 12)).map(
    lambda w: Window(w[0] * 60, min(20, w[0] + w[1]) * 60)
)
keys = st.text("0123456789ABCDEF", min_size=1, max_size=12)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    processed = draw(moments)
    is_notice, due, until = draw(st.booleans()), None, None
    if is_notice:
        due = draw(st.none() | st.integers(-3, 40).map(lambda n: processed.date() + _days(n)))
    else:
        until = draw(st.none() | st.integers(-3, 400).map(lambda h: processed + _hours(h)))
    return Wish(draw(keys), processed, is_notice, due, draw(quiets), until)


@st.composite
def histories(draw: st.DrawFn, wish: Wish) -> list[tuple[date, Kind]]:
    """What may have been sent, also by other rules than today's."""
    kinds: tuple[Kind, ...] = ("due", "undated", "last") if wish.is_notice else ("unread",)
    days = draw(st.lists(st.integers(3, 20), unique=True, max_size=5))
    return [(wish.processed_at.date() + _days(n), draw(st.sampled_from(kinds))) for n in days]


cases = wishes().flatmap(
    lambda wish: st.tuples(st.just(wish), histories(wish), st.integers(0, 40 * 24), windows)
)


@settings(max_examples=600, deadline=None)
@given(cases)
def test_every_promise_holds_for_whatever_is_planned(
    case: tuple[Wish, list[tuple[date, Kind]], int, Window],
) -> None:
    wish, sent, hours, window = case
    now = wish.processed_at + _hours(hours)
    planned = plan(wish, sent, now, USUAL, window)
    assert planned == sorted(planned)
    for one in planned:
        here = one.at.astimezone(ROME)
        minute = here.hour * 60 + here.minute
        assert here.date() == one.day
        assert one.day >= now.astimezone(ROME).date()
        assert window.since <= minute < window.until
        assert wish.quiet is None or not wish.quiet.covers(minute)
        assert _clock(one.at) - _clock(wish.processed_at) >= timedelta(days=3)
        assert wish.until is None or one.at < wish.until
        assert one.kind in _kinds(wish)
        if wish.is_notice:
            assert fits(one.kind, one.day, wish.due)
        _is_a_day_of_the_schedule(wish, one)
    assert len({_minute(one.at) for one in planned}) <= 1, "always at the same time of day"
    _are_apart(sent, planned)
    counted = sum(kind != "last" for _, kind in sent)
    some = sum(one.kind != "last" for one in planned)
    assert some == 0 or some + counted <= _most(wish)
    assert sum(one.kind == "last" for one in planned) <= 1


@settings(max_examples=200, deadline=None)
@given(cases)
def test_planning_twice_is_planning_once(
    case: tuple[Wish, list[tuple[date, Kind]], int, Window],
) -> None:
    wish, sent, hours, window = case
    now = wish.processed_at + _hours(hours)
    planned = plan(wish, sent, now, USUAL, window)
    assert plan(wish, list(reversed(sent)), now, USUAL, window) == planned
    assume(planned)
    first = planned[0]
    # Once the first is sent, the others stay.
    after = plan(wish, [*sent, (first.day, first.kind)], first.at + _hours(24), USUAL, window)
    assert after == planned[1:]


@settings(max_examples=300, deadline=None)
@given(moments, st.integers(-5, 40), quiets, keys)
def test_nothing_is_dropped_but_by_a_rule(
    processed: datetime, ahead: int, quiet: Quiet | None, key: str
) -> None:
    """Each day of the schedule is planned, or comes too soon, or never has an open minute."""
    here = processed.astimezone(ROME)
    due = here.date() + _days(ahead)
    planned = {
        (one.day, one.kind)
        for one in plan(Wish(key, processed, True, due, quiet), [], processed, USUAL, DAY)
    }
    days: list[tuple[date, Kind]] = [(due - _days(n), "due") for n in (13, 10, 7, 4)]
    wanted = {*days, (due - _days(1), "last")}
    assert planned <= wanted
    for day, kind in wanted - planned:
        third = here.date() + _days(3)
        minutes = _open(quiet, from_minute=_up(here) if day == third else 0)
        assert day < third or not minutes, f"{kind} on {day}"


@given(quiets, keys)
def test_an_undated_notice_comes_on_days_3_6_9_and_12(quiet: Quiet | None, key: str) -> None:
    early = datetime(2026, 10, 5, 5, 0, tzinfo=UTC)
    planned = plan(Wish(key, early, True, None, quiet), [], early, USUAL, DAY)
    days = [3, 6, 9, 12] if _open(quiet) else []
    assert [(one.day, one.kind) for one in planned] == [
        (date(2026, 10, 5) + _days(n), "undated") for n in days
    ]


def test_after_the_window_the_third_day_is_dropped_and_not_moved() -> None:
    for at, days in (
        (time(7, 59), [3, 6, 9]),
        (time(19, 59), [3, 6, 9]),
        (time(20, 0), [6, 9]),
        (time(23, 50), [6, 9]),
    ):
        processed = datetime.combine(date(2026, 10, 5), at, ROME).astimezone(UTC)
        planned = plan(Wish("M", processed, False), [], processed, USUAL, DAY)
        assert [(one.day - date(2026, 10, 5)).days for one in planned] == days, at


def test_the_last_one_needs_not_be_apart_and_comes_once_for_each_due_date() -> None:
    due = date(2026, 10, 19)
    sent: list[tuple[date, Kind]] = [(date(2026, 10, 17), "due")]
    now = datetime(2026, 10, 17, 20, 0, tzinfo=UTC)
    assert _days_of(due, sent, now) == [(date(2026, 10, 18), "last")]
    sent.append((date(2026, 10, 18), "last"))
    assert _days_of(due, sent, now) == []
    # Another due date, another last one; but never two on a day.
    assert (date(2026, 10, 20), "last") in _days_of(date(2026, 10, 21), sent, now)
    assert (date(2026, 10, 18), "last") not in _days_of(due, [(date(2026, 10, 18), "due")], now)


def test_reminders_are_spread_over_the_window_by_what_they_are_about() -> None:
    """Of 3,000 things every hour but the last has its share; the last is left for asking again."""
    early = datetime(2026, 10, 5, 4, 0, tzinfo=UTC)
    hours: Counter[int] = Counter()
    minutes = set()
    for number in range(3000):
        planned = plan(Wish(f"K{number}", early, False), [], early, USUAL, DAY)
        here = planned[0].at.astimezone(ROME)
        hours[here.hour] += 1
        minutes.add(here.hour * 60 + here.minute)
    assert set(hours) == set(range(8, 19))
    assert all(150 < count < 450 for count in hours.values()), hours
    assert len(minutes) > 600


def test_the_same_thing_keeps_its_minute_over_the_change_of_clocks() -> None:
    processed = datetime(2026, 10, 20, 6, 0, tzinfo=UTC)
    planned = plan(Wish("K", processed, True), [], processed, USUAL, DAY)
    assert [one.day.day for one in planned] == [23, 26, 29, 1]
    assert len({_minute(one.at) for one in planned}) == 1
    # An hour more between the two around 25 October, by the sun.
    assert [b.at - a.at for a, b in pairwise(planned)] == [_hours(73), _hours(72), _hours(72)]


@given(moments, quiets, windows)
def test_what_is_open_now_closes_later_and_opens_again_only_on_that_day(
    now: datetime, quiet: Quiet | None, window: Window
) -> None:
    minute = _minute(now)
    until, again = open_until(now, quiet, window), opens_again(now, quiet, window)
    is_open = window.since <= minute < window.until and not (quiet and quiet.covers(minute))
    assert (until is not None) == is_open
    if until is not None:
        assert now < until
        assert until.astimezone(ROME).date() == now.astimezone(ROME).date()
        end = _minute(until)
        assert end == window.until or (quiet and quiet.covers(end))
        assert not any(quiet and quiet.covers(m) for m in range(minute, end))
    if again is not None:
        assert again > now
        assert again.astimezone(ROME).date() == now.astimezone(ROME).date()
        assert open_until(again, quiet, window) is not None


def _days_of(due: date, sent: list[tuple[date, Kind]], now: datetime) -> list[tuple[date, Kind]]:
    planned = plan(Wish("K", MONDAY, True, due), sent, now, USUAL, DAY)
    return [(one.day, one.kind) for one in planned]


def _kinds(wish: Wish) -> set[str]:
    if not wish.is_notice:
        return {"unread"}
    return {"undated"} if wish.due is None else {"due", "last"}


def _most(wish: Wish) -> int:
    return 4 if wish.is_notice else 3


def _is_a_day_of_the_schedule(wish: Wish, one: Planned) -> None:
    since = (one.day - wish.processed_at.astimezone(ROME).date()).days
    before = (wish.due - one.day).days if wish.due else 0
    allowed = {
        "unread": since in (3, 6, 9),
        "undated": since in (3, 6, 9, 12),
        "due": before in (13, 10, 7, 4),
        "last": before == 1,
    }
    assert allowed[one.kind], one


def _are_apart(sent: list[tuple[date, Kind]], planned: list[Planned]) -> None:
    for one in planned:
        others = [*sent, *((other.day, other.kind) for other in planned if other is not one)]
        for day, kind in others:
            least = 1 if "last" in (kind, one.kind) else 3
            assert abs((one.day - day).days) >= least, (one, day, kind)


def _open(quiet: Quiet | None, from_minute: int = 0) -> list[int]:
    return [
        minute
        for minute in range(max(8 * 60, from_minute), 20 * 60)
        if not (quiet and quiet.covers(minute))
    ]


def _up(here: datetime) -> int:
    """The first whole minute that is not before this time of day."""
    since = here.replace(tzinfo=None) - datetime.combine(here.date(), time())
    return math.ceil(since / timedelta(minutes=1))


def _minute(moment: datetime) -> int:
    here = moment.astimezone(ROME)
    return here.hour * 60 + here.minute


def _clock(moment: datetime) -> datetime:
    return moment.astimezone(ROME).replace(tzinfo=None)


def _days(number: int) -> timedelta:
    return timedelta(days=number)


def _hours(number: int) -> timedelta:
    return timedelta(hours=number)
