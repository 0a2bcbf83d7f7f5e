"""Rows that are planned follow the facts: made when a message comes, and anew when one changes."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from messo.base.db import Pool
from messo.base.http import Problem
from messo.cli import cli
from messo.commands.database import StoppedError
from messo.erasers import erasers
from messo.messages import mailbox
from messo.recipients.erase import erase_now
from messo.recipients.update import Wishes, amend
from messo.reminders import Window, upkeep
from messo.reminders.hand_over import hand_over
from messo.reminders.plan import plan_messages
from messo.reminders.schedules import change_days, read_schedule
from tests.reminders import acts
from tests.reminders.conftest import Start
from tests.reminders.simulated import Act, Citizen, Scenario, Simulated, first_message

ALL = ["10-08 undated planned", "10-11 undated planned", "10-14 undated planned"]
ALL += ["10-17 undated planned"]
UNREAD = ["10-08 unread planned", "10-11 unread planned", "10-14 unread planned"]
DUE = ["10-09 due planned", "10-12 due planned", "10-15 due planned", "10-18 last planned"]


async def _planned(start: Start, scenario: Scenario) -> tuple[Simulated, Citizen]:
    """At 10-05 12:00, the message of this scenario has come, and is planned for."""
    sim = await start(2026, "10-05 12:00")
    citizen = await sim.enter(scenario)
    await first_message(sim, citizen)
    await sim.settle()
    return sim, citizen


async def _change(sim: Simulated, citizen: Citizen, at: str, act: Act) -> list[str]:
    """What is planned after this has happened at that moment."""
    sim.now = sim.moment(at)
    await act(sim, citizen)
    await sim.settle()
    return await _rows(sim.pool, citizen)


async def _rows(pool: Pool, citizen: Citizen) -> list[str]:
    return [
        " ".join(filter(None, (f"{row['day']:%m-%d}", row["kind"], row["state"], row["reason"])))
        for row in await _whole(pool, citizen)
    ]


async def _whole(pool: Pool, citizen: Citizen) -> list[dict[str, Any]]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT *, xmin::text AS version FROM reminders.reminder WHERE fiscal_code = $1"
            " ORDER BY day, kind",
            citizen.fiscal_code,
        )
    return [dict(row) for row in rows]


def _plain(**more: Any) -> Scenario:
    return Scenario("plain", "", **more)


@pytest.mark.parametrize(
    ("off", "on"),
    [
        pytest.param(acts.no_consent, acts.consent, id="consent"),
        pytest.param(acts.devices_off, acts.devices_on, id="devices"),
        pytest.param(acts.close_inbox, acts.open_inbox, id="inbox"),
        pytest.param(acts.archive(), acts.restore, id="archive"),
        pytest.param(
            acts.service_pushes(on=False), acts.service_pushes(on=True), id="service pushes"
        ),
        pytest.param(
            acts.wish(Wishes(quiet_from=420, quiet_until=1260)),
            acts.wish(Wishes(quiet_from=None, quiet_until=None)),
            id="quiet hours",
        ),
    ],
)
@pytest.mark.parametrize("notice", ["", None], ids=["notice", "message"])
async def test_what_the_citizen_takes_back_is_planned_no_more_and_comes_back_with_it(
    start: Start, off: Act, on: Act, notice: str | None
) -> None:
    sim, citizen = await _planned(start, _plain(notice=notice))
    planned = ALL if notice == "" else UNREAD
    assert await _rows(sim.pool, citizen) == planned
    assert await _change(sim, citizen, "10-06 12:00", off) == []
    assert await _change(sim, citizen, "10-07 12:00", on) == planned
    assert await _change(sim, citizen, "10-07 13:00", off) == []
    # The first day is over: it is dropped, not moved.
    await _change(sim, citizen, "10-08 20:30", on)
    async with sim.pool.transaction() as conn:
        await hand_over(conn, _bucket(sim, citizen), Window(), has_node=True)
    assert await _rows(sim.pool, citizen) == planned[1:]


async def test_what_is_read_is_reminded_of_no_more_unless_it_has_a_notice(start: Start) -> None:
    sim, message = await _planned(start, _plain(notice=None))
    assert await _change(sim, message, "10-06 12:00", acts.read) == []
    sim, notice = await _planned(start, _plain())
    assert await _change(sim, notice, "10-06 12:00", acts.read) == ALL


async def test_what_is_paid_is_planned_no_more_in_every_citizens_inbox(start: Start) -> None:
    sim, first = await _planned(start, _plain(notice="of both"))
    second = await sim.enter(_plain(notice="of both"))
    await first_message(sim, second)
    await sim.settle()
    assert await _rows(sim.pool, second) == ALL
    assert await _change(sim, first, "10-06 12:00", acts.paid_event) == []
    assert await _rows(sim.pool, second) == []
    # Nor for whoever gets the same notice later.
    third = await sim.enter(_plain(notice="of both"))
    assert await _change(sim, third, "10-07 12:00", first_message) == []


@pytest.mark.parametrize("state", ["expired", "cancelled"])
async def test_what_cannot_be_paid_is_planned_no_more_until_it_can(
    start: Start, state: str
) -> None:
    node = {"10-06 00:00": state, "10-07 00:00": "unpaid"}
    sim, citizen = await _planned(start, _plain(node=node))
    assert await _change(sim, citizen, "10-06 12:00", acts.look) == []
    assert await _change(sim, citizen, "10-07 12:00", acts.look) == ALL


async def test_the_nodes_due_date_takes_the_place_of_the_messages(start: Start) -> None:
    node = {"10-06 00:00": "unpaid due=2026-10-22", "10-07 00:00": "unpaid"}
    sim, citizen = await _planned(start, _plain(due="10-19", node=node))
    assert await _rows(sim.pool, citizen) == DUE
    moved = ["10-09 due planned", "10-12 due planned", "10-15 due planned"]
    moved += ["10-18 due planned", "10-21 last planned"]
    assert await _change(sim, citizen, "10-06 12:00", acts.look) == moved
    # An answer without one leaves it.
    assert await _change(sim, citizen, "10-07 12:00", acts.look) == moved


async def test_what_was_sent_or_dropped_stays_when_it_is_planned_anew(start: Start) -> None:
    node = {"10-11 00:00": "unable", "10-12 00:00": "unpaid"}
    sim, citizen = await _planned(start, _plain(node=node))
    await sim.pass_until("10-11 21:00")
    rows = ["10-08 undated handed", "10-11 undated dropped not_checked"]
    assert await _rows(sim.pool, citizen) == rows + ALL[2:]
    assert await _change(sim, citizen, "10-12 07:00", acts.no_consent) == rows
    assert await _change(sim, citizen, "10-13 07:00", acts.consent) == rows + ALL[2:]


async def test_planning_again_writes_nothing(start: Start) -> None:
    sim, citizen = await _planned(start, _plain(due="10-19"))
    before = await _whole(sim.pool, citizen)
    assert len(before) == 4
    for _ in range(3):
        await _plan(sim, citizen)
    assert await _whole(sim.pool, citizen) == before


async def test_workers_that_plan_at_once_for_one_notice_make_one_plan(start: Start) -> None:
    """Two messages carry it, and each is planned for by several at once."""
    sim, citizen = await _planned(start, _plain())
    await _change(sim, citizen, "10-06 12:00", acts.same_notice_again)
    async with sim.pool.transaction() as conn:
        await conn.raw.execute(
            "DELETE FROM reminders.reminder WHERE fiscal_code = $1", citizen.fiscal_code
        )
    ids = citizen.messages
    await asyncio.gather(
        *(_plan(sim, citizen, chosen) for chosen in (ids, ids[::-1], ids[:1], ids[1:], ids))
    )
    assert await _rows(sim.pool, citizen) == ALL


async def test_a_plan_that_is_overtaken_by_a_change_does_not_stay(start: Start) -> None:
    """Whoever plans with what was true before is waited for by whoever plans with what is."""
    sim, citizen = await _planned(start, _plain())
    bucket = _bucket(sim, citizen)
    async with sim.pool.transaction() as slow:
        await slow.raw.execute(
            "DELETE FROM reminders.reminder WHERE fiscal_code = $1", citizen.fiscal_code
        )
        await plan_messages(slow, bucket, citizen.messages, Window())
        async with sim.pool.transaction() as quick:
            await amend(quick, citizen.fiscal_code, Wishes(reminder_status="DISABLED"))
        following = asyncio.create_task(sim.settle())
        async with asyncio.timeout(20), sim.pool.connection() as watching:
            while not await watching.raw.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            ):
                await asyncio.sleep(0.01)
    await following
    assert await _rows(sim.pool, citizen) == []


async def test_erasing_a_citizen_removes_theirs_and_nobody_elses(start: Start) -> None:
    sim, first = await _planned(start, _plain(notice="of both"))
    second = await sim.enter(_plain(notice="of both"))
    await first_message(sim, second)
    await sim.settle()
    async with sim.pool.transaction() as conn:
        await erase_now(
            conn,
            first.fiscal_code,
            erasers(sim.outside.channels, sim.secrets),
            sim.secrets,
            "tests",
        )
    await sim.settle()
    assert await _rows(sim.pool, first) == []
    assert await _rows(sim.pool, second) == ALL


async def test_the_archive_of_a_citizens_data_contains_their_reminders(start: Start) -> None:
    sim, citizen = await _planned(start, _plain())
    assert citizen.notice
    async with sim.pool.connection() as conn:
        found = await upkeep.export(conn, citizen.fiscal_code)
    assert len(found) == 4
    assert found[0] == {
        "subject": citizen.notice.rpt_id,
        "day": date(2026, 10, 8),
        "kind": "undated",
        "state": "planned",
        "reason": None,
    }


async def test_reminders_are_forgotten_after_ninety_days(start: Start) -> None:
    sim, citizen = await _planned(start, _plain())
    for days, left in ((93, ALL), (94, ALL[1:]), (102, ALL[3:]), (103, [])):
        sim.now = sim.moment("10-05 12:00") + timedelta(days=days)
        async with sim.pool.transaction() as conn:
            assert await upkeep.forget_old(conn) is False
        assert await _rows(sim.pool, citizen) == left, days


async def test_who_pays_or_reads_right_before_the_hand_over_is_not_told(start: Start) -> None:
    """What is planned is looked at once more, and nobody has planned anew yet."""
    sim, message = await _planned(start, _plain(notice=None))
    sim.now = sim.moment("10-08 19:30")
    async with sim.pool.transaction() as conn:
        await mailbox.mark(conn, message.fiscal_code, message.messages, read=True)
        await hand_over(conn, _bucket(sim, message), Window(), has_node=True)
    assert (await _rows(sim.pool, message))[0] == "10-08 unread dropped read"
    await sim.settle()
    assert len(message.device.shown) == 1, "the message alone"


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        pytest.param(acts.paid_event, "paid", id="paid"),
        pytest.param(acts.no_consent, "consent", id="consent"),
        pytest.param(acts.archive(), "archived", id="archived"),
        pytest.param(
            acts.wish(Wishes(quiet_from=420, quiet_until=1260)), "quiet_hours", id="quiet hours"
        ),
    ],
)
async def test_who_pays_or_wants_none_after_the_hand_over_is_not_told(
    start: Start, act: Act, reason: str
) -> None:
    """The last look is right before the send."""
    sim, citizen = await _planned(start, _plain())
    sim.now = sim.moment("10-08 19:30")
    await acts.look(sim, citizen)
    async with sim.pool.transaction() as conn:
        await hand_over(conn, _bucket(sim, citizen), Window(), has_node=True)
    assert (await _rows(sim.pool, citizen))[0] == "10-08 undated handed"
    await act(sim, citizen)
    await sim.settle()
    assert await _rows(sim.pool, citizen) == [f"10-08 undated dropped {reason}"]
    assert len(citizen.device.shown) == 1, "the message alone"


@pytest.mark.parametrize(
    ("kind", "days", "field"),
    [
        ("due", [1], "days"),  # the day of the last one
        ("due", [13, 10, 7, 4, 20], "days"),
        ("due", [10, 8], "days"),
        ("undated", [2], "days"),
        ("undated", [61], "days"),
        ("undated", [3, 5], "days"),
        ("unread", [3, 6, 9, 12, 15], "days"),
        ("last", [1], "kind"),
        ("monthly", [30], "kind"),
    ],
)
async def test_days_that_would_break_a_promise_are_refused(
    pool: Pool, kind: str, days: list[int], field: str
) -> None:
    async with pool.transaction() as conn:
        before = await read_schedule(conn)
        with pytest.raises(Problem) as refused:
            await change_days(conn, "tests", kind, days)
        assert (refused.value.status, refused.value.field) == (400, field)
        assert await read_schedule(conn) == before


async def test_other_days_hold_for_what_is_planned_from_then_on(start: Start, pool: Pool) -> None:
    sim, before = await _planned(start, _plain(notice=None))
    async with pool.transaction() as conn:
        await change_days(conn, "tests", "unread", [10, 4, 4])
        assert (await read_schedule(conn)).unread == (4, 10)
        audited = await conn.raw.fetchval(
            "SELECT count(*) FROM operations.audit WHERE action = 'reminders.schedule'"
        )
    assert audited == 1
    after = await sim.enter(_plain(notice=None))
    await first_message(sim, after)
    await sim.settle()
    assert await _rows(pool, after) == ["10-09 unread planned", "10-15 unread planned"]
    assert await _rows(pool, before) == UNREAD
    # None at all is a choice too.
    async with pool.transaction() as conn:
        await change_days(conn, "tests", "unread", [])
    assert await _change(sim, after, "10-06 12:00", acts.archive()) == []
    assert await _change(sim, after, "10-06 13:00", acts.restore) == []
    async with pool.transaction() as conn:
        await change_days(conn, "tests", "unread", [3, 6, 9])


async def test_the_command_changes_the_days_and_shows_them(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)

    async def schedule(*words: str) -> Result:
        command = ["reminders", "schedule", *words]
        return await asyncio.to_thread(lambda: CliRunner().invoke(cli, command))

    changed = await schedule("due", "5", "20")
    assert changed.exit_code == 0, changed.exception
    assert "20 5" in changed.stdout
    assert "3 6 9 12" in changed.stdout
    refused = await schedule("due", "5", "6")
    assert isinstance(refused.exception, StoppedError)
    async with pool.connection() as conn:
        assert (await read_schedule(conn)).due == (20, 5)
    assert (await schedule("due", "13", "10", "7", "4")).exit_code == 0


async def test_all_reminders_of_one_thing_come_at_the_same_time_of_day(start: Start) -> None:
    sim, citizen = await _planned(start, _plain())
    times: set[datetime] = {row["due_at"].timetz() for row in await _whole(sim.pool, citizen)}
    assert len(times) == 1


async def _plan(sim: Simulated, citizen: Citizen, ids: list[str] | None = None) -> None:
    async with sim.pool.transaction() as conn:
        await plan_messages(conn, _bucket(sim, citizen), ids or citizen.messages, Window())


def _bucket(sim: Simulated, citizen: Citizen) -> int:
    return sim.pool.bucket(citizen.fiscal_code)
