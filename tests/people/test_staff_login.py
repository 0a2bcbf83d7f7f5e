"""Who a provider says somebody is, what we believe of it, and what is left of old logins."""

from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from messo.login import Flow, Limits, LoginError, Provider
from messo.people.sessions import close_all, find_session, forget, open_session
from messo.people.staff_claims import Staff, is_complete, staff
from messo.people.staff_login import staff_issuer, staff_registration
from messo.settings import Settings
from tests.login.provider import Hostile, hostile_provider, sent

pytestmark = pytest.mark.anyio

USERNAME = "preferred_username"


@pytest.fixture(scope="module")
async def hostile() -> AsyncIterator[Hostile]:
    async with hostile_provider() as running:
        yield running


async def log_in(hostile: Hostile, secrets: Secrets, **claims: Any) -> Staff:
    """The whole login, the browser's part played by this function."""
    settings = Settings(staff_issuer=hostile.url)
    outbound = Outbound([ip_network("127.0.0.0/8")])
    flow = Flow(settings.public_url, secrets, Provider(staff_registration(settings), outbound, 0))
    url, cookie = await flow.begin("/console")
    asked = sent(url)
    assert "acr_values" not in asked
    assert asked["scope"] == "openid profile email"
    assert asked["redirect_uri"] == "http://127.0.0.1:8480/console/callback"
    hostile.nonce = asked["nonce"]
    hostile.claims = {"aud": "messo-staff", "acr": None, **claims}
    try:
        finished = await flow.finish({"code": "code", "state": asked["state"]}, cookie)
    finally:
        await outbound.close()
    return finished.identity


async def test_what_the_id_token_lacks_is_asked_for(hostile: Hostile, secrets: Secrets) -> None:
    hostile.userinfo = {USERNAME: "anna", "name": "Anna B.", "email": "anna@example.org"}
    who = await log_in(hostile, secrets)
    assert who == Staff("anna", "Anna B.", "anna@example.org")
    assert "/userinfo" in hostile.asked


@pytest.mark.parametrize(
    "claims", [{"aud": "messo"}, {"nonce": "another"}, {"iss": "https://elsewhere.example.org"}]
)
async def test_an_id_token_for_somebody_else_is_refused(
    hostile: Hostile, secrets: Secrets, claims: dict[str, Any]
) -> None:
    """A token that citizens' client got is none of ours."""
    with pytest.raises(LoginError) as failed:
        await log_in(hostile, secrets, **{USERNAME: "anna", **claims})
    assert failed.value.reason == "refused"


async def test_nobody_can_log_in_without_a_provider() -> None:
    assert staff_issuer(Settings(login_issuer="https://id.example.org")) == ""
    assert staff_issuer(Settings(sandbox=True)).endswith("/sandbox/identity")


def test_a_name_and_an_address_are_taken_where_they_are_usable() -> None:
    given = {USERNAME: "m.rossi", "given_name": "Mario", "family_name": "Rossi", "email": "no"}
    assert staff(given, USERNAME) == Staff("m.rossi", "Mario Rossi", "")
    assert staff({USERNAME: "müller"}, USERNAME) == Staff("müller", "müller", "")
    unproven = {USERNAME: "a", "email": "a@example.org", "email_verified": False}
    assert staff(unproven, USERNAME).email == ""


@pytest.mark.parametrize(
    "login",
    [None, "", " ", "a b", "a\u00a0b", "a\u200bb", "anna\u00ad", "mu\u0308ller", "\uff41nna"],
    ids=repr,
)
def test_what_names_nobody_for_good_is_no_login(login: str | None) -> None:
    given = {} if login is None else {USERNAME: login}
    with pytest.raises(LoginError) as failed:
        staff({"sub": "subject", "name": "Anna", **given}, USERNAME)
    assert failed.value.reason == "no_login"


@pytest.mark.parametrize(
    "given",
    [
        {USERNAME: 5},
        {USERNAME: ["anna"]},
        {USERNAME: "x" * 201},
        {USERNAME: "a\x00"},
        {USERNAME: "a\ud800"},
        {USERNAME: "a\u202eb"},
        {USERNAME: "anna", "name": "A\u202eB"},
        {USERNAME: "anna", "name": {"a": 1}},
        {USERNAME: "anna", "email": ["a@example.org"]},
    ],
    ids=repr,
)
def test_text_that_nobody_is_called_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(LoginError) as failed:
        staff(given, USERNAME)
    assert failed.value.reason == "refused"


@pytest.mark.parametrize("verified", [None, False, "true", 1, "false"])
def test_an_address_names_somebody_only_if_the_provider_verified_it(verified: object) -> None:
    given = {"email": "Anna@Example.org", "email_verified": verified, "name": "Anna"}
    with pytest.raises(LoginError) as failed:
        staff(given, "email")
    assert failed.value.reason == "no_login"
    sure = staff({**given, "email_verified": True}, "email")
    assert sure.login == "anna@example.org"


def test_the_rest_is_asked_for_unless_all_is_there() -> None:
    whole = {USERNAME: "anna", "name": "Anna", "email": "anna@example.org"}
    assert is_complete(whole, USERNAME)
    assert not is_complete(whole, "email")  # without email_verified
    assert not is_complete({**whole, "email_verified": True}, "upn")
    for name in whole:
        assert not is_complete({k: v for k, v in whole.items() if k != name}, USERNAME)


async def test_old_sessions_are_deleted_and_others_stay(pool: Pool) -> None:
    settings = Settings()
    limits = Limits(timedelta(minutes=30), timedelta(hours=12))
    run = forget(settings)
    async with pool.transaction() as conn:
        kept = await open_session(conn, "anna", "Anna", "", limits)
        idle = await open_session(conn, "anna", "Anna", "", limits)
        over = await open_session(conn, "bruno", "Bruno", "", Limits(limits.idle, timedelta(0)))
        await conn.raw.execute(
            "UPDATE people.session SET seen_at = seen_at - interval '31 minutes'"
            " WHERE digest = sha256($1)",
            idle.encode(),
        )
        assert await find_session(conn, idle, limits) is None
        assert await find_session(conn, over, limits) is None
        assert not await run(conn)
        assert await conn.raw.fetchval("SELECT count(*) FROM people.session") == 1
        assert await find_session(conn, kept, limits) is not None
        assert await close_all(conn, "anna") == 1
        assert await find_session(conn, kept, limits) is None


async def test_a_session_that_is_used_stays(pool: Pool) -> None:
    limits = Limits(timedelta(minutes=30), timedelta(hours=12))
    async with pool.transaction() as conn:
        token = await open_session(conn, "carla", "Carla", "", limits)
        for _ in range(2):
            await conn.raw.execute(
                "UPDATE people.session SET seen_at = seen_at - interval '20 minutes'"
            )
            assert await find_session(conn, token, limits) is not None
