"""Remote-content configurations in the console: keys are typed and never shown; servers are checked."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from messo.base.db import Pool
from messo.content import configurations
from messo.people.roles import Role
from messo.settings import Settings
from tests.console.clerk import Clerk, clerk_at
from tests.console.colleague import Colleague
from tests.content.institution import MESSAGE, Institution, answer, detail, institution, listed
from tests.content.test_check import pdf
from tests.world import World, add_configuration

pytestmark = pytest.mark.anyio

_PLACE = re.compile(r"/configurations/([0-9A-Z]{26})\?done=(\w+)(.*)")
KEY = "k3y-of-the-institution"
WHO = "AAAAAA00A00A000A"


@pytest.fixture(scope="module")
def settings() -> Settings:
    made = Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)
    return replace(made, outbound_networks=(ip_network("127.0.0.0/8"),))


@pytest.fixture
async def town() -> AsyncIterator[Institution]:
    async with institution() as made:
        yield made


def form(town: Institution, **more: str) -> dict[str, str]:
    return {
        "name": "Referti",
        "description": "I referti <b>del</b> laboratorio",
        "has_precondition": "ONCE",
        "prod_url": town.base_url,
        "prod_header": "X-API-Key",
        "prod_key": KEY,
        **more,
    }


async def make(clerk: Clerk, town: Institution, **more: str) -> str:
    made = await clerk.post("/configurations/new", **form(town, **more))
    found = _PLACE.search(made.headers["location"])
    assert found
    assert (found[2], found[3]) == ("made", "")
    return found[1]


async def test_made_changed_and_its_key_never_shown(
    colleague: Colleague, pool: Pool, world: World, town: Institution
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    assert "Documents that stay with you" in await clerk.get("/configurations")
    made = await make(clerk, town, test_users=f"{WHO}\n", test_url="")
    at = f"/configurations/{made}"
    pages = [await clerk.get(path) for path in ("/configurations", at, f"{at}/change")]
    assert all(KEY not in page for page in pages)
    assert "&lt;b&gt;del&lt;/b&gt;" in pages[1]
    assert "Saved. We never show it again." in pages[1]
    assert "does not begin with https://" in pages[1]
    changed = await clerk.follow(f"{at}/change", **form(town, prod_key="", name="Altri referti"))
    assert "it is changed" in changed
    assert "Altri referti" in changed
    elsewhere = form(town, prod_key="", prod_url="http://127.0.0.2:9/x")
    refused = (await clerk.post(f"{at}/change", 400, **elsewhere)).text
    assert "Type the key again: the address leads elsewhere" in refused
    assert 'value="http://127.0.0.2:9/x"' in refused
    silent = await clerk.follow(f"{at}/change", **form(town, prod_url="http://127.0.0.1:9/x"))
    assert "No server answered at the address of production" in silent
    async with pool.connection() as conn:
        kept = await configurations.read(conn, world.secrets, world.anna.institution, made)
        audit = await conn.raw.fetch(
            "SELECT action, actor, detail::text AS d FROM operations.audit WHERE subject = $1", made
        )
    assert kept.prod_environment.details_authentication.key == KEY  # type: ignore[union-attr]
    actions = [row["action"] for row in audit]
    assert actions == ["remote_content.create", *["remote_content.replace"] * 2]
    assert all(row["actor"].startswith("member:") and KEY not in row["d"] for row in audit)
    lines = (await clerk.get("/configurations?format=csv")).splitlines()
    assert len(lines) == 2
    assert KEY not in lines[1]


async def test_a_wrong_form_is_shown_again_without_its_secrets(
    colleague: Colleague, pool: Pool, world: World, town: Institution
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    wrong = form(
        town,
        name="",
        has_precondition="SOMETIMES",
        disable_lollipop_for="NOBODY",
        prod_client_key="-----BEGIN",
    )
    page = (await clerk.post("/configurations/new", 400, **wrong)).text
    for text in (
        "Enter a name.",
        "Choose one.",
        "This is no fiscal code: NOBODY",
        "give all three",
        town.base_url,
        "have to be typed again",
    ):
        assert text in html.unescape(page)
    assert KEY not in page
    assert "-----BEGIN" not in page
    italian = await clerk.client.post(
        f"{clerk.home}/configurations/new",
        data={"csrf": clerk.csrf, **wrong},
        headers={"Accept-Language": "it"},
    )
    assert "Scrivi un nome." in italian.text


async def test_a_check_says_what_is_wrong_and_how_long_it_took(
    colleague: Colleague, pool: Pool, world: World, town: Institution
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    at = f"/configurations/{await make(clerk, town)}/check"
    assert "Check now" in await clerk.get(at)
    wrong = (await clerk.post(at, 400, content_id="", fiscal_code="x")).text
    assert "Say which content to ask for." in wrong
    assert "This is no fiscal code." in wrong
    file = pdf()
    town.serves(MESSAGE, detail(listed("uno", size=len(file))))
    town.serves(f"{MESSAGE}/attachments/uno", answer(file))
    good = await clerk.post(at, 200, content_id="42", fiscal_code=WHO.lower())
    assert "Your server answers as it should" in good.text
    assert len(re.findall(r"Your server answered 200 within \d+ ms\.", good.text)) == 3
    assert "It does not say that it is PDF/A" in good.text
    assert WHO not in str(good.url)
    assert town.headers()["fiscal_code"] == WHO
    town.serves(MESSAGE, detail(listed("due"), subject="Segreto"))
    bad = (await clerk.post(at, 200, content_id="42", fiscal_code=WHO)).text
    assert "Something is wrong" in bad
    assert "It must be 10 to 120 characters long; it has 7." in bad
    assert "Your server does not have this (404)." in bad
    assert "Segreto" not in bad
    assert 'lang="en">' not in bad.partition("<main")[2].replace('lang="en" aria', "")


@pytest.mark.parametrize("role", ["editor", "sender", "reader"])
async def test_only_admins_may(
    colleague: Colleague, pool: Pool, world: World, town: Institution, role: Role
) -> None:
    async with pool.transaction() as conn:
        there = await add_configuration(conn, world.secrets, world.anna.institution, town.base_url)
    clerk = await clerk_at(colleague, pool, world.anna.institution, role)
    at = f"/configurations/{there}"
    for path in ("/configurations", "/configurations/new", at, f"{at}/change", f"{at}/check"):
        await clerk.get(path, 403)
    for path in ("/configurations/new", f"{at}/change", f"{at}/check"):
        await clerk.post(path, 403, **form(town), content_id="42", fiscal_code=WHO)
    foreign = await clerk_at(colleague, pool, world.bruno.institution)
    await foreign.get(at, 404)
    await foreign.post(f"{at}/check", 404, content_id="42", fiscal_code=WHO)
    assert town.asked == []
