"""The feed: complete, in order, by cursor; "read" only while the citizen lets the sender know."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.limits import RateLimit
from messo.events.feed import KEPT
from messo.events.feed_routes import EventFeedRoutes
from messo.front import App
from messo.recipients.preferences import Preference, put_preferences
from messo.services import Authenticate, Directory, Permission
from tests.events.told import execute, happen, publish_all, tell
from tests.world import AUTO, Caller, World


@pytest.fixture(scope="module")
async def client(pool: Pool) -> Any:
    authenticate = Authenticate(Directory(pool), RateLimit(100_000, 100_000), ())
    routes = EventFeedRoutes(lambda r: authenticate.sender(r, Permission.MESSAGE_READ), pool)
    transport = httpx.ASGITransport(app=App(routes.routes(), Starlette()))
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as opened:
        yield opened


async def page(client: httpx.AsyncClient, who: Caller, **query: Any) -> dict[str, Any]:
    answer = await client.get("/messo/v1/events", params=query, headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_reading_on_from_next_gives_every_event_once_and_in_order(
    pool: Pool, world: World, client: httpx.AsyncClient
) -> None:
    start = (await page(client, world.secure, limit=1000))["next"]
    ids = await tell(pool, world.secure.id, "accepted", "processed", "notified", messages=5)
    found, cursor, more = [], start, True
    while more:
        got = await page(client, world.secure, after=cursor, limit=4)
        found += got["items"]
        cursor, more = got["next"], got["has_more"]
    assert len(found) == 15
    assert [one["position"] for one in found] == sorted({one["position"] for one in found})
    for message in ids:
        mine = [one for one in found if one["data"]["message_id"] == message]
        assert [one["type"] for one in mine] == [
            "message.accepted",
            "message.processed",
            "message.notified",
        ]
        assert [one["data"].get("channel") for one in mine] == [None, None, "email"]
        assert all(set(one) == {"id", "type", "position", "at", "data"} for one in mine)
    empty = await page(client, world.secure, after=cursor)
    assert empty == {"items": [], "next": cursor, "has_more": False}
    await tell(pool, world.secure.id, "accepted")
    assert len((await page(client, world.secure, after=cursor))["items"]) == 1


async def test_a_service_that_never_sent_has_an_empty_feed(
    world: World, client: httpx.AsyncClient
) -> None:
    got = await page(client, world.special)
    assert (got["items"], got["has_more"]) == ([], False)
    assert await page(client, world.special, after=got["next"]) == got


async def test_only_the_kinds_asked_for_and_never_a_report(
    pool: Pool, world: World, client: httpx.AsyncClient
) -> None:
    start = (await page(client, world.draft, limit=1000))["next"]
    (message,) = await tell(pool, world.draft.id, "accepted", "failed", "reported", "paid")
    every = await page(client, world.draft, after=start)
    assert [one["type"] for one in every["items"]] == [
        "message.accepted",
        "message.failed",
        "message.paid",
    ]
    some = await page(client, world.draft, after=start, kind="failed,paid")
    assert [one["type"] for one in some["items"]] == ["message.failed", "message.paid"]
    assert some["items"][0]["data"] == {"message_id": message, "service_id": world.draft.id}
    rare = await page(client, world.draft, after=start, kind="read")
    assert (rare["items"], rare["has_more"], rare["next"]) == ([], False, every["next"])


def other_cursor(text: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(text))
    raw[-1] ^= 1
    return base64.urlsafe_b64encode(raw).decode()


async def test_a_wrong_parameter_is_refused_by_name(
    pool: Pool, world: World, client: httpx.AsyncClient
) -> None:
    await tell(pool, world.anna.id, "accepted")
    mine = (await page(client, world.anna, limit=1000))["next"]
    theirs = (await page(client, world.bruno))["next"]
    wrong: list[tuple[str, Any]] = [
        *(("after", bad) for bad in ("", "x", "1", "é", "a" * 16, mine[:-1], mine + "A", theirs)),
        ("after", other_cursor(mine)),
        *(("limit", bad) for bad in ("0", "1001", "-1", "x", "")),
        *(("kind", bad) for bad in ("", "reported", "processed,", "READ", "processed paid")),
    ]
    for name, bad in wrong:
        answer = await client.get(
            "/messo/v1/events", params={name: bad}, headers=world.anna.headers
        )
        assert (answer.status_code, answer.json().get("field")) == (400, name), bad


async def test_a_cursor_beyond_the_last_event_is_refused(
    pool: Pool, world: World, client: httpx.AsyncClient
) -> None:
    """As after a backup was restored: silence would look as if nothing happened any more."""
    await tell(pool, world.limited.id, "accepted", messages=2)
    ahead = (await page(client, world.limited))["next"]
    await execute(
        pool, "UPDATE events.counter SET last = last - 1 WHERE service_id = $1", world.limited.id
    )
    answer = await client.get(
        "/messo/v1/events", params={"after": ahead}, headers=world.limited.headers
    )
    assert (answer.status_code, answer.json()["field"]) == (400, "after")
    await execute(
        pool, "UPDATE events.counter SET last = last + 1 WHERE service_id = $1", world.limited.id
    )


async def test_what_is_older_than_thirty_days_is_passed_over(
    pool: Pool, world: World, client: httpx.AsyncClient
) -> None:
    who = world.bruno
    old = await tell(pool, who.id, "accepted", messages=7)
    await execute(
        pool,
        "UPDATE events.published SET published_at = $2 WHERE message_id = ANY($1)",
        old,
        clock.now() - KEPT - timedelta(seconds=1),
    )
    early = await page(client, who, limit=3)
    assert (early["items"], early["has_more"]) == ([], False)
    edge = await tell(pool, who.id, "accepted")
    await execute(
        pool,
        "UPDATE events.published SET published_at = $2 WHERE message_id = ANY($1)",
        edge,
        clock.now() - KEPT + timedelta(minutes=1),
    )
    fresh = await tell(pool, who.id, "accepted", messages=2)
    got = await page(client, who, limit=2)
    assert {one["data"]["message_id"] for one in got["items"]} < {*edge, *fresh}
    assert got["items"][0]["data"]["message_id"] == edge[0]
    assert got["has_more"]


async def test_reading_is_told_only_to_those_who_may_know_and_while_the_citizen_agrees(
    pool: Pool, world: World, client: httpx.AsyncClient
) -> None:
    who = world.anna
    start = (await page(client, who, limit=1000))["next"]
    shared, standard = new_id(), new_id()
    for message, level in ((shared, "ADVANCED"), (standard, "STANDARD")):
        await execute(
            pool,
            "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, status, "
            "feature_level_type, require_secure_channels, time_to_live, created_at) "
            "VALUES ($1, $2, $3, $4, 1, 'PROCESSED', $5, false, 3600, now())",
            pool.bucket(AUTO),
            message,
            AUTO,
            who.id,
            level,
        )
    await happen(pool, who.id, *((one, kind) for one in (shared, standard) for kind in ("read",)))
    await publish_all(pool)

    async def told() -> list[str]:
        got = await page(client, who, after=start)
        assert got["has_more"] is False
        return [one["data"]["message_id"] for one in got["items"]]

    assert await told() == [shared]
    refuse = Preference(AUTO, who.id, 0, access_read_message_status="DENY")
    async with pool.transaction() as conn:
        await put_preferences(conn, [refuse])
    assert await told() == []
    await execute(
        pool,
        "DELETE FROM recipients.preference WHERE service_id = $1 AND fiscal_code = $2",
        who.id,
        AUTO,
    )
    assert await told() == [shared]
    await execute(
        pool,
        "UPDATE services.institution SET permissions = array_remove(permissions, $2) WHERE id = $1",
        who.institution,
        str(Permission.MESSAGE_READ_ADVANCED),
    )
    await execute(pool, "UPDATE services.version SET number = number + 1")
    for _ in range(200):  # the directory may be a second behind
        if await told() == []:
            break
        await asyncio.sleep(0.01)
    assert await told() == []


async def test_who_may_ask(world: World, client: httpx.AsyncClient) -> None:
    async def status(key: str | None) -> int:
        headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
        return (await client.get("/messo/v1/events", headers=headers)).status_code

    assert await status(None) == 401
    assert await status("x" * 43) == 401
    assert await status(world.manage_key) == 403
    assert await status(world.bruno.key) == 200
