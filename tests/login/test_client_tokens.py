"""The two kinds of token are never mistaken for each other, not even while both are good."""

import pytest

from tests.login.browser import Visitor
from tests.world import AUTO, MANUAL

PATHS = [("GET", "/session"), ("GET", "/sessions"), ("DELETE", "/sessions"), ("POST", "/logout")]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_cookies_token_is_no_bearer_token(visitor: Visitor, method: str, path: str) -> None:
    await visitor.log_in(AUTO)
    token = visitor.client.cookies["messo"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = await visitor.client.request(method, f"/api/auth/v1{path}", headers=headers)
    assert answer.status_code == 401
    # And it is still a session in its cookie: otherwise this is 401.
    assert (await visitor.client.get("/welcome")).status_code in {200, 303}


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_cookie_alone_is_nobody_to_the_api(
    visitor: Visitor, method: str, path: str
) -> None:
    """A page of another site could otherwise act with it."""
    await visitor.log_in(AUTO)
    answer = await visitor.client.request(method, f"/api/auth/v1{path}")
    assert answer.status_code == 401


async def test_a_bearer_token_is_no_cookie(visitor: Visitor, other: Visitor) -> None:
    headers = await visitor.bearer(MANUAL)
    token = headers["Authorization"].removeprefix("Bearer ")
    page = await other.client.get("/sessions", headers={"Cookie": f"messo={token}"})
    assert page.status_code == 401
    session = await visitor.client.get("/api/auth/v1/session", headers=headers)
    assert session.status_code == 200


async def test_a_planted_bearer_token_is_closed_by_the_login_that_finds_it(
    visitor: Visitor, other: Visitor
) -> None:
    """Whatever the browser brought as its session before, nobody keeps a copy that works."""
    headers = await visitor.bearer(MANUAL)
    token = headers["Authorization"].removeprefix("Bearer ")
    begun = await other.client.get("/login")
    callback = await other.choose(begun, fiscal_code=AUTO)
    other.client.cookies.set("messo", token, domain="127.0.0.1", path="/")
    back = await other.client.get(callback)
    assert back.status_code == 303
    assert token not in "".join(back.headers.get_list("set-cookie"))
    session = await visitor.client.get("/api/auth/v1/session", headers=headers)
    assert session.status_code == 401
