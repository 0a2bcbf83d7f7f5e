"""What only a manage key may do is refused to everybody else, and to one that asks too fast."""

import gc
from typing import Any

import pytest

from messo.base.db import Pool
from messo.base.http import GatewayProblem, Problem, Request
from messo.base.limits import RateLimit
from messo.services import Authenticate, Directory, Permission
from tests.world import World


def request(key: str | None) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    headers = [(b"ocp-apim-subscription-key", key.encode())] if key is not None else []
    return Request({"type": "http", "headers": headers, "client": None}, receive, {})


def living() -> int:
    """How many requests are in memory."""
    return sum(isinstance(one, Request) for one in gc.get_objects())


async def test_a_manage_key_speaks_for_its_institution(pool: Pool, world: World) -> None:
    authenticate = Authenticate(Directory(pool), RateLimit(100, 100), ())
    asked = request(world.manage_key)
    found = await authenticate.manager(asked)
    assert found.institution_id == world.anna.institution
    assert {name for name, _ in asked.answer_headers} == {b"ratelimit", b"ratelimit-policy"}


async def test_a_request_that_is_answered_is_gone_at_once(pool: Pool, world: World) -> None:
    """Were it in a circle the collector would have to find it, and all requests wait for that."""
    authenticate = Authenticate(Directory(pool), RateLimit(100, 100), ())
    for key, function in (
        (world.manage_key, authenticate.manager),
        (world.anna.key, authenticate.sender),
    ):
        asked = request(key)
        await function(asked, Permission.MESSAGE_WRITE)
        await asked.still_allowed()
        before = living()
        gc.disable()
        try:
            del asked
            assert living() == before - 1
        finally:
            gc.enable()


@pytest.mark.parametrize("key", [None, "", "x", "x" * 43])
async def test_no_key_and_a_wrong_one_are_refused(
    pool: Pool, world: World, key: str | None
) -> None:
    authenticate = Authenticate(Directory(pool), RateLimit(100, 100), ())
    with pytest.raises(GatewayProblem) as refused:
        await authenticate.manager(request(key))
    assert refused.value.status == 401


async def test_a_services_key_is_refused(pool: Pool, world: World) -> None:
    authenticate = Authenticate(Directory(pool), RateLimit(100, 100), ())
    with pytest.raises(Problem) as refused:
        await authenticate.manager(request(world.anna.key))
    assert (refused.value.status, refused.value.title) == (403, "You are not allowed here")


async def test_a_manage_key_that_asks_too_fast_waits(pool: Pool, world: World) -> None:
    authenticate = Authenticate(Directory(pool), RateLimit(1, 2), ())
    for _ in range(2):
        await authenticate.manager(request(world.manage_key))
    with pytest.raises(GatewayProblem) as refused:
        await authenticate.manager(request(world.manage_key))
    assert refused.value.status == 429
    assert dict(refused.value.headers)[b"retry-after"]
