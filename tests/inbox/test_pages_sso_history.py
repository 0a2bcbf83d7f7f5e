"""Logins to other sites: seen, taken along, taken back, and never another's."""

import csv
import io
import json
from datetime import timedelta

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.inbox import sso_history
from messo.sso.history import list_consents
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, citizen
from tests.sso.accesses import add_access, add_client, add_consent, count
from tests.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("world")]


async def form_of(browser: Browser, client: str) -> dict[str, str]:
    page = await browser.page(f"/data/access/withdraw?client={client}")
    return page.form("/data/access/withdraw").fields


async def test_the_way_there_is_among_my_data(giulia: Browser) -> None:
    assert "/data/access" in (await giulia.page("/data")).links
    page = await giulia.page("/data/access")
    assert "Ancora niente" in page.text
    assert "/data/access.csv" not in page.links


async def test_each_access_is_told_in_words(pool: Pool, world: World, giulia: Browser) -> None:
    mine, message_id = giulia.fiscal_code, new_id()
    await add_access(pool, mine, world.anna, message_id=message_id)
    await add_access(pool, mine, world.bruno, "refused")
    page = await giulia.page("/data/access")
    for told in (
        *("Portale dei servizi", "Anagrafe · Comune di Anna · rp.example.it", "Accesso riuscito"),
        *("Ha ricevuto: codice fiscale, nome.", "Hai detto di no", "Biblioteca"),
        "Da noi non ha ricevuto niente.",
    ):
        assert told in page.text
    assert page.text.index("Biblioteca") < page.text.index("Anagrafe"), "newest first"
    assert f"/messages/{message_id}" in page.links
    assert not {"fiscal_code", "given_name", "redeemed"} & set(page.text.split())


@pytest.mark.parametrize(
    ("outcome", "claims", "told"),
    [
        ("redeemed", (), "Non ha ricevuto i tuoi dati, solo un codice che ti distingue."),
        ("granted", ("email",), "Da noi non ha ricevuto niente."),
        ("requested", ("email",), "Da noi non ha ricevuto niente."),
        ("failed", ("email",), "Da noi non ha ricevuto niente."),
    ],
)
async def test_what_it_got_is_said_truthfully(
    pool: Pool,
    world: World,
    giulia: Browser,
    outcome: str,
    claims: tuple[str, ...],
    told: str,
) -> None:
    await add_access(pool, giulia.fiscal_code, world.anna, outcome, claims=claims)
    assert told in (await giulia.page("/data/access")).text


@pytest.mark.parametrize("language", ["it", "en"])
async def test_both_languages(pool: Pool, world: World, giulia: Browser, language: str) -> None:
    giulia.cookies["messo-language"] = language
    for outcome in ("redeemed", "granted", "requested", "refused", "failed"):
        await add_access(pool, giulia.fiscal_code, world.anna, outcome)
    await add_consent(pool, giulia.fiscal_code, world.anna.id)
    page = await giulia.page("/data/access", language)
    assert {"it": "Portale dei servizi", "en": "Services portal"}[language] in page.text
    assert {"it": "Accesso riuscito", "en": "You logged in"}[language] in page.text
    await giulia.page(f"/data/access/withdraw?client={world.anna.id}", language)
    answer = await giulia.get("/data/access.csv")
    head = next(csv.reader(io.StringIO(answer.text)))
    assert head[0] == {"it": "Quando", "en": "When"}[language]


async def test_accesses_are_leafed_through(pool: Pool, world: World, giulia: Browser) -> None:
    for number in range(41):
        await add_access(pool, giulia.fiscal_code, world.anna, names={"it": f"Sito n{number}."})
    seen: list[int] = []
    path, sizes = "/data/access", []
    while path:
        page = await giulia.page(path)
        found = [number for number in range(41) if f"Sito n{number}." in page.text]
        sizes.append(len(found))
        seen += found
        path = next((one for one in page.links if "before=" in one), "")
    assert sizes == [20, 20, 1]
    assert sorted(seen) == list(range(41))
    for hostile in ("%00", "x" * 3000, "%ED%A0%80", "'", "zzz"):
        await giulia.page(f"/data/access?before={hostile}")
    assert "nulla di più vecchio" in (await giulia.page("/data/access?before=0")).text


async def test_what_institutions_wrote_is_only_text(
    pool: Pool, world: World, giulia: Browser
) -> None:
    await add_access(
        pool,
        giulia.fiscal_code,
        world.anna,
        names={"it": "<b>Sito</b>\u202e<script>"},
        uri="https://x.example.it/<img src=x>",
        claims=("<i>",),
    )
    answer = await giulia.get("/data/access")
    assert "&lt;b&gt;Sito&lt;/b&gt;" in answer.text
    assert "\u202e" not in answer.text
    await giulia.page("/data/access")


async def test_a_remembered_site_is_shown_and_forgotten(
    pool: Pool, world: World, giulia: Browser
) -> None:
    client = await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    await add_consent(pool, giulia.fiscal_code, client, agreed=("fiscal_code",))
    await add_access(pool, giulia.fiscal_code, world.anna)
    page = await giulia.page("/data/access")
    assert "Qui entri senza domande" in page.text
    assert "Riceve: codice fiscale." in page.text
    assert f"/data/access/withdraw?client={client}" in page.links

    question = await giulia.page(f"/data/access/withdraw?client={client}")
    assert "Non ricordare più «Anagrafe»?" in question.text
    assert "prima lo chiediamo a te" in question.text
    async with pool.connection() as conn:
        assert len(await list_consents(conn, giulia.fiscal_code)) == 1, "asking changes nothing"

    before = await count(pool, "sso.logout")
    form = question.form("/data/access/withdraw")
    answer = await giulia.send(form)
    assert answer.headers["location"] == "/data/access?done=withdrawn-1"
    assert await count(pool, "sso.logout") == before + 1
    page = await giulia.page("/data/access?done=withdrawn-1")
    assert "Lo stiamo dicendo al sito" in page.text
    assert "Qui entri senza domande" not in page.text


async def test_who_was_only_let_in_can_leave(pool: Pool, world: World, giulia: Browser) -> None:
    client = await add_client(pool, world.bruno, logout="https://rp.example.it/logout")
    for outcome in ("redeemed", "refused", "redeemed", "failed"):
        await add_access(pool, giulia.fiscal_code, world.bruno, outcome)
    await add_access(pool, giulia.fiscal_code, world.special, "refused")
    page = await giulia.page("/data/access")
    ways = [link for link in page.links if "withdraw" in link]
    assert ways == [f"/data/access/withdraw?client={client}"], "once for each site"
    question = await giulia.page(ways[0])
    assert "Uscire da «Biblioteca»?" in question.text
    assert "prima lo chiediamo a te" not in question.text
    before = await count(pool, "sso.logout")
    assert (await giulia.send(question.form("/data/access/withdraw"))).status_code == 303
    assert await count(pool, "sso.logout") == before + 1


async def test_anothers_sites_are_not_there(
    pool: Pool, browse: LogIn, world: World, giulia: Browser
) -> None:
    client = await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    theirs = await browse(await citizen(pool, "SSH", 1))
    await add_access(pool, theirs.fiscal_code, world.anna)
    await add_consent(pool, theirs.fiscal_code, client)
    await add_consent(pool, giulia.fiscal_code, world.bruno.id)
    for path in ("/data/access", "/data/access.csv", "/data/access.json"):
        answer = await giulia.get(path)
        assert answer.status_code == 200
        assert "Anagrafe" not in answer.text, path
    csrf = (await form_of(giulia, world.bruno.id))["csrf"]
    before = await count(pool, "sso.logout")
    answers = []
    for one in (client, new_id()):  # as one that does not exist
        assert (await giulia.get(f"/data/access/withdraw?client={one}")).status_code == 404
        answer = await giulia.post("/data/access/withdraw", {"csrf": csrf, "client": one})
        answers.append((answer.status_code, answer.text))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert await count(pool, "sso.logout") == before
    async with pool.connection() as conn:
        assert len(await list_consents(conn, theirs.fiscal_code)) == 1


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_nothing_is_taken_back(
    pool: Pool, world: World, giulia: Browser, csrf: str | None
) -> None:
    await add_consent(pool, giulia.fiscal_code, world.anna.id)
    page = await giulia.page(f"/data/access/withdraw?client={world.anna.id}")
    form = page.form("/data/access/withdraw")
    assert (await giulia.send(form, csrf=csrf)).status_code == 403
    assert await count(pool, "sso.consent", "fiscal_code = $1", giulia.fiscal_code) == 1


@pytest.mark.parametrize("named", ["", "%00", "x" * 3000, "%ED%A0%80", "-test"])
async def test_a_strange_site_is_not_there(giulia: Browser, named: str) -> None:
    assert (await giulia.get(f"/data/access/withdraw?client={named}")).status_code == 404


async def test_strangers_are_led_to_the_login(pool: Pool, browse: LogIn, giulia: Browser) -> None:
    giulia.cookies.clear()
    for path in ("/data/access", "/data/access.csv", "/data/access.json", "/data/access/withdraw"):
        answer = await giulia.get(path)
        assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")


async def test_the_files_hold_everything_page_by_page(
    pool: Pool, world: World, giulia: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sso_history, "_AT_ONCE", 3)
    names = ['uno, "due"', "tre\r\nquattro", "=1+1", "città", "@x", "sei", "sette"]
    for sent in range(len(names) + 1):
        answer = await giulia.get("/data/access.csv")
        rows = list(csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True))
        listed = json.loads((await giulia.get("/data/access.json")).content)
        assert [row[3].removeprefix("'") for row in rows[1:]] == names[:sent][::-1]
        assert [one["place"]["it"] for one in listed] == names[:sent][::-1]
        assert all(len(row) == 8 for row in rows)
        assert not any(row[3].startswith(("=", "@")) for row in rows)
        if sent < len(names):
            at = clock.now() - timedelta(minutes=60 - sent)
            await add_access(pool, giulia.fiscal_code, world.anna, names={"it": names[sent]}, at=at)


async def test_the_files_are_downloads_that_nobody_keeps(giulia: Browser) -> None:
    today = clock.day_in_rome(clock.now()).isoformat()
    for suffix, kind in (
        ("csv", "text/csv; charset=utf-8; header=present"),
        ("json", "application/json"),
    ):
        answer = await giulia.get(f"/data/access.{suffix}")
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="messo-accessi-{today}.{suffix}"'
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await giulia.get("/data/access.json")).json() == []
