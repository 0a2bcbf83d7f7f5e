"""What follows from a window's answers: how far the webhook has come, what is tried again and when.

A pure function, so that every case can be tried without a clock. The address is judged by new
events: those that failed before may be to blame themselves, and are tried again one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from messo.base.work import delay_after
from messo.events.post import Answered
from messo.events.window import SIDE_BY_SIDE, Item, Outcome, Window

DEAD_AFTER = timedelta(days=3)
OFF_AFTER = timedelta(days=5)
# Two failures further apart are two, and no series: somebody who fails is asked each hour.
SILENCE = timedelta(hours=3)
_MOST_FAILURES = 1000  # counted; the delay stops growing long before
_FAILED = {"refused", "down"}


@dataclass(frozen=True, slots=True)
class Retry:
    """A row of webhook_retry as it is to be. No `due`: an earlier event of its message waits."""

    position: int
    message_id: str
    attempts: int
    since: datetime
    due: datetime | None
    error: str | None = None
    dead_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What is written about one window. `stop`: the webhook is switched off, and why."""

    position: int
    due: datetime
    failures: int
    failing_since: datetime | None
    succeeded: bool
    error: str | None
    retries: Sequence[Retry]
    dropped: Sequence[int]
    stop: Literal["gone", "failing"] | None = None


def settle(window: Window, outcome: Outcome, now: datetime) -> Settled:
    """What to record of a window that was sent."""
    answers = outcome.answers
    of_new = [answered.verdict for answered in outcome.of(window.items)]
    new_failed = not _FAILED.isdisjoint(of_new)
    succeeded = outcome.succeeded
    # It does not answer at all, or refuses one as the other: then no event is to blame, and no
    # rows are made. The cursor keeps its place, and nothing is given up.
    stuck = not succeeded and ("down" in of_new or of_new.count("refused") >= SIDE_BY_SIDE)
    gone = next((a.error for a in answers.values() if a.verdict == "gone"), None)
    error = gone or next((a.error for a in answers.values() if a.verdict in _FAILED), None)
    since = None if succeeded else _since(window, now, begins=new_failed)
    stop: Literal["gone", "failing"] | None = None
    if gone:
        stop = "gone"
    elif new_failed and since is not None and now - since >= OFF_AFTER:
        stop = "failing"
    retries = list(_again(window, outcome, now, address_fails=since is not None))
    if stuck:
        position = window.start
        failures = min(window.failures + 1, _MOST_FAILURES)
        due = now + delay_after(failures)
    else:
        position = _reached(window, outcome)
        retries += _passed(window, outcome, position, now)
        failures = 0 if succeeded else window.failures
        due = now
    pause = max((a.after_s for a in answers.values() if a.after_s is not None), default=0.0)
    return Settled(
        position=position,
        due=max(due, now + timedelta(seconds=pause)),
        failures=failures,
        failing_since=since,
        succeeded=succeeded,
        error=error,
        retries=retries,
        dropped=[
            *window.void,
            *(item.position for item in window.again if _verdict(answers, item) == "ok"),
        ],
        stop=stop,
    )


def _since(window: Window, now: datetime, *, begins: bool) -> datetime | None:
    """Since when nothing was taken, without a silence; a new event's failure begins a series."""
    unbroken = window.failure_at is not None and now - window.failure_at < SILENCE
    if window.failing_since is not None and unbroken:
        return window.failing_since
    return now if begins else None


def _verdict(answers: dict[int, Answered], item: Item) -> str | None:
    answered = answers.get(item.position)
    return answered.verdict if answered else None


def _reached(window: Window, outcome: Outcome) -> int:
    """How far the cursor goes: to the end, or to the last that was tried before time ran out."""
    tried = {p for p, a in outcome.answers.items() if a.verdict in {"ok", "refused", "down"}}
    left = [
        item
        for item in window.items
        if item.position not in tried and item.position not in outcome.held
    ]
    if not left:
        return window.end
    return max(
        (item.position for item in window.items if item.position in tried), default=window.start
    )


def _again(
    window: Window, outcome: Outcome, now: datetime, *, address_fails: bool
) -> Iterator[Retry]:
    """Rows of what has failed once more. They are there already, whatever the address is like.

    Given up after 3 days; one that was not answered only if the others are.
    """
    for item in window.again:
        answered = outcome.answers.get(item.position)
        if answered is not None and answered.verdict in _FAILED:
            old = item.since is not None and now - item.since >= DEAD_AFTER
            dead = old and (answered.verdict == "refused" or not address_fails)
            yield _failed(item, answered, now, now if dead else None)


def _passed(window: Window, outcome: Outcome, reached: int, now: datetime) -> Iterator[Retry]:
    """Rows of new events that the cursor passes although they were not taken."""
    for item in window.items:
        answered = outcome.answers.get(item.position)
        if answered is not None and answered.verdict in _FAILED:
            yield _failed(item, answered, now)
        elif item.position > reached or _verdict(outcome.answers, item) == "ok":
            continue
        else:
            due = None if item.position in outcome.held else now
            yield Retry(item.position, item.message_id, 0, now, due)
    for item in window.behind:
        if item.position <= reached:
            yield Retry(item.position, item.message_id, 0, now, None)


def _failed(
    item: Item, answered: Answered, now: datetime, dead_at: datetime | None = None
) -> Retry:
    attempts = item.attempts + 1
    wait = max(delay_after(attempts), timedelta(seconds=answered.after_s or 0))
    return Retry(
        item.position,
        item.message_id,
        attempts,
        item.since or now,
        now + wait,
        answered.error,
        dead_at,
    )
