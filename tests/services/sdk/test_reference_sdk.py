"""All that institutions do with the reference platform's own client, done to Messo.

Each answer goes through the client's decoders: one that they refuse, or whose status they do not
know, is a failure. Where the client declares no body for a status it looks at none.
"""

import base64
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from messo.base import clock
from messo.base.db import Pool
from messo.base.work import Worker
from messo.services import review
from tests.conftest import Running
from tests.services.sdk.client import Client, started
from tests.world import AUTO, SANDBOX, STRANGER, World, environment, message

ANNAS_TOWN, BRUNOS_TOWN = "00000000001", "00000000002"
METADATA = {
    "scope": "LOCAL",
    "privacy_url": "https://anna.example.org/privacy",
    "tos_url": "https://anna.example.org/regole",
    "web_url": "https://anna.example.org",
    "support_url": "https://anna.example.org/aiuto",
    "app_ios": "https://apps.apple.com/it/app/id0",
    "app_android": "https://play.google.com/store/apps/details?id=org.example",
    "email": "anna@example.org",
    "pec": "anna@pec.example.org",
    "phone": "+39 06 1234567",
    "address": "Piazza del Popolo 1",
    "cta": '---\nit:\n  cta_1:\n    text: "Apri"\n    action: "ioit://SERVICES_HOME"\n---',
    "token_name": "biblioteche",
}
NO_KEY = "no key of anybody"
CAP = 1_000_000  # euro cents
NO_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
async def client(running: Running) -> AsyncIterator[Client]:
    async with started(running.url) as opened:
        yield opened


async def test_every_operation_answers_as_the_client_expects(
    client: Client, world: World, pool: Pool, worker: Worker
) -> None:
    await _messages(client, world, worker)
    await _citizens(client, world)
    await _remote_contents(client, world.manage_key)
    service = await _draft(client, world.manage_key)
    await _rejection(client, world.manage_key)
    await _keys(client, world.manage_key, service)
    await _publication(client, world.manage_key, service, pool)
    await _history(client, world.manage_key, service)
    await _end(client, world.manage_key, service)
    # A version of the client with more operations fails here.
    assert client.performed == client.operations


async def _messages(client: Client, world: World, worker: Worker) -> None:
    key = world.anna.key
    payment = {"amount": 1000, "notice_number": "000000000000000000"}
    sent = await client.call(
        "submitMessageforUserWithFiscalCodeInBody",
        key,
        201,
        message=message(payment_data=payment, due_date="2040-01-31T22:59:59.000Z"),
    )
    assert sent.headers["location"].endswith(sent.value["id"])
    advanced = {**message(None), "feature_level_type": "ADVANCED"}
    other = await client.call("submitMessageforUser", key, 201, fiscal_code=AUTO, message=advanced)
    # This operation declares no body, so the id is where it looks for it: in the header.
    assert other.value is None
    other_id = other.headers["location"].rsplit("/", 1)[1]
    await worker.work_once()
    read = await client.call("getMessage", key, 200, fiscal_code=AUTO, id=sent.value["id"])
    assert read.value["status"] == "PROCESSED"
    assert read.value["message"]["content"]["payment_data"]["amount"] == 1000
    read = await client.call("getMessage", key, 200, fiscal_code=AUTO, id=other_id)
    assert read.value["message"]["feature_level_type"] == "ADVANCED"
    assert read.value["read_status"] in {"UNREAD", "UNAVAILABLE"}


async def _citizens(client: Client, world: World) -> None:
    key = world.anna.key
    whom = {"fiscal_code": AUTO}
    allowed = {"sender_allowed": True, "preferred_languages": ["it_IT", "en_GB"]}
    assert (await client.call("getProfileByPOST", key, 200, payload=whom)).value == allowed
    assert (await client.call("getProfile", key, 200, fiscal_code=AUTO)).value == allowed

    day = (clock.now() - timedelta(days=2)).date().isoformat()
    feed = await client.call("getSubscriptionsFeedForDate", key, 200, date=day)
    assert feed.value == {"dateUTC": day, "subscriptions": [], "unsubscriptions": []}

    special = world.special
    wish = {"fiscal_code": AUTO, "status": "PENDING"}
    put = await client.call("upsertServiceActivation", special.key, 200, payload=wish)
    assert put.value == {**wish, "service_id": special.id, "version": 0}
    got = await client.call("getServiceActivationByPOST", special.key, 200, payload=whom)
    assert got.value == put.value

    logo = {"logo": _png()}
    town = {"organization_fiscal_code": ANNAS_TOWN}
    await client.call("uploadOrganizationLogo", key, 202, body=logo, **town)


async def _remote_contents(client: Client, key: str) -> None:
    new = {
        "name": "Documenti",
        "description": "I documenti",
        "has_precondition": "ONCE",
        "disable_lollipop_for": [AUTO],
        "is_lollipop_enabled": True,
        "prod_environment": environment("https://documenti.example.org"),
        "test_environment": {
            **environment("https://prova.example.org"),
            "test_users": [SANDBOX],
        },
    }
    made = await client.call("createRCConfiguration", key, 201, body=new)
    one = {"configurationId": made.value["configuration_id"]}
    await client.call("updateRCConfiguration", key, 204, body={**new, "name": "Atti"}, **one)
    read = await client.call("getRCConfiguration", key, 200, **one)
    assert read.value["name"] == "Atti"
    assert read.value["test_environment"] == new["test_environment"]
    listed = await client.call("listRCConfiguration", key, 200)
    assert listed.value["rcConfigList"] == [read.value]


async def _draft(client: Client, key: str) -> str:
    """A new service, edited and with a logo; its id."""
    topics = (await client.call("getServiceTopics", key, 200)).value["topics"]
    assert {"id": 5, "name": "Cultura, tempo libero e sport"} in topics

    made = (await client.call("cmsCreateService", key, 201, body=_service())).value
    assert made["status"] == {"value": "draft"}
    topic = {"id": 5, "name": "Cultura, tempo libero e sport"}
    assert made["metadata"] == {**METADATA, "topic": topic}
    assert made["organization"] == _service()["organization"]
    assert set(made["authorized_recipients"]) == {AUTO, SANDBOX}
    one = {"serviceId": made["id"]}
    assert (await client.call("cmsGetService", key, 200, **one)).value == made

    edited = (await client.call("cmsUpdateService", key, 200, body=_service("Musei"), **one)).value
    assert (edited["name"], edited["id"]) == ("Musei", made["id"])
    await client.call("cmsUpdateServiceLogo", key, 204, body={"logo": _png()}, **one)

    seen: list[str] = []
    while True:
        page = await client.call("cmsGetServices", key, 200, limit=2, offset=len(seen))
        got = [each["id"] for each in page.value["value"]]
        assert page.value["pagination"] == {"limit": 2, "offset": len(seen), "count": len(got)}
        if not got:
            break
        seen += got
    assert made["id"] in seen
    assert len(seen) == len(set(seen))
    return str(made["id"])


async def _rejection(client: Client, key: str) -> None:
    """What lacks something is rejected at once, with what it lacks as the reason."""
    body = _service("Archivi")
    body["metadata"] = {"scope": "NATIONAL", "topic_id": 0}
    one = {"serviceId": (await client.call("cmsCreateService", key, 201, body=body)).value["id"]}
    await client.call("cmsReviewService", key, 204, body={"auto_publish": False}, **one)
    status = (await client.call("cmsGetService", key, 200, **one)).value["status"]
    assert status["value"] == "rejected"
    assert "privacy_url" in status["reason"]
    newest = (await client.call("cmsGetServiceHistory", key, 200, limit=1, **one)).value["items"][0]
    assert newest["status"] == {"kind": "lifecycle", **status}
    await client.call("cmsReviewService", key, 409, body={"auto_publish": False}, **one)


async def _keys(client: Client, key: str, service: str) -> None:
    one = {"serviceId": service}
    pair = (await client.call("cmsGetServiceKeys", key, 200, **one)).value
    new = (await client.call("cmsRegenerateServiceKey", key, 200, keyType="primary", **one)).value
    assert new["secondary_key"] == pair["secondary_key"]
    send = "submitMessageforUserWithFiscalCodeInBody"
    to_sandbox = message(SANDBOX)
    await client.call(send, pair["primary_key"], 401, message=to_sandbox)
    await client.call(send, new["primary_key"], 201, message=to_sandbox)


async def _publication(client: Client, key: str, service: str, pool: Pool) -> None:
    one = {"serviceId": service}
    for operation in ("cmsReleaseService", "cmsUnpublishService", "cmsGetPublishedService"):
        await client.call(operation, key, 404, **one)
    submit = {"body": {"auto_publish": True}, **one}
    await client.call("cmsReviewService", key, 204, **submit)
    await client.call("cmsReviewService", key, 409, **submit)
    await client.call("cmsUpdateService", key, 409, body=_service(), **one)
    async with pool.transaction() as conn:
        seen = await review.read(conn, service)
        await review.approve(conn, "tests", service, seen.version, CAP)
    working = (await client.call("cmsGetService", key, 200, **one)).value
    assert working["status"] == {"value": "approved"}
    public = (await client.call("cmsGetPublishedService", key, 200, **one)).value
    assert (public["status"], public["name"]) == ("published", "Musei")
    assert public["max_allowed_payment_amount"] == CAP

    # Nobody has to look at where a page is.
    minor = _service("Musei", web_url="https://musei.example.org")
    await client.call("cmsUpdateService", key, 200, body=minor, **one)
    await client.call("cmsReviewService", key, 204, **submit)
    public = (await client.call("cmsGetPublishedService", key, 200, **one)).value
    assert public["metadata"]["web_url"] == "https://musei.example.org"

    for operation, status in (
        ("cmsUnpublishService", "unpublished"),
        ("cmsReleaseService", "published"),
    ):
        await client.call(operation, key, 204, **one)
        await client.call(operation, key, 204, **one)
        public = (await client.call("cmsGetPublishedService", key, 200, **one)).value
        assert public["status"] == status


async def _history(client: Client, key: str, service: str) -> None:
    one = {"serviceId": service}
    seen: list[dict[str, Any]] = []
    place: dict[str, str] = {}
    while True:
        page = await client.call(
            "cmsGetServiceHistory", key, 200, order="ASC", limit=3, **place, **one
        )
        seen += page.value["items"]
        if "continuationToken" not in page.value:
            break
        place = {"continuationToken": page.value["continuationToken"]}
    told = [(each["status"]["kind"], each["status"]["value"]) for each in seen]
    assert [value for kind, value in told if kind == "lifecycle"] == [
        *("draft", "draft", "submitted", "approved"),
        *("draft", "submitted", "approved"),
    ]
    assert [value for kind, value in told if kind == "publication"] == [
        *("published", "published", "unpublished", "published"),
    ]
    newest_first = await client.call("cmsGetServiceHistory", key, 200, limit=99, **one)
    assert newest_first.value["items"] == seen[::-1]


async def _end(client: Client, key: str, service: str) -> None:
    one = {"serviceId": service}
    await client.call("cmsDeleteService", key, 204, **one)
    last = (await client.call("cmsGetService", key, 200, **one)).value
    assert last["status"] == {"value": "deleted"}
    await client.call("cmsUpdateService", key, 409, body=_service(), **one)
    for operation in ("cmsGetServiceKeys", "cmsReleaseService", "cmsGetPublishedService"):
        await client.call(operation, key, 404, **one)


async def test_refusals_of_sending_are_those_the_client_declares(
    client: Client, world: World
) -> None:
    key = world.anna.key
    send = "submitMessageforUserWithFiscalCodeInBody"
    problem = await client.call(send, key, 400, message=message(subject="no"))
    assert problem.value["status"] == 400
    assert problem.value["title"]
    assert problem.value["detail"]
    await client.call("submitMessageforUser", NO_KEY, 401, fiscal_code=AUTO, message=message(None))
    await client.call(send, world.limited.key, 403, message=message(STRANGER))
    missing = await client.call("getMessage", key, 404, fiscal_code=AUTO, id=NO_ID)
    assert missing.value["title"] == "Message not found"
    missing = await client.call("getProfile", key, 404, fiscal_code=STRANGER)
    assert missing.value["title"] == "Profile not found"
    await client.call("getProfileByPOST", NO_KEY, 401, payload={"fiscal_code": AUTO})
    today = clock.now().date().isoformat()
    early = await client.call("getSubscriptionsFeedForDate", key, 404, date=today)
    assert early.value["title"] == "Data not available yet"
    await client.call("getSubscriptionsFeedForDate", world.bruno.key, 403, date=today)
    whom = {"fiscal_code": STRANGER}
    await client.call("getServiceActivationByPOST", key, 403, payload=whom)
    missing = await client.call("getServiceActivationByPOST", world.special.key, 404, payload=whom)
    assert missing.value["detail"] == "Activation not found for the user"
    wish = {**whom, "status": "ACTIVE"}
    await client.call("upsertServiceActivation", NO_KEY, 401, payload=wish)
    own, other = ({"organization_fiscal_code": town} for town in (ANNAS_TOWN, BRUNOS_TOWN))
    logo = {"logo": _png()}
    await client.call("uploadOrganizationLogo", key, 403, body=logo, **other)
    wrong = await client.call("uploadOrganizationLogo", key, 400, body={"logo": "bm8="}, **own)
    assert wrong.value["title"]


async def test_refusals_of_managing_are_those_the_client_declares(
    client: Client, world: World
) -> None:
    key, mine, others = world.manage_key, world.anna.id, world.bruno.id
    for body in (_service(topic_id=99), {**_service(), "name": ""}):
        for operation, more in (
            ("cmsCreateService", {}),
            ("cmsUpdateService", {"serviceId": mine}),
        ):
            wrong = await client.call(operation, key, 400, body=body, **more)
            assert wrong.value["status"] == 400
            assert wrong.value["title"]
    wrong = await client.call(
        "cmsUpdateServiceLogo", key, 400, serviceId=mine, body={"logo": "bm8="}
    )
    assert wrong.value["title"] == "Image not valid"
    wrong = await client.call("cmsRegenerateServiceKey", key, 400, serviceId=mine, keyType="third")
    assert wrong.value["title"]
    requests: dict[str, dict[str, Any]] = {
        "cmsGetService": {},
        "cmsUpdateService": {"body": _service()},
        "cmsDeleteService": {},
        "cmsUpdateServiceLogo": {"body": {"logo": _png()}},
        "cmsGetServiceHistory": {},
        "cmsGetServiceKeys": {},
        "cmsRegenerateServiceKey": {"keyType": "primary"},
        "cmsReviewService": {"body": {"auto_publish": False}},
        "cmsReleaseService": {},
        "cmsGetPublishedService": {},
        "cmsUnpublishService": {},
    }
    for operation, more in requests.items():
        await client.call(operation, NO_KEY, 401, serviceId=mine, **more)
        await client.call(operation, world.anna.key, 403, serviceId=mine, **more)
        for service in (others, NO_ID):
            await client.call(operation, key, 404, serviceId=service, **more)
    assert not client.performed
    await client.call("cmsGetServices", world.anna.key, 403)
    await client.call("getServiceTopics", NO_KEY, 401)
    one = {"configurationId": NO_ID}
    await client.call("listRCConfiguration", world.anna.key, 403)
    await client.call("getRCConfiguration", key, 404, **one)
    wrong = await client.call("updateRCConfiguration", key, 400, body={"name": "x"}, **one)
    assert wrong.value["title"]
    wrong = await client.call("createRCConfiguration", key, 400, body={"name": "x"})
    assert wrong.value["title"]


def _service(name: str = "Biblioteche", topic_id: int = 5, **metadata: str) -> dict[str, Any]:
    """A body that is ready for review; `metadata` adds to it."""
    return {
        "name": name,
        "description": "Orari, prestiti e rinnovi, **senza** passare allo sportello.",
        "organization": {
            "name": "Comune di Anna",
            "fiscal_code": ANNAS_TOWN,
            "department_name": "Cultura",
        },
        "require_secure_channel": False,
        "authorized_recipients": [AUTO],
        "authorized_cidrs": ["127.0.0.0/8"],
        "max_allowed_payment_amount": 5000,
        "metadata": {**METADATA, "topic_id": topic_id, **metadata},
    }


def _png() -> str:
    file = io.BytesIO()
    Image.new("RGB", (300, 300), "teal").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
