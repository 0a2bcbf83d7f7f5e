"""Signing secrets: kept encrypted, shown once, and replaced without losing an event."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.events import sign
from tests.events.api import Api, asking
from tests.events.receiver import Receiver
from tests.events.told import Post, execute, rows, tell
from tests.world import World

URL = "https://hooks.example.org/messo"


@pytest.fixture
async def api(pool: Pool, world: World, post: Post) -> AsyncIterator[Api]:
    async with asking(pool, world, post) as opened:
        yield opened


async def test_secrets_are_kept_encrypted(pool: Pool, world: World, api: Api) -> None:
    made = await api.create(world.anna.id, URL)
    (row,) = await rows(pool, "SELECT secrets FROM events.webhook WHERE id = $1", made["id"])
    assert made["secret"] not in row["secrets"]
    assert made["secret"] in world.secrets.decrypt(row["secrets"])


async def test_both_secrets_sign_until_the_old_one_is_dropped(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await api.create(world.anna.id, receiver.url)
    replaced = (await api.ask("POST", f"/{made['id']}/secret")).json()
    assert replaced["secret"] != made["secret"]
    assert replaced["old_secret_until"] > replaced["created_at"]
    receiver.secrets = [made["secret"], replaced["secret"]]
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert receiver.seen[-1].signers == [0, 1]
    assert (await api.ask("DELETE", f"/{made['id']}/secret")).status_code == 204
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert receiver.seen[-1].signers == [1]
    assert "old_secret_until" not in await api.read(made["id"])


def test_an_old_secret_signs_for_a_day() -> None:
    now = clock.now()
    first = sign.first_secret()
    both = sign.replaced(first, now)
    assert sign.live(both, now + timedelta(hours=23)) == both
    assert sign.live(both, now + timedelta(hours=24)) == both[:1]
    assert sign.load(sign.dump(both)) == both


async def test_a_secret_is_replaced_only_while_each_keeps_the_day_it_was_promised(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await api.create(world.anna.id, receiver.url)
    receiver.secrets = [made["secret"]]
    for _ in range(sign.MOST - 1):
        answer = await api.ask("POST", f"/{made['id']}/secret")
        receiver.secrets.append(answer.json()["secret"])
    answer = await api.ask("POST", f"/{made['id']}/secret")
    assert (answer.status_code, answer.json()["title"]) == (409, "Too many secrets")
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert receiver.seen[-1].signers == list(range(sign.MOST))
    assert (await api.ask("DELETE", f"/{made['id']}/secret")).status_code == 204
    assert (await api.ask("POST", f"/{made['id']}/secret")).status_code == 200


async def test_a_repeated_creation_shows_the_secret_for_a_day(
    pool: Pool, world: World, api: Api
) -> None:
    body = {"service_id": world.anna.id, "url": URL}
    key = {"Idempotency-Key": new_id()}
    made = (await api.ask("POST", json=body, headers=key)).json()
    age = "UPDATE events.webhook SET created_at = created_at - $1::interval"
    await execute(pool, age, timedelta(hours=23))
    again = (await api.ask("POST", json=body, headers=key)).json()
    assert again["secret"] == made["secret"]
    await execute(pool, age, timedelta(hours=1))
    again = await api.ask("POST", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, made["id"])
    assert "secret" not in again.json()


@pytest.mark.parametrize("drop", [False, True])
async def test_a_repeated_creation_never_shows_another_secret(
    world: World, api: Api, *, drop: bool
) -> None:
    """Whoever has seen the key in a log does not come by the secret that replaced the first."""
    body = {"service_id": world.anna.id, "url": URL}
    key = {"Idempotency-Key": new_id()}
    made = (await api.ask("POST", json=body, headers=key)).json()
    await api.ask("POST", f"/{made['id']}/secret")
    if drop:
        await api.ask("DELETE", f"/{made['id']}/secret")
    again = await api.ask("POST", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, made["id"])
    assert "secret" not in again.json()
