"""What follows from a window's answers: how far the webhook has come, what is tried again and when.

A pure function, so that every case can be tried without a clock.
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
_MOST_FAILURES = 1000  # counted; the delay stops growing long before


@dataclass(frozen=True, slots=True)
class Retry:
    """A row of webhook_retry as it is to be."""

    position: int
    message_id: str
    attempts: int
    since: datetime
    due: datetime
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
    verdicts = [answered.verdict for answered in answers.values()]
    error = next((a.error for a in answers.values() if a.verdict in {"refused", "down"}), None)
    succeeded = "ok" in verdicts
    since = None if succeeded else window.failing_since or (now if error else None)
    # It does not answer at all, or refuses one as the other: then no event is to blame, and no
    # rows are made.
    stuck = not succeeded and ("down" in verdicts or verdicts.count("refused") >= SIDE_BY_SIDE)
    stop: Literal["gone", "failing"] | None = None
    if "gone" in verdicts:
        stop, error = "gone", next(a.error for a in answers.values() if a.verdict == "gone")
    elif error and since is not None and now - since >= OFF_AFTER:
        stop = "failing"
    if stuck:
        position, retries = _stuck(window, since or now, error, now)
        failures = min(window.failures + 1, _MOST_FAILURES)
        due = now + delay_after(failures)
    else:
        position = _reached(window, outcome)
        retries = list(_retries(window, outcome, position, now))
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


def _verdict(answers: dict[int, Answered], item: Item) -> str | None:
    answered = answers.get(item.position)
    return answered.verdict if answered else None


def _stuck(
    window: Window, since: datetime, error: str | None, now: datetime
) -> tuple[int, list[Retry]]:
    """The cursor stays, and no rows are made; but what has failed for 3 days is given up."""
    if now - since < DEAD_AFTER:
        return window.start, []
    new = sorted((*window.items, *window.behind), key=lambda item: item.position)
    old = [item for item in new if now - item.published_at >= DEAD_AFTER]
    again = [item for item in window.again if item.since and now - item.since >= DEAD_AFTER]
    dead = [
        Retry(
            item.position,
            item.message_id,
            item.attempts + 1,
            item.since or now,
            now,
            error,
            dead_at=now,
        )
        for item in (*old, *again)
    ]
    if not old:
        return window.start, dead
    # Publication and position grow together, so the old ones are the first of the window.
    return window.end if len(old) == len(new) else old[-1].position, dead


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


def _retries(window: Window, outcome: Outcome, reached: int, now: datetime) -> Iterator[Retry]:
    """Rows of what the cursor passes without its being taken, and of what has failed again."""
    for item in (*window.again, *window.items):
        answered = outcome.answers.get(item.position)
        if answered is not None and answered.verdict in {"refused", "down"}:
            since = item.since or now
            wait = timedelta(seconds=answered.after_s or 0)
            yield Retry(
                item.position,
                item.message_id,
                item.attempts + 1,
                since,
                now + max(delay_after(item.attempts + 1), wait),
                answered.error,
                now if now - since >= DEAD_AFTER else None,
            )
        elif (
            item.since is None
            and _verdict(outcome.answers, item) != "ok"
            and item.position <= reached
        ):
            yield Retry(item.position, item.message_id, 0, now, now)
    for item in window.behind:
        if item.position <= reached:
            yield Retry(item.position, item.message_id, 0, now, now)
