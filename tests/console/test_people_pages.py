"""People in the console: roles in words, invitations by mail or link, the last admin, leaving."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from messo.base.db import Pool
from messo.people import members
from messo.people.members import put_member
from messo.people.roles import Role
from messo.services.permissions import DEFAULT
from messo.services.services import create_institution
from tests.conftest import Running
from tests.console.clerk import Clerk, clerk_at
from tests.console.colleague import Colleague
from tests.world import ACTOR, World

pytestmark = pytest.mark.anyio

_LINK = re.compile(r"/console/invitation\?token=[\w-]+")
_AGAIN = re.compile(r"/people/invitations/([0-9A-Z]{26})/again")


async def add(pool: Pool, institution: str, login: str, role: Role, name: str = "") -> str:
    """Somebody more there; their id."""
    async with pool.transaction() as conn:
        put = await put_member(
            conn, ACTOR, institution, login, name or login, f"{login}@example.org", role
        )
    return put.member_id


async def audited(pool: Pool, action: str) -> int:
    async with pool.connection() as conn:
        sql = "SELECT count(*) FROM operations.audit WHERE action = $1 AND actor LIKE 'member:%'"
        return int(await conn.raw.fetchval(sql, action))


async def test_people_are_listed_with_what_their_role_may_in_both_languages(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    await add(pool, world.anna.institution, "zoe", "sender", "<b>Zoe</b>\u202e")
    page = await clerk.get("/people")
    assert "&lt;b&gt;Zoe&lt;/b&gt;" in page
    assert "\u202e" not in page
    assert "Writes to citizens, and sees the messages that were sent" in page
    italian = await clerk.client.get(f"{clerk.home}/people", headers={"Accept-Language": "it"})
    assert "Scrive ai cittadini" in italian.text
    assert "Persone" in italian.text
    await add(pool, world.anna.institution, "formula", "reader", "=1+1")
    lines = (await clerk.get("/people?format=csv")).splitlines()
    assert lines[0].lstrip("\ufeff") == '"Name","Login","Email","Role","Since"'
    assert any(line.startswith('"\'=1+1"') for line in lines)


async def test_a_role_is_changed_and_the_last_admin_stays_one(
    colleague: Colleague, other: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.bruno.institution, login="ugo")
    me = await add(pool, world.bruno.institution, "ugo", "admin")
    them = await add(pool, world.bruno.institution, "vera", "reader")
    refused = (await clerk.post(f"/people/{me}/role", 400, role="reader")).text
    assert "This is the only admin: make somebody else an admin first." in refused
    for path in (f"/people/{me}/delete", "/leave"):
        status = 400 if path.startswith("/people") else 409
        assert "This is the only admin" in (await clerk.post(path, status, sure="1")).text
    assert "Choose a role." in (await clerk.post(f"/people/{them}/role", 400, role="king")).text
    assert "Done: the new role" in await clerk.follow(f"/people/{them}/role", role="admin")
    assert await audited(pool, "member.role") == 1
    second = await clerk_at(other, pool, world.bruno.institution, login="vera")
    assert "Yes, remove them" in await second.get(f"/people/{me}/delete")
    assert "Tick this" in (await second.post(f"/people/{me}/delete", 400)).text
    assert "they are out" in await second.follow(f"/people/{me}/delete", sure="1")
    await clerk.get("/people", 404)
    assert await audited(pool, "member.remove") == 1
    foreign = await clerk_at(colleague, pool, world.anna.institution, login="wanda")
    await foreign.get(f"/people/{them}", 404)
    await foreign.post(f"/people/{them}/role", 404, role="reader")


async def test_everybody_may_leave_also_a_suspended_institution(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    institution = world.limited.institution
    await add(pool, institution, "boss", "admin")
    clerk = await clerk_at(colleague, pool, institution, "reader", "leaver")
    await clerk.get("/people", 403)
    sql = "UPDATE services.institution SET suspended_at = $2 WHERE id = $1"
    async with pool.connection() as conn:
        now = await conn.raw.fetchval("SELECT now()")
        await conn.raw.execute(sql, institution, now)
    refused = await clerk.get("/people", 403)
    assert "Your institution is suspended. Until it is restored this is closed" in refused
    assert "Your role does not allow this" not in refused
    assert f'<a class="btn btn-primary" href="{clerk.home}">' in refused
    assert "Tick this" in (await clerk.post("/leave", 400)).text
    answer = await clerk.post("/leave", sure="1")
    assert answer.headers["location"] == "/console"
    await clerk.get("/leave", 404)
    async with pool.connection() as conn:
        await conn.raw.execute(sql, institution, None)


async def test_an_invitation_goes_by_mail_and_is_withdrawn(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    wrong = (await clerk.post("/people/invite", 400, email="nobody", role="king")).text
    assert 'value="nobody"' in wrong
    wrong = (await clerk.post("/people/invite", 400, email="nobody", role="sender")).text
    assert "This is no e-mail address" in wrong
    assert 'value="sender" checked' in wrong
    page = await clerk.follow("/people/invite", email="nina@example.org", role="sender")
    assert "on its way by mail" in page
    assert "nina@example.org" in page
    assert not _LINK.search(page)
    found = _AGAIN.search(page)
    assert found
    soon = await clerk.post(f"/people/invitations/{found[1]}/again", 429)
    assert "This address was invited a moment ago" in soon.text
    assert "nina@example.org" in await clerk.get("/people/invitations?format=csv")
    gone = await clerk.follow(f"/people/invitations/{found[1]}/withdraw")
    assert "leads nowhere now" in gone
    assert "nina@example.org" not in gone
    await clerk.post(f"/people/invitations/{found[1]}/again", 404)


@pytest.mark.parametrize("role", ["editor", "sender", "reader"])
async def test_only_admins_may(colleague: Colleague, pool: Pool, world: World, role: Role) -> None:
    clerk: Clerk = await clerk_at(colleague, pool, world.anna.institution, role)
    member = await add(pool, world.anna.institution, "victim", "reader")
    for path in ("/people", "/people/invite", f"/people/{member}", f"/people/{member}/delete"):
        await clerk.get(path, 403)
    await clerk.post("/people/invite", 403, email="a@example.org", role="admin")
    await clerk.post(f"/people/{member}/role", 403, role="admin")
    await clerk.post(f"/people/{member}/delete", 403, sure="1")


async def test_without_a_mail_server_the_link_is_shown_once(
    colleague: Colleague, other: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    state = running.started.app.pages.state
    usual = state.console
    state.console = replace(usual, invite=None)
    try:
        assert "This installation sends no mail" in await clerk.get("/people/invite")
        made = await clerk.post("/people/invite", 201, email="otto@example.org", role="editor")
        assert "location" not in made.headers
        assert made.headers["cache-control"] == "no-store"
        (link,) = set(_LINK.findall(made.text))  # to read, and for the button that copies it
        assert link not in await clerk.get("/people")
    finally:
        state.console = usual
    assert (await other.client.get(link)).status_code == 303
    assert "otto@example.org" in (await other.client.get("/console/invitation")).text


async def test_two_admins_who_leave_at_once_do_not_both_go(
    colleague: Colleague, other: Colleague, pool: Pool
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(conn, ACTOR, "00000000009", "Ente", "e@b.it", DEFAULT)
    both = [
        await clerk_at(one, pool, town, login=login)
        for one, login in ((colleague, "ada"), (other, "ugo"))
    ]
    async with pool.transaction() as conn:
        await members.lock_people(conn, town)  # until both have come to the last question
        leaving = [asyncio.create_task(one.client.post(**_leave(one))) for one in both]
        await asyncio.sleep(0.5)
    assert sorted([(await one).status_code for one in leaving]) == [303, 409]
    async with pool.connection() as conn:
        left = await members.list_members(conn, town)
    assert [row["role"] for row in left] == ["admin"]


def _leave(clerk: Clerk) -> dict[str, Any]:
    return {"url": f"{clerk.home}/leave", "data": {"csrf": clerk.csrf, "sure": "1"}}


async def test_a_role_that_is_taken_away_while_a_form_waits_is_taken_away(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.bruno.institution, login="vera")
    async with pool.transaction() as conn:
        await members.lock_people(conn, world.bruno.institution)
        form = {"csrf": clerk.csrf, "email": "z@example.org", "role": "admin"}
        path = f"{clerk.home}/people/invite"
        inviting = asyncio.create_task(clerk.client.post(path, data=form))
        await asyncio.sleep(0.5)
        await conn.raw.execute("UPDATE people.member SET role = 'reader' WHERE login = 'vera'")
    assert (await inviting).status_code == 403


async def test_forms_of_one_institution_that_wait_hold_up_nobody_else(
    colleague: Colleague, other: Colleague, pool: Pool, world: World
) -> None:
    """More of them than there are connections, while somebody else holds the institution."""
    clerk = await clerk_at(colleague, pool, world.anna.institution, login="piera")
    bruno = await clerk_at(other, pool, world.bruno.institution, login="remo")
    address = f"{clerk.home}/keys/networks"
    async with pool.transaction() as conn:
        await members.lock_people(conn, world.anna.institution)
        form = {"csrf": clerk.csrf, "networks": ""}
        waiting = [asyncio.create_task(clerk.client.post(address, data=form)) for _ in range(12)]
        await asyncio.sleep(0.5)
        assert "remo" in await bruno.get("/people")
        stranger = await bruno.client.post(address, data={"csrf": bruno.csrf, "networks": ""})
        assert stranger.status_code == 404
        assert not any(one.done() for one in waiting)
    assert {(await one).status_code for one in waiting} == {303}
