"""Dead letters are listed, and events are sent again: one, or a stretch of time."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.events import replay, wire
from tests.events.api import Api, asking
from tests.events.receiver import OK, Receiver, status
from tests.events.told import Post, execute, rows, tell
from tests.world import World


@pytest.fixture
async def api(pool: Pool, world: World, post: Post) -> AsyncIterator[Api]:
    async with asking(pool, world, post) as opened:
        yield opened


async def ask(api: Api, webhook_id: str, **body: Any) -> Any:
    return await api.ask("POST", f"/{webhook_id}/replay", json=body)


async def test_dead_letters_are_paged_and_replayed_one_by_one(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await post.create(world.anna)
    receiver.answer = lambda seen: status(400) if seen.message in bad else OK
    bad: list[str] = []
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    bad += await tell(pool, world.anna.id, "accepted", messages=5)
    await post.settle()
    await post.later(days=3, hours=1)
    await post.settle()
    found: list[Any] = []
    after: dict[str, str] = {}
    pages = 0
    while True:
        answer = await api.ask("GET", f"/{made.id}/dead-letters", params={"limit": 2, **after})
        page = answer.json()
        found += page["items"]
        pages += 1
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert pages == 3
    assert sorted(one["event"]["data"]["message_id"] for one in found) == sorted(bad)
    positions = [one["event"]["position"] for one in found]
    assert positions == sorted(positions)
    assert {one["error"] for one in found} == {"status 400"}
    assert {one["attempts"] for one in found} == {2}
    for wrong in ("x", "", after["after"][:-1]):
        answer = await api.ask("GET", f"/{made.id}/dead-letters", params={"after": wrong})
        assert (answer.status_code, answer.json()["field"]) == (400, "after")
    # An event is found by the time that stands in its id.
    await execute(
        pool, "UPDATE events.published SET published_at = published_at + interval '3 days 1 hour'"
    )
    event = found[0]["event"]["id"]
    receiver.answer = lambda _: OK
    receiver.seen.clear()
    assert (await ask(api, made.id, event_id=event.lower())).json() == {"events": 1}
    await post.settle()
    assert [one.id for one in receiver.seen] == [event]
    assert len(await post.retries(made)) == 4
    audit = await rows(pool, "SELECT detail FROM operations.audit WHERE action = 'webhook.replay'")
    assert len(audit) == 1


async def test_a_stretch_of_time_is_sent_again_in_order_with_the_same_ids(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await post.create(world.anna, ["accepted", "processed"])
    before = clock.now()
    await tell(pool, world.anna.id, "accepted", messages=3)
    middle = clock.now()
    inside = await tell(pool, world.anna.id, "accepted", "notified", "processed", messages=4)
    end = clock.now()
    await tell(pool, world.anna.id, "accepted", messages=2)
    await post.settle()
    first = {one.id for one in receiver.seen if one.message in inside}
    receiver.seen.clear()
    answer = await ask(api, made.id, **{"from": middle.isoformat(), "to": end.isoformat()})
    assert answer.json() == {"events": 8}
    await post.settle()
    assert {one.id for one in receiver.seen} == first
    assert all(receiver.kinds_of(one) == ["accepted", "processed"] for one in inside)
    assert await post.retries(made) == []
    receiver.seen.clear()
    answer = await ask(
        api,
        made.id,
        **{"from": before.isoformat(), "to": clock.to_wire(end + timedelta(milliseconds=1))},
    )
    assert answer.json()["events"] >= 8
    await post.settle()


async def test_what_it_has_not_come_to_yet_is_not_queued_twice(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await post.create(world.anna)
    start = clock.now()
    await tell(pool, world.anna.id, "accepted", messages=3)
    stretch = {"from": start.isoformat(), "to": (start + timedelta(hours=1)).isoformat()}
    assert (await ask(api, made.id, **stretch)).json() == {"events": 0}
    await post.settle()
    assert len(receiver.seen) == 3


async def test_a_long_stretch_is_cut_and_says_where_to_go_on(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    made = await post.create(world.anna)
    start = clock.now()
    ids = [(await tell(pool, world.anna.id, "accepted"))[0] for _ in range(7)]
    await post.settle()
    receiver.seen.clear()
    wanted = wire.Replay(since=start.isoformat(), until=(start + timedelta(days=1)).isoformat())
    counts: list[int] = []
    while len(counts) < 10:
        async with pool.transaction() as conn:
            webhook = await post.webhooks.find(conn, None, made.id)
            answer = await replay.replay(conn, webhook, wanted, at_once=3)
        counts.append(answer.events)
        await post.settle()
        if answer.next_from is UNSET:
            break
        wanted.since = answer.next_from
    assert sorted({one.message for one in receiver.seen}) == sorted(ids)
    assert counts in ([3, 3, 3, 1], [3, 3, 2])  # one of the moment where it was cut comes again


async def test_a_wrong_stretch_or_an_unknown_event_is_refused_by_name(
    pool: Pool, world: World, post: Post, api: Api
) -> None:
    made = await post.create(world.anna)
    now = clock.now()
    later = (now + timedelta(seconds=1)).isoformat()
    await tell(pool, world.bruno.id, "accepted")
    (theirs,) = await rows(
        pool, "SELECT id FROM events.published WHERE service_id = $1 LIMIT 1", world.bruno.id
    )
    cases: list[tuple[dict[str, Any], int, str | None]] = [
        ({}, 400, "from"),
        ({"from": now.isoformat()}, 400, "to"),
        ({"from": later, "to": now.isoformat()}, 400, "from"),
        ({"from": now.isoformat(), "to": now.isoformat()}, 400, "from"),
        ({"from": (now - timedelta(days=30)).isoformat(), "to": later}, 400, "from"),
        (
            {
                "from": (now - timedelta(days=31)).isoformat(),
                "to": (now - timedelta(days=29)).isoformat(),
            },
            400,
            "from",
        ),
        ({"from": "yesterday", "to": later}, 400, "from"),
        ({"from": "2030-02-30T00:00:00Z", "to": later}, 400, "from"),
        ({"from": "0001-01-01T00:00:00+14:00", "to": later}, 400, "from"),
        ({"from": 7, "to": later}, 400, "from"),
        ({"event_id": "x"}, 400, "event_id"),
        ({"event_id": new_id(), "from": later}, 400, "event_id"),
        ({"event_id": new_id()}, 404, "event_id"),
        ({"event_id": "Z" * 26}, 404, "event_id"),
        ({"event_id": "0" * 26}, 404, "event_id"),
        ({"event_id": theirs["id"]}, 404, "event_id"),
        ({"all": True}, 400, None),
    ]
    for body, code, field in cases:
        answer = await ask(api, made.id, **body)
        assert (answer.status_code, answer.json().get("field")) == (code, field), body
    kept = {"from": (now - timedelta(days=29, hours=23)).isoformat(), "to": later}
    assert (await ask(api, made.id, **kept)).status_code == 200
