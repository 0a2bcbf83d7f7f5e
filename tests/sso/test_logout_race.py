"""A logout in the same moment as an agreement: whoever comes second finds the first."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.login import (
    Identity,
    client_limits,
    close_all_sessions,
    close_session,
    find_session,
    open_session,
)
from messo.recipients.profile import lock_profile
from messo.settings import Settings
from messo.sso import logout
from messo.sso.authorize import Asked, unseal
from messo.sso.decision import Citizen, Provider, Question
from tests.conftest import Running
from tests.inbox.pages import Browser
from tests.sso.conftest import Register
from tests.sso.party import arrive, query_of

pytestmark = pytest.mark.anyio
LEVELS = ("https://www.spid.gov.it/SpidL2",)


def kept(secrets: Secrets, browser: Browser) -> Asked:
    """The request that this browser keeps."""
    ((name, value),) = [one for one in browser.cookies.items() if "-sso-" in one[0]]
    asked = unseal(secrets, name.rpartition("-")[2], value)
    assert asked is not None
    return asked


async def test_a_code_that_was_being_made_at_the_logout_is_worth_nothing(
    pool: Pool, running: Running, secrets: Secrets, site: Site, giulia: Browser, party: Register
) -> None:
    there = await party()
    pending = there.ask()
    await arrive(giulia, pending)
    asked = kept(secrets, giulia)
    provider = Provider(secrets, running.url, LEVELS)

    async def log_out() -> None:
        async with pool.transaction() as conn:
            await logout.log_out(conn, secrets, giulia.fiscal_code, giulia.session_id)

    async with pool.transaction() as conn:
        session = await find_session(conn, giulia.cookies[site.web.session_cookie], site.limits)
        assert session is not None
        citizen = Citizen(session, None)
        question = await provider.question(conn, asked, citizen)
        assert isinstance(question, Question)
        address = await provider.agree(conn, question, citizen, (), remember=False)
        assert address is not None
        leaving = asyncio.create_task(log_out())
        done, _ = await asyncio.wait([leaving], timeout=0.5)
        assert not done, "the logout waits for what is done in the session's name"
    await leaving
    (code,) = query_of(address)["code"]
    assert (await there.exchange(code, pending.verifier)).json()["error"] == "invalid_grant"


async def test_who_has_logged_out_agrees_to_nothing(
    pool: Pool, running: Running, secrets: Secrets, site: Site, giulia: Browser, party: Register
) -> None:
    there = await party()
    await arrive(giulia, there.ask())
    provider = Provider(secrets, running.url, LEVELS)
    async with pool.transaction() as conn:
        session = await find_session(conn, giulia.cookies[site.web.session_cookie], site.limits)
        assert session is not None
        citizen = Citizen(session, None)
        question = await provider.question(conn, kept(secrets, giulia), citizen)
        assert isinstance(question, Question)
        async with pool.transaction() as other:
            await close_session(other, giulia.fiscal_code, giulia.session_id)
        assert await provider.agree(conn, question, citizen, (), remember=True) is None


WAYS = ["page", "page of one", "page of all", "application", "application's one", "all"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_logout_waits_for_whoever_changes_something_of_the_citizen(
    pool: Pool, running: Running, settings: Settings, giulia: Browser, way: str
) -> None:
    """Before it takes anything else: an erasure at the same moment would wait for it in a circle."""
    code, session = giulia.fiscal_code, giulia.session_id
    async with pool.transaction() as conn:
        identity = Identity(code, "Giulia", "Prova", LEVELS[0])
        token = await open_session(conn, identity, "client", "App", client_limits(settings))
    bearer = {"Authorization": f"Bearer {token}"}
    page = await giulia.page("/sessions")
    client = running.client
    ask: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
        "page": lambda: giulia.send(page.form("/logout")),
        "page of one": lambda: giulia.send(page.form("/sessions", id=session), id=session),
        "page of all": lambda: giulia.send(page.form("/sessions", action="everywhere")),
        "application": lambda: client.post("/api/auth/v1/logout", headers=bearer),
        "application's one": lambda: client.delete(
            f"/api/auth/v1/sessions/{session}", headers=bearer
        ),
        "all": lambda: client.delete("/api/auth/v1/sessions", headers=bearer),
    }
    async with pool.transaction() as conn:
        await lock_profile(conn, code)
        leaving = asyncio.ensure_future(ask[way]())
        done, _ = await asyncio.wait([leaving], timeout=0.3)
        assert not done
        await close_all_sessions(conn, code)
    assert (await leaving).status_code < 500
