"""The link of an invitation: what it shows, whom it lets in, and where its token is not."""

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.people.invitations import Inviter, invite
from messo.people.roles import Role
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.world import World

pytestmark = pytest.mark.anyio


async def invited(
    pool: Pool, secrets: Secrets, institution_id: str, email: str, role: Role = "editor"
) -> str:
    """The token of a new invitation."""
    async with pool.transaction() as conn:
        made = await invite(conn, secrets, Inviter("tests", ""), institution_id, email, role, None)
    return made.token


async def open_link(colleague: Colleague, token: str) -> None:
    """As from the mail: the token leaves the address at once."""
    answer = await colleague.client.get("/console/invitation", params={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/invitation")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert token not in str(answer.headers)


async def test_an_invitation_is_accepted_after_a_login(
    colleague: Colleague, pool: Pool, secrets: Secrets, world: World
) -> None:
    token = await invited(pool, secrets, world.anna.institution, "lea@example.org")
    await open_link(colleague, token)
    page = await colleague.client.get("/console/invitation")
    assert page.status_code == 200
    for text in ("Editor: services", "lea@example.org", "Log in to accept"):
        assert text in page.text
    assert token not in page.text
    assert 'action="/console/invitation"' not in page.text
    back = await colleague.log_in("lea", "/console/invitation")
    assert back.headers["location"] == "/console/invitation"
    page = await colleague.client.get("/console/invitation")
    assert token not in page.text
    done = await colleague.accept(page)
    assert done.headers["location"] == "/console?done=joined"
    home = (await colleague.client.get("/console?done=joined")).text
    assert "Editor: services" in home
    assert "Done: you are in" in home
    await open_link(colleague, token)
    gone = await colleague.client.get("/console/invitation")
    assert gone.status_code == 404
    assert "This invitation is no longer good" in gone.text


async def test_nobody_else_can_press_the_button(
    colleague: Colleague, other: Colleague, pool: Pool, secrets: Secrets, world: World
) -> None:
    token = await invited(pool, secrets, world.anna.institution, "mia@example.org")
    await colleague.log_in("mia")
    await open_link(colleague, token)
    page = await colleague.client.get("/console/invitation")
    for changed in ({"csrf": "0" * 64}, {"csrf": ""}):
        assert (await colleague.accept(page, **changed)).status_code == 403
    assert (await other.accept(page)).status_code == 401
    # A link that was opened in another tab meanwhile is not what this page showed.
    second = await invited(pool, secrets, world.bruno.institution, "mia@example.org", "admin")
    await open_link(colleague, second)
    assert (await colleague.accept(page)).status_code == 409
    assert "You are not part of any institution" in (await colleague.client.get("/console")).text
    await open_link(colleague, token)
    assert (await colleague.accept(page)).status_code == 303


async def test_why_an_invitation_cannot_be_accepted_is_said(
    colleague: Colleague, pool: Pool, secrets: Secrets, world: World
) -> None:
    token = await invited(pool, secrets, world.bruno.institution, "nina@example.org", "admin")
    await colleague.log_in("nina")
    await open_link(colleague, token)
    page = await colleague.client.get("/console/invitation")
    suspend = "UPDATE services.institution SET suspended_at = $1::timestamptz WHERE id = $2"
    async with pool.transaction() as conn:
        now = await conn.raw.fetchval("SELECT now()")
        await conn.raw.execute(suspend, now, world.bruno.institution)
    refused = await colleague.accept(page)
    assert refused.status_code == 409
    assert "This institution is suspended" in refused.text
    async with pool.transaction() as conn:
        await conn.raw.execute(suspend, None, world.bruno.institution)
    assert (await colleague.accept(page)).status_code == 303
    token = await invited(pool, secrets, world.bruno.institution, "nina@example.org", "reader")
    await open_link(colleague, token)
    refused = await colleague.accept(await colleague.client.get("/console/invitation"))
    assert refused.status_code == 409
    assert "You are the only admin there" in refused.text


@pytest.mark.parametrize("token", [" ", "x" * 43, "\x00", "x" * 5000, "é"], ids=repr)
async def test_a_link_of_ones_own_making_leads_nowhere(colleague: Colleague, token: str) -> None:
    answer = await colleague.client.get("/console/invitation", params={"token": token})
    assert answer.headers["location"] == "/console/invitation"
    assert (await colleague.client.get("/console/invitation")).status_code == 404


@pytest.mark.parametrize("value", ["", "x", "1.AAAA", "1.é", "1." + "A" * 3000], ids=repr)
async def test_a_cookie_of_ones_own_making_is_none(
    running: Running, colleague: Colleague, value: str
) -> None:
    cookie = f"messo-staff-invitation={value}".encode()
    page = await colleague.client.get("/console/invitation", headers=[(b"Cookie", cookie)])
    assert page.status_code == 404
