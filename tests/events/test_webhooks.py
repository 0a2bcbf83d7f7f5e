"""Webhooks over the API: who may, what is refused by name, secrets, health, switching, tests."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.openapi import document
from messo.events.kinds import TOLD
from messo.events.webhook_routes import WebhookRoutes
from messo.events.webhooks import MOST_OF_A_SERVICE
from tests.events.api import PATH, Api, asking
from tests.events.receiver import GARBAGE, OK, Receiver, status
from tests.events.told import Post, execute, rows, tell
from tests.world import World

URL = "https://hooks.example.org/messo"


@pytest.fixture
async def api(pool: Pool, world: World, post: Post) -> AsyncIterator[Api]:
    async with asking(pool, world, post) as opened:
        yield opened


def routes_of_one(webhook_id: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/{webhook_id}", None),
        ("PATCH", f"/{webhook_id}", {"state": "off"}),
        ("POST", f"/{webhook_id}/secret", None),
        ("DELETE", f"/{webhook_id}/secret", None),
        ("GET", f"/{webhook_id}/dead-letters", None),
        ("POST", f"/{webhook_id}/replay", {"event_id": new_id()}),
        ("POST", f"/{webhook_id}/test", None),
        ("DELETE", f"/{webhook_id}", None),
    ]


async def test_nobody_a_services_key_and_another_institution_are_refused(
    world: World, api: Api
) -> None:
    made = await api.create(world.anna.id, URL)
    all_routes = [("GET", "", None), ("POST", "", {"service_id": world.anna.id, "url": URL})]
    for method, path, body in [*all_routes, *routes_of_one(made["id"])]:
        for who, code in (
            ({"x-none": "1"}, 401),
            ({"Ocp-Apim-Subscription-Key": "x" * 43}, 401),
            (world.anna.headers, 403),
        ):
            answer = await api.ask(method, path, who=who, json=body)
            assert answer.status_code == code, (method, path)
        assert answer.json()["title"] == "You are not allowed here"
    for method, path, body in routes_of_one(made["id"]):
        answer = await api.ask(method, path, who=api.bruno, json=body)
        assert (answer.status_code, answer.json()["title"]) == (404, "Webhook not found"), path
    answer = await api.ask("POST", who=api.bruno, json={"service_id": world.anna.id, "url": URL})
    assert (answer.status_code, answer.json()["field"]) == (404, "service_id")
    assert (await api.ask("GET", who=api.bruno)).json() == {"items": []}
    assert (await api.read(made["id"]))["state"] == "on"


async def test_a_webhook_is_made_listed_changed_and_deleted(
    pool: Pool, world: World, api: Api
) -> None:
    made = await api.create(world.anna.id, URL, kinds=["processed", "read", "processed"])
    assert made["kinds"] == ["processed", "read"]
    assert made["secret"].startswith("whsec_")
    other = await api.create(world.secure.id, URL)
    assert other["kinds"] == list(TOLD)
    shown = await api.read(made["id"])
    assert "secret" not in shown
    assert shown["health"] == {"waiting": 0, "dead_letters": 0}
    listed = (await api.ask("GET")).json()["items"]
    assert [one["id"] for one in listed] == [made["id"], other["id"]]
    assert all("secret" not in one for one in listed)
    some = (await api.ask("GET", params={"service_id": world.secure.id})).json()["items"]
    assert [one["id"] for one in some] == [other["id"]]
    changed = await api.ask("PATCH", f"/{made['id']}", json={"url": URL + "/2", "kinds": ["paid"]})
    assert (changed.json()["url"], changed.json()["kinds"]) == (URL + "/2", ["paid"])
    assert (await api.ask("DELETE", f"/{made['id']}")).status_code == 204
    assert (await api.ask("GET", f"/{made['id']}")).status_code == 404
    audit = await rows(
        pool,
        "SELECT action, detail FROM operations.audit WHERE subject = $1 ORDER BY id",
        made["id"],
    )
    assert [row["action"] for row in audit] == [
        "webhook.create",
        "webhook.change",
        "webhook.delete",
    ]
    assert all("hooks.example" not in row["detail"] for row in audit)


BAD_URLS = [
    "",
    "hooks.example.org",
    "ftp://example.org/",
    "http:/example.org",
    "https://user:word@example.org/",
    "https://user@example.org/",
    "https://example.org:99999/",
    "https://",
    "https://exa mple.org/",
    "https://example.org/\r\nx: y",
    "https://example.org/\u0000",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest",
    "https://[::1]/",
    "https://0x7f.1/",
    "http://192.0.2.7/",
    "https://example.org/" + "x" * 2000,
]


@pytest.mark.parametrize("url", BAD_URLS, ids=range(len(BAD_URLS)))
async def test_an_address_that_can_never_be_called_is_refused(
    world: World, api: Api, url: str
) -> None:
    answer = await api.ask("POST", json={"service_id": world.anna.id, "url": url})
    assert answer.status_code == 400, answer.text
    assert answer.json().get("field", "url") == "url"
    made = await api.create(world.anna.id, URL)
    answer = await api.ask("PATCH", f"/{made['id']}", json={"url": url})
    assert answer.status_code == 400
    assert (await api.read(made["id"]))["url"] == URL


async def test_a_wrong_body_is_refused_by_name(world: World, api: Api) -> None:
    good = {"service_id": world.anna.id, "url": URL}
    for body, field in [
        ({"url": URL}, "service_id"),
        ({**good, "kinds": []}, "kinds"),
        ({**good, "kinds": ["reported"]}, "kinds[0]"),
        ({**good, "kinds": "read"}, "kinds"),
        ({**good, "service_id": 7}, "service_id"),
        ({**good, "more": 1}, None),
        ([], None),
    ]:
        answer = await api.ask("POST", json=body)
        assert (answer.status_code, answer.json().get("field")) == (400, field), body
    assert (await api.ask("POST", content=b"{")).status_code in {400, 415}
    missing = await api.ask("POST", json={**good, "service_id": new_id()})
    assert (missing.status_code, missing.json()["field"]) == (404, "service_id")
    for wrong in ("x", new_id()[:-1] + "U", "%00", new_id() + "%0A"):
        answer = await api.ask("GET", f"/{wrong}")
        assert (answer.status_code, answer.json()["field"]) == (400, "id")
    assert (await api.ask("GET", f"/{new_id()}")).status_code == 404
    answer = await api.ask("GET", params={"service_id": "\x00"})
    assert (answer.status_code, answer.json()["field"]) == (400, "service_id")


async def test_a_deleted_service_gets_no_webhook(pool: Pool, world: World, api: Api) -> None:
    change = "UPDATE services.service SET state = $2 WHERE id = $1"
    await execute(pool, change, world.draft.id, "deleted")
    answer = await api.ask("POST", json={"service_id": world.draft.id, "url": URL})
    assert answer.status_code == 404
    await execute(pool, change, world.draft.id, "draft")


async def test_a_service_has_twenty_at_most(world: World, api: Api) -> None:
    for _ in range(MOST_OF_A_SERVICE):
        await api.create(world.anna.id, URL)
    answer = await api.ask("POST", json={"service_id": world.anna.id, "url": URL})
    assert (answer.status_code, answer.json()["title"]) == (409, "Too many webhooks")
    await api.create(world.secure.id, URL)


async def test_a_repeated_creation_gets_the_first_answer(world: World, api: Api) -> None:
    body = {"service_id": world.anna.id, "url": URL}
    key = {"Idempotency-Key": new_id()}
    first = await api.ask("POST", json=body, headers=key)
    again = await api.ask("POST", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    other = await api.ask("POST", json={**body, "kinds": ["read"]}, headers=key)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    wrong = await api.ask("POST", json=body, headers={"Idempotency-Key": "a b"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "Idempotency-Key")
    assert len((await api.ask("GET")).json()["items"]) == 1
    # Another institution's key of the same text is another key.
    theirs = {"service_id": world.bruno.id, "url": URL}
    answer = await api.ask("POST", who=api.bruno, json=theirs, headers=key)
    assert answer.status_code == 201
    assert answer.json()["id"] != first.json()["id"]


async def test_health_tells_how_deliveries_go(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await api.create(world.anna.id, receiver.url)
    (bad,) = await tell(pool, world.anna.id, "accepted")
    await tell(pool, world.anna.id, "accepted")
    receiver.answer = lambda seen: status(400) if seen.message == bad else OK
    await post.settle()
    health = (await api.read(made["id"]))["health"]
    assert (health["waiting"], health["dead_letters"]) == (1, 0)
    assert health["last_error"] == "status 400"
    assert {"last_success_at", "last_failure_at"} <= set(health)
    assert "failing_since" not in health
    receiver.answer = lambda _: status(500)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    health = (await api.read(made["id"]))["health"]
    assert health["failing_since"] <= health["next_try_at"]


async def test_switched_off_it_keeps_its_place_and_goes_on_from_there(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await api.create(world.anna.id, receiver.url)
    off = (await api.ask("PATCH", f"/{made['id']}", json={"state": "off"})).json()
    assert (off["state"], off["stopped_why"]) == ("off", "asked")
    (forgotten,) = await tell(pool, world.anna.id, "accepted")
    # What the feed does not keep any more is not handed on either.
    await execute(
        pool, "UPDATE events.published SET published_at = published_at - interval '31 days'"
    )
    (kept,) = await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert receiver.seen == []
    on = (await api.ask("PATCH", f"/{made['id']}", json={"state": "on"})).json()
    assert on["state"] == "on"
    assert "stopped_why" not in on
    await post.settle()
    assert [one.message for one in receiver.seen] == [kept]
    assert forgotten != kept


async def test_switching_on_ends_a_pause(
    pool: Pool, world: World, post: Post, receiver: Receiver, api: Api
) -> None:
    made = await api.create(world.anna.id, receiver.url)
    receiver.answer = lambda _: status(503)
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    assert await post.round() == 0
    receiver.answer = lambda _: OK
    await api.ask("PATCH", f"/{made['id']}", json={"state": "on"})
    await post.settle()
    assert len(receiver.seen) == 2
    assert "failing_since" not in (await api.read(made["id"]))["health"]


async def test_a_test_event_is_signed_and_its_answer_is_told(
    world: World, receiver: Receiver, api: Api
) -> None:
    made = await api.create(world.anna.id, receiver.url)
    receiver.secrets = [made["secret"]]
    got = (await api.ask("POST", f"/{made['id']}/test")).json()
    assert (got["delivered"], got["status"]) == (True, 204)
    assert got["ms"] >= 0
    (seen,) = receiver.seen
    assert (seen.type, seen.signers) == ("test", [0])
    assert seen.data == {"webhook_id": made["id"], "service_id": world.anna.id}
    receiver.answer = lambda _: status(418)
    got = (await api.ask("POST", f"/{made['id']}/test")).json()
    assert (got["delivered"], got["status"], got["error"]) == (False, 418, "status 418")
    receiver.answer = lambda _: GARBAGE
    got = (await api.ask("POST", f"/{made['id']}/test")).json()
    assert (got["delivered"], got["error"]) == (False, "unreachable: malformed")
    assert "status" not in got
    assert "failing_since" not in (await api.read(made["id"]))["health"]


async def test_every_route_is_in_the_reference(pool: Pool, post: Post) -> None:
    nothing: Any = None
    routes = WebhookRoutes(nothing, nothing, nothing, pool, post.webhooks, post.outbound).routes()
    made = document(routes, title="t", version="1", about="a", server="http://x")
    assert len(routes) == 10
    assert set(made["paths"]) == {
        PATH,
        *(f"{PATH}/{{id}}{rest}" for rest in ("", "/secret", "/dead-letters", "/replay", "/test")),
    }
