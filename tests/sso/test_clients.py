"""Relying parties over the API: who may, what is refused by name, secrets, keys, addresses."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette

from messo.base import clock
from messo.base.crypto import key_digest
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.limits import RateLimit
from messo.base.openapi import document
from messo.front import App
from messo.services import Authenticate, Directory
from messo.services.keys import create_pair
from messo.settings import Settings
from messo.sso.client_routes import BODY_LIMIT, ClientRoutes
from messo.sso.clients import find_client
from messo.sso.registration import Rules
from tests.world import ACTOR, World

URI = "https://sportello.example.org/sso/callback"
LEVELS = Settings().login_levels
PRODUCTION = Rules("https://messo.example.org", LEVELS)
SANDBOX = replace(PRODUCTION, sandbox=True, allowed=(ip_network("127.0.0.0/8"),))
EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})


def place(uri: str = URI, name: str = "Sportello online", **more: Any) -> dict[str, Any]:
    return {"uri": uri, "display_name": {"it": name, **more}}


def body(**more: Any) -> dict[str, Any]:
    return {"redirect_uris": [place()], **more}


def public(key: ECKey | RSAKey = EC, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


def with_keys(*keys: dict[str, Any]) -> dict[str, Any]:
    chosen = list(keys or [public()])
    return body(token_endpoint_auth_method="private_key_jwt", jwks={"keys": chosen})


@dataclass
class Api:
    """`anna` and `bruno`: headers with the manage key of each institution."""

    client: httpx.AsyncClient
    pool: Pool
    authenticate: Authenticate
    service: str
    anna: dict[str, str]
    bruno: dict[str, str]

    async def ask(
        self,
        method: str,
        path: str = "",
        *,
        service: str | None = None,
        who: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        headers = (self.anna if who is None else who) | more.pop("headers", {})
        url = f"/messo/v1/services/{service or self.service}/sso{path}"
        return await self.client.request(method, url, headers=headers, **more)

    async def put(self, environment: str = "live", **more: Any) -> httpx.Response:
        return await self.ask("PUT", f"/{environment}", **more)

    async def register(self, environment: str = "live", **more: Any) -> dict[str, Any]:
        answer = await self.put(environment, json=body(**more))
        assert answer.status_code in {200, 201}, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def secrets(self, client_id: str | None = None) -> set[bytes]:
        """The digests of those that are good now."""
        async with self.pool.connection() as conn:
            client = await find_client(conn, client_id or self.service)
        assert client
        return set(client.secrets)

    @contextmanager
    def under(self, rules: Rules) -> Iterator[None]:
        """Served by an installation with other rules."""
        usual = self.client._transport
        self.client._transport = transport(self.authenticate, self.pool, rules)
        yield
        self.client._transport = usual


def transport(authenticate: Authenticate, pool: Pool, rules: Rules) -> httpx.ASGITransport:
    routes = ClientRoutes(authenticate.manager, pool, rules).routes()
    return httpx.ASGITransport(app=App(routes, Starlette()))


@pytest.fixture
async def api(pool: Pool, world: World) -> AsyncIterator[Api]:
    authenticate = Authenticate(Directory(pool), RateLimit(100_000, 100_000), ())
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM sso.client")
        await conn.raw.execute(
            "DELETE FROM services.key WHERE institution_id = $1 AND service_id IS NULL",
            world.bruno.institution,
        )
        bruno = await create_pair(conn, world.secrets, ACTOR, world.bruno.institution, None)
    served = transport(authenticate, pool, PRODUCTION)
    async with httpx.AsyncClient(transport=served, base_url="http://messo") as client:
        name = "Ocp-Apim-Subscription-Key"
        yield Api(
            client,
            pool,
            authenticate,
            world.anna.id,
            {name: world.manage_key},
            {name: bruno["primary"]},
        )


async def rows(pool: Pool, sql: str, *values: Any) -> list[dict[str, Any]]:
    async with pool.connection() as conn:
        return [dict(row) for row in await conn.raw.fetch(sql, *values)]


ROUTES = [
    ("GET", "", None),
    ("GET", "/live", None),
    ("PUT", "/live", body()),
    ("POST", "/live/secret", None),
    ("DELETE", "/live/secret", None),
    ("DELETE", "/live", None),
]


@pytest.mark.parametrize(("method", "path", "sent"), ROUTES)
async def test_nobody_a_services_key_and_another_institution_are_refused(
    world: World, api: Api, method: str, path: str, sent: Any
) -> None:
    await api.register()
    kept = await api.secrets()
    for who, code in (
        ({"x-none": "1"}, 401),
        ({"Ocp-Apim-Subscription-Key": "x" * 43}, 401),
        (world.anna.headers, 403),
        (world.secure.headers, 403),
        (api.bruno, 404),
    ):
        answer = await api.ask(method, path, who=who, json=sent)
        assert answer.status_code == code
    assert (answer.json()["title"], answer.json()["field"]) == ("Service not found", "id")
    assert await api.secrets() == kept


@pytest.mark.parametrize(("method", "path", "sent"), ROUTES)
async def test_an_id_that_is_none_and_a_service_that_is_not_there(
    pool: Pool, world: World, api: Api, method: str, path: str, sent: Any
) -> None:
    for wrong in ("x", new_id()[:-1] + "U", "%00", new_id() + "%0A", "%F0%9F%92%A9"):
        answer = await api.ask(method, path, service=wrong, json=sent)
        assert (answer.status_code, answer.json()["field"]) == (400, "id"), wrong
    answer = await api.ask(method, path, service=new_id(), json=sent)
    assert (answer.status_code, answer.json()["field"]) == (404, "id")
    change = "UPDATE services.service SET state = $2 WHERE id = $1 RETURNING id"
    await rows(pool, change, world.draft.id, "deleted")
    answer = await api.ask(method, path, service=world.draft.id, json=sent)
    assert (answer.status_code, answer.json()["field"]) == (404, "id")
    await rows(pool, change, world.draft.id, "draft")
    if path:
        for wrong in ("prod", "LIVE", "live%00", "%2e"):
            answer = await api.ask(method, path.replace("live", wrong), json=sent)
            assert (answer.status_code, answer.json()["field"]) == (400, "environment"), wrong
        if method != "PUT":
            answer = await api.ask(method, path)
            assert (answer.status_code, answer.json()["title"]) == (404, "Client not found")
            assert answer.json()["field"] == "environment"


async def test_a_client_is_made_listed_replaced_and_deleted(pool: Pool, api: Api) -> None:
    assert (await api.ask("GET")).json() == {"items": []}
    answer = await api.put("test", json=body())
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["location"] == f"/messo/v1/services/{api.service}/sso/test"
    assert (await api.ask("GET", "/live")).json()["title"] == "Client not found"
    live = await api.put(service=api.service.lower(), json=body(subject_type="fiscal_code"))
    assert live.status_code == 201
    made = live.json()
    assert (made["client_id"], made["environment"]) == (api.service, "live")
    assert answer.json()["client_id"] == f"{api.service}-test"
    assert made["issuer"] == "https://messo.example.org"
    assert 0 <= clock.now().timestamp() - made["client_id_issued_at"] < 60
    listed = (await api.ask("GET")).json()["items"]
    assert [one["client_id"] for one in listed] == [api.service, f"{api.service}-test"]
    wanted = {
        "redirect_uris": [place(en="Online desk"), place(URI + "?a=1", "Altro sportello")],
        "post_logout_redirect_uris": ["https://sportello.example.org/"],
        "token_endpoint_auth_method": "client_secret_post",
        "jwks": None,
        "id_token_signed_response_alg": "ES256",
        "request_protection": "pkce_or_nonce",
        "subject_type": "pairwise",
        "optional_claims": ["family_name", "fiscal_code"],
        "level": LEVELS[1],
        "backchannel_logout_uri": "https://sportello.example.org/logout",
    }
    replaced = await api.put(json=wanted)
    assert replaced.status_code == 200
    found = (await api.ask("GET", "/live")).json()
    assert found == replaced.json()
    assert {name: found[name] for name in wanted} == wanted
    assert found["created_at"] == made["created_at"] < found["changed_at"]
    # What is left out goes back to its default.
    again = await api.register()
    assert (again["level"], again["optional_claims"], again["advice"]) == (None, [], [])
    assert (await api.ask("DELETE", "/live")).status_code == 204
    assert (await api.ask("GET", "/live")).status_code == 404
    assert (await api.ask("DELETE", "/live")).status_code == 404
    assert [one["environment"] for one in (await api.ask("GET")).json()["items"]] == ["test"]


async def test_changes_are_recorded_without_secrets_and_addresses(pool: Pool, api: Api) -> None:
    version = "SELECT number FROM services.version"
    service = api.service
    (before,) = await rows(pool, version)
    since = new_id()
    made = await api.register(post_logout_redirect_uris=["https://sportello.example.org/"])
    await api.register(subject_type="fiscal_code")
    second = (await api.ask("POST", "/live/secret")).json()
    await api.ask("DELETE", "/live/secret")
    await api.ask("DELETE", "/live/secret")  # nothing is left to drop, and nothing is recorded
    await api.ask("DELETE", "/live")
    (after,) = await rows(pool, version)
    assert after["number"] == before["number"] + 5
    audit = await rows(
        pool,
        "SELECT actor, action, detail FROM operations.audit "
        "WHERE subject = $1 AND id > $2 ORDER BY id",
        service,
        since,
    )
    assert [row["action"].removeprefix("sso.client.") for row in audit] == [
        "create",
        "change",
        "secret.replace",
        "secret.drop",
        "delete",
    ]
    assert all(row["actor"].startswith("institution:") for row in audit)
    told = str(audit)
    for hidden in ("sportello.example", made["client_secret"], second["client_secret"]):
        assert hidden not in told


async def test_a_secret_is_shown_once_and_only_its_digest_is_stored(pool: Pool, api: Api) -> None:
    secret = (await api.register())["client_secret"]
    assert len(secret) == 43
    assert await api.secrets() == {key_digest(secret)}
    for method, path, sent in (("GET", "", None), ("GET", "/live", None), ("PUT", "/live", body())):
        answer = await api.ask(method, path, json=sent)
        assert answer.status_code == 200
        assert "secret" not in answer.text.replace("client_secret_basic", "")
    (stored,) = await rows(pool, "SELECT * FROM sso.client")
    assert secret not in str(stored)
    # Replacing keeps it.
    assert await api.secrets() == {key_digest(secret)}


async def test_two_secrets_overlap_for_a_day(pool: Pool, api: Api) -> None:
    first = (await api.register())["client_secret"]
    answer = await api.ask("POST", "/live/secret")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    second = answer.json()["client_secret"]
    until = answer.json()["old_secret_until"]
    expected = clock.now() + timedelta(hours=24)
    assert until[:13] in {
        clock.to_wire(expected)[:13],
        clock.to_wire(expected - timedelta(minutes=1))[:13],
    }
    assert await api.secrets() == {key_digest(first), key_digest(second)}
    # New settings leave both as they are.
    assert (await api.register())["old_secret_until"] == until
    assert await api.secrets() == {key_digest(first), key_digest(second)}
    # Who lost that answer asks again: what their site has goes on, the lost one does not.
    third = (await api.ask("POST", "/live/secret")).json()
    assert third["old_secret_until"] == until
    assert await api.secrets() == {key_digest(first), key_digest(third["client_secret"])}
    assert (await api.ask("DELETE", "/live/secret")).status_code == 204
    assert await api.secrets() == {key_digest(third["client_secret"])}
    assert "old_secret_until" not in (await api.ask("GET", "/live")).json()
    assert (await api.ask("DELETE", "/live/secret")).status_code == 204
    assert await api.secrets() == {key_digest(third["client_secret"])}


async def test_an_old_secret_ends_by_itself(pool: Pool, api: Api) -> None:
    await api.register()
    second = (await api.ask("POST", "/live/secret")).json()["client_secret"]
    await rows(pool, "UPDATE sso.client SET old_secret_until = $1 RETURNING id", clock.now())
    assert await api.secrets() == {key_digest(second)}
    assert "old_secret_until" not in (await api.ask("GET", "/live")).json()
    third = (await api.ask("POST", "/live/secret")).json()
    assert await api.secrets() == {key_digest(second), key_digest(third["client_secret"])}
    assert third["old_secret_until"] > clock.to_wire(clock.now() + timedelta(hours=23))


async def test_the_secrets_of_both_clients_are_apart(api: Api) -> None:
    live, test = await api.register(), await api.register("test")
    await api.ask("POST", "/test/secret")
    assert await api.secrets() == {key_digest(live["client_secret"])}
    assert len(await api.secrets(f"{api.service}-test")) == 2
    assert key_digest(test["client_secret"]) in await api.secrets(f"{api.service}-test")


async def test_keys_replace_secrets_and_secrets_keys(pool: Pool, api: Api) -> None:
    first = (await api.register())["client_secret"]
    await api.ask("POST", "/live/secret")
    answer = await api.put(json=with_keys(public(), public(RSA, use="sig", alg="RS256")))
    assert answer.status_code == 200
    assert "client_secret" not in answer.json()
    assert "old_secret_until" not in answer.json()
    assert await api.secrets() == set()
    assert answer.json()["jwks"]["keys"] == [public(), public(RSA, use="sig", alg="RS256")]
    assert (await api.ask("GET", "/live")).json()["jwks"] == answer.json()["jwks"]
    refused = await api.ask("POST", "/live/secret")
    assert (refused.status_code, refused.json()["title"]) == (409, "Client without secrets")
    assert (await api.ask("DELETE", "/live/secret")).status_code == 204
    (stored,) = await rows(pool, "SELECT * FROM sso.client")
    assert stored["secret_digest"] is stored["old_secret_digest"] is None
    # With keys it needs no secret, also when they are replaced.
    assert "client_secret" not in (await api.put(json=with_keys(public(RSA)))).json()
    back = await api.register(token_endpoint_auth_method="client_secret_post")
    assert back["client_secret"] != first
    assert back["jwks"] is None
    assert await api.secrets() == {key_digest(back["client_secret"])}
    # From one way of sending a secret to the other nothing changes.
    assert "client_secret" not in await api.register()
    assert await api.secrets() == {key_digest(back["client_secret"])}


async def test_a_client_that_begins_with_keys_has_no_secret(api: Api) -> None:
    answer = await api.put(json=with_keys(public(kid="k", x5c=["A"], ext=True)))
    assert answer.status_code == 201
    assert "client_secret" not in answer.json()
    # Only what is needed is kept.
    assert answer.json()["jwks"] == {"keys": [public(kid="k")]}


async def test_all_at_once_make_one_client(api: Api) -> None:
    answers = await asyncio.gather(*(api.put(json=body()) for _ in range(12)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * 11 + [201]
    (secret,) = [answer.json()["client_secret"] for answer in answers if answer.status_code == 201]
    assert not any("client_secret" in one.json() for one in answers if one.status_code == 200)
    assert await api.secrets() == {key_digest(secret)}


async def test_all_at_once_and_each_something_else(api: Api) -> None:
    """Whatever comes first: nothing fails, and what is left fits together."""
    await api.register()
    answers = await asyncio.gather(
        *(
            one
            for _ in range(12)
            for one in (
                api.put(json=body()),
                api.put(json=with_keys()),
                api.ask("POST", "/live/secret"),
                api.ask("DELETE", "/live/secret"),
                api.ask("DELETE", "/live"),
            )
        )
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 404, 409}
    await api.register()
    assert len(await api.secrets()) in {1, 2}


REFUSED: list[tuple[Any, str | None]] = [
    ({}, "redirect_uris"),
    ([], None),
    (None, None),
    ({"redirect_uris": []}, "redirect_uris"),
    ({"redirect_uris": [place(URI + str(n)) for n in range(11)]}, "redirect_uris"),
    ({"redirect_uris": [URI]}, "redirect_uris[0]"),
    ({"redirect_uris": [{"uri": URI}]}, "redirect_uris[0].display_name"),
    ({"redirect_uris": [{**place(), "more": 1}]}, "redirect_uris[0]"),
    ({"redirect_uris": [place(), place(name="Un altro")]}, "redirect_uris[1].uri"),
    ({"redirect_uris": [place(URI + "x" * 500)]}, "redirect_uris[0].uri"),
    ({"redirect_uris": [place(name="Ab")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name="A" * 31)]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(en="Ab")]}, "redirect_uris[0].display_name.en"),
    ({"redirect_uris": [place(en="")]}, "redirect_uris[0].display_name.en"),
    ({"redirect_uris": [place(en="A\u202ebc")]}, "redirect_uris[0].display_name.en"),
    ({"redirect_uris": [place(name="Comune\nMilano")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name="   ")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name=" Comune")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name="Com\u200bune")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name="\u3164\u3164\u3164")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name="\u2028Comune")]}, "redirect_uris[0].display_name.it"),
    ({"redirect_uris": [place(name="Co" + "\u0301" * 9)]}, "redirect_uris[0].display_name.it"),
    (body(post_logout_redirect_uris=["http://a.example/"]), "post_logout_redirect_uris[0]"),
    (body(post_logout_redirect_uris=[URI, URI]), "post_logout_redirect_uris[1]"),
    (
        body(post_logout_redirect_uris=[URI + str(n) for n in range(11)]),
        "post_logout_redirect_uris",
    ),
    (body(post_logout_redirect_uris=[URI + "x" * 500]), "post_logout_redirect_uris[0]"),
    (body(post_logout_redirect_uris=None), "post_logout_redirect_uris"),
    (body(token_endpoint_auth_method="none"), "token_endpoint_auth_method"),
    (body(token_endpoint_auth_method="private_key_jwt"), "jwks"),
    (body(jwks={"keys": [public()]}), "jwks"),
    (body(id_token_signed_response_alg="none"), "id_token_signed_response_alg"),
    (body(id_token_signed_response_alg="HS256"), "id_token_signed_response_alg"),
    (body(request_protection="pkce"), "request_protection"),
    (body(subject_type="public"), "subject_type"),
    (body(optional_claims=["email"]), "optional_claims[0]"),
    (body(optional_claims=["sub"]), "optional_claims[0]"),
    (body(optional_claims=["given_name"] * 4), "optional_claims"),
    (
        body(subject_type="fiscal_code", optional_claims=["given_name", "fiscal_code"]),
        "optional_claims[1]",
    ),
    (body(level="https://www.spid.gov.it/SpidL1"), "level"),
    (body(level=""), "level"),
    (body(level=2), "level"),
    (body(backchannel_logout_uri=""), "backchannel_logout_uri"),
    (body(backchannel_logout_uri="https://a.example/#x"), "backchannel_logout_uri"),
    (body(redirect_uri=URI), None),
    (body(client_secret="mine"), None),
]


@pytest.mark.parametrize(("sent", "field"), REFUSED, ids=range(len(REFUSED)))
async def test_a_wrong_body_is_refused_by_name(api: Api, sent: Any, field: str | None) -> None:
    await api.register()
    kept = (await api.ask("GET")).json()
    for environment in ("live", "test"):
        answer = await api.put(environment, json=sent)
        assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text
    assert (await api.ask("GET")).json() == kept


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"redirect_uris":' + b"[" * 20_000,
        json.dumps(body()).encode().replace(b"Sportello", b"\\u0000\\u0000"),
        json.dumps(body()).encode().replace(b"Sportello", b"\\ud800"),
        json.dumps(body()).encode().replace(b"Sportello", b"\xed\xa0\x80"),
        json.dumps(with_keys()).encode().replace(b'"EC"', b"1e999"),
        json.dumps(with_keys()).encode().replace(b'"EC"', b'{"a":' * 5000),
        json.dumps(with_keys()).encode().replace(b'"ec"', b'"\\u0000"'),
    ],
    ids=range(11),
)
async def test_hostile_json_is_refused(api: Api, content: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    answer = await api.put(content=content, headers=kind)
    assert answer.status_code == 400, answer.text
    assert (await api.ask("GET")).json() == {"items": []}


async def test_a_body_that_is_too_large_or_no_json_is_refused(api: Api) -> None:
    kind = {"Content-Type": "application/json"}
    large = json.dumps(body()).encode() + b" " * BODY_LIMIT
    assert (await api.put(content=large, headers=kind)).status_code == 413
    answer = await api.put(content=b"a=b", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["field"]) == (415, "Content-Type")
    # The largest that anybody needs fits.
    most = {
        "redirect_uris": [
            place(URI + "?" + str(n) * (499 - len(URI)), "N" * 30, en="M" * 30) for n in range(10)
        ],
        "post_logout_redirect_uris": [URI + "?" + str(n) * (499 - len(URI)) for n in range(10)],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public(RSA, kid=str(n), x5c=["A" * 2000]) for n in range(10)]},
    }
    assert (await api.put(json=most)).status_code == 201


async def test_names_of_any_script_are_kept_as_they_are(api: Api) -> None:
    for name in (
        "Città di Forlì: perché no?",
        "Gemeinde Völs am Schlern",
        "Občina Števerjan",
        "市役所の窓口",
        "Quote \" ' < > & \\ {}",
        "Sportello 🏛",
    ):
        made = await api.register(redirect_uris=[place(name=name, en=name)])
        assert made["redirect_uris"] == [place(name=name, en=name)]
        async with api.pool.connection() as conn:
            client = await find_client(conn, api.service)
        assert client
        assert client.redirects[0].name("it") == client.redirects[0].name("en") == name


BAD_ADDRESSES = [
    ("sportello.example.org/a", "must begin with https://"),
    ("//sportello.example.org/a", "must begin with https://"),
    ("/callback", "must begin with https://"),
    ("javascript:alert(1)", "must begin with https://"),
    ("app.example:/callback", "must begin with https://"),
    ("ftp://example.org/", "must begin with https://"),
    ("http://example.org/", "must begin with https://"),
    ("http://10.0.0.7/", "must begin with https://"),
    ("http://localhost.example.org/", "must begin with https://"),
    ("http://127.0.0.1.example.org/", "must begin with https://"),
    ("https:/example.org/", "must name its host"),
    ("https:example.org", "must name its host"),
    ("https:///a", "must name its host"),
    ("https://", "must name its host"),
    ("https://?a", "must name its host"),
    ("https://user@example.org/", "user name"),
    ("https://user:word@example.org/", "user name"),
    ("https://example.org:443@evil.example/", "user name"),
    ("https://@example.org/", "user name"),
    ("https://example.org/#", "fragment"),
    ("https://example.org/a#b", "fragment"),
    ("https://*.example.org/", "without *"),
    ("https://example.org/*", "without *"),
    ("https://example.org/?a=*", "without *"),
    ("https://exa mple.org/", "percent-encode"),
    ("https://example.org/a b", "percent-encode"),
    (" https://example.org/", "percent-encode"),
    ("https://example.org/\r\nx: y", "percent-encode"),
    ("https://example.org/\t", "percent-encode"),
    ("https://example.org/\x7f", "percent-encode"),
    ("https://example.org\\evil.example/", "percent-encode"),
    ("https:\\\\example.org/", "percent-encode"),
    ('https://example.org/"><b>', "percent-encode"),
    ("https://example.org/{id}", "percent-encode"),
    ("https://comune-forlì.example/", "plain ASCII"),
    ("https://example.org/città", "plain ASCII"),
    ("https://ex\u212aample.org/", "plain ASCII"),
    ("https://example.org\uff0fa/", "plain ASCII"),
    ("https://example.org/%", "%25"),
    ("https://example.org/%zz", "%25"),
    ("https://example.org/a%2", "%25"),
    ("https://example.org/.", "segments"),
    ("https://example.org/../a", "segments"),
    ("https://example.org/a/./b", "segments"),
    ("https://example.org/a/..", "segments"),
    ("https://example.org/a/..?b", "segments"),
    ("https://example.org/a/%2e%2E/b", "segments"),
    ("https://example.org/a/.%2e", "segments"),
    ("https://example.org:0/", "port"),
    ("https://example.org:65536/", "port"),
    ("https://example.org:99999999/", "port"),
    ("https://example.org:/", "port"),
    ("https://example.org:x/", "port"),
    ("https://-example.org/", "host"),
    ("https://exa..mple.org/", "host"),
    ("https://" + "a" * 64 + ".example/", "host"),
    ("https://[::g]/", "host"),
    ("https://[::1/", "host"),
    ("https://%65xample.org/", "host"),
    ("https://0x7f.1/", "IP address"),
    ("https://2130706433/", "IP address"),
    ("https://127.1/", "IP address"),
]


@pytest.mark.parametrize(("uri", "said"), BAD_ADDRESSES, ids=range(len(BAD_ADDRESSES)))
async def test_an_address_that_is_not_plain_is_refused_everywhere(
    api: Api, uri: str, said: str
) -> None:
    for sent, field in (
        ({"redirect_uris": [place(), place(uri)]}, "redirect_uris[1].uri"),
        (body(post_logout_redirect_uris=[URI, uri]), "post_logout_redirect_uris[1]"),
        (body(backchannel_logout_uri=uri), "backchannel_logout_uri"),
    ):
        for rules in (PRODUCTION, SANDBOX):
            with api.under(rules):
                for environment in ("live", "test"):
                    answer = await api.put(environment, json=sent)
                    assert (answer.status_code, answer.json()["field"]) == (400, field)
                    assert said in answer.json()["detail"]
                    assert answer.json()["detail"].startswith(field)


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.org",
        "https://example.org/",
        "https://example.org:8443/a?b=c&d=%20e",
        "https://xn--forl-tqa.example/a",
        "https://example.org/a.b/..c/d../...",
        "https://example.org/?next=../a/./b",
        "https://192.0.2.1/a",
        "https://[2001:db8::1]:8443/a",
        "https://10.0.0.7/intranet",
        "HTTPS://Example.ORG/A",
        "https://example.org/a;b=c,d/~e/(f)!$'@:",
        "https://example.org/" + "x" * 480,
    ],
)
async def test_a_good_address_is_kept_byte_for_byte(api: Api, uri: str) -> None:
    made = await api.register(redirect_uris=[place(uri)], post_logout_redirect_uris=[uri])
    assert made["redirect_uris"][0]["uri"] == uri
    assert made["post_logout_redirect_uris"] == [uri]
    async with api.pool.connection() as conn:
        client = await find_client(conn, api.service)
    assert client
    assert client.redirect(uri)


LOOPBACK = ["http://127.0.0.1:8080/cb", "http://localhost/cb", "http://[::1]:9/cb"]
LOOPBACK_ENCRYPTED = [
    *(uri.replace("http:", "https:") for uri in LOOPBACK),
    "https://127.8.8.8/cb",
    "https://LOCALHOST./cb",
    "https://sso.localhost/cb",
    "https://[::ffff:127.0.0.1]/cb",
    "https://0.0.0.0/cb",
    "https://[::]/cb",
]


@pytest.mark.parametrize("uri", LOOPBACK + LOOPBACK_ENCRYPTED)
async def test_ones_own_machine_is_for_tests_and_sandboxes(api: Api, uri: str) -> None:
    sent = {"redirect_uris": [place(uri)], "post_logout_redirect_uris": [uri]}
    answer = await api.put("live", json=sent)
    assert (answer.status_code, answer.json()["field"]) == (400, "redirect_uris[0].uri")
    assert "environment test" in answer.json()["detail"]
    answer = await api.put("live", json=body(post_logout_redirect_uris=[uri]))
    assert (answer.status_code, answer.json()["field"]) == (400, "post_logout_redirect_uris[0]")
    assert (await api.put("test", json=sent)).status_code == 201
    with api.under(SANDBOX):
        assert (await api.put("live", json=sent)).status_code == 201


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.2/cb", "http://localhost./cb", "http://a.localhost/", "http://0.0.0.0/"]
)
async def test_only_three_hosts_do_without_encryption(api: Api, uri: str) -> None:
    with api.under(SANDBOX):
        for environment in ("live", "test"):
            answer = await api.put(environment, json={"redirect_uris": [place(uri)]})
            assert (answer.status_code, answer.json()["field"]) == (400, "redirect_uris[0].uri")
            assert "must begin with https://" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("uri", "production", "sandbox"),
    [
        ("https://logout.example.org/", True, True),
        ("https://8.8.8.8/", True, True),
        ("https://10.0.0.1/", False, False),
        ("https://169.254.169.254/latest", False, False),
        ("https://[fe80::1]/", False, False),
        ("https://127.0.0.1/", False, True),
        ("http://127.0.0.1:8080/", False, True),
        ("http://localhost:8080/", False, True),
        ("https://localhost/", False, True),
    ],
)
async def test_what_is_called_must_be_callable(
    api: Api, uri: str, production: bool, sandbox: bool
) -> None:
    sent = body(backchannel_logout_uri=uri)
    for rules, good in ((PRODUCTION, production), (SANDBOX, sandbox)):
        with api.under(rules):
            answer = await api.put("test", json=sent)
            assert (answer.status_code in {200, 201}) is good, answer.text
            if not good:
                assert answer.json()["field"] == "backchannel_logout_uri"
                assert "may not be called" in answer.json()["detail"]
    # An operator may list an institution's own network.
    with api.under(replace(PRODUCTION, allowed=(ip_network("10.0.0.0/8"),))):
        answer = await api.put("live", json=body(backchannel_logout_uri="https://10.0.0.1/"))
        assert answer.status_code == 201


def number(value: int) -> str:
    size = (value.bit_length() + 7) // 8
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


def rsa(modulus: int, exponent: int = 65537) -> dict[str, Any]:
    return {"kty": "RSA", "n": number(modulus), "e": number(exponent)}


P384 = ECKey.generate_key("P-384").as_dict(private=False)
PRIVATE_EC, PRIVATE_RSA = EC.as_dict(private=True), RSA.as_dict(private=True)
BAD_KEYS: list[tuple[Any, str | None]] = [
    ([PRIVATE_EC], "jwks.keys[0].d"),
    ([PRIVATE_RSA], "jwks.keys[0].d"),
    ([public(RSA), PRIVATE_EC], "jwks.keys[1].d"),
    ([public(RSA, p="AQAB")], "jwks.keys[0].p"),
    ([public(d=None)], "jwks.keys[0].d"),
    ([{"kty": "oct", "k": "c2VjcmV0"}], "jwks.keys[0].k"),
    ([{"kty": "oct"}], "jwks.keys[0].kty"),
    ([{}], "jwks.keys[0].kty"),
    ([public(kty=["EC"])], "jwks.keys[0].kty"),
    ([{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}], "jwks.keys[0].kty"),
    ([P384], "jwks.keys[0].crv"),
    ([public(crv=None)], "jwks.keys[0].crv"),
    ([public(x=7)], "jwks.keys[0].x"),
    ([public(x="A" * 42)], "jwks.keys[0].x"),
    ([public(y="à" * 43)], "jwks.keys[0].y"),
    ([public(y="=" * 43)], "jwks.keys[0].y"),
    ([public(x="A" * 43)], "jwks.keys[0]"),
    ([{"kty": "EC", "crv": "P-256", "x": EC.as_dict()["x"]}], "jwks.keys[0].y"),
    ([rsa(2**1023 + 1)], "jwks.keys[0].n"),
    ([rsa(2**2046 + 1)], "jwks.keys[0].n"),
    ([rsa(2**4096 + 1)], "jwks.keys[0].n"),
    ([rsa(2**2047)], "jwks.keys[0].n"),
    ([public(RSA, n="A" * 401)], "jwks.keys[0].n"),
    ([public(RSA, n="A" * 100_000)], None),
    ([public(RSA, e="AQ")], "jwks.keys[0]"),
    ([public(RSA, e="Ag")], "jwks.keys[0]"),
    ([public(RSA, e="A" * 300)], "jwks.keys[0].e"),
    ([public(RSA, e="A")], "jwks.keys[0]"),
    ([public(use="enc")], "jwks.keys[0].use"),
    ([public(alg="RS256")], "jwks.keys[0].alg"),
    ([public(RSA, alg="PS256")], "jwks.keys[0].alg"),
    ([public(kid="")], "jwks.keys[0].kid"),
    ([public(kid="a b")], "jwks.keys[0].kid"),
    ([public(kid=7)], "jwks.keys[0].kid"),
    ([public(kid={"a": []})], "jwks.keys[0].kid"),
    ([public(kid="k" * 201)], "jwks.keys[0].kid"),
    ([public(), public(RSA, kid="ec")], "jwks.keys[1].kid"),
    ([public(), public(RSA, kid=None)], "jwks.keys[1].kid"),
    ([], "jwks.keys"),
    ([public(kid=str(n)) for n in range(11)], "jwks.keys"),
    (["key"], "jwks.keys[0]"),
    ({"a": 1}, "jwks.keys"),
]


@pytest.mark.parametrize(("keys", "field"), BAD_KEYS, ids=range(len(BAD_KEYS)))
async def test_a_key_that_will_not_do_is_refused_by_name(
    api: Api, keys: Any, field: str | None
) -> None:
    sent = body(token_endpoint_auth_method="private_key_jwt", jwks={"keys": keys})
    answer = await api.put(json=sent)
    assert answer.status_code == (400 if field else 413), answer.text
    assert answer.json().get("field") == field
    if field == "jwks.keys[0].d":
        assert "private key" in answer.json()["detail"]
    assert str(PRIVATE_EC["d"]) not in answer.text
    assert (await api.ask("GET")).json() == {"items": []}


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
async def test_keys_of_usual_sizes_are_taken(api: Api, bits: int) -> None:
    odd = rsa(2**bits - 1)  # what makes a modulus good only its maker knows
    assert (await api.put(json=with_keys(odd))).status_code == 201


async def test_a_key_without_a_name_may_be_alone(api: Api) -> None:
    bare = {name: value for name, value in public().items() if name != "kid"}
    answer = await api.put(json=with_keys(bare))
    assert answer.json()["jwks"] == {"keys": [bare]}


async def test_what_could_be_safer_is_advised(pool: Pool, api: Api) -> None:
    for change, fields in (
        ({}, []),
        ({"request_protection": "none"}, ["request_protection"]),
        ({"request_protection": "pkce_or_nonce"}, ["request_protection"]),
        ({"token_endpoint_auth_method": "client_secret_post"}, ["token_endpoint_auth_method"]),
        ({"subject_type": "fiscal_code"}, ["subject_type"]),
        (
            {"subject_type": "fiscal_code", "request_protection": "none"},
            ["request_protection", "subject_type"],
        ),
    ):
        made = await api.register(**change)
        assert [one["field"] for one in made["advice"]] == fields
        assert all(len(one["advice"]) > 40 for one in made["advice"])
    await api.register()
    late = "UPDATE sso.client SET state_missing_at = $1 RETURNING id"
    await rows(pool, late, clock.now() - timedelta(days=1))
    found = (await api.ask("GET")).json()["items"][0]
    assert "state_missing_at" in found
    assert [one["field"] for one in found["advice"]] == ["state"]
    await rows(pool, late, clock.now() - timedelta(days=8))
    found = (await api.ask("GET", "/live")).json()
    assert "state_missing_at" in found
    assert found["advice"] == []


async def test_what_citizens_agreed_to_outlives_the_client(pool: Pool, api: Api) -> None:
    await api.register()
    now = clock.now()
    await rows(
        pool,
        "INSERT INTO sso.consent VALUES (0, 'x', $1, '{}', '{}', $2, $2) RETURNING bucket",
        api.service,
        now,
    )
    await api.ask("DELETE", "/live")
    assert await rows(pool, "DELETE FROM sso.consent RETURNING client_id") == [
        {"client_id": api.service}
    ]


async def test_every_route_is_in_the_reference(pool: Pool, api: Api) -> None:
    routes = ClientRoutes(api.authenticate.manager, pool, PRODUCTION).routes()
    made = document(routes, title="t", version="1", about="a", server="http://x")
    one = "/messo/v1/services/{id}/sso"
    assert {path: set(there) for path, there in made["paths"].items()} == {
        one: {"get"},
        one + "/{environment}": {"get", "put", "delete"},
        one + "/{environment}/secret": {"post", "delete"},
    }
