"""Attacks of RFC 9700 on authorization codes: injected, stolen, used twice, late, downgraded.

A code is `{id}.{secret}`, and its row also holds the access token it was exchanged for.
"""

import asyncio
import secrets as random
from datetime import timedelta
from typing import Any

import httpx
import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.sso import history, logout
from messo.sso.upkeep import eraser
from tests.inbox.pages import Browser
from tests.sso.conftest import Register
from tests.sso.party import Party, Pending, arrive, consent, query_of
from tests.world import World

pytestmark = pytest.mark.anyio

OFF: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}


async def code_for(browser: Browser, site: Party, pending: Pending, *claims: str) -> str:
    address = await consent(browser, pending, *claims)
    return site.answered(address, pending.state)["code"]


def refused(answer: httpx.Response, error: str = "invalid_grant") -> None:
    """In the words of RFC 6749, section 5.2, and kept by nobody."""
    expected = 401 if error == "invalid_client" else 400
    assert (answer.status_code, answer.json().get("error")) == (expected, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.text
    assert "id_token" not in answer.text


async def outcome_of(pool: Pool, browser: Browser) -> list[str]:
    """Of every access of this citizen, the oldest first."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT outcome FROM sso.access WHERE fiscal_code = $1 ORDER BY id", browser.fiscal_code
        )
    return [row["outcome"] for row in rows]


async def test_4_5_code_injection_into_another_client(
    giulia: Browser, party: Register, world: World
) -> None:
    """And what somebody else tries does not spend it."""
    site = await party()
    other = await party(world.bruno.id)
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    refused(await other.exchange(code, pending.verifier))
    assert (await site.exchange(code, pending.verifier)).status_code == 200
    refused(await other.exchange(code, pending.verifier))


async def test_4_5_code_injection_between_the_environments_of_one_service(
    pool: Pool, giulia: Browser, party: Register
) -> None:
    live, test = await party(), await party(environment="test")
    pending = live.ask()
    code = await code_for(giulia, live, pending)
    refused(await test.exchange(code, pending.verifier))
    assert (await live.exchange(code, pending.verifier)).status_code == 200


async def test_4_5_code_injection_into_another_login_of_the_same_client(
    giulia: Browser, party: Register
) -> None:
    """The thief's own request has another verifier."""
    site = await party()
    theirs, mine = site.ask(), site.ask()
    stolen = await code_for(giulia, site, theirs)
    refused(await site.exchange(stolen, mine.verifier))
    # It was tried, so it is worth nothing for anybody.
    refused(await site.exchange(stolen, theirs.verifier))


async def test_4_5_code_injection_shows_in_the_nonce(giulia: Browser, party: Register) -> None:
    """A client without PKCE: the ID token carries the nonce of the request the code is of."""
    site = await party(request_protection="pkce_or_nonce")
    theirs, mine = site.ask(**OFF), site.ask(**OFF)
    stolen = await code_for(giulia, site, theirs)
    tokens = (await site.exchange(stolen, None)).json()
    assert (await site.claims(tokens["id_token"], theirs.nonce))["nonce"] != mine.nonce


@pytest.mark.parametrize(
    "more",
    [
        {"code_verifier": None},
        {"code_verifier": ""},
        {"code_verifier": "x" * 43},
        {"code_verifier": "x" * 42},
        {"code_verifier": "x" * 129},
        {"code_verifier": "ö" * 43},
        {"code_verifier": "x" * 10_000},
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://sportello.example.org/callback/"},
        {"redirect_uri": "https://evil.example.org/"},
    ],
    ids=lambda more: str(more)[:50],
)
async def test_4_5_a_code_with_anything_wrong_is_spent(
    giulia: Browser, pool: Pool, party: Register, more: dict[str, Any]
) -> None:
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    refused(await site.exchange(code, pending.verifier, **more))
    refused(await site.exchange(code, pending.verifier))
    assert await outcome_of(pool, giulia) == ["failed"]


async def test_4_5_the_challenge_itself_is_no_verifier(giulia: Browser, party: Register) -> None:
    """What stands in the address (plain) must not open it."""
    site = await party()
    pending = site.ask()
    challenge = query_of(pending.address)["code_challenge"][0]
    refused(await site.exchange(await code_for(giulia, site, pending), challenge))


@pytest.mark.parametrize(
    "changed",
    [
        lambda code: code[:-1],
        lambda code: code + "A",
        lambda code: code[:-1] + ("A" if code[-1] != "A" else "B"),
        lambda code: code.lower(),
        lambda code: code.partition(".")[0],
        lambda code: code.partition(".")[2],
        lambda code: code.partition(".")[0] + "." + random.token_urlsafe(32),
        lambda code: code + "\n",
        lambda code: " " + code,
        lambda code: code.replace(".", "\x00"),
        lambda code: code.replace(".", ".."),
        lambda _: "",
        lambda _: "x" * 10_000,
        lambda _: "Ａ" * 26 + "." + "a" * 43,
    ],
)
async def test_4_5_what_is_nearly_a_code_is_none_and_harms_none(
    giulia: Browser, party: Register, changed: Any
) -> None:
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    refused(await site.exchange(changed(code), pending.verifier))
    assert (await site.exchange(code, pending.verifier)).status_code == 200


async def test_4_8_a_verifier_for_a_request_without_challenge_is_a_downgrade(
    giulia: Browser, party: Register
) -> None:
    """Somebody took the challenge out of the request; the site still sends its verifier."""
    for protection in ("pkce_or_nonce", "none"):
        site = await party(request_protection=protection)
        pending = site.ask(**OFF)
        code = await code_for(giulia, site, pending)
        refused(await site.exchange(code, pending.verifier))
        refused(await site.exchange(code, None))


async def test_4_8_a_challenge_is_never_forgotten(giulia: Browser, party: Register) -> None:
    """Also where the client need not send any: a code with a challenge needs its verifier."""
    for protection in ("pkce_or_nonce", "none"):
        site = await party(request_protection=protection)
        pending = site.ask()
        refused(await site.exchange(await code_for(giulia, site, pending), None))


async def test_4_8_taking_the_challenge_out_is_noticed_at_once(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    pending = site.ask(**OFF)
    answer = await arrive(giulia, pending)
    assert site.answered(answer.headers["location"], pending.state)["error"] == "invalid_request"


async def test_2_1_1_of_fifty_that_come_at_once_one_gets_tokens(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    answers = await asyncio.gather(*(site.exchange(code, pending.verifier) for _ in range(50)))
    good = [one for one in answers if one.status_code == 200]
    assert len(good) == 1, [one.status_code for one in answers]
    for one in answers:
        if one is not good[0]:
            refused(one)
    # The others were replays: what the first got is taken back.
    assert (await site.userinfo(good[0].json()["access_token"])).status_code == 401


async def test_4_10_a_code_that_comes_again_takes_its_token_back(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    """RFC 6749, section 4.1.2: whoever came first may have been the thief."""
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    token = (await site.exchange(code, pending.verifier)).json()["access_token"]
    assert (await site.userinfo(token)).status_code == 200
    refused(await site.exchange(code, pending.verifier))
    assert (await site.userinfo(token)).status_code == 401
    # What the site has got already stays in the history.
    assert await outcome_of(pool, giulia) == ["redeemed"]
    refused(await site.exchange(code, pending.verifier))


async def test_4_10_a_replay_takes_back_whatever_else_is_wrong_with_it(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    token = (await site.exchange(code, pending.verifier)).json()["access_token"]
    refused(await site.exchange(code, "x" * 43))
    assert (await site.userinfo(token)).status_code == 401


async def test_4_10_only_the_code_itself_takes_back(giulia: Browser, party: Register) -> None:
    """Ids of codes are moments: whoever guesses one must not log others out."""
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    token = (await site.exchange(code, pending.verifier)).json()["access_token"]
    refused(await site.exchange(f"{code.partition('.')[0]}.{'x' * 43}", pending.verifier))
    refused(await site.exchange(token, pending.verifier))
    assert (await site.userinfo(token)).status_code == 200


async def test_4_10_the_site_of_a_replayed_code_still_hears_of_the_logout(
    giulia: Browser, party: Register, pool: Pool, secrets: Secrets
) -> None:
    """It has an ID token, and so a session of the citizen's that must end with the one here."""
    told = "https://sportello.example.org/logout"
    site = await party(backchannel_logout_uri=told)
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    assert (await site.exchange(code, pending.verifier)).status_code == 200
    refused(await site.exchange(code, pending.verifier))
    async with pool.transaction() as conn:
        ended = [giulia.session_id]
        assert await logout.of_sessions(conn, secrets, giulia.fiscal_code, ended) == 1


async def test_a_code_lives_a_minute(
    giulia: Browser, party: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await party()
    for seconds, status in ((59, 200), (61, 400)):
        pending = site.ask()
        code = await code_for(giulia, site, pending)
        moment = clock.now() + timedelta(seconds=seconds)
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda moment=moment: moment)
            assert (await site.exchange(code, pending.verifier)).status_code == status


async def test_4_10_the_code_of_an_erased_citizen_is_worth_nothing(
    giulia: Browser, party: Register, pool: Pool, secrets: Secrets
) -> None:
    """Who has asked to be forgotten between the consent and its use is not handed over."""
    site = await party()
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    async with pool.transaction() as conn:
        await eraser(secrets)(conn, giulia.fiscal_code, clock.now())
    refused(await site.exchange(code, pending.verifier))


async def test_4_10_a_code_does_not_outlive_the_session_unnoticed(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    """Logged out between the consent and its use: refused, or else the site hears of the logout."""
    site = await party(backchannel_logout_uri="https://sportello.example.org/logout")
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    out = await giulia.send((await giulia.page("/preferences")).form("/logout"))
    assert out.status_code == 303
    answer = await site.exchange(code, pending.verifier)
    async with pool.connection() as conn:
        told = await conn.raw.fetchval(
            "SELECT count(*) FROM sso.logout WHERE client_id = $1", site.client_id
        )
    assert answer.status_code == 400 or told == 1, "signed on there, for ever"


async def test_4_10_a_consent_taken_back_takes_its_code_along(
    giulia: Browser, party: Register, pool: Pool, secrets: Secrets
) -> None:
    """Withdrawn within the minute: what was not handed over yet stays here."""
    site = await party()
    pending = site.ask()
    code = site.answered(await consent(giulia, pending, remember=True), pending.state)["code"]
    async with pool.transaction() as conn:
        assert await history.withdraw(conn, secrets, giulia.fiscal_code, site.client_id)
    refused(await site.exchange(code, pending.verifier))


async def test_4_10_a_replay_does_not_hide_what_the_site_has_got(
    giulia: Browser, party: Register, pool: Pool, secrets: Secrets
) -> None:
    """The site asked for the data before somebody came with the code again: the citizen sees it,
    and can still have the site told that the login is over."""
    site = await party(backchannel_logout_uri="https://sportello.example.org/logout")
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    token = (await site.exchange(code, pending.verifier)).json()["access_token"]
    assert (await site.userinfo(token)).json()["fiscal_code"] == giulia.fiscal_code
    refused(await site.exchange(code, pending.verifier))
    async with pool.transaction() as conn:
        (shown,) = await history.list_accesses(conn, giulia.fiscal_code, None)
        assert shown.handed_over == ("fiscal_code", "given_name", "family_name")
        assert await history.withdraw(conn, secrets, giulia.fiscal_code, site.client_id)


async def test_4_10_a_replay_does_not_keep_an_erasure_from_the_site(
    giulia: Browser, party: Register, pool: Pool, secrets: Secrets
) -> None:
    site = await party(backchannel_logout_uri="https://sportello.example.org/logout")
    pending = site.ask()
    code = await code_for(giulia, site, pending)
    assert (await site.exchange(code, pending.verifier)).status_code == 200
    refused(await site.exchange(code, pending.verifier))
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM sso.logout WHERE client_id = $1", site.client_id)
        await eraser(secrets)(conn, giulia.fiscal_code, clock.now())
        told = await conn.raw.fetchval(
            "SELECT count(*) FROM sso.logout WHERE client_id = $1", site.client_id
        )
    assert told == 1
