"""The texts that stand still, and the language of the pages."""

import httpx
import pytest

from messo.base.db import Pool
from messo.inbox import about
from messo.inbox.language import local_path
from messo.recipients import read_profile
from messo.settings import Settings
from tests.inbox.conftest import LogIn
from tests.inbox.pages import check
from tests.world import AUTO, World

pytestmark = pytest.mark.anyio

TEXTS = ("/terms", "/privacy", "/accessibility")


@pytest.mark.parametrize("path", TEXTS)
@pytest.mark.parametrize("language", ["it", "en"])
async def test_everybody_may_read_the_texts(
    client: httpx.AsyncClient, path: str, language: str
) -> None:
    answer = await client.get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200
    check(answer.text, language)


async def test_the_operators_own_texts_take_their_place() -> None:
    class Visit:
        class site:  # noqa: N801
            settings = Settings(
                terms_url="https://town.example/terms", privacy_url="https://town.example/privacy"
            )

    for show, path in ((about.show_terms, "terms"), (about.show_privacy, "privacy")):
        answer = await show(Visit)  # type: ignore[arg-type]
        assert answer.headers["location"] == f"https://town.example/{path}"


async def test_the_language_is_remembered_in_the_browser(client: httpx.AsyncClient) -> None:
    answer = await client.post("/language", data={"language": "en", "back": "/privacy"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/privacy")
    cookie = answer.headers["set-cookie"].lower()
    assert "messo-language=en" in cookie
    for part in ("httponly", "samesite=lax", "max-age=31536000", "path=/"):
        assert part in cookie
    assert "secure" not in cookie  # over https only
    client.cookies.clear()


async def test_the_language_is_remembered_in_the_profile(
    pool: Pool, browse: LogIn, world: World
) -> None:
    browser = await browse(AUTO)
    await browser.post("/language", {"language": "en", "back": "/"})
    await browser.page("/privacy", "en")
    async with pool.transaction() as conn:
        profile = await read_profile(conn, AUTO)
    assert profile is not None
    assert profile.preferred_languages == ["en_GB", "it_IT"]
    await browser.post("/language", {"language": "it", "back": "/"}, **{"Sec-Fetch-Site": "none"})
    await browser.page("/privacy", "it")


@pytest.mark.parametrize("from_where", ["cross-site", "same-site", "nonsense"])
async def test_another_site_does_not_change_it(
    pool: Pool, browse: LogIn, world: World, from_where: str
) -> None:
    browser = await browse(AUTO)
    answer = await browser.post("/language", {"language": "en"}, **{"Sec-Fetch-Site": from_where})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    await browser.page("/privacy", "it")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("language=tlh", 400),
        ("language=it%00", 400),
        ("language=%ff", 400),
        ("language=it&back=" + "x" * 70_000, 413),
        ("&".join(["language=it"] * 600), 400),
    ],
)
async def test_a_hostile_form_is_refused(client: httpx.AsyncClient, body: str, status: int) -> None:
    answer = await client.post(
        "/language",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept-Language": "it"},
    )
    assert answer.status_code == status
    check(answer.text, "it")


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "",
        "/\n/evil.example",
        "/\t/evil.example",
        "/a\\b",
        "javascript:alert(1)",
    ],
)
async def test_the_way_back_never_leaves_the_site(client: httpx.AsyncClient, back: str) -> None:
    assert local_path(back) == "/"
    answer = await client.post("/language", data={"language": "it", "back": back})
    assert answer.headers["location"] == "/"
    client.cookies.clear()


def test_a_path_of_ours_is_kept() -> None:
    assert local_path("/services/01J?done=saved-1") == "/services/01J?done=saved-1"
