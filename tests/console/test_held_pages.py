"""Held senders: why, let past with a reason, and again as before; reports as not meant for one."""

import asyncio

import pytest

from messo.base.db import Pool
from messo.messages import guard
from messo.messages.guarded import guarded
from messo.sandbox.fiscal_codes import many
from messo.settings import Settings
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.console.operating import not_for_others, operating
from tests.world import World, message

pytestmark = pytest.mark.anyio

PEOPLE = many(200)
MOST = 40


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000,
        rate_burst=100_000,
        sandbox=True,
        guard_recipients=MOST,
        guard_share=0.0001,
    )


async def send(running: Running, world: World, code: str) -> int:
    answer = await running.client.post(
        "/api/v1/messages",
        json=message(code, subject="Chiusura della piazza", markdown="La piazza chiude. " * 8),
        headers=world.anna.headers,
    )
    return answer.status_code


async def held(running: Running, world: World) -> None:
    """Until the guard stops this text."""
    for code in PEOPLE:
        if await send(running, world, code) == 403:
            return
    raise AssertionError("nothing was held")


async def test_a_held_sender_is_let_past_with_a_reason_and_then_no_more(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    operator = await operating(colleague, pool)
    assert "Nobody is held" in await operator.get("/held")
    await held(running, world)
    page = await operator.get("/held")
    assert f"reached {MOST} people within 24 hours" in page
    assert "Comune di Anna" in page
    assert "Anagrafe" in page
    assert "piazza" not in page
    lines = await operator.rows("/held?format=csv&list=held")
    assert f'"{MOST}"' in lines[1]

    path = f"/held/{world.anna.institution}"
    for hours, reason in (("0", "x"), ("721", "x"), ("-1", "x"), ("1e3", "x"), ("²", "x")):
        wrong = await operator.post(path, 400, hours=hours, reason=reason)
        assert "whole number of hours" in wrong.text
        assert f'value="{hours}"' in wrong.text
    assert "Say why" in (await operator.post(path, 400, hours="2", reason=" ")).text
    long = await operator.post(path, 400, hours="2", reason="x" * 501)
    assert "At most 500 characters" in long.text

    done = await operator.post(path, hours="2", reason="=Evacuazione <b>")
    assert "Done: it is let past" in done.text
    assert "Operator olga" in done.text
    assert "=Evacuazione &lt;b&gt;" in done.text
    async with asyncio.timeout(10):
        while await send(running, world, PEOPLE[-1]) != 201:
            await asyncio.sleep(0.1)
    listed = await operator.get("/held")
    assert "Let past" in listed
    allowed = await operator.rows("/held?format=csv&list=allowances")
    assert '"\'=Evacuazione <b>"' in allowed[1]

    ended = await operator.post(f"{path}/end")
    assert "the allowance has ended" in ended.text
    assert "Evacuazione" not in ended.text
    assert "There was no allowance" in (await operator.post(f"{path}/end")).text
    async with pool.connection() as conn:
        audited = await conn.raw.fetch(
            "SELECT action, actor FROM operations.audit WHERE subject = $1 AND action LIKE 'guard.%'"
            " ORDER BY id",
            world.anna.institution,
        )
    assert [row["action"] for row in audited] == ["guard.allow", "guard.end_allowance"]
    assert all(row["actor"].startswith("operator:") for row in audited)


async def test_what_is_over_is_not_said_to_be_in_force(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    """A text that nobody sends any more, and an allowance that has ended."""
    operator = await operating(colleague, pool)
    await held(running, world)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.guard_hold SET held_at = now() - interval '9 days', last_at = NULL"
        )
        await guard.allow(conn, "tests", world.anna.institution, -1, "era ieri")
    for path in ("/held", f"/held/{world.anna.institution}"):
        page = await operator.get(path)
        assert "No longer" in page
        assert 'state-bad">Held' not in page
        assert "era ieri" not in page
    assert "era ieri" not in await operator.get(f"/institutions/{world.anna.institution}")
    async with pool.transaction() as conn:
        found = await guarded(conn, world.anna.institution)
        await conn.raw.execute("DELETE FROM messages.guard_hold")
        await conn.raw.execute("DELETE FROM messages.guard_allowance")
    assert (found.contents, found.allowed_until) == (0, None)


async def test_services_that_are_reported_are_marked_from_the_setting_on(
    colleague: Colleague, pool: Pool, world: World, settings: Settings
) -> None:
    operator = await operating(colleague, pool)
    assert "Nobody has complained" in await operator.get("/held/reported")
    async with pool.transaction() as conn:
        for number in range(3):
            await conn.raw.execute(
                "INSERT INTO messages.report (bucket, message_id, service_id, reported_at)"
                " VALUES (0, $1, $2, now())",
                f"01HZ{number:022d}",
                world.bruno.id,
            )
    page = await operator.get("/held/reported")
    assert "Biblioteca" in page
    assert "look into it" in page
    assert f"{settings.guard_reports_share:.0%}" in page
    assert "Biblioteca" in (await operator.rows("/held/reported?format=csv"))[1]


async def test_there_is_no_such_institution(colleague: Colleague, pool: Pool) -> None:
    operator = await operating(colleague, pool)
    for unknown in ("01JZZZZZZZZZZZZZZZZZZZZZZZ", "%00", "x"):
        await operator.get(f"/held/{unknown}", 404)
        await operator.post(f"/held/{unknown}", 404, hours="1", reason="x")
        await operator.post(f"/held/{unknown}/end", 404)


async def test_nobody_else_sees_it_and_it_speaks_italian(
    colleague: Colleague, other: Colleague, pool: Pool, world: World
) -> None:
    path = f"/held/{world.anna.institution}"
    await not_for_others(other, ["/held", "/held/reported", path], [path, f"{path}/end"])
    operator = await operating(colleague, pool)
    assert "Invii fermati" in await operator.get("/held", language="it")
    assert "Lascia passare" in await operator.get(path, language="it")
