"""Small promises of the question and of what is handed over, each with its own test."""

from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest

from messo.base import clock
from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.sso import history, keys, launch
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, citizen
from tests.sso.conftest import Register
from tests.sso.party import CALLBACK, Party, Pending, arrive, consent
from tests.sso.test_requests import ALL, MAIL, leave, silently, told
from tests.world import World

pytestmark = pytest.mark.anyio


async def hint_of(browser: Browser, site: Party) -> str:
    """An ID token about this citizen."""
    pending = site.ask()
    code = site.answered(await consent(browser, pending), pending.state)["code"]
    return str((await site.exchange(code, pending.verifier)).json()["id_token"])


def error_of(site: Party, answer: httpx.Response, pending: Pending) -> str:
    return site.answered(answer.headers["location"], pending.state)["error"]


async def test_the_page_says_why_it_asks_and_nothing_else(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    why = "non arrivi da un nostro pulsante"
    site = await party()
    await consent(giulia, site.ask("openid"), remember=True)
    assert why in (await arrive(giulia, site.ask("openid"))).text
    await leave(pool, giulia, world)
    assert why not in (await arrive(giulia, site.ask("openid profile"))).text  # it wants more
    assert why not in (await arrive(giulia, site.ask("openid", prompt="consent"))).text


async def test_what_was_refused_and_is_needed_now_is_asked_for(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party(optional_claims=["family_name"])
    await consent(giulia, site.ask(), remember=True)
    site = await party()
    await leave(pool, giulia, world)
    assert (await silently(giulia, site))["error"] == "consent_required"


async def test_an_optional_datum_that_was_never_decided_is_asked_for(
    pool: Pool, browse: LogIn, party: Register, world: World
) -> None:
    ada = await browse(await citizen(pool, "DTL", 1, email=MAIL))
    site = await party()
    await consent(ada, site.ask("openid profile"), remember=True)
    await leave(pool, ada, world)
    assert (await arrive(ada, site.ask(ALL))).status_code == 200


@pytest.mark.parametrize("is_email_validated", [True, False])
async def test_an_address_is_verified_if_we_have_verified_it(
    pool: Pool, browse: LogIn, party: Register, *, is_email_validated: bool
) -> None:
    who = await citizen(
        pool, "DTL", 2 + is_email_validated, email=MAIL, is_email_validated=is_email_validated
    )
    found = await told(await browse(who), await party(), ALL, "email")
    assert (found["email"], found["email_verified"]) == (MAIL, is_email_validated)


async def test_a_consent_is_remembered_for_180_days(
    giulia: Browser, party: Register, pool: Pool
) -> None:
    await consent(giulia, (await party()).ask(), remember=True)
    async with pool.connection() as conn:
        kept = await conn.raw.fetchval(
            "SELECT expires_at - given_at FROM sso.consent WHERE fiscal_code = $1",
            giulia.fiscal_code,
        )
    assert kept == timedelta(days=180)


async def test_an_access_says_from_which_message_it_came(
    giulia: Browser, party: Register, pool: Pool, world: World
) -> None:
    site = await party()
    async with pool.transaction() as conn:
        digest = key_digest(giulia.cookies["messo"])
        await launch.leave(conn, digest, world.anna.id, CALLBACK, "M1")
    await arrive(giulia, site.ask())
    async with pool.connection() as conn:
        found = await conn.raw.fetchval(
            "SELECT message_id FROM sso.access WHERE fiscal_code = $1", giulia.fiscal_code
        )
    assert found == "M1"


async def test_a_withdrawal_leaves_the_codes_of_other_sites(
    giulia: Browser, party: Register, pool: Pool, world: World, secrets: Secrets
) -> None:
    one, two = await party(), await party(world.bruno.id)
    pending = one.ask()
    code = one.answered(await consent(giulia, pending), pending.state)["code"]
    await consent(giulia, two.ask(), remember=True)
    async with pool.transaction() as conn:
        assert await history.withdraw(conn, secrets, giulia.fiscal_code, two.client_id)
    assert (await one.exchange(code, pending.verifier)).status_code == 200


async def test_a_hint_of_another_client_is_none(
    giulia: Browser, party: Register, world: World
) -> None:
    hint = await hint_of(giulia, await party())
    other = await party(world.bruno.id)
    pending = other.ask(id_token_hint=hint)
    answer = await giulia.get(pending.address)
    assert error_of(other, answer, pending) == "invalid_request"


async def test_a_hint_that_names_a_citizen_comes_by_post(giulia: Browser, party: Register) -> None:
    site = await party(subject_type="fiscal_code")
    pending = site.ask(id_token_hint=await hint_of(giulia, site))
    answer = await giulia.get(pending.address)
    assert error_of(site, answer, pending) == "invalid_request"
    form = dict(httpx.URL(f"https://x{pending.address}").params)
    posted = await giulia.post("/sso/authorize", form)
    assert posted.headers["location"].startswith("/sso/consent/")


async def test_somebody_else_than_the_hint_names_is_not_asked(
    giulia: Browser, party: Register, pool: Pool, browse: LogIn
) -> None:
    site = await party()
    other = await browse(await citizen(pool, "DTL", 5))
    pending = site.ask(id_token_hint=await hint_of(giulia, site))
    assert error_of(site, await arrive(other, pending), pending) == "login_required"


async def test_two_redirect_uris_are_none_wherever_they_stand(
    giulia: Browser, party: Register
) -> None:
    other = "https://sportello.example.org/other"
    site = await party(redirects=[CALLBACK, other])
    path, _, query = site.ask().address.partition("?")
    second = urlencode({"redirect_uri": other})
    for text in (f"{query}&state=x&{second}", f"state=a&state=b&{query}&{second}"):
        assert (await giulia.get(f"{path}?{text}")).status_code == 400


async def test_a_request_that_no_cookie_holds_is_refused(giulia: Browser, party: Register) -> None:
    site = await party()
    state = '"' * 1000
    pending = site.ask("openid " + "x" * 490, nonce='"' * 500, state=state, acr_values="y" * 490)
    answer = await giulia.get(pending.address)
    assert site.answered(answer.headers["location"], state)["error"] == "invalid_request"


async def test_nothing_of_a_question_stays_in_the_browser(giulia: Browser, party: Register) -> None:
    await consent(giulia, (await party()).ask())
    assert [name for name in giulia.cookies if "messo-sso" in name] == []


async def test_the_form_may_lead_on_from_the_site(giulia: Browser, party: Register) -> None:
    shown = await arrive(giulia, (await party()).ask())
    assert "form-action 'self' https: http:" in shown.headers["content-security-policy"]


async def test_after_a_long_silence_a_new_key_is_published_before_it_signs(
    pool: Pool, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.transaction() as conn:
        await keys.tend(conn, secrets)
        before = {row["kid"] for row in await keys.list_keys(conn)}
    late = clock.now() + keys.LIFE + timedelta(days=30)
    monkeypatch.setattr(clock, "now", lambda: late)
    async with pool.transaction() as conn:
        await keys.tend(conn, secrets)
        new = [row for row in await keys.list_keys(conn) if row["kid"] not in before]
    assert len(new) == len(keys.ALGORITHMS)
    assert all(row["active_at"] == late + timedelta(days=1) for row in new)
