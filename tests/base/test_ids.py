"""ULIDs: in order of making, whatever the clock does."""

import re
import threading
import time

import pytest

from messo.base import ids
from messo.base.ids import new_id


def test_ids_are_ulids_and_grow() -> None:
    made = [new_id() for _ in range(100_000)]
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", value) for value in made[:1000])
    assert made == sorted(set(made))


def test_an_id_begins_with_its_time() -> None:
    ids._Last.value = 0
    before = time.time_ns() // 1_000_000
    value = 0
    for letter in new_id()[:10]:
        value = value * 32 + ids._ALPHABET.index(letter)
    assert before <= value <= time.time_ns() // 1_000_000


def test_a_clock_that_steps_back_does_not_turn_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    last = new_id()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
    back = [new_id() for _ in range(1000)]
    assert [last, *back] == sorted({last, *back})


def test_threads_get_different_ids() -> None:
    """Only the loop's thread makes ids that must grow; others must at least not collide."""
    made: list[list[str]] = [[] for _ in range(4)]

    def fill(mine: list[str]) -> None:
        mine.extend(new_id() for _ in range(5000))

    threads = [threading.Thread(target=fill, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({value for mine in made for value in mine}) == 20_000
