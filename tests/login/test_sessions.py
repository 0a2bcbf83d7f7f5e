"""Sessions: how long they live, who may end them, and that nobody learns of another's."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.base.http import Problem, Request
from messo.base.ids import new_id
from messo.base.limits import RateLimit
from messo.base.work import Worker
from messo.login import (
    BearerAuthenticate,
    Identity,
    Limits,
    Web,
    client_limits,
    find_session,
    list_sessions,
    open_session,
    web_limits,
)
from messo.login.web import label
from messo.sandbox.fiscal_codes import make
from messo.settings import Settings
from tests.login.browser import Visitor
from tests.world import AUTO, MANUAL

WEB, CLIENT = web_limits(Settings()), client_limits(Settings())
LEVEL = "https://www.spid.gov.it/SpidL2"


def somebody(stem: str) -> Identity:
    return Identity(make(stem), "Anna", "Prova", LEVEL)


async def opened(pool: Pool, who: Identity, kind: str, limits: Limits) -> str:
    async with pool.transaction() as conn:
        return await open_session(conn, who, kind, "Firefox, Linux", limits)  # type: ignore[arg-type]


async def found(pool: Pool, token: str, kind: str = "web") -> bool:
    limits = WEB if kind == "web" else CLIENT
    async with pool.transaction() as conn:
        return await find_session(conn, token, limits, kind) is not None  # type: ignore[arg-type]


async def age(pool: Pool, token: str, column: str, by: str) -> None:
    async with pool.connection() as conn:
        done = await conn.raw.execute(
            f"UPDATE login.session SET {column} = {column} - $2::text::interval WHERE digest = $1",
            key_digest(token),
            by,
        )
    assert done == "UPDATE 1"


async def test_a_browsers_session_ends_when_unused(pool: Pool) -> None:
    token = await opened(pool, somebody("TSTIDL80A01Y020"), "web", WEB)
    await age(pool, token, "seen_at", "29 minutes")
    assert await found(pool, token)  # and is used now
    await age(pool, token, "seen_at", "29 minutes")
    assert await found(pool, token)
    await age(pool, token, "seen_at", "31 minutes")
    assert not await found(pool, token)


async def test_a_browsers_session_ends_after_a_day_of_use(pool: Pool) -> None:
    token = await opened(pool, somebody("TSTABS80A01Y021"), "web", WEB)
    await age(pool, token, "expires_at", "11 hours 59 minutes")
    assert await found(pool, token)
    await age(pool, token, "expires_at", "2 minutes")
    assert not await found(pool, token)


async def test_a_client_applications_session_may_rest(pool: Pool) -> None:
    token = await opened(pool, somebody("TSTRST80A01Y022"), "client", CLIENT)
    await age(pool, token, "seen_at", "29 days")
    assert await found(pool, token, "client")
    await age(pool, token, "expires_at", "30 days")
    assert not await found(pool, token, "client")


async def test_a_token_is_good_for_its_own_kind_only(pool: Pool, visitor: Visitor) -> None:
    """The longer limits of applications must not wake a browser's session that has ended."""
    token = await opened(pool, somebody("TSTKND80A01Y023"), "web", WEB)
    await age(pool, token, "seen_at", "31 minutes")
    headers = {"Authorization": f"Bearer {token}"}
    assert (await visitor.client.get("/api/auth/v1/session", headers=headers)).status_code == 401
    assert not await found(pool, token, "client")
    assert not await found(pool, token)
    other = await opened(pool, somebody("TSTKND80A01Y023"), "client", CLIENT)
    assert not await found(pool, other)


async def test_the_worker_forgets_what_has_ended(pool: Pool, worker: Worker) -> None:
    who = somebody("TSTFRG80A01Y024")
    tokens = [await opened(pool, who, "web", WEB) for _ in range(3)]
    tokens += [await opened(pool, who, "client", CLIENT) for _ in range(2)]
    await age(pool, tokens[0], "seen_at", "31 minutes")
    await age(pool, tokens[1], "expires_at", "13 hours")
    await age(pool, tokens[3], "seen_at", "29 days")
    await age(pool, tokens[4], "expires_at", "31 days")
    async with pool.transaction() as conn:
        assert len(await list_sessions(conn, who.fiscal_code, WEB)) == 2
    (periodic,) = [one for one in worker.periodics if one.name == "login.forget"]
    assert await worker.run_periodic(periodic)
    async with pool.connection() as conn:
        left = await conn.raw.fetch(
            "SELECT digest FROM login.session WHERE fiscal_code = $1", who.fiscal_code
        )
    assert {row["digest"] for row in left} == {key_digest(tokens[2]), key_digest(tokens[3])}


async def test_a_citizen_sees_and_ends_their_sessions(visitor: Visitor, pool: Pool) -> None:
    who = make("TSTLST80A01Y025")
    here, there = await visitor.bearer(who), await visitor.bearer(who)
    await visitor.log_in(who)
    listed = await sessions(visitor, here)
    assert len(listed) == 3
    assert [one["client"] for one in listed].count("app.example.org") == 2
    assert sum(one["current"] for one in listed) == 1
    assert {one["kind"] for one in listed} == {"web", "client"}
    mine = next(one["id"] for one in listed if one["current"])
    theirs = next(one["id"] for one in listed if one["kind"] == "client" and one["id"] != mine)
    closed = await visitor.client.delete(f"/api/auth/v1/sessions/{theirs}", headers=here)
    assert (closed.status_code, closed.json()) == (200, {})
    assert (await visitor.client.get("/api/auth/v1/session", headers=there)).status_code == 401
    assert len(await sessions(visitor, here)) == 2
    out = await visitor.client.post("/api/auth/v1/logout", headers=here)
    assert (out.status_code, out.json()) == (200, {})
    assert (await visitor.client.get("/api/auth/v1/session", headers=here)).status_code == 401
    assert await found(pool, visitor.client.cookies["messo"])


async def test_logging_out_everywhere_ends_everything_of_one_citizen(
    visitor: Visitor, pool: Pool
) -> None:
    who = make("TSTALL80A01Y026")
    here, there, another = [await visitor.bearer(one) for one in (who, who, AUTO)]
    await visitor.log_in(who)
    out = await visitor.client.delete("/api/auth/v1/sessions", headers=here)
    assert (out.status_code, out.json()) == (200, {})
    for gone in (here, there):
        assert (await visitor.client.get("/api/auth/v1/session", headers=gone)).status_code == 401
    assert not await found(pool, visitor.client.cookies["messo"])
    assert (await visitor.client.get("/api/auth/v1/session", headers=another)).status_code == 200


async def test_anothers_session_is_as_if_it_did_not_exist(visitor: Visitor) -> None:
    mine, theirs = await visitor.bearer(AUTO), await visitor.bearer(MANUAL)
    their_id = (await sessions(visitor, theirs))[0]["id"]
    answers = [
        await visitor.client.delete(f"/api/auth/v1/sessions/{session_id}", headers=mine)
        for session_id in (their_id, new_id(), "%00", "not-an-id", "%ED%A0%80")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(plain(answer).items())) for answer in answers}) == 1
    assert (await visitor.client.get("/api/auth/v1/session", headers=theirs)).status_code == 200


def plain(answer: httpx.Response) -> Mapping[str, str]:
    """Its headers, less what counts requests and time."""
    passing = {"x-request-id", "date", "ratelimit"}
    return {name: value for name, value in answer.headers.items() if name not in passing}


async def sessions(visitor: Visitor, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    answer = await visitor.client.get("/api/auth/v1/sessions", headers=dict(headers))
    assert answer.status_code == 200
    listed: list[dict[str, Any]] = answer.json()["items"]
    return listed


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Basic YTpi",
        "Bearer x",
        "Bearer " + "x" * 5000,
        "Bearer \xe9",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/session"),
        ("GET", "/session?fields=x"),
        ("POST", "/logout"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions/01K5ZJ7M8N9PQRSTVWXYZ01234"),
    ],
)
async def test_without_a_token_there_is_no_session(
    visitor: Visitor, authorization: str | None, method: str, path: str
) -> None:
    headers = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]
    answer = await visitor.client.request(method, f"/api/auth/v1{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="messo"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "Unauthorized"


async def test_only_the_fields_asked_for_and_known_are_given(visitor: Visitor) -> None:
    headers = await visitor.bearer(AUTO)

    async def ask(fields: str) -> httpx.Response:
        return await visitor.client.get(f"/api/auth/v1/session?fields={fields}", headers=headers)

    assert (await ask("(spidLevel,walletToken)")).json() == {"spidLevel": LEVEL}
    assert list((await ask("(expirationDate)")).json()) == ["expirationDate"]
    assert (await ask("()")).json() == {}
    assert (await ask("(zendeskToken)")).json() == {}
    assert list((await ask("(fimsToken)")).json()) == ["fimsToken"]
    for wrong in ("spidLevel", "(a", "(a,)", "(a b)", "", "(%00)", "(a)%0A"):
        assert (await ask(wrong)).status_code == 400, wrong


async def test_a_citizen_who_asks_too_fast_is_told_when_to_try_again(pool: Pool) -> None:
    token = await opened(pool, somebody("TSTFST80A01Y027"), "client", CLIENT)
    authenticate = BearerAuthenticate(pool, RateLimit(1, 2), CLIENT)

    async def nothing() -> dict[str, str]:
        return {}

    scope = {"headers": [(b"authorization", f"bearer {token}".encode())]}
    for _ in range(2):
        session = await authenticate(Request(scope, nothing, {}))
        assert session.client == "Firefox, Linux"
    with pytest.raises(Problem) as refused:
        await authenticate(Request(scope, nothing, {}))
    assert (refused.value.status, refused.value.title) == (429, "Too many requests")
    assert dict(refused.value.headers)[b"retry-after"].isdigit()


async def test_the_token_of_forms_is_of_one_session(pool: Pool, secrets: Secrets) -> None:
    web = Web(secrets, "https://messo.example.org", WEB)
    who = somebody("TSTCSR80A01Y028")
    async with pool.transaction() as conn:
        tokens = [await web.open_session(conn, who, "", None) for _ in range(2)]
        first, second = [await find_session(conn, token, WEB) for token in tokens]
    assert first is not None
    assert second is not None
    assert web.is_csrf_token(first, web.csrf_token(first))
    for wrong in ("", "é", web.csrf_token(second), web.csrf_token(first).upper(), "\ud800"):
        assert not web.is_csrf_token(first, wrong)
    assert tokens[0] not in web.csrf_token(first)


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox, Linux",
        ),
        (
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
            ),
            "Edge, Windows",
        ),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
                "like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
            ),
            "Safari, iPhone",
        ),
        (
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/140.0.0.0 Mobile Safari/537.36"
            ),
            "Chrome, Android",
        ),
        ("", "Browser"),
        ("<script>", "Browser"),
    ],
)
def test_a_browser_is_called_what_its_owner_calls_it(user_agent: str, expected: str) -> None:
    assert label(user_agent) == expected
