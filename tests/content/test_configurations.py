"""Configurations over the API: who may, what is kept, and how."""

import asyncio
from typing import Any

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.services import keys
from messo.services.permissions import DEFAULT, Permission
from messo.services.services import create_institution, revoke
from tests.base.test_outbound import serving
from tests.conftest import Running
from tests.content.institution import Institution
from tests.world import ACTOR, ALL, World, environment

PATH = "/api/v1/messages-sending/remote-contents/configurations"
KEY = "Ocp-Apim-Subscription-Key"
TESTER = "AAAAAA00A00A000A"
SECRET = "a key that nobody else may see"


def body(**more: Any) -> dict[str, Any]:
    """A valid body; `more` replaces members, None drops them."""
    whole = {
        "name": "Documenti",
        "description": "I documenti del Comune",
        "has_precondition": "ONCE",
        "disable_lollipop_for": [TESTER],
        "is_lollipop_enabled": True,
        "prod_environment": environment("https://127.0.0.1:1/nascosto", SECRET),
        "test_environment": environment("https://127.0.0.1:1/prova", SECRET)
        | {"test_users": [TESTER]},
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


class Api:
    """The routes, with a manage key."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self.client = client
        self.headers = {KEY: key}

    async def ask(self, method: str, more: str = "", **sent: Any) -> httpx.Response:
        headers = self.headers | sent.pop("headers", {})
        return await self.client.request(method, PATH + more, headers=headers, **sent)

    async def create(self, **more: Any) -> dict[str, Any]:
        made = await self.ask("POST", json=body(**more))
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        return found


@pytest.fixture
def anna(running: Running, world: World) -> Api:
    return Api(running.client, world.manage_key)


async def another(pool: Pool, secrets: Secrets, running: Running, code: str, *may: str) -> Api:
    async with pool.transaction() as conn:
        institution = await create_institution(
            conn, ACTOR, code, f"Comune {code}", "a@example.org", may
        )
        pair = await keys.create_pair(conn, secrets, ACTOR, institution, None)
    return Api(running.client, pair["primary"])


async def test_what_is_created_comes_back_with_its_id_and_its_keys(anna: Api, world: World) -> None:
    made = await anna.ask("POST", json=body(configuration_id="ignored", more=1))
    assert made.status_code == 201
    found = made.json()
    configuration_id = found.pop("configuration_id")
    assert made.headers["location"] == f"{PATH}/{configuration_id}"
    assert made.headers["cache-control"] == "no-store"
    found.pop("advice")
    assert found == body()
    read = (await anna.ask("GET", f"/{configuration_id}")).json()
    owned = {"configuration_id": configuration_id, "user_id": world.anna.institution}
    assert read == body() | owned
    assert (await anna.ask("GET", f"/{configuration_id.lower()}")).json() == read
    listed = (await anna.ask("GET")).json()
    assert list(listed) == ["rcConfigList"]
    assert read in listed["rcConfigList"]


async def test_absent_members_are_left_out(anna: Api) -> None:
    made = await anna.create(test_environment=None)
    assert "test_environment" not in made
    assert "test_environment" not in (await anna.ask("GET", f"/{made['configuration_id']}")).json()


async def test_replacing_replaces_all_but_id_and_owner(anna: Api, world: World) -> None:
    made = await anna.create()
    path = f"/{made['configuration_id']}"
    changed = body(name="Altri", has_precondition="NEVER", prod_environment=None, user_id="x")
    replaced = await anna.ask("PUT", path, json=changed)
    assert (replaced.status_code, replaced.content) == (204, b"")
    changed.pop("user_id")
    owned = {"configuration_id": made["configuration_id"], "user_id": world.anna.institution}
    assert (await anna.ask("GET", path)).json() == changed | owned


async def test_the_list_is_of_the_institution_and_empty_at_first(
    running: Running, pool: Pool, secrets: Secrets, anna: Api
) -> None:
    other = await another(pool, secrets, running, "00000000101", *ALL)
    assert (await other.ask("GET")).json() == {"rcConfigList": []}
    made = await anna.create()
    assert (await other.ask("GET")).json() == {"rcConfigList": []}
    path = f"/{made['configuration_id']}"
    for method, sent in (("GET", None), ("PUT", body(name="mine now"))):
        refused = await other.ask(method, path, json=sent)
        unknown = await other.ask(method, f"/{new_id()}", json=sent)
        assert (refused.status_code, refused.content) == (404, unknown.content)
        assert unknown.status_code == 404
        assert (await other.ask(method, "/not-an-id", json=sent)).status_code == 400
    assert (await anna.ask("GET", path)).json()["name"] == "Documenti"


async def test_only_a_manage_key_with_the_permission_may(
    running: Running, pool: Pool, secrets: Secrets, world: World
) -> None:
    client = running.client
    path = f"/{new_id()}"
    calls = [("POST", "", body()), ("GET", "", None), ("GET", path, None), ("PUT", path, body())]
    without = await another(pool, secrets, running, "00000000102", *DEFAULT)
    for method, more, sent in calls:
        for headers, status in (
            ({}, 401),
            ({KEY: "wrong"}, 401),
            (world.anna.headers, 403),
            (without.headers, 403),
        ):
            refused = await client.request(method, PATH + more, json=sent, headers=headers)
            assert refused.status_code == status, (method, more, headers)
    granted = await another(pool, secrets, running, "00000000103", Permission.REMOTE_CONTENT_WRITE)
    assert (await granted.ask("POST", json=body())).status_code == 201
    async with pool.transaction() as conn:
        found = await conn.raw.fetchval(
            "SELECT id FROM services.institution WHERE fiscal_code = '00000000103'"
        )
        await revoke(conn, ACTOR, found, [Permission.REMOTE_CONTENT_WRITE])
    await running.started.directory.refresh(0)
    assert (await granted.ask("GET")).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"description": None}, "description"),
        ({"has_precondition": "NONE"}, "has_precondition"),
        ({"has_precondition": True}, "has_precondition"),
        ({"is_lollipop_enabled": "true"}, "is_lollipop_enabled"),
        ({"disable_lollipop_for": None}, "disable_lollipop_for"),
        ({"disable_lollipop_for": ["X"]}, "disable_lollipop_for[0]"),
        ({"prod_environment": {}}, "prod_environment.base_url"),
        ({"prod_environment": environment("")}, "prod_environment.base_url"),
        ({"test_environment": environment("https://127.0.0.1:1/")}, "test_environment.test_users"),
        (
            {"test_environment": environment("https://127.0.0.1:1/") | {"test_users": ["a"]}},
            "test_environment.test_users[0]",
        ),
        ({"name": "a\x00b"}, None),
        ({"name": 1}, "name"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_by_name(
    anna: Api, wrong: dict[str, Any], field: str | None
) -> None:
    made = await anna.create()
    for method, path in (("POST", ""), ("PUT", f"/{made['configuration_id']}")):
        refused = await anna.ask(method, path, json=body(**wrong))
        assert refused.status_code == 400, refused.text
        assert refused.json().get("field") == field
        assert SECRET not in refused.text


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"null", b'"' + b"x" * 300_000, b"\xff" * 9])
async def test_what_is_no_configuration_is_never_a_500(anna: Api, sent: bytes) -> None:
    refused = await anna.ask("POST", content=sent, headers={"Content-Type": "application/json"})
    assert refused.status_code in {400, 413}
    assert refused.headers["content-type"] == "application/problem+json"


async def test_the_same_key_makes_one_configuration(anna: Api, pool: Pool) -> None:
    headers = {"Idempotency-Key": "first"}
    sent = [anna.ask("POST", json=body(name="Una volta"), headers=headers) for _ in range(8)]
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["configuration_id"] for answer in answers}) == 1
    other = await anna.ask("POST", json=body(name="Un'altra"), headers=headers)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    bad = await anna.ask("POST", json=body(), headers={"Idempotency-Key": "a b"})
    assert (bad.status_code, bad.json()["field"]) == (400, "Idempotency-Key")
    async with pool.connection() as conn:
        count = await conn.raw.fetchval(
            "SELECT count(*) FROM content.configuration WHERE name = 'Una volta'"
        )
    assert count == 1


async def test_keys_addresses_and_testers_are_encrypted_and_in_no_audit(
    anna: Api, pool: Pool
) -> None:
    made = await anna.create()
    await anna.ask("PUT", f"/{made['configuration_id']}", json=body(name="Altri"))
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT c::text, encode(c.sealed, 'escape') FROM content.configuration AS c"
        )
        audit = await conn.raw.fetch(
            "SELECT a.action, a::text FROM operations.audit AS a WHERE a.subject = $1 ORDER BY a.id",
            made["configuration_id"],
        )
    assert [row["action"] for row in audit] == ["remote_content.create", "remote_content.replace"]
    written = " ".join(str(tuple(row)) for row in [*rows, *audit])
    for secret in (SECRET, TESTER, "nascosto", SECRET.encode().hex()):
        assert secret not in written


# Advice -----------------------------------------------------------------------------------------


async def advice(anna: Api, **more: Any) -> dict[str, str]:
    made = await anna.create(**({"test_environment": None} | more))
    return {one["field"]: one["advice"] for one in made.get("advice", [])}


async def test_nothing_is_advised_where_all_is_well_but_encryption(
    anna: Api, town: Institution
) -> None:
    """A server on loopback, in a network that the operator has listed."""
    found = await advice(anna, prod_environment=environment(town.base_url))
    assert list(found) == ["prod_environment.base_url"]
    assert "https://" in found["prod_environment.base_url"]
    (head,) = town.server.heads if town.server else []
    assert "fiscal_code" not in head.lower()
    assert "x-api-key" not in head.lower()


async def test_a_server_that_is_not_there_is_accepted_with_advice(anna: Api) -> None:
    async with serving(b"") as gone:
        url = gone.url
    found = await anna.create(prod_environment=environment(url), test_environment=None)
    said = [one["advice"] for one in found["advice"]]
    assert any("No server answers" in one for one in said)
    assert (await anna.ask("GET", f"/{found['configuration_id']}")).status_code == 200


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://example.org", "https"),
        ("not an address", "absolute"),
        ("https://user:secret@127.0.0.1:1", "password"),
        ("https://10.0.0.1/", "may not be called"),
        ("https://169.254.169.254/latest", "may not be called"),
        ("https://127.0.0.1:1/?a=b", "query"),
        ("https://127.0.0.1:1/#x", "fragment"),
        ("https://esempio.città.it", "ASCII"),
    ],
)
async def test_an_address_that_will_not_do_is_accepted_with_advice(
    anna: Api, url: str, word: str
) -> None:
    found = await advice(anna, prod_environment=environment(url))
    assert word in found["prod_environment.base_url"]
    assert "secret" not in found["prod_environment.base_url"]


async def test_a_key_that_cannot_be_sent_is_accepted_with_advice(
    anna: Api, town: Institution
) -> None:
    place = "prod_environment.details_authentication"
    for name in ("fiscal_code", "Host", "a b", "Signature-Input", "x-pagopa-lollipop-x", "è"):
        bad = environment(town.base_url, "sette\ncolli")
        bad["details_authentication"]["header_key_name"] = name
        found = await advice(anna, prod_environment=bad)
        assert {f"{place}.header_key_name", f"{place}.key"} <= found.keys(), name


async def test_a_name_that_leads_inside_is_accepted_with_advice(anna: Api) -> None:
    found = await advice(anna, prod_environment=environment("https://localhost.localdomain:1/"))
    assert list(found) == ["prod_environment.base_url"]


async def test_no_environment_is_accepted_with_advice(anna: Api) -> None:
    found = await advice(anna, prod_environment=None)
    assert list(found) == ["prod_environment"]


@pytest.mark.parametrize("text", ["x", "è", "-----BEGIN CERTIFICATE-----\nAAAA"])
async def test_a_certificate_that_is_none_is_accepted_with_advice(
    anna: Api, town: Institution, text: str
) -> None:
    bad = environment(town.base_url)
    cert = {"client_cert": text, "client_key": text, "server_ca": text}
    bad["details_authentication"]["cert"] = cert
    made = await anna.create(prod_environment=bad, test_environment=None)
    assert made["prod_environment"]["details_authentication"]["cert"] == cert
    fields = {one["field"] for one in made["advice"]}
    assert "prod_environment.details_authentication.cert" in fields
