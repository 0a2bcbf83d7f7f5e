"""Attachments in the inbox: how they are listed, how they open, and what is never given out."""

import asyncio
import itertools
import re
from urllib.parse import quote

import pytest

from messo.base.db import Pool
from messo.content import Attachment
from messo.inbox.attachments import file_name
from messo.settings import Settings
from tests.inbox.conftest import LogIn
from tests.inbox.institution import (
    FILE,
    PDF,
    SETTINGS,
    Answer,
    Institution,
    answer,
    attachment,
    attachments_of,
    detail,
    pdf,
    said,
    sent_with,
)
from tests.inbox.pages import Browser, check, citizen
from tests.messages.mail import Mail

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def settings() -> Settings:
    return SETTINGS


NAMES = {
    "Referto.pdf": "Referto.pdf",
    "../../etc/passwd": "passwd.pdf",
    "C:\\Windows\\calc.exe": "calc.exe.pdf",
    'due "virgolette" e l\'apice.PDF': "due virgolette e l apice.pdf",
    "una\r\nContent-Type: text": "una Content-Type text.pdf",
    "fattura\u202efdp.exe": "fatturafdp.exe.pdf",
    "a" * 500: "a" * 119 + ".pdf",
    " ": "allegato.pdf",
    " ... ": "allegato.pdf",
    "<script>alert(1)</script>": "script.pdf",
    ".pdf": "allegato.pdf",
    "Città è già 文🙂.pdf": "Città è già 文🙂.pdf",
}
SIZES = [
    (1_234_567, "1,2 MB", "1.2 MB"),
    (240_000, "240 kB", "240 kB"),
    (1, "1 kB", "1 kB"),
    (999_499, "999 kB", "999 kB"),
    (999_999, "1,0 MB", "1.0 MB"),
    (20 * 2**20, "21,0 MB", "21.0 MB"),
    (None, "", ""),
    (0, "", ""),
    (-1, "", ""),
]


async def test_names_and_sizes_are_listed_in_the_citizens_language(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    given = list(itertools.zip_longest(NAMES, (size for size, *_ in SIZES)))
    hospital.answers["uno"] = detail(
        *(attachment(f"n{at}", name=name, size=size) for at, (name, size) in enumerate(given))
    )
    sent = await hospital.send(mail, giulia.fiscal_code)
    for language in ("it", "en"):
        giulia.cookies["messo-language"] = language
        page = await giulia.page(f"/messages/{sent}", language)
        sizes = [(it if language == "it" else en) for _, it, en in SIZES]
        for name, size in itertools.zip_longest(NAMES.values(), sizes, fillvalue=""):
            shown = f"{name}PDF, {size} " if size else f"{name}PDF "
            assert shown in page.text
        assert len(attachments_of(page)) == len(NAMES)
        assert len([link for link in page.links if link.endswith("?save=1")]) == len(NAMES)


async def test_an_attachment_without_a_name_has_one(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers["uno"] = said(
        {"attachments": [{"id": "x", "url": "x"}], "details": {"subject": "", "markdown": ""}}
    )
    sent = await hospital.send(mail, giulia.fiscal_code, has_remote_content=False)
    assert "allegato.pdfPDF " in (await giulia.page(f"/messages/{sent}")).text


@pytest.mark.parametrize("name", NAMES)
async def test_an_attachment_is_opened_or_saved_under_its_name(
    hospital: Institution, mail: Mail, giulia: Browser, name: str
) -> None:
    hospital.answers["uno/attachments/referto"] = FILE
    hospital.answers["uno"] = detail(attachment(name=name))
    sent = await hospital.send(mail, giulia.fiscal_code)
    (address,) = attachments_of(await giulia.page(f"/messages/{sent}"))
    plain = "".join(sign if sign.isascii() else "_" for sign in NAMES[name])
    named = f"filename=\"{plain}\"; filename*=UTF-8''{quote(NAMES[name], safe='')}"
    for query, kind in (("", "inline"), ("?save=1", "attachment"), ("?save=0", "inline")):
        given = await giulia.get(address + query)
        assert given.status_code == 200
        assert given.content == PDF
        assert given.headers["content-disposition"] == f"{kind}; {named}"
        assert given.headers["content-type"] == "application/pdf"
        assert given.headers["content-length"] == str(len(PDF))
        assert given.headers["cache-control"] == "no-store"
        assert given.headers["x-content-type-options"] == "nosniff"
        assert given.headers["x-frame-options"] == "DENY"
        assert given.headers["referrer-policy"] == "no-referrer"
        assert given.headers["cross-origin-resource-policy"] == "same-origin"
        assert given.headers["content-security-policy"] == (
            "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        assert "set-cookie" not in given.headers


async def test_no_address_says_what_the_institution_calls_it_or_whose_it_is(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    secret = "/private/referto-di-ada.pdf?of=ada"
    hospital.answers |= {
        "uno": detail(attachment(url=secret)),
        f"uno{secret}": FILE,
    }
    sent = await hospital.send(mail, giulia.fiscal_code)
    page = await giulia.page(f"/messages/{sent}")
    (address,) = attachments_of(page)
    assert (await giulia.get(address)).content == PDF
    assert re.fullmatch(rf"/messages/{sent}/attachments/[A-Za-z0-9_-]{{16,64}}", address)
    for link in page.links:
        for word in ("di-ada", "private", giulia.fiscal_code, hospital.server.url, "referto"):
            assert word not in link
    assert "di-ada" not in page.text


async def test_asking_for_headers_opens_no_attachment(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    before = list(hospital.asked)
    given = await giulia.head(address)
    assert given.status_code == 200
    assert given.headers["content-type"] == "application/pdf"
    assert hospital.asked == before


async def test_a_key_opens_the_attachment_of_its_own_message_only(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser, browse: LogIn
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    key = address.rpartition("/")[2]
    other = await browse(await citizen(pool, "ATO", 1))
    theirs = await hospital.send(mail, other.fiscal_code)
    mine = await hospital.send(mail, giulia.fiscal_code)
    for browser, path in (
        (giulia, f"/messages/{mine}/attachments/{key}"),
        (giulia, f"/messages/{mine}/attachments/referto"),
        (giulia, f"/messages/{theirs}/attachments/{key}"),
        (other, f"/messages/{theirs}/attachments/{key}"),
        (other, address),
    ):
        assert (await browser.get(path)).status_code == 404
    assert "uno/attachments/referto" not in hospital.asked
    stranger = await giulia.client.get(address)
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/login?return_to=")
    assert (await giulia.get(address)).content == PDF


async def test_a_message_without_attachments_opens_none(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers["uno"] = detail(attachment())
    sent = await hospital.send(mail, giulia.fiscal_code, has_attachments=False)
    await giulia.page(f"/messages/{sent}/attachments/{'a' * 43}", status=404)
    assert hospital.asked == []


async def test_what_the_institution_announces_no_more_is_not_opened(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    address = await sent_with(hospital, mail, giulia, FILE)
    hospital.answers["uno"] = detail(attachment("un-altro"))
    assert "non ce l'ha più" in (await giulia.page(address, status=404)).text
    assert "uno/attachments/referto" not in hospital.asked


SECRET = b"app.alert"
MOST = 20 * 2**20


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%PDF-1.7\r\n")
    while not writer.is_closing():
        writer.write(b"100000\r\n" + b" " * 2**20 + b"\r\n")
        await writer.drain()


ANNOUNCED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%%PDF-1.7" % (MOST + 1)
LATER = answer(b"", "503 Service Unavailable", "Retry-After: 30\r\n")
DOWN = ("in questo momento non è raggiungibile", "cannot be reached right now")
FAULTY = ("ha mandato qualcosa che non possiamo mostrare", "sent something that we cannot show")
DANGEROUS = ("Non abbiamo aperto questo file, per proteggerti", "We have not opened this file")
LOCKED = ("Questo file è protetto da una password", "This file is locked with a password")
FAILURES: dict[str, tuple[Answer, int, tuple[str, str]]] = {
    "html": (answer(b"<!doctype html>"), 415, FAULTY),
    "late": (answer(b"\r\n" + PDF), 415, FAULTY),
    "empty": (answer(b""), 415, FAULTY),
    "damaged": (answer(PDF[:20]), 415, FAULTY),
    "script": (answer(pdf(script=f"{SECRET.decode()}(1)")), 415, DANGEROUS),
    "locked": (answer(pdf(password="x")), 415, LOCKED),
    "large": (ANNOUNCED, 502, FAULTY),
    "endless": (endless, 502, FAULTY),
    "packed": (answer(PDF, headers="Content-Encoding: gzip\r\n"), 502, FAULTY),
    "later": (LATER, 503, ("lo sta ancora preparando", "is still preparing this")),
    "gone": (answer(b"", "410 Gone"), 404, ("non ce l'ha più", "does not have this any more")),
    "broken": (answer(b"", "500 Internal Server Error"), 502, DOWN),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_what_is_not_given_out_is_explained(
    hospital: Institution, mail: Mail, giulia: Browser, name: str
) -> None:
    given, status, headings = FAILURES[name]
    address = await sent_with(hospital, mail, giulia, given)
    message = address.partition("/attachments/")[0]
    for query in ("", "?save=1"):
        for language, heading in zip(("it", "en"), headings, strict=True):
            giulia.cookies["messo-language"] = language
            told = await giulia.get(address + query)
            assert told.status_code == status
            assert told.headers["content-type"] == "text/html; charset=utf-8"
            assert told.headers["cache-control"] == "no-store"
            assert told.headers.get("retry-after") == ("30" if name == "later" else None)
            assert b"%PDF" not in told.content
            assert SECRET not in told.content
            page = check(told.text, language)
            assert heading in page.text
            again = name not in {"script", "locked"}
            assert (address + query in page.links) is again
            assert (("Riprova" if language == "it" else "Try again") in page.text) is again
            assert message in page.links


async def test_an_attachment_outside_its_message_is_not_asked_for(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    for url in ("../due", "https://example.org/../x", "/a/../../x", "a#b", "a\\b"):
        hospital.answers["uno"] = detail(attachment(url=url))
        sent = await hospital.send(mail, giulia.fiscal_code)
        hospital.asked.clear()
        (address,) = attachments_of(await giulia.page(f"/messages/{sent}"))
        assert FAULTY[0] in (await giulia.page(address, status=502)).text
        assert hospital.asked == ["uno"] * 2, url


@pytest.mark.parametrize(
    "name", ["x" * 5000, "\u202e" * 300, "/" * 300, '"' * 300, "a.pdf.pdf.pdf"]
)
def test_a_name_is_short_and_ends_as_it_should(name: str) -> None:
    made = file_name(Attachment("id", "url", name=name))
    assert len(made) <= 124
    assert made.endswith(".pdf")
    assert not set(made) & set('/\\"\r\n\u202e')
