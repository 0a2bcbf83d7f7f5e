"""What is known of a notice after something was seen: one function, over all that can be seen."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messo.payments.ledger import Known, Seen, Source, State, decide, sweep_at
from tests.payments.cases import fresh

NOTICE = fresh()
BEGAN = datetime(2030, 1, 1, 12, tzinfo=UTC)
STATES: list[State] = list(get_args(State))
SOURCES: list[Source] = ["node", "event"]
NEW = Known(
    "unknown",
    12_345,
    None,
    None,
    None,
    "message",
    "",
    BEGAN,
    None,
    None,
    None,
    None,
    BEGAN,
)

moments = st.integers(-1000, 1000).map(lambda minutes: BEGAN + timedelta(minutes=minutes))


@st.composite
def seens(draw: st.DrawFn, states: list[State | None] | None = None) -> Seen:
    state = draw(st.sampled_from(states or [*STATES, None]))
    return Seen(
        NOTICE,
        state,
        # An event tells of payments only, and a node that says nothing was asked.
        draw(st.sampled_from(SOURCES)) if state == "paid" else "node",
        draw(st.sampled_from(["200", "A", "B"])),
        draw(moments),
        amount=draw(st.none() | st.integers(1, 5)),
        due_date=draw(st.none() | st.dates(date(2030, 1, 1), date(2030, 2, 1))),
        payee_name=draw(st.none() | st.sampled_from(["Comune", "Regione"])),
        reason=draw(st.none() | st.sampled_from(["TARI", "IMU"])),
        paid_at=draw(st.none() | moments) if state == "paid" else None,
        receipt=draw(st.none() | st.sampled_from(["R1", "R2"])) if state == "paid" else None,
    )


def after(seen: list[Seen], begin: Known = NEW) -> Known:
    return reduce(decide, seen, begin)


def without_asking(known: Known) -> Known:
    return replace(known, asked_at=None, asked_code=None)


@given(st.lists(seens()), st.lists(seens()))
def test_what_was_paid_stays_paid_and_keeps_its_evidence(
    before: list[Seen], then: list[Seen]
) -> None:
    paid = decide(after(before), Seen(NOTICE, "paid", "event", "E", BEGAN))
    later = after(then, paid)
    assert later.state == "paid"
    evidence = ("source", "code", "observed_at", "amount", "due_date", "payee_name", "reason")
    assert [getattr(later, name) for name in evidence] == [getattr(paid, name) for name in evidence]


@given(st.lists(seens([state for state in STATES if state != "paid"] + [None])))
def test_nothing_is_paid_that_nobody_saw_paid(seen: list[Seen]) -> None:
    known = after(seen)
    assert known.state != "paid"
    assert (known.paid_at, known.receipt) == (None, None)


@given(
    st.lists(seens(), max_size=6).flatmap(
        lambda seen: st.tuples(st.just(seen), st.permutations(seen))
    )
)
def test_whether_it_was_paid_does_not_depend_on_the_order(
    orders: tuple[list[Seen], list[Seen]],
) -> None:
    one, other = (after(order) for order in orders)
    was_paid = any(seen.state == "paid" for seen in orders[0])
    assert (one.state == "paid") is (other.state == "paid") is was_paid


@given(st.lists(seens()), seens([None]))
def test_a_node_that_said_nothing_leaves_all_but_that_it_was_asked(
    before: list[Seen], failed: Seen
) -> None:
    known = after(before)
    told = decide(known, failed)
    assert without_asking(told) == without_asking(known)
    assert (told.asked_at, told.asked_code) == (failed.at, failed.code)


@given(st.lists(seens()), seens(["unknown"]))
def test_a_node_that_does_not_know_a_notice_takes_nothing_away(
    before: list[Seen], seen: Seen
) -> None:
    known = after(before)
    told = decide(known, seen)
    if known.state != "unknown":
        assert without_asking(told) == without_asking(known)
    assert told.state == known.state
    for name in ("amount", "due_date", "payee_name", "reason"):
        assert getattr(known, name) is None or getattr(told, name) is not None


@given(st.lists(seens()), seens([state for state in STATES if state != "paid"]))
def test_of_two_that_contradict_each_other_the_newer_counts(before: list[Seen], seen: Seen) -> None:
    known = after(before)
    told = decide(known, seen)
    if known.state == "paid" or seen.at < known.observed_at:
        assert without_asking(told) == without_asking(known)
    elif seen.state != "unknown":
        assert (told.state, told.code, told.observed_at) == (seen.state, seen.code, seen.at)


@given(st.lists(seens()), seens(["paid"]))
def test_a_payment_counts_however_old_the_news_of_it_is(before: list[Seen], seen: Seen) -> None:
    assert decide(after(before), seen).state == "paid"


@given(st.lists(seens()), seens())
def test_what_is_not_said_is_not_lost(before: list[Seen], seen: Seen) -> None:
    known = after(before)
    told = decide(known, seen)
    for name in ("amount", "due_date", "payee_name", "reason", "receipt", "paid_at"):
        assert getattr(known, name) is None or getattr(told, name) is not None


@given(st.lists(seens()), seens())
def test_the_same_again_changes_nothing(before: list[Seen], seen: Seen) -> None:
    once = decide(after(before), seen)
    assert decide(once, seen) == once


def test_a_later_witness_adds_what_the_first_did_not_know() -> None:
    """The node says that it was paid; the event, later, says when and by which payment."""
    by_node = decide(NEW, Seen(NOTICE, "paid", "node", "PAA_PAGAMENTO_DUPLICATO", BEGAN))
    assert (by_node.paid_at, by_node.receipt) == (None, None)
    at = BEGAN - timedelta(hours=1)
    event = Seen(NOTICE, "paid", "event", "E", BEGAN, paid_at=at, receipt="R")
    both = decide(by_node, event)
    assert (both.paid_at, both.receipt, both.source, both.code) == (at, "R", "node", by_node.code)
    again = replace(event, paid_at=BEGAN, receipt="S")
    assert decide(both, again) == both


@pytest.mark.parametrize(
    ("state", "wait"),
    [
        ("in_progress", timedelta(minutes=30)),
        ("unpaid", timedelta(days=7)),
        ("unknown", timedelta(days=1)),
        ("expired", timedelta(days=7)),
        ("cancelled", timedelta(days=30)),
    ],
)
def test_when_the_sweep_asks_again_follows_from_the_state(state: State, wait: timedelta) -> None:
    seen = Seen(NOTICE, state, "node", "X", BEGAN)
    assert sweep_at(decide(NEW, seen), seen, BEGAN) == BEGAN + wait
    failed = Seen(NOTICE, None, "node", "timeout", BEGAN)
    assert sweep_at(decide(NEW, seen), failed, BEGAN) == BEGAN + timedelta(hours=6)


def test_the_sweep_ends_with_the_payment_and_120_days_after_the_due_date() -> None:
    seen = Seen(NOTICE, "unpaid", "node", "200", BEGAN)
    paid = Seen(NOTICE, "paid", "node", "X", BEGAN)
    assert sweep_at(decide(NEW, paid), paid, BEGAN) is None
    assert sweep_at(NEW, seen, BEGAN + timedelta(days=120)) is not None
    assert sweep_at(NEW, seen, BEGAN + timedelta(days=120, seconds=1)) is None
    due = replace(NEW, due_date=date(2030, 6, 1))
    end = datetime(2030, 6, 1, 12, tzinfo=UTC) + timedelta(days=120)
    assert sweep_at(due, seen, end) is not None
    assert sweep_at(due, seen, end + timedelta(seconds=1)) is None
    assert sweep_at(replace(NEW, due_date=date.max), seen, end) is not None
