"""The page of test citizens speaks two languages and carries no code of its own."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from messo.sandbox import world as sandbox
from messo.sandbox.staff import OPERATOR, STAFF
from messo.settings import Settings
from tests.conftest import Running


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)


@pytest.fixture
async def client(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without cookies."""
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as opened:
        yield opened


async def pages(client: httpx.AsyncClient, language: str | None) -> list[httpx.Response]:
    """The page as it is, after wrong input, and for a broken request."""
    headers = {} if language is None else {"Accept-Language": language}
    address = (await client.get("/login")).headers["location"]
    return [
        await client.get(address, headers=headers),
        await client.post(address, data={"fiscal_code": "ABC"}, headers=headers),
        await client.get(address.replace("client_id=", "client_id=x"), headers=headers),
    ]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("it-IT,it;q=0.9,en;q=0.8", "it"),
        ("IT", "it"),
        ("en-GB,it;q=0.5", "en"),
        ("de", "en"),
        ("italian", "en"),
        (None, "en"),
    ],
)
async def test_it_speaks_the_language_that_is_asked_for_first(
    client: httpx.AsyncClient, language: str | None, expected: str
) -> None:
    said = {
        "it": ("Chi sei oggi?", "Questo non è un codice fiscale", "Questo accesso non può"),
        "en": ("Who are you today?", "This is not a fiscal code", "This login cannot go on"),
    }
    if language is None:
        client.headers.pop("accept-language", None)
    answers = await pages(client, language)
    assert [answer.status_code for answer in answers] == [200, 400, 400]
    for answer, text in zip(answers, said[expected], strict=True):
        assert f'<html lang="{expected}">' in answer.text
        assert text in answer.text
        assert answer.headers["vary"] == "Accept-Language"
    for text in said["en" if expected == "it" else "it"]:
        assert not [answer for answer in answers if text in answer.text]


async def test_no_page_has_a_script_or_a_style_of_its_own(client: httpx.AsyncClient) -> None:
    inline = re.compile(r"<script|<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", re.IGNORECASE)
    for language in ("it", "en"):
        for answer in await pages(client, language):
            assert not inline.search(answer.text)
            assert "unsafe-inline" not in answer.headers["content-security-policy"]
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"


async def test_every_invented_citizen_can_be_chosen(client: httpx.AsyncClient) -> None:
    page = (await pages(client, "en"))[0].text
    for citizen in sandbox.CITIZENS:
        assert page.count(f'value="{citizen.profile.fiscal_code}"') == 1


async def test_people_of_institutions_stand_under_theirs(client: httpx.AsyncClient) -> None:
    address = (await client.get("/console/login")).headers["location"]
    for language, role in (("en", "Editor"), ("it", "Redazione")):
        page = (await client.get(address, headers={"Accept-Language": language})).text
        operator, *groups = page.split("<h3")
        assert f'value="{OPERATOR}"' in operator
        for institution, group in zip(sandbox.INSTITUTIONS, groups, strict=True):
            assert f">{institution.name}</h3>" in group
            assert f'<span class="about">{role}</span>' in group
            for one in STAFF:
                here = one.institution_fiscal_code == institution.fiscal_code
                assert (f'value="{one.login}"' in group) is here
