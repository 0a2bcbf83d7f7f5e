"""Institutions that do not serve a message, or not as they should: what the citizen is told."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from messo.base.db import Pool
from messo.settings import Settings
from tests.base.test_outbound import serving
from tests.conftest import free_port
from tests.inbox.institution import (
    SETTINGS,
    Institution,
    answer,
    attachment,
    detail,
    dripping,
    is_read,
    read_events,
    said,
)
from tests.inbox.pages import Browser, check
from tests.messages.mail import Mail
from tests.world import World, add_configuration

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def settings() -> Settings:
    return SETTINGS


def redirect(to: str) -> bytes:
    return answer(b"", "302 Found", f"Location: {to}\r\n")


PACKED = gzip.compress(json.dumps({"details": {"markdown": "a" * 50_000_000}}).encode(), 1)
METADATA = "http://169.254.169.254/latest/meta-data/"
# What the institution answers, the status of the page, and its heading in both languages.
DOWN = ("Comune di Anna in questo momento non è raggiungibile", "cannot be reached right now")
SLOW = ("Comune di Anna ci sta mettendo troppo", "Comune di Anna is taking too long")
FAULTY = ("ha mandato qualcosa che non possiamo mostrare", "sent something that we cannot show")
LATER = answer(b"", "503 Service Unavailable", "Retry-After: 30\r\n")
FAILURES: dict[str, tuple[bytes, int, tuple[str, str]]] = {
    "later": (LATER, 503, ("lo sta ancora preparando", "is still preparing this")),
    "refused": (answer(b"", "403 Forbidden"), 403, ("non te lo mostra", "does not show you this")),
    "gone": (answer(b"", "404 Not Found"), 404, ("non ce l'ha più", "does not have this any more")),
    "too often": (answer(b"", "429 Too Many Requests"), 429, DOWN),
    "broken": (answer(b"", "500 Internal Server Error"), 502, DOWN),
    "no key": (answer(b"", "401 Unauthorized"), 502, FAULTY),
    "html": (
        answer(b"<!doctype html><h1>Ciao", headers="Content-Type: text/html\r\n"),
        502,
        FAULTY,
    ),
    "no json": (answer(b'{"details": '), 502, FAULTY),
    "no details": (said({"attachments": [attachment()]}), 502, FAULTY),
    "another type": (said({"attachments": "none", "details": {}}), 502, FAULTY),
    "deep": (answer(b"[" * 500_000), 502, FAULTY),
    "short": (detail(attachment(), markdown="corto"), 502, FAULTY),
    "no attachments": (detail(), 502, FAULTY),
    "redirect inside": (redirect(METADATA), 502, FAULTY),
    "large": (answer(b"[" + b" " * 2**20 + b"]"), 502, FAULTY),
    "bomb": (answer(PACKED, headers="Content-Encoding: gzip\r\n"), 502, FAULTY),
    "unfinished": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n",
        502,
        DOWN,
    ),
    "no http": (b"hello\r\n\r\n", 502, DOWN),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_what_goes_wrong_is_said_with_a_way_to_try_again(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser, name: str
) -> None:
    given, status, headings = FAILURES[name]
    hospital.answers["uno"] = hospital.answers["uno/precondition"] = ended(given)
    sent = await hospital.send(mail, giulia.fiscal_code)
    await failed(giulia, sent, status, headings, name)
    assert not await is_read(pool, giulia.fiscal_code, sent)
    # What may not be seen before it is accepted is not seen instead of it either.
    asks = await hospital.send(mail, giulia.fiscal_code, has_precondition="ALWAYS")
    if name not in {"no details", "another type", "short", "no attachments"}:  # of a detail only
        await failed(giulia, asks, status, headings, name, hidden=True)
    assert await read_events(pool, sent) + await read_events(pool, asks) == 0


def ended(given: bytes) -> Any:
    """These bytes, and the end of the connection where they say so."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(given)
        await writer.drain()
        writer.close()

    is_last = b"Connection: close" in given or not given.startswith(b"HTTP/")
    return write if is_last else given


async def failed(
    browser: Browser,
    message: str,
    status: int,
    headings: tuple[str, str],
    name: str = "",
    *,
    hidden: bool = False,
) -> None:
    for language, heading in zip(("it", "en"), headings, strict=True):
        browser.cookies["messo-language"] = language
        given = await browser.get(f"/messages/{message}")
        assert given.status_code == status
        assert given.headers["cache-control"] == "no-store"
        later = {"later": "30", "too often": "10"}.get(name)
        assert given.headers.get("retry-after") == later
        page = check(given.text, language)
        assert heading in page.text
        assert ("resta nel messaggio, e il referto" in page.text) is not hidden
        assert f"/messages/{message}" in page.links, "no way to try again"
        assert ("Riprova" if language == "it" else "Try again") in page.text
        if name == "later":
            assert ("tra 30 secondi" if language == "it" else "in 30 seconds") in page.text


async def test_a_server_that_is_down_is_said_to_be(
    pool: Pool, hospital: Institution, world: World, mail: Mail, giulia: Browser
) -> None:
    async with pool.transaction() as conn:
        nobody = f"http://127.0.0.1:{free_port()}"
        hospital.configuration = await add_configuration(
            conn, world.secrets, world.anna.institution, nobody
        )
    sent = await hospital.send(mail, giulia.fiscal_code)
    await failed(giulia, sent, 502, DOWN)
    assert not await is_read(pool, giulia.fiscal_code, sent)


async def test_a_redirect_is_followed_nowhere(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    async with serving(detail(attachment())) as elsewhere:
        hospital.answers["uno"] = redirect(f"{elsewhere.url}messages/uno")
        sent = await hospital.send(mail, giulia.fiscal_code)
        await giulia.page(f"/messages/{sent}", status=502)
        assert elsewhere.connections == 0
    assert hospital.asked == ["uno"]


async def hang(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_server_that_hangs_or_drips_is_left_after_five_seconds(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    head = answer(b"", headers="Content-Type: application/json\r\n").replace(b": 0", b": 9999")
    hospital.answers |= {"hangs": hang, "drips": dripping(head, b" ")}
    sent = [await hospital.send(mail, giulia.fiscal_code, each) for each in hospital.answers]
    began = asyncio.get_running_loop().time()
    given = await asyncio.gather(*(giulia.get(f"/messages/{one}") for one in sent))
    assert 4.5 < asyncio.get_running_loop().time() - began < 8
    for one in given:
        assert one.status_code == 504
        assert SLOW[0] in check(one.text, "it").text


async def test_a_precondition_longer_than_a_message_may_be_is_not_shown(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers["uno/precondition"] = said({"title": "Leggi", "markdown": "parole " * 1429})
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    assert FAULTY[0] in (await giulia.page(f"/messages/{sent}", status=502)).text
