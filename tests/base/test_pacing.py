"""How much goes out to whom in a minute, on a clock that these tests move."""

import heapq
from collections import Counter

import pytest

from messo.base.pacing import Pace


class Hands:
    """The hands of a clock, in seconds."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def sent_by_minute(
    pace: Pace, hands: Hands, mails: int, look_s: float, lasts_s: float
) -> list[int]:
    """What goes out in each minute while all come back when they are told to.

    Whose time has come is asked for every `look_s`, as a worker does; each is under way for
    `lasts_s`. In seconds.
    """
    due = [0.0] * mails
    ends: list[float] = []
    sent: Counter[int] = Counter()
    while due:
        while ends and ends[0] <= hands.at:
            heapq.heappop(ends)
            pace.leave("example.org")
        while due and due[0] <= hands.at:
            wait_s = pace.enter("example.org")
            if wait_s:
                heapq.heapreplace(due, hands.at + wait_s)
                continue
            heapq.heappop(due)
            heapq.heappush(ends, hands.at + lasts_s)
            sent[int(hands.at // 60)] += 1
        hands.at += look_s
    return [sent[minute] for minute in range(max(sent) + 1)]


@pytest.mark.parametrize("lasts_s", [0, 0.5])
def test_a_backlog_to_one_domain_goes_out_evenly(lasts_s: float) -> None:
    """40,000 mails at 600 a minute take 67 minutes: none comes back before its turn in vain."""
    hands = Hands()
    by_minute = sent_by_minute(Pace(10, 600, hands), hands, 40_000, 0.25, lasts_s)
    assert sum(by_minute) == 40_000
    assert max(by_minute[1:]) <= 620
    assert min(by_minute[1:-3]) >= 580
    assert len(by_minute) <= 69


def test_the_wait_is_the_turn_however_far_it_is() -> None:
    hands = Hands()
    pace = Pace(1, 60, hands)
    assert pace.enter("example.org") == 0
    waits = [pace.enter("example.org") for _ in range(5000)]
    assert waits == pytest.approx([float(turn) for turn in range(1, 5001)])
    assert pace.enter("example.net") == 0


def test_a_domain_that_nobody_asks_for_is_forgotten_however_far_its_turns_are() -> None:
    hands = Hands()
    pace = Pace(1, 1, hands)
    for number in range(1000):
        for _ in range(100):
            pace.enter(str(number))
    for number in range(1000):
        pace.leave(str(number))
    pace.enter("under way")
    hands.at += 100
    pace.enter("last")
    assert set(pace._known) == {"under way", "last"}
