"""The way into the console and out of it, through the sandbox's identity provider."""

import dataclasses
import re

import httpx
import pytest

from messo.base.crypto import Secrets, key_digest, new_secret
from messo.base.db import Pool
from messo.login import web_limits
from messo.operations import operators
from messo.people.members import put_member
from messo.people.staff_web import StaffWeb
from messo.serve import check
from messo.settings import RefusedError, Settings
from tests.conftest import Running
from tests.console.colleague import COOKIE, Colleague
from tests.login.provider import sent
from tests.login.test_fixation import ELSEWHERE
from tests.world import AUTO, World

pytestmark = pytest.mark.anyio


async def is_open(pool: Pool, token: str) -> bool:
    """Whether the database has a session of this token."""
    async with pool.connection() as conn:
        count = await conn.raw.fetchval(
            "SELECT count(*) FROM people.session WHERE digest = $1", key_digest(token)
        )
    return bool(count)


async def test_somebody_logs_in_and_sees_who_and_where_they_are(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    landing = await colleague.client.get("/console")
    assert landing.status_code == 200
    assert 'href="/console/login"' in landing.text
    back = await colleague.log_in("anna.bianchi")
    assert (back.status_code, back.headers["location"]) == (303, "/console")
    (cookie,) = [one for one in back.headers.get_list("set-cookie") if f"{COOKIE}=" in one]
    assert "; Path=/; HttpOnly; SameSite=Lax" in cookie
    assert "Max-Age" not in cookie
    alone = (await colleague.client.get("/console")).text
    assert "Hello, Anna Bianchi" in alone
    assert "anna.bianchi" in alone
    assert "You are not part of any institution yet" in alone
    assert "/console/operate" not in alone
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", "anna.bianchi")
    operator = (await colleague.client.get("/console")).text
    assert 'href="/console/operate"' in operator
    assert "You are not part of any institution yet" not in operator
    async with pool.transaction() as conn:
        await put_member(
            conn, "tests", world.anna.institution, "anna.bianchi", "Anna", "a@b.it", "editor"
        )
    both = (await colleague.client.get("/console")).text
    assert "Editor: services" in both
    assert "Comune" in both
    assert 'href="/console/operate"' in both


async def test_what_is_kept_of_a_login(
    colleague: Colleague, running: Running, pool: Pool, secrets: Secrets
) -> None:
    await colleague.log_in("carla.verdi")
    async with pool.connection() as conn:
        lines = await conn.raw.fetch("SELECT s::text AS line FROM people.session AS s")
        audit = await conn.raw.fetch(
            "SELECT a.actor, a.subject, a.detail::text AS detail FROM operations.audit AS a"
            " WHERE a.action = 'people.login'"
        )
    assert all(colleague.token not in row["line"] for row in lines)
    hashed = secrets.keyed_hash("people.login:carla.verdi")
    assert (f"person:{hashed}", hashed, "{}") in [tuple(row) for row in audit]
    assert not [row for row in audit if "carla" in "".join(row)]


async def test_a_token_that_was_planted_before_the_login_is_worth_nothing_after_it(
    colleague: Colleague, other: Colleague, pool: Pool
) -> None:
    await other.log_in("mallory")
    planted = other.token
    colleague.client.cookies.set(COOKIE, planted, domain="127.0.0.1", path="/")
    await colleague.log_in("dora.neri")
    first = colleague.token
    assert first != planted
    assert not await is_open(pool, planted)
    await colleague.log_in("dora.neri")
    assert colleague.token != first
    assert not await is_open(pool, first)
    assert await is_open(pool, colleague.token)


async def test_a_login_belongs_to_the_browser_that_began_it(
    colleague: Colleague, other: Colleague
) -> None:
    callback = await colleague.choose(await colleague.begin(), login="mallory")
    await other.begin()
    refused = await other.client.get(callback)
    assert refused.status_code == 403
    assert "begun in another browser" in refused.text
    assert COOKIE not in other.client.cookies
    assert f"{COOKIE}-login" not in other.client.cookies
    assert (await colleague.client.get(callback)).status_code == 303


async def test_a_citizens_login_is_none_here_and_the_other_way_round(
    colleague: Colleague,
) -> None:
    client = colleague.client
    for begin, form, there, ours, theirs in (
        ("/login", {"fiscal_code": AUTO}, "/console/callback", "messo-login", f"{COOKIE}-login"),
        ("/console/login", {"login": "eva"}, "/login/callback", f"{COOKIE}-login", "messo-login"),
    ):
        callback = httpx.URL(await colleague.choose(await client.get(begin), **form))
        pending = client.cookies[ours]
        client.cookies.clear()
        answer = await client.get(
            there, params=callback.params, headers={"Cookie": f"{theirs}={pending}"}
        )
        assert answer.status_code == 403
        assert "begun in another browser" in answer.text
        assert not {"messo", COOKIE} & set(client.cookies)


async def test_only_our_own_form_logs_somebody_out(
    colleague: Colleague, running: Running, pool: Pool
) -> None:
    await colleague.log_in("fabio")
    token = colleague.token
    for given in ("", "0" * 64):
        answer = await colleague.client.post("/console/logout", data={"csrf": given, "a": "b"})
        assert answer.status_code == 403
    assert await is_open(pool, token)
    out = await colleague.client.post("/console/logout", data={"csrf": await colleague.csrf()})
    assert out.headers["location"].startswith(f"{running.url}/sandbox/identity/end-session?")
    assert set(sent(out.headers["location"])) == {"client_id", "post_logout_redirect_uri"}
    assert not await is_open(pool, token)
    assert COOKIE not in colleague.client.cookies
    back = await colleague.client.get(out.headers["location"])
    assert back.headers["location"] == f"{running.url}/console"
    again = await colleague.client.post("/console/logout", data={"csrf": "0"})
    assert again.headers["location"] == "/console"


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
async def test_a_session_ends_by_itself(colleague: Colleague, pool: Pool, column: str) -> None:
    login = f"gina.{column.replace('_', '-')}"
    await colleague.log_in(login)
    for minutes, shown in ((29, column == "seen_at"), (31, False)):
        async with pool.transaction() as conn:
            await conn.raw.execute(
                f"UPDATE people.session SET {column} = now() - make_interval(mins => $1)"
                " WHERE login = $2",
                minutes,
                login,
            )
        page = await colleague.client.get("/console")
        assert (login in page.text) is shown
        assert page.status_code == 200
    lost = await colleague.client.post("/console/invitation", data={"csrf": "0"})
    assert lost.status_code == 401
    assert "Your login has ended" in lost.text


@pytest.mark.parametrize("path", [*ELSEWHERE[:12], "/preferences", "/consolefoo"], ids=repr)
async def test_a_login_leads_back_into_the_console_only(colleague: Colleague, path: str) -> None:
    back = await colleague.log_in("hugo", path)
    assert back.headers["location"] == "/console"


async def test_a_login_leads_back_to_where_it_was_for(colleague: Colleague) -> None:
    back = await colleague.log_in("hugo", "/console/services?page=2")
    assert back.headers["location"] == "/console/services?page=2"


async def test_a_login_that_was_stopped_says_so_in_both_languages(colleague: Colleague) -> None:
    for language, text in (("en", "You stopped the login"), ("it", "Hai interrotto")):
        callback = await colleague.choose(await colleague.begin("/console/x"), cancel="1")
        page = await colleague.client.get(callback, headers={"Accept-Language": language})
        assert page.status_code == 403
        assert text in page.text
        assert f'<html lang="{language}">' in page.text
        assert 'href="/console/login?return_to=%2Fconsole%2Fx"' in page.text
        assert COOKIE not in colleague.client.cookies


async def test_every_page_is_kept_by_nobody_and_runs_only_our_scripts(
    colleague: Colleague,
) -> None:
    await colleague.log_in("ida")
    for path, status in (("/console", 200), ("/console/nothing", 404), ("/console/callback", 403)):
        page = await colleague.client.get(path)
        assert page.status_code == status
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert re.findall(r"<script[^>]*>(?!</script>)", page.text) == []
        assert "style=" not in page.text


async def test_the_language_is_chosen_on_any_page_and_stays(colleague: Colleague) -> None:
    await colleague.log_in("ida")
    chosen = await colleague.client.post("/language", data={"language": "it", "back": "/console"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/console")
    page = await colleague.client.get("/console", headers={"Accept-Language": "en"})
    assert '<html lang="it">' in page.text
    assert "I tuoi enti" in page.text


def test_over_https_cookies_have_the_prefix_that_only_we_can_set_them_with(
    secrets: Secrets,
) -> None:
    web = StaffWeb(secrets, "https://messo.example.org", web_limits(Settings()))
    for name in (web.session_cookie, web.pending_cookie, web.invitation_cookie):
        assert name.startswith("__Host-messo-staff")
        assert web.written(name, "x").endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


def test_production_refuses_a_provider_without_encryption() -> None:
    ready = Settings(
        database_url="postgresql://127.0.0.1/messo",
        secrets=new_secret(),
        public_url="https://messo.example.org",
    )
    check(dataclasses.replace(ready, staff_issuer="https://id.example.org"))
    with pytest.raises(RefusedError, match="MESSO_STAFF_ISSUER"):
        check(dataclasses.replace(ready, staff_issuer="http://id.example.org"))
