"""What a login leaves behind in the browser and in the database, and what a logout takes away."""

import re
import time

import httpx
import msgspec
import pytest

from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.login.flow import PENDING_SECONDS, Pending
from messo.recipients import read_profile
from messo.sandbox.fiscal_codes import make
from tests.conftest import Running
from tests.login.browser import APP, Visitor
from tests.login.provider import sent
from tests.world import AUTO

LOW = "https://www.spid.gov.it/SpidL1"
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


async def is_open(pool: Pool, token: str) -> bool:
    """Whether the database has a session of this token."""
    async with pool.connection() as conn:
        count = await conn.raw.fetchval(
            "SELECT count(*) FROM login.session WHERE digest = $1", key_digest(token)
        )
    return bool(count)


async def csrf(visitor: Visitor) -> str:
    """The token of forms, as a page shows it."""
    page = await visitor.client.get("/welcome")
    found = _CSRF.search(page.text)
    assert found, page.status_code
    return found[1]


async def test_a_first_login_leaves_the_inbox_off(visitor: Visitor, pool: Pool) -> None:
    new = make("TSTFLW80A01Y040")
    await visitor.log_in(new)
    async with pool.connection() as conn:
        profile = await read_profile(conn, new)
    assert profile is not None
    assert profile.mode == "LEGACY"
    assert not profile.is_inbox_enabled
    assert profile.accepted_tos_version is None
    inbox = await visitor.client.get("/")
    assert (inbox.status_code, inbox.headers["location"]) == (303, "/welcome")


async def test_another_login_changes_nothing_of_a_profile(visitor: Visitor, pool: Pool) -> None:
    async with pool.connection() as conn:
        before = await read_profile(conn, AUTO)
    await visitor.log_in(AUTO)
    async with pool.connection() as conn:
        assert await read_profile(conn, AUTO) == before


@pytest.mark.parametrize(("older", "status"), [(PENDING_SECONDS + 5, 403), (0, 303)])
async def test_a_login_that_took_too_long_is_refused_though_all_else_is_right(
    visitor: Visitor, secrets: Secrets, older: int, status: int
) -> None:
    begun = await visitor.client.get("/login")
    callback = await visitor.choose(begun, fiscal_code=AUTO)
    cookie = visitor.client.cookies["messo-login"]
    pending = msgspec.json.decode(secrets.decrypt(cookie), type=Pending)
    old = msgspec.structs.replace(pending, made_at=int(time.time()) - older)
    sealed = secrets.encrypt(msgspec.json.encode(old).decode())
    visitor.client.cookies.clear()
    back = await visitor.client.get(callback, headers={"Cookie": f"messo-login={sealed}"})
    assert back.status_code == status
    assert ("messo" in visitor.client.cookies) is (status == 303)


@pytest.mark.parametrize("form", [{"cancel": "1"}, {"fiscal_code": AUTO, "level": LOW}], ids=str)
async def test_a_failed_login_leaves_the_session_before_as_it_was(
    visitor: Visitor, pool: Pool, form: dict[str, str]
) -> None:
    await visitor.log_in(AUTO)
    token = visitor.client.cookies["messo"]
    begun = await visitor.client.get("/login")
    back = await visitor.client.get(await visitor.choose(begun, **form))
    assert back.status_code == 403
    assert visitor.client.cookies["messo"] == token
    assert await is_open(pool, token)
    assert "messo-login" not in visitor.client.cookies  # the attempt is over


async def test_a_client_applications_login_opens_no_session_in_the_browser(
    visitor: Visitor, pool: Pool
) -> None:
    new = make("TSTFLW80A01Y041")
    await visitor.code(new)
    assert "messo" not in visitor.client.cookies
    assert "messo-login" not in visitor.client.cookies
    async with pool.connection() as conn:
        count = await conn.raw.fetchval(
            "SELECT count(*) FROM login.session WHERE fiscal_code = $1", new
        )
        assert count == 0
        assert await read_profile(conn, new) is None  # until the code is exchanged


async def test_a_client_application_is_told_of_a_level_that_is_too_low(visitor: Visitor) -> None:
    begun = await visitor.begin_client()
    back = await visitor.client.get(await visitor.choose(begun, fiscal_code=AUTO, level=LOW))
    assert back.headers["location"].startswith(APP)
    assert set(sent(back.headers["location"])) == {"from", "error", "state", "iss"}
    assert sent(back.headers["location"])["error"] == "access_denied"


async def test_logout_closes_the_session_and_says_nothing_of_the_citizen(
    visitor: Visitor, running: Running, pool: Pool
) -> None:
    new = make("TSTFLW80A01Y042")
    await visitor.log_in(new)
    token = visitor.client.cookies["messo"]
    out = await visitor.client.post("/logout", data={"csrf": await csrf(visitor)})
    assert out.status_code == 303
    location = out.headers["location"]
    assert location.startswith(f"{running.url}/sandbox/identity/end-session?")
    assert set(sent(location)) == {"client_id", "post_logout_redirect_uri"}
    assert new not in location
    assert token not in location
    assert "messo" not in visitor.client.cookies
    assert out.headers["clear-site-data"] == '"cache"'
    assert not await is_open(pool, token)
    back = await visitor.client.get(location)
    assert back.headers["location"] == f"{running.url}/logged-out"
    assert (await visitor.client.get("/logged-out")).status_code == 200
    kept = await visitor.client.get("/welcome", headers={"Cookie": f"messo={token}"})
    assert kept.status_code == 401  # a copy of the cookie is worth nothing


@pytest.mark.parametrize("given", [None, "", "0" * 64])
async def test_no_other_site_can_log_a_citizen_out(
    visitor: Visitor, pool: Pool, given: str | None
) -> None:
    await visitor.log_in(AUTO)
    token = visitor.client.cookies["messo"]
    out: httpx.Response = await visitor.client.post(
        "/logout", data={"other": "a"} if given is None else {"csrf": given}
    )
    assert out.status_code == 403
    assert await is_open(pool, token)
    assert (await visitor.client.get("/logout")).status_code == 404
    assert await is_open(pool, token)


async def test_logout_of_nobody_is_done_at_once(visitor: Visitor) -> None:
    out = await visitor.client.post("/logout", data={"csrf": "0"})
    assert (out.status_code, out.headers["location"]) == (303, "/logged-out")
