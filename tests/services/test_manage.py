"""Services over the management API: what goes in comes out, in the contract's shapes."""

import asyncio
from typing import Any

import pytest

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.services import keys
from messo.services.services import NewService, create_institution
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import Managing, payload
from tests.world import AUTO, SANDBOX, World, add_service, message

NAMES_OF_TOPICS = (
    "Altro; Ambiente e animali; Attività produttive e commercio; Benessere sociale; "
    "Casa e utenze; Cultura, tempo libero e sport; Educazione e formazione; Giustizia e legge; "
    "Lavori edilizi, catasto e urbanistica; Mobilità e trasporti; Redditi, patrimoni e fisco; "
    "Servizi anagrafici e civici; Servizi elettorali; Sicurezza e Protezione Civile; "
    "Suolo, spazi e beni pubblici; Viaggi e turismo; Vita lavorativa; Salute"
)


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def test_what_is_made_is_answered_as_a_draft(anna: Managing) -> None:
    made = await anna.ask("POST", "", payload(), 201)
    assert made.pop("last_update").endswith("Z")
    service = made.pop("id")
    assert made == {
        "name": "Mensa scolastica",
        "description": "Iscrizioni e pagamenti della **mensa**.",
        "organization": {"name": "Comune di Anna", "fiscal_code": "00000000001"},
        "require_secure_channel": False,
        "authorized_recipients": [SANDBOX],
        "authorized_cidrs": [],
        "max_allowed_payment_amount": 0,
        "metadata": {
            "scope": "LOCAL",
            "topic": {"id": 6, "name": "Educazione e formazione"},
            "privacy_url": "https://example.org/privacy",
            "email": "mensa@example.org",
        },
        "status": {"value": "draft"},
    }
    assert (await anna.ask("GET", f"/{service}"))["id"] == service


async def test_all_that_can_be_said_of_a_service_comes_back(anna: Managing) -> None:
    asked = payload(
        name="  Servizi\t demografici ",
        organization={"department_name": "Anagrafe"},
        require_secure_channel=True,
        authorized_recipients=["AAAAAA00A00A001A"],
        authorized_cidrs=["192.0.2.0/24", "192.0.2.7"],
        max_allowed_payment_amount=9_999_999_999,
        suitable_for_minors=True,
        metadata={
            "scope": "NATIONAL",
            "tos_url": "https://example.org/tos",
            "web_url": "https://example.org",
            "support_url": "https://example.org/help",
            "app_ios": "https://example.org/ios",
            "app_android": "https://example.org/android",
            "pec": "pec@example.org",
            "phone": "+39 06 123456",
            "address": "Piazza 1",
            "cta": "---\nit:\n---",
            "token_name": "token",
        },
    )
    made = await anna.ask("POST", "", {**asked, "unknown": 1}, 201)
    assert made["name"] == "Servizi demografici"
    assert made["organization"] == {
        "name": "Comune di Anna",
        "fiscal_code": "00000000001",
        "department_name": "Anagrafe",
    }
    assert made["authorized_recipients"] == [SANDBOX, "AAAAAA00A00A001A"]
    for name in ("require_secure_channel", "authorized_cidrs", "max_allowed_payment_amount"):
        assert made[name] == asked[name]
    assert made["suitable_for_minors"] is True
    metadata = {**asked["metadata"], "topic": {"id": 6, "name": "Educazione e formazione"}}
    del metadata["topic_id"]
    assert made["metadata"] == metadata
    # A full replacement: what is left out is gone.
    edited = await anna.ask("PUT", f"/{made['id']}", payload())
    assert (edited["require_secure_channel"], edited["authorized_cidrs"]) == (False, [])
    assert "phone" not in edited["metadata"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "Mensa\u202easnem"}, "name"),
        ({"name": "Men\u3164sa"}, "name"),
        ({"name": "Mensa\ufe0f"}, "name"),
        ({"name": "Men\u034fsa"}, "name"),
        ({"name": "Mensa\u0301\u0302\u0303\u0304\u0305"}, "name"),
        ({"name": "a" * 501}, "name"),
        ({"name": 7}, "name"),
        ({"description": " \n "}, "description"),
        ({"organization": {"fiscal_code": "123"}}, "organization.fiscal_code"),
        ({"organization": {"department_name": "\u200b"}}, "organization.department_name"),
        ({"authorized_recipients": ["X"]}, "authorized_recipients[0]"),
        ({"authorized_cidrs": ["999.1.1.1"]}, "authorized_cidrs"),
        ({"authorized_cidrs": ["10.0.0.0/33"]}, "authorized_cidrs"),
        ({"max_allowed_payment_amount": -1}, "max_allowed_payment_amount"),
        ({"max_allowed_payment_amount": 5.5}, "max_allowed_payment_amount"),
        ({"metadata": {"topic_id": 5.5}}, "metadata.topic_id"),
        ({"max_allowed_payment_amount": 10_000_000_000}, "max_allowed_payment_amount"),
        ({"metadata": {"scope": "WORLD"}}, "metadata.scope"),
        ({"metadata": {"topic_id": None}}, "metadata.topic_id"),
        ({"metadata": {"email": ""}}, "metadata.email"),
    ],
)
async def test_what_is_not_valid_is_named(
    anna: Managing, change: dict[str, Any], field: str
) -> None:
    service = await anna.make()
    for method, path, title in (
        ("POST", "", "Invalid CreateServicePayload"),
        ("PUT", f"/{service}", "Invalid ServicePayload"),
    ):
        refused = await anna.ask(method, path, payload(**change), 400)
        assert (refused["title"], refused.get("field")) == (title, field)
    assert (await anna.ask("GET", f"/{service}"))["name"] == "Mensa scolastica"


async def test_whole_numbers_may_be_written_with_a_point(anna: Managing) -> None:
    asked = payload(max_allowed_payment_amount=1000.0, metadata={"topic_id": 5.0})
    made = await anna.ask("POST", "", asked, 201)
    assert (made["max_allowed_payment_amount"], made["metadata"]["topic"]["id"]) == (1000, 5)


async def test_a_topic_that_is_none_is_said_as_the_contract_does(anna: Managing) -> None:
    refused = await anna.ask("POST", "", payload(metadata={"topic_id": 99}), 400)
    assert refused["title"] == "Bad Request"
    assert refused["detail"] == "Provided topic_id does not exists"
    assert refused["field"] == "metadata.topic_id"


async def test_topics_are_for_any_key(
    anna: Managing, running: Running, world: World, pool: Pool
) -> None:
    for key in (anna.key, world.bruno.key):
        answer = await running.client.get(
            f"{managing.PATH}/topics", headers={"Ocp-Apim-Subscription-Key": key}
        )
        topics = answer.json()["topics"]
        assert [topic["id"] for topic in topics] == list(range(18))
        assert [topic["name"] for topic in topics] == NAMES_OF_TOPICS.split("; ")
    assert (await running.client.get(f"{managing.PATH}/topics")).status_code == 401
    async with pool.transaction() as conn:
        new = NewService("Lontana", authorized_cidrs=("192.0.2.0/24",))
        afar = await add_service(conn, world.secrets, world.anna.institution, new)
    refused = await running.client.get(f"{managing.PATH}/topics", headers=afar.headers)
    assert refused.status_code == 403


async def test_only_manage_keys_manage(running: Running, world: World) -> None:
    with_use_key = Managing(running.client, world.anna.key)
    refused = await with_use_key.ask("GET", "", expect=403)
    assert refused["title"] == "You are not allowed here"


async def test_pages_hold_every_service_once(running: Running, world: World, pool: Pool) -> None:
    async with pool.transaction() as conn:
        owner = await create_institution(conn, "tests", "00000000077", "Comune", "a@example.org")
        pair = await keys.create_pair(conn, world.secrets, "tests", owner, None)
    manager = Managing(running.client, pair["primary"])
    assert await manager.ask("GET") == {
        "value": [],
        "pagination": {"offset": 0, "limit": 20, "count": 0},
    }
    made = [await manager.make() for _ in range(5)]
    await manager.ask("DELETE", f"/{made[1]}", expect=204)
    found = []
    for offset in (0, 2, 4, 6):
        page = await manager.ask("GET", f"?limit=2&offset={offset}")
        assert page["pagination"] == {"offset": offset, "limit": 2, "count": len(page["value"])}
        found += [(one["id"], one["status"]["value"]) for one in page["value"]]
    assert found == [(one, "deleted" if one == made[1] else "draft") for one in made]
    assert len((await manager.ask("GET", "?limit=100"))["value"]) == 5
    for query, field in (("limit=0", "limit"), ("limit=101", "limit"), ("offset=-1", "offset")):
        assert (await manager.ask("GET", f"?{query}", expect=400))["field"] == field


async def test_pages_of_a_group_hold_its_services_once(
    anna: Managing, running: Running, world: World
) -> None:
    manage = {"Ocp-Apim-Subscription-Key": world.manage_key}
    made = await running.client.post(
        "/messo/v1/groups", json={"name": "Scuola", "authorized_cidrs": []}, headers=manage
    )
    group = made.json()["id"]
    pair = await running.client.get(f"/messo/v1/groups/{group}/keys", headers=manage)
    of_group = Managing(running.client, pair.json()["primary_key"])
    services = [await of_group.make() for _ in range(5)]

    async def move(service: str, to: str | None) -> None:
        path = f"/messo/v1/services/{service}/group"
        answer = await running.client.put(path, json={"group_id": to}, headers=manage)
        assert answer.status_code == 204, answer.text

    await move(services[1], None)
    await move(services[3], None)
    await move(services[1], group)
    outside = await anna.make()
    found = []
    for offset in (0, 2, 4):
        page = await of_group.ask("GET", f"?limit=2&offset={offset}")
        found += [one["id"] for one in page["value"]]
        assert {one["metadata"]["group_id"] for one in page["value"]} <= {group}
    assert found == [services[0], services[2], services[4], services[1]]
    for other in (services[3], outside):
        refused = await of_group.ask("GET", f"/{other}", expect=403)
        assert refused["title"] == "User has no valid scopes"


async def test_services_made_at_once_have_places_of_their_own(anna: Managing, pool: Pool) -> None:
    made = await asyncio.gather(*(anna.make() for _ in range(8)))
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT position FROM services.lifecycle WHERE institution_id = "
            "(SELECT institution_id FROM services.service WHERE id = $1) ORDER BY position",
            made[0],
        )
    assert [row[0] for row in rows] == list(range(len(rows)))


async def test_history_is_paged_in_both_orders(anna: Managing) -> None:
    service = await anna.make(name="La prima")
    for name in ("La seconda", "La terza"):
        await anna.ask("PUT", f"/{service}", payload(name=name))
    up = ["La prima", "La seconda", "La terza"]
    for query, expected in (("order=ASC", up), ("", up[::-1]), ("order=DESC", up[::-1])):
        first = await anna.ask("GET", f"/{service}/history?limit=2&{query}")
        token = first["continuationToken"]
        rest = await anna.ask(
            "GET", f"/{service}/history?limit=2&{query}&continuationToken={token}"
        )
        assert "continuationToken" not in rest
        assert [one["name"] for one in first["items"] + rest["items"]] == expected
    assert first["items"][0]["status"] == {"kind": "lifecycle", "value": "draft"}
    for number in range(8):
        await anna.ask("PUT", f"/{service}", payload(name=f"La {number + 4}ª"))
    assert len((await anna.ask("GET", f"/{service}/history"))["items"]) == 10
    for query, field in (("order=up", "order"), ("continuationToken=x", "continuationToken")):
        answer = await anna.ask("GET", f"/{service}/history?{query}", expect=400)
        assert answer["field"] == field


async def test_keys_are_given_back_and_replaced(anna: Managing, running: Running) -> None:
    service = await anna.make()
    pair = await anna.ask("GET", f"/{service}/keys")
    assert set(pair) == {"primary_key", "secondary_key"}
    for method, path in (("GET", "/keys"), ("PUT", "/keys/primary")):
        shown = await anna.send(method, f"/{service}{path}")
        assert shown.headers["cache-control"] == "no-store"
    pair = shown.json()
    await remembered(running, pair["secondary_key"])
    now = await anna.ask("PUT", f"/{service}/keys/secondary")
    assert now["primary_key"] == pair["primary_key"]
    assert now["secondary_key"] != pair["secondary_key"]
    for key, status in ((now["secondary_key"], 201), (now["primary_key"], 201)):
        assert await send(running, key, SANDBOX) == status
    await until_refused(running, pair["secondary_key"])
    refused = await anna.ask("PUT", f"/{service}/keys/PRIMARY", expect=400)
    assert refused["title"] == "Invalid SubscriptionKeyType"


async def test_a_draft_sends_to_its_authorized_recipients_alone(
    anna: Managing, running: Running
) -> None:
    service = await anna.make()
    key = (await anna.ask("GET", f"/{service}/keys"))["primary_key"]
    await remembered(running, key)
    assert await send(running, key, AUTO) == 403
    await anna.ask("PUT", f"/{service}", payload(authorized_recipients=[AUTO]))
    async with asyncio.timeout(5):
        while await send(running, key, AUTO) != 201:
            await asyncio.sleep(0.1)


async def test_a_deleted_service_takes_its_keys_with_it(anna: Managing, running: Running) -> None:
    service = await anna.make()
    key = (await anna.ask("GET", f"/{service}/keys"))["primary_key"]
    await remembered(running, key)
    await anna.ask("DELETE", f"/{service}", expect=204)
    await until_refused(running, key)
    assert await anna.status(service) == {"value": "deleted"}
    for method, path in (
        ("GET", "/keys"),
        ("PUT", "/keys/primary"),
        ("GET", "/history"),
        ("GET", "/release"),
        ("POST", "/release"),
        ("DELETE", "/release"),
    ):
        refused = await anna.ask(method, f"/{service}{path}", expect=404)
        assert refused["detail"].startswith(f"no item with id {service} found")


async def test_whoever_has_seen_another_version_overwrites_nothing(anna: Managing) -> None:
    service = await anna.make()
    etag = (await anna.send("GET", f"/{service}")).headers["etag"]
    one, other = await asyncio.gather(
        *(
            anna.send("PUT", f"/{service}", payload(name=name), If_Match=etag)
            for name in ("Una", "Altra")
        )
    )
    assert sorted([one.status_code, other.status_code]) == [200, 412]
    won = one if one.status_code == 200 else other
    assert (await anna.ask("GET", f"/{service}"))["name"] == won.json()["name"]
    assert won.headers["etag"] == (await anna.send("GET", f"/{service}")).headers["etag"]
    for method, path, body in (
        ("DELETE", "", None),
        ("PUT", "/review", {"auto_publish": True}),
        ("DELETE", "/release", None),
        ("POST", "/release", None),
    ):
        for stale, status in ((etag, 412), ("nonsense", 400)):
            answer = await anna.send(method, f"/{service}{path}", body, If_Match=stale)
            assert (answer.status_code, answer.json()["field"]) == (status, "If-Match")
    await anna.ask("PUT", f"/{service}", payload(), If_Match="*")
    etag = (await anna.send("GET", f"/{service}")).headers["etag"]
    await anna.ask("DELETE", f"/{service}", expect=204, If_Match=etag)


async def test_a_create_that_is_repeated_makes_one_service(anna: Managing) -> None:
    first = await anna.ask("POST", "", payload(), 201, Idempotency_Key="one")
    await anna.ask("PUT", f"/{first['id']}", payload(name="Cambiato"))
    assert await anna.ask("POST", "", payload(), 201, Idempotency_Key="one") == first
    for refused in (payload(name="Altro"), payload(require_secure_channel=True)):
        answer = await anna.ask("POST", "", refused, 422, Idempotency_Key="one")
        assert answer["field"] == "Idempotency-Key"
    at_once = await asyncio.gather(
        *(anna.ask("POST", "", payload(), 201, Idempotency_Key="two") for _ in range(4))
    )
    assert len({one["id"] for one in at_once}) == 1


async def test_another_institutions_service_is_as_one_that_does_not_exist(
    anna: Managing, world: World
) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", payload()),
        ("DELETE", "", None),
        ("GET", "/keys", None),
        ("PUT", "/keys/primary", None),
        ("GET", "/history", None),
        ("PUT", "/review", {"auto_publish": True}),
        ("GET", "/release", None),
        ("POST", "/release", None),
        ("DELETE", "/release", None),
    ):
        theirs, unknown = world.bruno.id, new_id()
        seen = [await anna.send(method, f"/{one}{path}", body) for one in (theirs, unknown)]
        assert [one.status_code for one in seen] == [404, 404]
        assert seen[0].text.replace(theirs, "") == seen[1].text.replace(unknown, "")


async def send(running: Running, key: str, to: str) -> int:
    """The status of a message sent with this key."""
    answer = await running.client.post(
        "/api/v1/messages", json=message(to), headers={"Ocp-Apim-Subscription-Key": key}
    )
    return answer.status_code


async def remembered(running: Running, key: str) -> None:
    """Send with a key that is good: what comes now must be told, or it stays so."""
    await running.started.directory.refresh(0)
    assert await send(running, key, SANDBOX) == 201


async def until_refused(running: Running, key: str) -> None:
    """Wait until a key is not taken any more."""
    async with asyncio.timeout(5):
        while await send(running, key, SANDBOX) != 401:
            await asyncio.sleep(0.1)
