"""Planning: explicit rows, made when a message is processed and anew when a fact has changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from messo.base import clock, work
from messo.base.db import Connection, Row
from messo.base.ids import lowest_id
from messo.reminders.facts import Facts, Subject, carriers_of, queries, read_facts
from messo.reminders.rules import (
    Kind,
    Planned,
    Schedule,
    Window,
    Wish,
    day_of,
    open_until,
    opens_again,
    plan,
)
from messo.reminders.schedules import read_schedule

PLAN = "reminders.plan"
REPLAN = "reminders.replan"
_TRIES = 180  # seven days at an hour each, and the first hour
_PAGE = 500  # messages of one citizen
_WATCHED = timedelta(days=400)
_UNREAD = timedelta(days=60)  # longer than any schedule of unread messages may be


@dataclass(frozen=True, slots=True)
class Rules:
    """How this installation reminds."""

    schedule: Schedule
    window: Window


def step(window: Window) -> work.Step:
    """The step that plans; its references are ids of messages."""

    async def run(conn: Connection, bucket: int, ids: list[str]) -> Callable[[], None]:
        await plan_messages(conn, bucket, ids, window)
        return _nothing_to_count

    return work.Step(PLAN, run, _postponed)


def replan_step() -> work.Step:
    """The step that follows another choice of a citizen; its references are fiscal codes.

    It queues the planning of their messages, a page at a time.
    """

    async def run(conn: Connection, bucket: int, references: list[str]) -> Callable[[], None]:
        now = clock.now()
        for reference in sorted(set(references)):  # seldom more than one: a person has decided
            fiscal_code, _, after = reference.partition(" ")
            rows = await conn.rows(
                queries.messages_to_plan,
                bucket=bucket,
                fiscal_code=fiscal_code,
                after=after or lowest_id(now - _WATCHED),
                unread_after=lowest_id(now - _UNREAD),
                limit=_PAGE,
            )
            ids = [row["id"] for row in rows]
            lanes = [work.lane_of(fiscal_code)] * len(ids)
            await work.queue(conn, bucket, PLAN, ids, lanes, now)
            if len(ids) == _PAGE:
                more = f"{fiscal_code} {ids[-1]}"
                await work.queue(conn, bucket, REPLAN, [more], [work.lane_of(fiscal_code)], now)
        return _nothing_to_count

    return work.Step(REPLAN, run, _postponed)


async def plan_messages(conn: Connection, bucket: int, ids: Sequence[str], window: Window) -> None:
    """Plan for what these messages would remind of. Run again, it changes nothing."""
    rows = await conn.rows(queries.subjects_of, bucket=bucket, ids=ids)
    subjects = sorted({subject_of(row) for row in rows}, key=lambda one: (one.fiscal_code, one.key))
    if not subjects:
        return
    # All at once and in order, with the other messages about the same: see the statement.
    carriers = await carriers_of(conn, bucket, subjects)
    await conn.rows(queries.lock_messages, bucket=bucket, ids=sorted(carriers | set(ids)))
    existing = await _existing(conn, bucket, subjects)
    facts = await read_facts(conn, bucket, subjects)
    schedule = await read_schedule(conn)
    now = clock.now()
    wrong: list[Row] = []
    right: list[tuple[Subject, Planned]] = []
    for subject, fact in facts.items():
        past = [r for r in existing[subject] if r["state"] != "planned"]
        wanted = _wanted(fact, past, now, Rules(schedule, window))
        right += [(subject, one) for one in wanted]
        days = {(one.day, one.kind) for one in wanted}
        wrong += [
            r
            for r in existing[subject]
            if r["state"] == "planned" and (r["day"], r["kind"]) not in days
        ]
    if wrong:
        await conn.run(queries.drop_planned, bucket=bucket, **keys_of(wrong))
    if right:
        await conn.run(
            queries.put_planned,
            bucket=bucket,
            fiscal_codes=[subject.fiscal_code for subject, _ in right],
            subjects=[subject.key for subject, _ in right],
            days=[one.day for _, one in right],
            kinds=[one.kind for _, one in right],
            dues=[one.at for _, one in right],
        )


def wish_of(facts: Facts) -> Wish:
    """What is to be reminded of, from what is known. There must be a message."""
    first = facts.messages[0]
    told = facts.message or first
    return Wish(
        f"{facts.subject.fiscal_code}{facts.subject.key}",
        min(message.processed_at for message in facts.messages),
        facts.subject.is_notice,
        facts.notice.due if facts.notice else None,
        told.quiet,
        facts.until,
    )


def keys_of(rows: Sequence[Row]) -> dict[str, list[str] | list[date]]:
    """The keys of reminders, as statements take them."""
    return {
        "fiscal_codes": [row["fiscal_code"] for row in rows],
        "subjects": [row["subject"] for row in rows],
        "days": [row["day"] for row in rows],
        "kinds": [row["kind"] for row in rows],
    }


def _wanted(facts: Facts, past: Sequence[Row], now: datetime, rules: Rules) -> list[Planned]:
    if facts.why_not(day_of(now)) is not None:
        return []
    # One that was stopped at the last moment may have come to another device before.
    sent: list[tuple[date, Kind]] = [(r["day"], r["kind"]) for r in past if r["message_id"]]
    over = {(r["day"], r["kind"]) for r in past}
    wish = wish_of(facts)
    planned = [
        # Of a day that is over already, dropped or not, nothing is planned again.
        replace(one, at=max(one.at, now))
        for one in plan(wish, sent, now, rules.schedule, rules.window)
        if (one.day, one.kind) not in over
    ]
    return [one for one in planned if one.at > now or _is_time_left(now, wish, rules.window)]


def _is_time_left(now: datetime, wish: Wish, window: Window) -> bool:
    is_open = open_until(now, wish.quiet, window) is not None
    return is_open or opens_again(now, wish.quiet, window) is not None


async def _existing(
    conn: Connection, bucket: int, subjects: Sequence[Subject]
) -> dict[Subject, list[Row]]:
    found: dict[Subject, list[Row]] = {subject: [] for subject in subjects}
    for row in await conn.rows(
        queries.lock_reminders_of,
        bucket=bucket,
        fiscal_codes=[subject.fiscal_code for subject in subjects],
        subjects=[subject.key for subject in subjects],
    ):
        found[Subject(row["fiscal_code"], row["subject"])].append(row)
    return found


def subject_of(row: Row) -> Subject:
    is_notice = row["number"] is not None
    return Subject(row["fiscal_code"], row["payee"] + row["number"] if is_notice else row["id"])


async def _postponed(_: Connection, __: int, ___: str, attempts: int) -> bool:
    return attempts < _TRIES


def _nothing_to_count() -> None:
    return
