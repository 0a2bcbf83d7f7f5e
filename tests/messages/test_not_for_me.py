"""A message that is not meant for whoever got it: what the citizen, the sender and operators see."""

from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.work import Worker
from messo.messages import mailbox, reports
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from messo.services.services import NewService
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.world import AUTO, Caller, World, add_service

CITIZENS = iter(many(500)[400:])


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


async def enrol(pool: Pool) -> str:
    fiscal_code = next(CITIZENS)
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, "AUTO", 0, is_inbox_enabled=True)])
    return fiscal_code


async def report(pool: Pool, citizen: str, message_id: str) -> bool:
    async with pool.transaction() as conn:
        return await mailbox.report_not_for_me(conn, citizen, message_id)


async def asked(mail: Mail, caller: Caller, path: str) -> Any:
    answer = await mail.running.client.get(f"/messo/v1/{path}", headers=caller.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_report_counts_once_and_both_sides_see_it(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(world.anna, citizen)
    assert await report(pool, citizen, message_id)
    async with pool.connection() as conn:
        first = await mailbox.read_message(conn, citizen, message_id)
    assert await report(pool, citizen, message_id)
    async with pool.connection() as conn:
        again = await mailbox.read_message(conn, citizen, message_id)
    assert first is not None
    assert again is not None
    assert first.reported_at is not None
    assert first.reported_at == again.reported_at
    life = await asked(mail, world.anna, f"messages/{message_id}")
    assert [event["kind"] for event in life["events"]] == ["accepted", "processed", "reported"]
    items = (await asked(mail, world.anna, "reports"))["items"]
    assert [item["id"] for item in items].count(message_id) == 1
    assert items[0].keys() == {"id", "reported_at"}


async def test_nobody_reports_another_s_message(pool: Pool, mail: Mail, world: World) -> None:
    citizen, other = await enrol(pool), await enrol(pool)
    message_id = await mail.send(world.anna, citizen)
    assert not await report(pool, other, message_id)
    items = (await asked(mail, world.anna, "reports"))["items"]
    assert message_id not in {item["id"] for item in items}


async def test_a_service_sees_its_own_reports_newest_first(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizens = [await enrol(pool) for _ in range(3)]
    ids = [await mail.send(world.bruno, citizen) for citizen in citizens]
    for citizen, message_id in zip(citizens, ids, strict=True):
        await report(pool, citizen, message_id)
    items = (await asked(mail, world.bruno, "reports"))["items"]
    assert [item["id"] for item in items] == ids[::-1]
    assert not set(ids) & {i["id"] for i in (await asked(mail, world.anna, "reports"))["items"]}


async def test_at_most_a_hundred_reports_are_shown(pool: Pool, mail: Mail, world: World) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO messages.report SELECT 0, 'X' || g, $1, now() "
            "FROM generate_series(1, 130) AS g",
            world.secure.id,
        )
    assert len((await asked(mail, world.secure, "reports"))["items"]) == 100


async def test_without_the_permission_to_read_reports_are_closed(
    running: Running, world: World
) -> None:
    answer = await running.client.get("/messo/v1/reports")
    assert answer.status_code == 401


async def test_operators_see_the_share_of_thirty_days(pool: Pool, mail: Mail, world: World) -> None:
    ids = [await mail.post(world.limited, AUTO) for _ in range(4)]
    await mail.settle()
    await report(pool, AUTO, ids[0])
    async with pool.connection() as conn:
        (one,) = [
            r for r in await reports.reported_services(conn) if r.service_id == world.limited.id
        ]
    assert (one.service_name, one.institution_name) == ("Acqua", "Consorzio di Carla")
    assert (one.reports, one.received, one.share) == (1, 4, 0.25)
    old = clock.now() - timedelta(days=31)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.report SET reported_at = $2 WHERE service_id = $1",
            world.limited.id,
            old,
        )
        found = {one.service_id for one in await reports.reported_services(conn)}
    assert world.limited.id not in found
    assert world.bruno.id in found


async def test_the_largest_share_comes_first(pool: Pool) -> None:
    async with pool.connection() as conn:
        shares = [one.share for one in await reports.reported_services(conn)]
    assert shares == sorted(shares, reverse=True)
    assert all(0 < share <= 1 for share in shares)


async def test_an_institution_sees_the_reports_of_all_its_services(
    pool: Pool, mail: Mail, world: World
) -> None:
    async with pool.transaction() as conn:
        first, second = [
            await add_service(conn, world.secrets, world.anna.institution, NewService(name))
            for name in ("Mensa", "Scuolabus")
        ]
    reported = []
    for caller in (first, second, first, world.bruno, first):
        citizen = await enrol(pool)
        message_id = await mail.send(caller, citizen)
        await report(pool, citizen, message_id)
        if caller is not world.bruno:
            reported.append((message_id, caller.id))
    async with pool.transaction() as conn:
        # Two at the very same moment.
        await conn.raw.execute(
            "UPDATE messages.report SET reported_at = now() WHERE message_id = ANY($1)",
            [message_id for message_id, _ in reported[:2]],
        )
        of = [first.id, second.id]
        pages = [await reports.reports(conn, of, limit=1)]
        while pages[-1].next is not None:
            assert len(pages) < 10, "it never ends"
            pages.append(await reports.reports(conn, of, pages[-1].next, limit=1))
        again = await reports.reports(conn, of, "1-\x00", limit=1)
    rows = [row for page in pages for row in page.rows]
    assert sorted((row.message_id, row.service_id) for row in rows) == sorted(reported)
    assert [row.reported_at for row in rows] == sorted(
        (row.reported_at for row in rows), reverse=True
    )
    assert {row.service_name for row in rows} == {"Mensa", "Scuolabus"}
    assert again == pages[0]
