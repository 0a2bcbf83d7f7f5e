"""What changes between the question, the answer and the token: nobody gets more than was agreed to."""

import asyncio
from datetime import timedelta

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.recipients.profile import lock_profile
from messo.sso import access, history, keys, logout, upkeep
from tests.conftest import Running
from tests.inbox.pages import Browser, Page
from tests.sso.conftest import Register
from tests.sso.party import arrive, consent, decide, keep_cookies
from tests.world import World

pytestmark = pytest.mark.anyio


async def post_answer(browser: Browser, html: str) -> str:
    form = next(one for one in Page(html).forms if one.action.startswith("/sso/consent/"))
    answer = await browser.post(form.action, {"csrf": form.fields["csrf"], "action": "agree"})
    keep_cookies(browser, answer)
    assert answer.status_code == 303
    return str(answer.headers["location"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"optional_claims": ["given_name", "family_name", "fiscal_code"]}, {}),
        ({"subject_type": "pairwise"}, {"subject_type": "fiscal_code"}),
        ({}, {"optional_claims": ["given_name"]}),
    ],
)
async def test_a_question_that_has_changed_is_asked_again(
    giulia: Browser, party: Register, before: dict[str, str], after: dict[str, str]
) -> None:
    site = await party(**before)
    pending = site.ask()
    shown = await arrive(giulia, pending)
    site = await party(**after)
    again = await post_answer(giulia, shown.text)
    assert again.startswith("/sso/consent/"), "what was read is not what would be handed over"
    page = await giulia.get(again)
    assert page.status_code == 200
    answer = site.answered(await decide(giulia, page), pending.state)
    assert (await site.exchange(answer["code"], pending.verifier)).status_code == 200


async def test_sub_is_what_was_agreed_to_however_the_client_changes(
    giulia: Browser, party: Register
) -> None:
    site = await party()
    pending = site.ask("openid")
    answer = site.answered(await consent(giulia, pending), pending.state)
    site = await party(subject_type="fiscal_code")
    tokens = (await site.exchange(answer["code"], pending.verifier)).json()
    claims = await site.claims(tokens["id_token"], pending.nonce)
    assert len(claims["sub"]) == 43
    assert (await site.userinfo(tokens["access_token"])).json() == {"sub": claims["sub"]}


async def withdraw(conn: Connection, secrets: Secrets, browser: Browser, client_id: str) -> None:
    assert await history.withdraw(conn, secrets, browser.fiscal_code, client_id)


async def log_out(conn: Connection, secrets: Secrets, browser: Browser, _: str) -> None:
    await logout.of_sessions(conn, secrets, browser.fiscal_code, [browser.session_id])


async def erase(conn: Connection, secrets: Secrets, browser: Browser, _: str) -> None:
    await upkeep.eraser(secrets)(conn, browser.fiscal_code, clock.now())


@pytest.mark.parametrize("end", [withdraw, log_out, erase])
async def test_a_token_tells_nothing_after_the_end(
    pool: Pool, secrets: Secrets, giulia: Browser, party: Register, end: object
) -> None:
    site = await party()
    pending = site.ask()
    answer = site.answered(await consent(giulia, pending), pending.state)
    tokens = (await site.exchange(answer["code"], pending.verifier)).json()
    assert (await site.userinfo(tokens["access_token"])).status_code == 200
    async with pool.transaction() as conn:
        await end(conn, secrets, giulia, site.client_id)  # type: ignore[operator]
    assert (await site.userinfo(tokens["access_token"])).status_code == 401


async def test_an_agreement_waits_for_an_erasure_and_finds_nobody(
    pool: Pool, secrets: Secrets, giulia: Browser, party: Register
) -> None:
    """Or it would leave what no erasure sees."""
    site = await party()
    shown = await arrive(giulia, site.ask())
    async with pool.transaction() as conn:
        await lock_profile(conn, giulia.fiscal_code)
        agreeing = asyncio.create_task(post_answer(giulia, shown.text))
        done, _ = await asyncio.wait([agreeing], timeout=0.5)
        assert not done
        await upkeep.eraser(secrets)(conn, giulia.fiscal_code, clock.now())
        await conn.raw.execute(
            "DELETE FROM recipients.profile WHERE fiscal_code = $1", giulia.fiscal_code
        )
    assert "code=" not in await agreeing
    async with pool.connection() as conn:
        for table in ("access", "consent"):
            left = await conn.raw.fetchval(
                f"SELECT count(*) FROM sso.{table} WHERE fiscal_code = $1", giulia.fiscal_code
            )
            assert left == 0, table


async def test_a_withdrawal_waits_for_whoever_changes_something_of_the_citizen(
    pool: Pool, secrets: Secrets, giulia: Browser, party: Register
) -> None:
    """Or a login without a question that is under way would leave a code behind that is good."""
    site = await party()
    pending = site.ask()
    site.answered(await consent(giulia, pending, remember=True), pending.state)

    async def leave() -> None:
        async with pool.transaction() as other:
            await withdraw(other, secrets, giulia, site.client_id)

    async with pool.transaction() as conn:
        await lock_profile(conn, giulia.fiscal_code)
        leaving = asyncio.create_task(leave())
        done, _ = await asyncio.wait([leaving], timeout=0.3)
        assert not done
    await leaving


async def test_questions_that_nobody_answered_do_not_pile_up(
    pool: Pool, giulia: Browser, party: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any page can send a browser here as often as it likes."""
    site = await party()
    for minutes in range(0, 30, 6):
        moment = clock.now() + timedelta(minutes=minutes)
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda moment=moment: moment)
            assert (await arrive(giulia, site.ask())).status_code == 200
    async with pool.connection() as conn:
        left = await conn.raw.fetchval(
            "SELECT count(*) FROM sso.access WHERE fiscal_code = $1", giulia.fiscal_code
        )
    assert left == 1


async def test_what_was_answered_is_not_asked_over(
    pool: Pool, giulia: Browser, party: Register
) -> None:
    site = await party()
    pending = site.ask()
    site.answered(await consent(giulia, pending), pending.state)
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT id, outcome FROM sso.access WHERE fiscal_code = $1", giulia.fiscal_code
        )
        assert row["outcome"] == "granted"
        assert await access.shown_terms(conn, giulia.fiscal_code, row["id"]) is None


async def test_a_key_that_was_to_come_never_signs_after_a_rotation(
    pool: Pool, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tend` had published the next one a day ahead; the operator's come sooner, and stay."""
    start = clock.now()

    def at(moment: timedelta) -> None:
        now = start + moment
        monkeypatch.setattr(clock, "now", lambda: now)

    async def newest() -> str:
        listed = (await keys.Keys(pool, secrets).jwks())["keys"]
        return str([key["kid"] for key in listed if key["alg"] == "ES256"][-1])

    async with pool.transaction() as conn:
        await keys.tend(conn, secrets)
    at(keys.LIFE - keys.AHEAD)
    async with pool.transaction() as conn:
        await keys.tend(conn, secrets)
        planned = await newest()
        _, ours = await keys.rotate(conn, secrets, "tests")
    at(keys.LIFE + keys.OVERLAP)
    published = {key["kid"] for key in (await keys.Keys(pool, secrets).jwks())["keys"]}
    assert planned not in published
    assert ours in published


async def test_a_page_that_refuses_a_hint_does_not_repeat_it(
    giulia: Browser, party: Register, running: Running, world: World
) -> None:
    site = await party(subject_type="fiscal_code")
    pending = site.ask()
    answer = site.answered(await consent(giulia, pending), pending.state)
    hint = (await site.exchange(answer["code"], pending.verifier)).json()["id_token"]
    for address in (
        f"/sso/end-session?id_token_hint={hint}",
        f"/sso/authorize?client_id=x&id_token_hint={hint}",
    ):
        page = await giulia.get(address)
        assert page.status_code == 400
        assert hint not in page.text
