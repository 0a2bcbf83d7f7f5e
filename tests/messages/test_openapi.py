"""The document of the API: valid, complete, served, and true where it gives examples."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from messo.api import Content, Fetchers, Senders, citizen_routes, institution_routes, people_routes
from messo.base.http import Route
from messo.operations.shapes import Schemas
from messo.services.logo_routes import LogoFiles
from messo.settings import Settings
from messo.sso.routes import provider_routes
from tests.conftest import Running
from tests.world import AUTO, World, message

KEY = "Ocp-Apim-Subscription-Key"
MANAGE = "/api/v1/manage/services"


def routes_of_both() -> tuple[list[Route], list[Route]]:
    """The institutions' routes and the citizens', described and not served."""
    nothing: Any = None
    institutions = institution_routes(
        Settings(), nothing, Senders(*[*[nothing] * 7, Content(*[nothing] * 4), *[nothing] * 3])
    )
    return institutions, citizen_routes(
        Settings(), nothing, nothing, nothing, Fetchers(*[nothing] * 3)
    )


def routes_of_people() -> list[Route]:
    """Those of institutions' people and of operators."""
    nothing: Any = None
    return people_routes(Settings(), nothing, nothing, nothing, nothing)


@pytest.fixture(scope="module")
async def document(running: Running) -> dict[str, Any]:
    answer = await running.client.get("/docs/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def routes(running: Running) -> list[Route]:
    """The institutions' routes; with the citizens' and what is pushed to us they are all there is."""
    institutions, citizens = routes_of_both()
    router = running.started.app.router
    served = len(router._exact) + len(router._patterns)
    assert router.find({"method": "POST", "path": "/messo/v1/mail-bounces"}) is not None
    assert router.find({"method": "POST", "path": "/messo/v1/payment-events"}) is not None
    nothing: Any = None
    single_sign_on = provider_routes(Settings(), nothing, nothing, nothing)
    for_all = [*single_sign_on, *LogoFiles(nothing).routes()]
    known = [*institutions, *citizens, *routes_of_people(), *for_all]
    assert served == len(known) + 2, "there are others"
    return institutions


def nodes(value: Any) -> list[dict[str, Any]]:
    """Every object within."""
    found = [value] if isinstance(value, dict) else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in inner:
        found += nodes(member)
    return found


def concrete(path: str) -> str:
    return path.replace("{fiscal_code}", AUTO).replace("{id}", "x")


async def test_it_is_a_valid_openapi_document(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)


async def test_its_schemas_are_valid_and_its_references_lead_somewhere(
    document: dict[str, Any],
) -> None:
    components = document["components"]["schemas"]
    for schema in components.values():
        assert jsonschema_rs.meta.is_valid(schema)
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references == {f"#/components/schemas/{name}" for name in components}


async def test_its_patterns_are_of_json_schemas_dialect(document: dict[str, Any]) -> None:
    patterns = [node["pattern"] for node in nodes(document) if isinstance(node.get("pattern"), str)]
    assert patterns
    for pattern in patterns:
        assert not re.search(r"\\[AZz]|\(\?P", pattern), pattern
        assert pattern.startswith("^")
        assert pattern.endswith("$")


async def test_every_route_is_documented_and_nothing_else(
    document: dict[str, Any], routes: list[Route]
) -> None:
    documented = {
        (method.upper(), path, operation["operationId"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert documented == {(route.method, route.path, route.name) for route in routes}
    assert len({name for _, _, name in documented}) == len(documented)


async def test_every_operation_says_what_it_is_and_answers(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"]
            answers = operation["responses"]
            assert {"401", "403", "429", "503"} <= set(answers)
            assert "400" in answers or not (operation["parameters"] or "requestBody" in operation)
            good = {status for status in answers if status.startswith("2")}
            # What is put there is made or replaced (RFC 9110, section 9.3.4).
            assert len(good) == 1 or (method == "put" and good == {"200", "201"})
            if "requestBody" in operation:
                assert {"408", "413", "415"} <= set(answers)
            for status, answer in answers.items():
                assert answer["description"]
                if status in {"202", "204"}:
                    assert "content" not in answer
                    continue
                (media,) = answer["content"]
                gateway = status in {"200", "201", "401", "429"}
                assert media == ("application/json" if gateway else "application/problem+json")
            in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path)), method


async def test_the_key_is_asked_for_everywhere(document: dict[str, Any]) -> None:
    assert document["security"] == [{"key": []}]
    assert document["components"]["securitySchemes"]["key"] == {
        "type": "apiKey",
        "in": "header",
        "name": "Ocp-Apim-Subscription-Key",
    }
    assert not [node for node in nodes(document["paths"]) if "security" in node]


async def test_every_route_refuses_without_a_key(running: Running, routes: list[Route]) -> None:
    assert len(routes) >= 7
    for route in routes:
        for headers in ({}, {"Ocp-Apim-Subscription-Key": "wrong"}):
            answer = await running.client.request(
                route.method, concrete(route.path), headers=headers, content=b"{}"
            )
            assert answer.status_code == 401, route.path
            assert set(answer.json()) == {"statusCode", "message"}


async def test_every_example_is_valid_by_its_own_schema(document: dict[str, Any]) -> None:
    given = [node for node in nodes(document) if isinstance(node.get("examples"), list)]
    assert given
    for schema in given:
        for example in schema["examples"]:
            assert jsonschema_rs.is_valid(schema, example)


async def test_the_bodies_shown_are_accepted(
    running: Running, world: World, document: dict[str, Any]
) -> None:
    """The examples on the page, sent as they stand."""
    schemas = Schemas(document["components"]["schemas"])
    for path, operations in document["paths"].items():
        body = operations.get("post", {}).get("requestBody")
        if body is None or path.startswith("/messo/v1/webhooks"):  # about a service: tests/events
            continue
        if "{id}" in path:  # of something that is there
            continue
        manages = "remote-contents" in path or path in {"/messo/v1/groups", MANAGE}
        sender = world.special if "activations" in path else world.anna
        without = frozenset({"fiscal_code"} if "{fiscal_code}" in path else ())
        example = schemas.example(body["content"]["application/json"]["schema"], without=without)
        answer = await running.client.post(
            path.replace("{fiscal_code}", "AAAAAA00A00A000A"),
            json=example,
            headers={KEY: world.manage_key} if manages else sender.headers,
        )
        found_nobody = "activations" in path and answer.status_code == 404  # it asks, by POST
        assert answer.is_success or found_nobody, (path, example, answer.text)


async def test_answers_follow_their_schema(
    running: Running, world: World, document: dict[str, Any]
) -> None:
    sent = await running.client.post(
        "/api/v1/messages",
        json=message(),
        headers=world.anna.headers | {"X-Messo-Reference": "case-1"},
    )
    message_id = sent.json()["id"]
    asked = {
        ("/api/v1/messages/{fiscal_code}/{id}", f"/api/v1/messages/{AUTO}/{message_id}"): 200,
        ("/messo/v1/messages/{id}", f"/messo/v1/messages/{message_id}"): 200,
        ("/messo/v1/messages", "/messo/v1/messages?reference=case-1"): 200,
        ("/messo/v1/messages", "/messo/v1/messages"): 400,
        ("/api/v1/profiles/{fiscal_code}", f"/api/v1/profiles/{AUTO}"): 200,
        ("/api/v1/profiles/{fiscal_code}", "/api/v1/profiles/x"): 400,
    }
    for (path, url), status in asked.items():
        answer = await running.client.get(url, headers=world.anna.headers)
        assert answer.status_code == status
        (described,) = document["paths"][path]["get"]["responses"][str(status)]["content"].values()
        whole = {**described["schema"], "components": document["components"]}
        jsonschema_rs.Draft202012Validator(whole).validate(answer.json())


async def test_the_document_refuses_what_the_server_refuses(
    running: Running, world: World, document: dict[str, Any]
) -> None:
    """Bounds that the server counts by itself stand in the document too."""
    schema = {
        "$ref": "#/components/schemas/NewMessage",
        "components": document["components"],
    }
    validator = jsonschema_rs.Draft202012Validator(schema)
    payment = {"amount": 1, "notice_number": "302000000000000083"}
    bodies: list[tuple[dict[str, Any], bool]] = [
        (message(), True),
        (message(payment_data=payment), True),
        (message(prescription_data={"nre": "n" * 15, "iup": "i" * 16}), True),
        ({**message(), "time_to_live": None, "feature_level_type": None}, True),
        (message(subject="s" * 9), False),
        (message(subject="s" * 121), False),
        (message(markdown="m" * 79), False),
        (message(markdown="m" * 10_001), False),
        (message(payment_data={**payment, "amount": 0}), False),
        (message(payment_data={**payment, "amount": 10_000_000_000}), False),
        (message(payment_data={**payment, "notice_number": "4" * 18}), False),
        (message(payment_data={"amount": 1}), False),
        (message(prescription_data={"nre": "n" * 14}), False),
        (message(prescription_data={"nre": "n" * 16}), False),
        (message(prescription_data={"nre": "n" * 15, "iup": ""}), False),
        (message(prescription_data={"nre": "n" * 15, "iup": "i" * 17}), False),
        (message(require_secure_channels=None), False),
        ({**message(), "time_to_live": 3599}, False),
        ({**message(), "time_to_live": 604_801}, False),
        ({**message(), "fiscal_code": None}, False),
        ({**message(), "fiscal_code": "aaaaaa00a00a000a"}, False),
        ({"fiscal_code": AUTO}, False),
    ]
    for body, valid in bodies:
        answer = await running.client.post(
            "/api/v1/messages", json=body, headers=world.anna.headers
        )
        assert answer.status_code == (201 if valid else 400), (body, answer.text)
        assert validator.is_valid(body) is valid, json.dumps(body)[:300]


async def test_the_reference_is_served(running: Running, routes: list[Route]) -> None:
    page = await running.client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for route in routes:
        assert route.path in page.text
        assert route.summary in page.text
