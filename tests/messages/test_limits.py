"""How fast and how large: a key's rate, the headers that tell of it, and the size of a body."""

import asyncio
import json
import re

import httpx
import pytest

from messo.base import limits
from messo.base.db import Pool
from messo.services import keys
from messo.services.services import NewService
from messo.settings import Settings
from tests.conftest import Running
from tests.world import AUTO, Caller, World, add_service, message

BURST = 3
BODY_LIMIT = 2000


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=1, rate_burst=BURST, body_limit=BODY_LIMIT)


@pytest.fixture
async def caller(running: Running, pool: Pool, world: World) -> Caller:
    """A new service of Anna's institution: its keys have their whole burst."""
    async with pool.transaction() as conn:
        return await add_service(conn, world.secrets, world.anna.institution, NewService("Nuovo"))


async def post(running: Running, caller: Caller, body: bytes | None = None) -> httpx.Response:
    content = json.dumps(message()).encode() if body is None else body
    return await running.client.post("/api/v1/messages", content=content, headers=caller.headers)


def told(answer: httpx.Response) -> tuple[int, int]:
    """What the RateLimit header says: requests left, and seconds until there is one more."""
    assert answer.headers["ratelimit-policy"] == f'"default";q={BURST};w={BURST}'
    found = re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found, answer.headers["ratelimit"]
    return int(found.group(1)), int(found.group(2))


async def test_the_headers_count_down_and_then_it_is_too_fast(
    running: Running, caller: Caller
) -> None:
    for left in (2, 1, 0):
        answer = await post(running, caller)
        assert answer.status_code == 201
        assert told(answer)[0] == left
    answer = await post(running, caller)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/json"
    seconds = int(answer.headers["retry-after"])
    assert 1 <= seconds <= 2
    assert answer.json() == {
        "statusCode": 429,
        "message": f"Rate limit is exceeded. Try again in {seconds} seconds.",
    }
    assert told(answer) == (0, seconds)


async def test_a_refusal_counts_and_carries_the_headers_too(
    running: Running, caller: Caller
) -> None:
    answers = [await post(running, caller, b"{") for _ in range(BURST + 1)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert [told(answer)[0] for answer in answers] == [2, 1, 0, 0]


async def test_the_rate_is_one_keys_over_all_routes(running: Running, caller: Caller) -> None:
    statuses = [
        (await running.client.get(path, headers=caller.headers)).status_code
        for path in (
            f"/api/v1/profiles/{AUTO}",
            f"/api/v1/messages/{AUTO}/x",
            "/messo/v1/messages?reference=x",
            "/messo/v1/messages/x",
        )
    ]
    assert statuses == [200, 404, 200, 429]


async def test_another_key_of_the_same_institution_is_not_slowed(
    running: Running, caller: Caller, world: World, pool: Pool
) -> None:
    while (await post(running, caller)).status_code != 429:
        pass
    async with pool.connection() as conn:
        pair = await keys.read_pair(conn, world.secrets, caller.id)
    twin = Caller(caller.id, pair["secondary"], caller.institution)
    for other in (twin, world.secure):
        answer = await post(running, other)
        assert (answer.status_code, told(answer)[0]) == (201, 2)


async def test_after_the_time_it_says_it_goes_on(running: Running, caller: Caller) -> None:
    while (answer := await post(running, caller)).status_code != 429:
        pass
    await asyncio.sleep(int(answer.headers["retry-after"]))  # as clients are told to
    assert (await post(running, caller)).status_code == 201


async def test_an_unknown_key_is_told_nothing_of_rates(running: Running) -> None:
    for headers in ({}, {"Ocp-Apim-Subscription-Key": "x"}):
        answer = await running.client.get("/api/v1/profiles/x", headers=headers)
        assert answer.status_code == 401
        assert "ratelimit" not in answer.headers


# The bucket itself -----------------------------------------------------------------------------


class Clock:
    """Stands in for the time module."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    ticking = Clock()
    monkeypatch.setattr(limits, "time", ticking)
    return ticking


def test_tokens_come_back_with_time_and_never_beyond_the_burst(clock: Clock) -> None:
    limit = limits.RateLimit(per_second=2, burst=4)
    assert [limit.take("a") for _ in range(4)] == [(3, 0.0), (2, 0.0), (1, 0.0), (0, 0.0)]
    assert limit.take("a") == (-1, 0.5)
    assert limit.take("a") == (-1, 0.5), "asking too early costs nothing"
    clock.now += 0.25
    assert limit.take("a") == (-1, 0.25)
    clock.now += 0.25
    assert limit.take("a") == (0, 0.0)
    clock.now += 1000
    assert [limit.take("a")[0] for _ in range(5)] == [3, 2, 1, 0, -1]


def test_over_a_minute_the_rate_is_what_it_says(clock: Clock) -> None:
    limit = limits.RateLimit(per_second=5, burst=10)
    passed = 0
    for _ in range(60 * 100):
        passed += limit.take("a")[0] >= 0
        clock.now += 0.01
    assert 60 * 5 + 8 <= passed <= 60 * 5 + 10


def test_keys_do_not_share_and_idle_ones_are_forgotten(clock: Clock) -> None:
    limit = limits.RateLimit(per_second=1, burst=1)
    for n in range(100):
        assert limit.take(str(n))[0] == 0
    clock.now += 61
    assert limit.take("x")[0] == 0
    assert set(limit._tokens) == {"x"}


def test_forgetting_gives_nobody_more_than_waiting(clock: Clock) -> None:
    limit = limits.RateLimit(per_second=1, burst=100)
    clock.now += 61
    for _ in range(100):
        limit.take("a")
    clock.now += 61
    limit.take("b")  # sweeps
    assert limit.take("a")[0] == 60


# Bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "status"), [(BODY_LIMIT, 201), (BODY_LIMIT + 1, 413)])
async def test_the_largest_body_is_a_setting(
    running: Running, caller: Caller, size: int, status: int
) -> None:
    answer = await post(running, caller, json.dumps(message()).encode().ljust(size))
    assert answer.status_code == status
    if status == 413:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "title": "Payload too large",
            "status": 413,
            "detail": f"The body may be at most {BODY_LIMIT} bytes.",
        }


def test_out_of_the_box_it_is_256_kib() -> None:
    assert Settings().body_limit == 256 * 1024


async def test_a_profile_check_has_the_same_limit(running: Running, caller: Caller) -> None:
    body = json.dumps({"fiscal_code": AUTO}).encode()
    statuses = [
        (
            await running.client.post(
                "/api/v1/profiles", content=body.ljust(size), headers=caller.headers
            )
        ).status_code
        for size in (BODY_LIMIT, BODY_LIMIT + 1)
    ]
    assert statuses == [200, 413]
