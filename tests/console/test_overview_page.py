"""The first page of an institution: what needs somebody, the numbers, and the first steps."""

import re

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.people.members import put_member
from messo.people.roles import Role
from messo.services import oversight
from messo.services.permissions import DEFAULT
from messo.services.services import NewService, create_institution
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.events.told import publish_all
from tests.messages.mail import Mail
from tests.services import managing
from tests.world import ACTOR, SANDBOX, STRANGER, World, add_service

pytestmark = pytest.mark.anyio


async def enter(
    colleague: Colleague, pool: Pool, institution: str, login: str, role: Role = "admin"
) -> str:
    """Somebody comes in; the page, whole."""
    async with pool.transaction() as conn:
        await put_member(conn, ACTOR, institution, login, login, f"{login}@example.org", role)
    await colleague.log_in(login)
    return await look(colleague, institution)


async def look(colleague: Colleague, institution: str) -> str:
    page = await colleague.client.get(f"/console/institutions/{institution}")
    assert page.status_code == 200, page.text
    return page.text.split("<main", 1)[1]


async def new_institution(pool: Pool, fiscal_code: str) -> str:
    async with pool.transaction() as conn:
        return await create_institution(
            conn, ACTOR, fiscal_code, "Comune nuovo", "nuovo@example.org", DEFAULT
        )


async def test_a_new_institution_sees_its_first_steps_done_one_by_one(
    colleague: Colleague, running: Running, worker: Worker, pool: Pool, world: World
) -> None:
    institution = await new_institution(pool, "00000000044")
    text = await enter(colleague, pool, institution, "newcomer")
    assert "First steps" in text
    assert text.count('class="is-done"') == 0
    assert text.index("Send a first message") < text.index("Connect a program (optional)")
    async with pool.transaction() as conn:
        caller = await add_service(
            conn, world.secrets, institution, NewService("Prima", state="draft")
        )
    assert (await look(colleague, institution)).count('class="is-done"') == 1
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO services.key_use SELECT k.digest, now() FROM services.key AS k "
            "WHERE k.service_id = $1 AND k.slot = 'primary'",
            caller.id,
        )
    assert (await look(colleague, institution)).count('class="is-done"') == 2
    await Mail(running, worker).send(caller, SANDBOX, subject="Il primo <i>messaggio</i>")
    await publish_all(pool)
    text = await look(colleague, institution)
    assert "First steps" not in text
    assert "Il primo &lt;i&gt;messaggio&lt;/i&gt;" in text
    assert (
        '<span class="tile-number">1</span> <span class="tile-label">Sent messages</span>' in text
    )


async def test_what_needs_somebody_stands_first_and_leads_there(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    institution = world.anna.institution
    assert "To do" not in await enter(colleague, pool, institution, "boss")
    of_anna = managing.of(running, world)
    service = await of_anna.make()
    await of_anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    await managing.reject(pool, service)
    now = clock.now()
    async with pool.transaction() as conn:
        await oversight.suspend(conn, ACTOR, "service", world.special.id, "why")
        await conn.raw.execute(
            "INSERT INTO messages.guard_hold VALUES ($1, $2, 1, $3, 5000, $4)",
            conn.bucket(f"{institution}:1"),
            institution,
            world.anna.id,
            now,
        )
        await conn.raw.execute(
            "INSERT INTO events.webhook (id, institution_id, service_id, url, kinds, secrets, "
            "state, created_at, stopped_at, stopped_why) "
            "VALUES ($1, $2, $3, 'https://example.org', '{}', '', 'off', $4, $4, 'failing')",
            new_id(),
            institution,
            world.anna.id,
            now,
        )
    text = await look(colleague, institution)
    assert text.index("To do") < text.index("First steps")
    for said, end in (
        ("stopped as mass communication", "/limits"),
        ("1 webhook was switched off", "/webhooks"),
        ("1 service is suspended", "/services?state=suspended"),
        ("asks for a change in 1 service", "/services?state=yours"),
    ):
        assert said in text
        assert f'<a href="/console/institutions/{institution}{end}">' in text
    # Of webhooks and services only those are told who keep them.
    clerk = await enter(colleague, pool, institution, "clerk", "sender")
    assert "stopped as mass communication" in clerk
    for said in ("webhook was switched off", "service is suspended", "asks for a change"):
        assert said not in clerk


async def test_a_reader_sees_numbers_and_no_message(
    colleague: Colleague, running: Running, worker: Worker, pool: Pool, world: World
) -> None:
    await Mail(running, worker).send(world.anna, SANDBOX, subject="Solo per chi invia")
    text = await enter(colleague, pool, world.anna.institution, "watcher", "reader")
    assert "Solo per chi invia" not in text
    assert "/messages" not in text
    assert "tile-number" in text
    await Mail(running, worker).send(world.anna, STRANGER, subject="Per nessuno qui")
    text = await enter(colleague, pool, world.anna.institution, "writer", "sender")
    assert "Solo per chi invia" in text
    assert SANDBOX in text
    # What was refused has no subject: its person leads there, and it says why.
    assert re.search(rf'<a href="[^"]*/messages/\w+"[^>]*>{STRANGER}</a>', text)
    assert "Not enrolled" in text


async def test_a_suspended_institution_is_told_so(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    institution = await new_institution(pool, "00000000055")
    async with pool.transaction() as conn:
        await oversight.suspend(conn, ACTOR, "institution", institution, "why")
    text = await enter(colleague, pool, institution, "stopped")
    assert "Your institution is suspended" in text
    for closed in ("/messages", "/people", "/keys", "/write"):
        assert f'{institution}{closed}"' not in text


async def test_in_italian(colleague: Colleague, pool: Pool, world: World) -> None:
    colleague.client.headers["Accept-Language"] = "it"
    text = await enter(colleague, pool, world.bruno.institution, "italiano")
    assert "Primi passi" in text
    assert "Descrivi un servizio" in text
