"""That a message was read is told with permission, and while its citizen lets the sender know."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.events import wire
from messo.messages.mailbox import mark
from messo.recipients.preferences import Preference, put_preferences
from tests.events.api import Api, asking
from tests.events.receiver import OK, Receiver, status
from tests.events.told import FACTS, Post, execute, publish_all, rows, value
from tests.world import AUTO, World


@pytest.fixture
async def api(pool: Pool, world: World, post: Post) -> AsyncIterator[Api]:
    async with asking(pool, world, post) as opened:
        yield opened
    await execute(pool, "DELETE FROM recipients.preference WHERE service_id = $1", world.anna.id)


async def sent(pool: Pool, service: str, level: str) -> str:
    """A message in the inbox of a citizen who lets senders know; its id."""
    message = new_id()
    await execute(
        pool,
        "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, status, "
        "feature_level_type, require_secure_channels, time_to_live, created_at) "
        "VALUES ($1, $2, $3, $4, 1, 'PROCESSED', $5, false, 3600, now())",
        pool.bucket(AUTO),
        message,
        AUTO,
        service,
        level,
    )
    return message


async def read(pool: Pool, *messages: str) -> None:
    async with pool.transaction() as conn:
        await mark(conn, AUTO, list(messages), read=True)
    await publish_all(pool)


async def keep_it_secret(pool: Pool, service: str) -> None:
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(AUTO, service, 0, access_read_message_status="DENY")]
        )


async def test_reading_a_standard_message_is_no_event(pool: Pool, world: World) -> None:
    """No sender may be told of it, so there is nothing to keep."""
    standard, advanced = [await sent(pool, world.anna.id, x) for x in ("STANDARD", "ADVANCED")]
    await read(pool, standard, advanced)
    kinds = f"SELECT array_agg(kind) FROM {FACTS} WHERE message_id = $1"
    assert await value(pool, kinds, standard) is None
    assert await value(pool, kinds, advanced) == ["read"]
    read_at = "SELECT read_at FROM messages.message WHERE id = $1"
    assert await value(pool, read_at, standard) is not None


async def replay(api: Api, webhook: wire.Webhook, **wanted: str) -> tuple[int, Any]:
    answer = await api.ask("POST", f"/{webhook.id}/replay", json=wanted)
    return answer.status_code, answer.json()


def last_minutes() -> dict[str, str]:
    now = clock.now()
    return {
        "from": (now - timedelta(minutes=2)).isoformat(),
        "to": (now + timedelta(minutes=2)).isoformat(),
    }


async def test_a_replay_counts_and_sends_only_what_may_be_told(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    webhook = await post.create(world.anna, ["read"])
    message = await sent(pool, world.anna.id, "ADVANCED")
    await read(pool, message)
    await post.settle()
    assert receiver.kinds_of(message) == ["read"]
    (event,) = await rows(pool, "SELECT id FROM events.published WHERE message_id = $1", message)
    permissions = "SELECT permissions FROM services.institution WHERE id = $1"
    all_of_them = await value(pool, permissions, world.anna.institution)
    change = "UPDATE services.institution SET permissions = $2 WHERE id = $1"
    fewer = [one for one in all_of_them if one != "ApiMessageReadAdvanced"]
    await execute(pool, change, world.anna.institution, fewer)
    # There may be readings of other tests; none of them may be told without the permission.
    assert await replay(api, webhook, **last_minutes()) == (200, {"events": 0})
    assert (await replay(api, webhook, event_id=event["id"]))[0] == 404
    await execute(pool, change, world.anna.institution, all_of_them)
    assert await replay(api, webhook, event_id=event["id"]) == (200, {"events": 1})
    await post.settle()
    assert receiver.kinds_of(message) == ["read"] * 2
    await keep_it_secret(pool, world.anna.id)
    assert await replay(api, webhook, **last_minutes()) == (200, {"events": 0})
    code, problem = await replay(api, webhook, event_id=event["id"])
    assert (code, problem["field"]) == (404, "event_id")
    assert (await api.read(webhook.id))["health"]["waiting"] == 0


async def test_a_dead_letter_is_not_shown_once_its_citizen_lets_nobody_know(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    webhook = await post.create(world.anna, ["read"])
    bad, good = [await sent(pool, world.anna.id, "ADVANCED") for _ in range(2)]
    receiver.answer = lambda seen: status(400) if seen.message == bad else OK
    await read(pool, bad, good)
    await post.settle()
    await post.later(days=3, hours=1)
    await post.settle()
    path = f"/{webhook.id}/dead-letters"
    (shown,) = (await api.ask("GET", path)).json()["items"]
    assert shown["event"]["data"]["message_id"] == bad
    await keep_it_secret(pool, world.anna.id)
    assert (await api.ask("GET", path)).json() == {"items": []}
