"""Where a citizen is logged in: seen, closed one by one or all at once, and never another's."""

import pytest

from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.login import list_sessions
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, citizen
from tests.world import ACTIVATED, AUTO, MANUAL, World

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("world")]


async def open_sessions(pool: Pool, site: Site, fiscal_code: str) -> set[str]:
    async with pool.transaction() as conn:
        return {one.id for one in await list_sessions(conn, fiscal_code, site.limits)}


def close(browser: Browser, csrf: str, session_id: str) -> dict[str, str]:
    return {"csrf": csrf, "id": session_id}


@pytest.mark.parametrize("language", ["it", "en"])
async def test_sessions_are_listed_this_one_first(browse: LogIn, language: str) -> None:
    there = await browse(ACTIVATED)
    here = await browse(ACTIVATED)
    here.cookies["messo-language"] = language
    page = await here.page("/sessions", language)
    ids = [form.fields["id"] for form in page.forms if "id" in form.fields]
    assert ids[0] == here.session_id
    assert there.session_id in ids
    assert "Firefox, Linux" in page.text


async def test_one_session_is_closed(browse: LogIn) -> None:
    there = await browse(AUTO)
    here = await browse(AUTO)
    page = await here.page("/sessions")
    answer = await here.send(page.form("/sessions", id=there.session_id))
    assert answer.headers["location"] == "/sessions?done=closed-1"
    assert (await there.get("/sessions")).status_code == 401
    assert (await here.get("/sessions?done=closed-1")).status_code == 200


async def test_closing_the_one_in_use_is_logging_out(browse: LogIn) -> None:
    here = await browse(AUTO)
    page = await here.page("/sessions")
    answer = await here.send(page.form("/sessions", id=here.session_id))
    assert answer.headers["location"] == "/"
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert (await here.get("/sessions")).status_code == 401


async def test_logging_out_everywhere_closes_all(browse: LogIn, pool: Pool, site: Site) -> None:
    there, here, other = await browse(AUTO), await browse(AUTO), await browse(MANUAL)
    page = await here.page("/sessions")
    answer = await here.send(page.form("/sessions", action="everywhere"))
    assert answer.headers["location"] == "/"
    assert await open_sessions(pool, site, AUTO) == set()
    assert (await there.get("/sessions")).status_code == 401
    assert (await other.get("/sessions")).status_code == 200


async def test_anothers_session_is_as_one_that_does_not_exist(
    browse: LogIn, pool: Pool, site: Site
) -> None:
    mine, theirs = await browse(AUTO), await browse(MANUAL)
    page = await mine.page("/sessions")
    csrf = page.form("/sessions", id=mine.session_id).fields["csrf"]
    assert theirs.session_id not in "".join(form.fields.get("id", "") for form in page.forms)
    answers = [
        await mine.post("/sessions", close(mine, csrf, session_id))
        for session_id in (theirs.session_id, "0" * 26, "", "x" * 5000, "'; --")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert theirs.session_id in await open_sessions(pool, site, MANUAL)


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_no_session_is_closed(
    browse: LogIn, pool: Pool, site: Site, csrf: str | None
) -> None:
    there, here = await browse(AUTO), await browse(AUTO)
    page = await here.page("/sessions")
    for form in (
        page.form("/sessions", id=there.session_id),
        page.form("/sessions", action="everywhere"),
    ):
        assert (await here.send(form, csrf=csrf)).status_code == 403
    assert {there.session_id, here.session_id} <= await open_sessions(pool, site, AUTO)


async def test_the_token_of_one_session_does_not_work_in_another(browse: LogIn) -> None:
    there, here = await browse(AUTO), await browse(AUTO)
    form = (await there.page("/sessions")).form("/sessions", action="everywhere")
    assert (await here.post("/sessions", form.fields)).status_code == 403


async def test_a_stranger_is_sent_to_the_login(browse: LogIn, world: World) -> None:
    browser = await browse(AUTO)
    browser.cookies.clear()
    answer = await browser.get("/sessions")
    assert answer.headers["location"] == "/login?return_to=%2Fsessions"


async def test_a_page_that_asks_by_itself_does_not_keep_a_session_open(
    browse: LogIn, pool: Pool
) -> None:
    """Or a browser that somebody walked away from would never be logged out."""
    browser = await browse(await citizen(pool, "SES", 1))

    async def set_back(minutes: int) -> None:
        async with pool.transaction() as conn:
            await conn.raw.execute(
                "UPDATE login.session SET seen_at = now() - make_interval(mins => $2) "
                "WHERE id = $1",
                browser.session_id,
                minutes,
            )

    async def minutes_unused() -> float:
        async with pool.connection() as conn:
            found: float = await conn.raw.fetchval(
                "SELECT extract(epoch FROM now() - seen_at)::float8 / 60 FROM login.session "
                "WHERE id = $1",
                browser.session_id,
            )
        return found

    await set_back(20)
    polling = {"HX-Request": "true"}
    assert (await browser.get("/messages/new", **polling)).status_code in {200, 204}
    assert await minutes_unused() > 19
    await browser.get("/sessions")
    assert await minutes_unused() < 1
    await set_back(31)
    ended = await browser.get("/messages/new", **polling)
    assert ended.headers["hx-refresh"] == "true"
