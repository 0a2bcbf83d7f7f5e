"""The operators' first page: what needs somebody is there, with the page where to do it."""

from dataclasses import replace
from html import unescape

import pytest

from messo.base.db import Pool
from messo.operations import operators
from messo.services import oversight
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.services import managing
from tests.world import World

pytestmark = pytest.mark.anyio

HOME = "/console/operate"


@pytest.fixture
async def operator(colleague: Colleague, pool: Pool) -> Colleague:
    """An operator who has logged in."""
    await colleague.log_in("olga")
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", "olga")
    return colleague


async def words(one: Colleague) -> str:
    """What the page says, without its marks."""
    answer = await one.client.get(HOME)
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(answer.text).split())


async def test_what_needs_somebody_is_a_number_with_a_link(
    operator: Colleague, pool: Pool, world: World, running: Running
) -> None:
    town = managing.of(running, world)
    service = await town.make(name="Da rivedere")
    await town.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    async with pool.transaction() as conn:
        await oversight.suspend(conn, "tests", "institution", world.bruno.institution, "x")
        await oversight.suspend(conn, "tests", "service", world.secure.id, "x")
        await conn.raw.execute(
            "INSERT INTO messages.guard_hold"
            " (bucket, institution_id, fingerprint, service_id, recipients, held_at)"
            " VALUES (0, $1, 1, $2, 5000, now()), (0, $1, 2, $2, 5000, now() - interval '2 days')",
            world.anna.institution,
            world.anna.id,
        )
        await conn.raw.execute(
            "UPDATE operations.audit SET at = at - interval '1 hour' WHERE seal IS NULL"
        )
    said = await words(operator)
    fresh = '<a class="tile" href="/console/operate/reviews">'
    assert fresh in said
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE services.lifecycle SET updated_at = now() - interval '25 hours'"
            " WHERE service_id = $1",
            service,
        )
    said = await words(operator)
    assert fresh not in said
    for number, label, path in (
        ("1", "service to review", "reviews"),
        ("1", "text held within a day", "held"),
        ("0", "failed messages", "failed"),
        ("0", "dead letters", "failed"),
        ("1", "suspended institution", "institutions?state=suspended"),
        ("late", "audit log", "audit"),
    ):
        assert f'{path}"><span class="tile-number">{number}</span>' in said
        assert f'<span class="tile-label">{label}<' in said
    assert "and 1 single service" in said
    assert "Nothing needs you right now." not in said


async def test_services_with_many_reports_are_named(
    operator: Colleague, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO events.figure (bucket, service_id, day, kind, number)"
            " VALUES ($1, $2, current_date - 3, 'processed', 10)",
            conn.bucket(world.anna.id),
            world.anna.id,
        )
        await conn.raw.execute(
            "INSERT INTO messages.report (bucket, message_id, service_id, reported_at)"
            " VALUES (0, 'reported', $1, now() - interval '1 hour')",
            world.anna.id,
        )
    said = await words(operator)
    assert "1 of 10 messages in 30 days" in said
    assert f"institutions/{world.anna.institution}/services/{world.anna.id}" in said


async def test_it_says_whether_it_is_a_sandbox(operator: Colleague, running: Running) -> None:
    said = await words(operator)
    assert "This is a sandbox" in said
    assert "Sandbox: off" not in said
    console = running.started.app.pages.state.console
    running.started.app.pages.state.console = replace(
        console, settings=replace(console.settings, sandbox=False)
    )
    try:
        said = await words(operator)
    finally:
        running.started.app.pages.state.console = console
    assert "Sandbox: off" in said
    assert "This is a sandbox" not in said
    assert "/sandbox" not in said


async def test_it_is_for_operators_alone_and_in_both_languages(
    operator: Colleague, other: Colleague
) -> None:
    page = await operator.client.get(HOME, headers={"Accept-Language": "it"})
    assert "servizi segnalati spesso" in page.text or "servizio segnalato spesso" in page.text
    await other.log_in("estranea")
    assert (await other.client.get(HOME)).status_code == 404
