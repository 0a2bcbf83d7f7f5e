"""Who can write: found, explained, switched on and off, by the citizen alone."""

import asyncio
import re

import httpx
import pytest

from messo.base.db import Pool
from messo.base.work import Worker
from messo.recipients import (
    Activation,
    Preference,
    ServiceChoice,
    choose_mode,
    put_activations,
    put_preferences,
    read_choice,
)
from messo.sandbox import logos
from messo.services.services import NewService, create_institution, create_service, set_state
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, Page, check, citizen
from tests.messages.mail import Mail
from tests.world import ACTOR, SANDBOX, World

pytestmark = pytest.mark.anyio


async def choice_of(pool: Pool, fiscal_code: str, service_id: str) -> ServiceChoice:
    async with pool.transaction() as conn:
        return await read_choice(conn, fiscal_code, service_id)


async def save(browser: Browser, service_id: str, **switches: str | None) -> Page:
    """Open a service's page, press the switches, save; the page afterwards."""
    path = f"/services/{service_id}"
    answer = await browser.send((await browser.page(path)).form(path), **switches)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=saved-1")
    return await browser.page(answer.headers["location"])


async def test_services_are_listed_by_institution_with_their_state(
    pool: Pool, browse: LogIn, world: World
) -> None:
    browser = await browse(await citizen(pool, "SRV", 1))
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(browser.fiscal_code, world.anna.id, 0, is_inbox_enabled=False)]
        )
    page = await browser.page("/services")
    for name in ("Comune di Anna", "Comune di Bruno", "Biblioteca", "Carta giovani"):
        assert name in page.text
    assert "Bozza" not in page.text  # a draft is nobody's business yet
    assert "Anagrafe Spento" in page.text
    assert "Carta giovani Da attivare" in page.text
    assert "Biblioteca Acceso" in page.text
    assert page.headings == ["h1", "h2", "h2", "h2"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("q=biblio", "1 servizio per «biblio»"),
        ("q=bruno+biblio", "Biblioteca"),
        ("q=zzz", "Nessun risultato"),
        ("q=%3Cscript%3Ealert(1)%3C/script%3E", "<script>alert(1)</script>"),
        ("q=%00%ff%ed%a0%80", "«"),
        ("q=" + "x" * 6000, "«"),
        ("page=9", "L'elenco finisce prima"),
        ("topic=9", "Ancora nessun servizio sull'argomento «Mobilità e trasporti»"),
        ("topic=18", "Biblioteca"),
        ("topic=%C2%B2&page=1", "Biblioteca"),
        ("page=99999999999999999999", "Biblioteca"),
        ("page=-1", "Biblioteca"),
        ("page=0", "Biblioteca"),
        ("page=%C2%B2", "Biblioteca"),
        ("page=999999999", "L'elenco finisce prima"),
    ],
)
async def test_any_search_has_a_page(
    pool: Pool, browse: LogIn, world: World, query: str, words: str
) -> None:
    browser = await browse(await citizen(pool, "SRV", 2))
    page = await browser.page(f"/services?{query}")
    if "zzz" not in query:
        assert words in page.text


async def test_more_than_twenty_services_are_leafed_through(
    pool: Pool, browse: LogIn, world: World
) -> None:
    async with pool.transaction() as conn:
        many = await create_institution(
            conn, ACTOR, "00000000009", "Zona dei molti", "z@example.org"
        )
        made = [
            await create_service(conn, ACTOR, many, NewService(f"Sportello {n:02}"), SANDBOX)
            for n in range(21)
        ]
    browser = await browse(await citizen(pool, "SRV", 3))
    first = await browser.page("/services?q=sportello")
    assert "/services?q=sportello&page=2" in first.links
    assert "Sportello 19" in first.text
    assert "Sportello 20" not in first.text
    second = await browser.page("/services?q=sportello&page=2")
    assert "Sportello 20" in second.text
    assert "/services?q=sportello" in second.links
    async with pool.transaction() as conn:
        for service in made:
            await set_state(conn, ACTOR, service, "deleted")


async def test_services_are_filtered_by_topic_and_bear_their_logos(
    pool: Pool, browse: LogIn, client: httpx.AsyncClient, world: World
) -> None:
    """A logo is asked for where there is one; elsewhere there are letters of the name."""
    async with pool.transaction() as conn:
        town = await create_institution(
            conn, ACTOR, "00000000011", "Comune di Noli", "n@example.org"
        )
        new = [NewService("Tram", topic_id=9), NewService("Nido", topic_id=6)]
        tram, nido = [await create_service(conn, ACTOR, town, one, SANDBOX) for one in new]
        await logos.put_logos(
            conn, {"Comune di Pontelungo": town, "Bollette": tram, "Nobody's": nido}
        )
    browser = await browse(await citizen(pool, "SRV", 23))
    page = await browser.page("/services?q=noli")
    assert "/services?q=noli&topic=9" in page.links
    assert "Educazione e formazione 1 Mobilità e trasporti 1" in page.text
    (shown,) = re.findall(r"/logos/\S+?(?=\")", (await browser.get("/services?q=noli")).text)
    assert re.fullmatch(r"/logos/organizations/11\.png\?v=[0-9a-f]+", shown)
    page = await browser.page("/services?q=noli&topic=9")
    assert "1 servizio per «noli» sull'argomento «Mobilità e trasporti»" in page.text
    assert ("Tram" in page.text, "Nido" in page.text) == (True, False)
    assert page.form("/services").fields["topic"] == "9"
    assert "/services?q=noli" in page.links, "the way back"
    assert "CA Comune di Anna" in (await browser.page("/services")).text
    assert "CA Comune di Anna" not in (await browser.page("/services?topic=9")).text
    own = await browser.get(f"/services/{tram}")
    assert "/services?topic=9" in check(own.text, "it").links
    marks = re.findall(r"/logos/\S+?(?=\")", own.text)
    assert marks[0] == shown
    assert marks[1].startswith(f"/logos/services/{tram.lower()}.png?v=")
    assert len(re.findall("/logos/", (await browser.get(f"/services/{nido}")).text)) == 1
    for mark in marks:
        answer = await client.get(mark)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    async with pool.transaction() as conn:
        for service in (tram, nido):
            await set_state(conn, ACTOR, service, "deleted")


async def test_a_service_is_switched_off_and_on(pool: Pool, browse: LogIn, world: World) -> None:
    """With the inbox the sender's knowledge of what is read goes off too, and stays off."""
    fiscal_code = await citizen(pool, "SRV", 4)
    browser = await browse(fiscal_code)
    await save(browser, world.anna.id, inbox=None)
    choice = await choice_of(pool, fiscal_code, world.anna.id)
    assert (choice.is_inbox_enabled, choice.can_access_message_read_status) == (False, False)
    assert (choice.is_email_enabled, choice.is_webhook_enabled) == (True, True)

    await save(browser, world.anna.id, inbox="1", read_status=None)
    choice = await choice_of(pool, fiscal_code, world.anna.id)
    assert (choice.is_inbox_enabled, choice.can_access_message_read_status) == (True, False)

    await save(browser, world.anna.id, read_status="1")
    choice = await choice_of(pool, fiscal_code, world.anna.id)
    assert choice == ServiceChoice(True, True, True, True, 0)


async def test_a_service_that_is_switched_off_cannot_write(
    pool: Pool, running: Running, worker: Worker, browse: LogIn, world: World
) -> None:
    """Each switch holds for what comes after it: the sender learns so, and nobody else's."""
    mine, theirs = await citizen(pool, "SRV", 18), await citizen(pool, "SRV", 19)
    browser, mail = await browse(mine), Mail(running, worker)

    async def fate(fiscal_code: str) -> str:
        sent = await mail.send(world.anna, fiscal_code)
        answer = await running.client.get(
            f"/api/v1/messages/{fiscal_code}/{sent}", headers=world.anna.headers
        )
        return str(answer.json()["status"])

    assert await fate(mine) == "PROCESSED"
    await save(browser, world.anna.id, inbox=None)
    assert [await fate(mine), await fate(theirs)] == ["REJECTED", "PROCESSED"]
    await save(browser, world.anna.id, inbox="1")
    assert await fate(mine) == "PROCESSED"
    page = await browser.page("/")
    assert len([link for link in page.links if link.startswith("/messages/")]) == 2


async def test_what_the_page_does_not_show_is_kept(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "SRV", 5)
    stored = Preference(
        fiscal_code, world.anna.id, 0, is_email_enabled=False, is_webhook_enabled=False
    )
    async with pool.transaction() as conn:
        await put_preferences(conn, [stored])
    browser = await browse(fiscal_code)
    await save(browser, world.anna.id, inbox=None)
    await save(browser, world.anna.id, inbox="1")
    choice = await choice_of(pool, fiscal_code, world.anna.id)
    assert (choice.is_inbox_enabled, choice.is_email_enabled, choice.is_webhook_enabled) == (
        True,
        False,
        False,
    )


async def test_a_service_let_in_for_the_first_time_has_every_channel(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "SRV", 6, mode="MANUAL")
    browser = await browse(fiscal_code)
    await save(browser, world.anna.id, inbox="1")
    choice = await choice_of(pool, fiscal_code, world.anna.id)
    assert choice == ServiceChoice(True, True, True, False, 0)


async def test_a_special_service_is_switched_at_the_institution(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "SRV", 7)
    browser = await browse(fiscal_code)
    path = f"/services/{world.special.id}"
    page = await browser.page(path)
    assert "dopo che lo attivi presso l'ente" in page.text
    assert [form for form in page.forms if form.action == path] == []
    async with pool.transaction() as conn:
        await put_activations(conn, [Activation(fiscal_code, world.special.id, "ACTIVE")])
    page = await browser.page(path)
    assert "inbox" not in page.form(path).fields
    await save(browser, world.special.id, read_status=None)
    choice = await choice_of(pool, fiscal_code, world.special.id)
    assert (choice.is_inbox_enabled, choice.can_access_message_read_status) == (True, False)


async def test_a_page_older_than_a_change_of_mode_changes_nothing(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "SRV", 8)
    browser = await browse(fiscal_code)
    path = f"/services/{world.anna.id}"
    form = (await browser.page(path)).form(path)
    async with pool.transaction() as conn:
        await choose_mode(conn, fiscal_code, "MANUAL")
    answer = await browser.send(form)
    assert answer.status_code == 409
    assert path in check(answer.text, "it").links, "the way to the page as it is now"
    assert not (await choice_of(pool, fiscal_code, world.anna.id)).is_inbox_enabled


async def test_two_devices_at_once_lose_nothing(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "SRV", 9)
    here, there = await browse(fiscal_code), await browse(fiscal_code)
    path = f"/services/{world.anna.id}"
    forms = [(await one.page(path)).form(path) for one in (here, there)]
    answers = await asyncio.gather(
        *(
            one.send(form, inbox=inbox)
            for one, form, inbox in zip((here, there) * 5, forms * 5, ("1", None) * 5, strict=True)
        )
    )
    assert {answer.status_code for answer in answers} == {303}


@pytest.mark.parametrize(
    "version",
    ["", "x", "-1", "1.0", "9" * 40, "²", "999999999", "0 ", "0\r\n", "１"],
)
async def test_a_hostile_version_is_refused(
    pool: Pool, browse: LogIn, world: World, version: str
) -> None:
    fiscal_code = await citizen(pool, "SRV", 10)
    browser = await browse(fiscal_code)
    path = f"/services/{world.anna.id}"
    form = (await browser.page(path)).form(path)
    answer = await browser.send(form, settings_version=version, inbox=None)
    assert answer.status_code in {400, 409}
    assert (await choice_of(pool, fiscal_code, world.anna.id)).is_inbox_enabled


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("&inbox=%00", 400),
        ("&settings_version=0&settings_version=7", 409),
        ("&settings_version=7&settings_version=x", 400),
        ("&read_status=1&inbox=" + "x" * 70_000, 413),
        ("&csrf=wrong", 403),
    ],
)
async def test_a_hostile_form_switches_nothing(
    pool: Pool, browse: LogIn, world: World, more: str, status: int
) -> None:
    fiscal_code = await citizen(pool, "SRV", 20)
    browser = await browse(fiscal_code)
    path = f"/services/{world.anna.id}"
    fields = (await browser.page(path)).form(path).fields
    answer = await browser.client.post(
        path,
        content=f"csrf={fields['csrf']}&settings_version=0{more}",  # without `inbox`: off
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
            "Accept-Language": "it",
        },
    )
    assert answer.status_code == status
    check(answer.text, "it")
    assert (await choice_of(pool, fiscal_code, world.anna.id)).is_inbox_enabled


async def test_a_page_cannot_activate_a_special_service(
    pool: Pool, browse: LogIn, world: World
) -> None:
    """Nor switch one off: whatever a form says, its inbox is its activation."""
    path = f"/services/{world.special.id}"
    for number, active in ((21, False), (22, True)):
        fiscal_code = await citizen(pool, "SRV", number)
        if active:
            async with pool.transaction() as conn:
                await put_activations(conn, [Activation(fiscal_code, world.special.id, "ACTIVE")])
        browser = await browse(fiscal_code)
        known = f"/services/{world.anna.id}"
        fields = (await browser.page(known)).form(known).fields
        for inbox in ({"inbox": "1"}, {}):
            given = {"csrf": fields["csrf"], "settings_version": "0", **inbox}
            assert (await browser.post(path, given)).status_code == 303
            assert (await choice_of(pool, fiscal_code, world.special.id)).is_inbox_enabled is active


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_nothing_is_switched(
    pool: Pool, browse: LogIn, world: World, csrf: str | None
) -> None:
    fiscal_code = await citizen(pool, "SRV", 11)
    browser = await browse(fiscal_code)
    path = f"/services/{world.anna.id}"
    form = (await browser.page(path)).form(path)
    assert (await browser.send(form, csrf=csrf, inbox=None)).status_code == 403
    assert (await choice_of(pool, fiscal_code, world.anna.id)).is_inbox_enabled


@pytest.mark.parametrize(
    "service_id", ["01J00000000000000000000000", "%00", "%ED%A0%80", "'", "x" * 3000]
)
async def test_an_unknown_service_is_not_there(
    pool: Pool, browse: LogIn, world: World, service_id: str
) -> None:
    browser = await browse(await citizen(pool, "SRV", 12))
    path = f"/services/{service_id}"
    await browser.page(path, status=404)
    known = f"/services/{world.anna.id}"
    form = (await browser.page(known)).form(known)
    assert (await browser.post(path, form.fields)).status_code == 404


async def test_each_citizen_sees_their_own_choice(pool: Pool, browse: LogIn, world: World) -> None:
    mine, theirs = await citizen(pool, "SRV", 13), await citizen(pool, "SRV", 14)
    await save(await browse(mine), world.anna.id, inbox=None)
    path = f"/services/{world.anna.id}"
    other = await (await browse(theirs)).page(path)
    assert other.form(path).fields.get("inbox") == "1"


async def test_a_hostile_description_is_inert(pool: Pool, browse: LogIn, world: World) -> None:
    async with pool.connection() as conn:
        await conn.script(
            "UPDATE services.service SET description = "
            "'**Vero** <script>alert(1)</script> [x](javascript:alert(1))', "
            """metadata = '{"email": "a@example.org", "privacy_url": "https://a.example/p"}' """
            f"WHERE id = '{world.bruno.id}'"
        )
    browser = await browse(await citizen(pool, "SRV", 15))
    page = await browser.page(f"/services/{world.bruno.id}")
    assert "mailto:a@example.org" in page.links
    assert "https://a.example/p" in page.links
    assert not any("javascript" in link for link in page.links)


async def test_a_closed_inbox_is_said(pool: Pool, browse: LogIn, world: World) -> None:
    browser = await browse(await citizen(pool, "SRV", 16, is_inbox_enabled=False))
    for path in ("/services", f"/services/{world.anna.id}"):
        assert "La tua casella è chiusa" in (await browser.page(path)).text


@pytest.mark.parametrize("language", ["it", "en"])
async def test_both_languages(pool: Pool, browse: LogIn, world: World, language: str) -> None:
    browser = await browse(await citizen(pool, "SRV", 17))
    browser.cookies["messo-language"] = language
    special = f"/services/{world.special.id}"
    for path in ("/services", "/services?q=zzz", f"/services/{world.anna.id}", special):
        await browser.page(path, language)
