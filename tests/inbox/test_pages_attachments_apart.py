"""Attachments from another origin: a code good once leads there, and nothing else is there."""

import asyncio
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from messo.base.db import Pool
from messo.settings import Settings
from tests.conftest import Running
from tests.events.told import execute
from tests.inbox.conftest import LogIn
from tests.inbox.institution import (
    FILE,
    PDF,
    SETTINGS,
    Answer,
    Institution,
    answer,
    pdf,
    sent_with,
)
from tests.inbox.pages import Browser, check, citizen
from tests.messages.mail import Mail

pytestmark = pytest.mark.anyio

HOST = "attachments.localhost:9"
APART = {"Host": HOST}
LATER = answer(b"", "503 Service Unavailable", "Retry-After: 30\r\n")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return replace(SETTINGS, attachments_url=f"http://{HOST}")


async def step(browser: Browser, address: str) -> str:
    """The path at the other origin to which the inbox leads."""
    led = await browser.get(address)
    assert led.status_code == 303
    assert led.headers["cache-control"] == "no-store"
    there = urlsplit(led.headers["location"])
    assert (there.scheme, there.netloc, there.query) == ("http", HOST, "")
    assert there.path.startswith("/attachments/")
    return there.path


async def at_the_other(client: httpx.AsyncClient, path: str, method: str = "GET") -> httpx.Response:
    """As a browser there, that has no cookie."""
    return await client.request(method, path, headers=APART)


async def test_a_code_opens_an_attachment_once_and_without_a_cookie(
    hospital: Institution, mail: Mail, giulia: Browser, client: httpx.AsyncClient
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    for query, kind in (("", "inline"), ("?save=1", "attachment")):
        path = await step(giulia, address + query)
        assert "uno/attachments/referto" not in hospital.asked
        given = await at_the_other(client, path)
        assert given.status_code == 200
        assert given.content == PDF
        assert given.headers["content-type"] == "application/pdf"
        assert given.headers["content-disposition"].startswith(f"{kind}; ")
        assert given.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert given.headers["cache-control"] == "no-store"
        assert "set-cookie" not in given.headers
        again = await at_the_other(client, path)
        assert again.status_code == 404
        page = check(again.text, "it")
        assert "Questo indirizzo non vale più" in page.text
        assert [link for link in page.links if not link.startswith("http://127.0.0.1:")] == []
        assert "/static/" not in again.text
        hospital.asked.clear()


async def test_of_many_who_come_with_one_code_one_is_served(
    hospital: Institution, mail: Mail, giulia: Browser, client: httpx.AsyncClient
) -> None:
    path = await step(giulia, await sent_with(hospital, mail, giulia, FILE))
    given = await asyncio.gather(*(at_the_other(client, path) for _ in range(8)))
    assert sorted(one.status_code for one in given) == [200] + [404] * 7


async def test_asking_for_headers_uses_no_code_up(
    hospital: Institution, mail: Mail, giulia: Browser, client: httpx.AsyncClient
) -> None:
    path = await step(giulia, await sent_with(hospital, mail, giulia, FILE))
    assert (await at_the_other(client, path, "HEAD")).status_code == 200
    assert (await at_the_other(client, path)).content == PDF


async def test_a_code_is_good_for_a_minute(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser, client: httpx.AsyncClient
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)

    async def later(path: str, seconds: int) -> int:
        """So much time passes: what was written is that much older."""
        sql = "UPDATE content.allowed SET expires_at = expires_at - make_interval(secs => $1)"
        await execute(pool, sql, seconds)
        return (await at_the_other(client, path)).status_code

    assert await later(await step(giulia, address), 50) == 200
    assert await later(await step(giulia, address), 61) == 404


async def test_a_code_says_nothing_and_only_its_hash_is_kept(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    path = await step(giulia, address)
    code = path.removeprefix("/attachments/")
    for word in (giulia.fiscal_code, *address.split("/")[2::2], "referto"):
        assert word not in path
    async with pool.connection() as conn:
        kept = str([list(row) for row in await conn.raw.fetch("SELECT * FROM content.allowed")])
    assert code not in kept
    assert giulia.fiscal_code not in kept


async def test_each_host_has_its_own_and_nothing_of_the_other(
    hospital: Institution, mail: Mail, giulia: Browser, client: httpx.AsyncClient
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    path = await step(giulia, address)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in giulia.cookies.items())}
    for elsewhere in (
        *("/", "/login", "/login/callback", "/attachments", "/services", "/docs", "/csp-report"),
        *(f"/messages/{address.split('/')[2]}", address, "/static/00000000/inbox.css"),
        *("/api/v1/messages", "/api/communication/v1/messages", "/messo/v1/messages/x"),
    ):
        for method in ("GET", "POST", "OPTIONS"):
            given = await client.request(method, elsewhere, headers={**APART, **cookie})
            assert given.status_code == 404, f"{method} {elsewhere}"
            assert "set-cookie" not in given.headers
    # At home a code is worth nothing, and is not used up.
    assert (await giulia.get(path)).status_code == 404
    other_port = await client.get(path, headers={"Host": "attachments.localhost"})
    assert other_port.status_code == 404
    assert (await at_the_other(client, path)).content == PDF
    assert (await at_the_other(client, "/attachments/invented")).status_code == 404


@pytest.mark.parametrize(
    ("given", "status", "heading", "again"),
    [
        (answer(pdf(script="app.alert(1)")), 415, "Non abbiamo aperto questo file", False),
        (LATER, 503, "lo sta ancora preparando", True),
        (answer(b"<html>"), 415, "qualcosa che non possiamo mostrare", True),
    ],
)
@pytest.mark.parametrize("query", ["", "?save=1"])
async def test_what_went_wrong_there_is_said_at_home(
    running: Running,
    hospital: Institution,
    mail: Mail,
    giulia: Browser,
    client: httpx.AsyncClient,
    given: Answer,
    status: int,
    heading: str,
    again: bool,
    query: str,
) -> None:
    """Pages are at home only: their style and their links are not at the other origin."""
    address = await sent_with(hospital, mail, giulia, given) + query
    told = await at_the_other(client, await step(giulia, address))
    assert told.status_code == 303
    assert told.headers["cache-control"] == "no-store"
    home = told.headers["location"].removeprefix(running.url)
    assert home.startswith(address)
    asked = list(hospital.asked)
    shown = await giulia.get(home)
    assert hospital.asked == asked
    assert shown.status_code == status
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers.get("retry-after") == ("30" if status == 503 else None)
    page = check(shown.text, "it")
    assert heading in page.text
    assert (address in page.links) is again
    assert set(parse_qs(urlsplit(home).query)) <= {"save", "failed", "after"}


async def test_a_failure_that_nobody_knows_opens_the_attachment(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    await step(giulia, f"{address}?failed=<script>")
    for after in ("", "&after=", "&after=x", "&after=-1", "&after=99999999"):
        shown = await giulia.get(f"{address}?failed=not-ready{after}")
        assert "tra 10 secondi" in check(shown.text, "it").text
        assert "retry-after" not in shown.headers


async def test_the_message_of_another_citizen_leads_nowhere(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser, browse: LogIn
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    other = await browse(await citizen(pool, "APR", 1))
    for query in ("", "?failed=dangerous"):
        assert (await other.get(address + query)).status_code == 404
    theirs = await hospital.send(mail, other.fiscal_code)
    key = address.rpartition("/")[2]
    there = await step(other, f"/messages/{theirs}/attachments/{key}")
    told = await at_the_other(other.client, there)
    assert "failed=not-found" in told.headers["location"]
