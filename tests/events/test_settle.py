"""What is recorded of a window that was not sent to its end."""

from datetime import timedelta

from messo.base import clock
from messo.events.post import Answered, Verdict
from messo.events.settle import settle
from messo.events.window import Item, Outcome, Window

NOW = clock.now()


def item(position: int, message: str = "") -> Item:
    return Item(position, f"e{position}", message or f"m{position}", NOW, b"{}")


def window(*items: Item, behind: tuple[Item, ...] = (), end: int = 10) -> Window:
    return Window(
        "w", "i", "a@example.org", "https://x/", (), NOW, 0, end, 2, None, None, items, (), behind
    )


def answered(**verdicts: Verdict) -> Outcome:
    return Outcome(
        {int(name[1:]): Answered(v, "" if v == "ok" else v) for name, v in verdicts.items()}
    )


def test_a_window_that_ran_out_of_time_goes_as_far_as_it_was_tried() -> None:
    """What was passed over becomes a row; what comes after is left for the next window."""
    items = [item(n) for n in range(1, 7)]
    settled = settle(window(*items, behind=(item(9),)), answered(p1="ok", p2="ok", p4="ok"), NOW)
    assert settled.position == 4
    assert [(row.position, row.attempts, row.due) for row in settled.retries] == [(3, 0, NOW)]
    assert (settled.due, settled.failures, settled.succeeded) == (NOW, 0, True)


def test_a_whole_window_takes_along_what_stands_behind() -> None:
    settled = settle(window(item(1), behind=(item(9),)), answered(p1="ok"), NOW)
    assert settled.position == 10
    assert [(row.position, row.attempts) for row in settled.retries] == [(9, 0)]


def test_a_bound_of_ours_is_no_failure_of_theirs() -> None:
    outcome = Outcome({1: Answered("busy", "busy: circuit", after_s=30)})
    settled = settle(window(item(1), item(2)), outcome, NOW)
    assert (settled.position, list(settled.retries), settled.failures) == (0, [], 2)
    assert (settled.failing_since, settled.error) == (None, None)
    assert settled.due == NOW + timedelta(seconds=30)


def test_an_empty_window_is_passed() -> None:
    settled = settle(window(), Outcome(), NOW)
    assert (settled.position, settled.due, list(settled.retries)) == (10, NOW, [])
    assert settled.failures == 2


def test_the_rest_of_a_message_whose_event_failed_becomes_rows_without_a_try() -> None:
    outcome = answered(p1="ok", p2="refused")
    outcome.held = {3}
    settled = settle(window(item(1), item(2, "m"), item(3, "m")), outcome, NOW)
    assert settled.position == 10
    assert [(row.position, row.attempts) for row in settled.retries] == [(2, 1), (3, 0)]
