"""The document for citizens' client applications says what those routes do."""

import html
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from messo.base.http import Route
from tests.conftest import Running
from tests.messages.test_openapi import nodes, routes_of_both


@pytest.fixture(scope="module")
async def document(running: Running) -> dict[str, Any]:
    answer = await running.client.get("/docs/citizens/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    return routes_of_both()[1]


async def test_it_is_a_valid_openapi_document(document: dict[str, Any]) -> None:
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references == {
        f"#/components/schemas/{name}" for name in document["components"]["schemas"]
    }
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}


async def test_every_route_is_in_it(document: dict[str, Any], routes: list[Route]) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in routes}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert all(answer["description"] for answer in operation["responses"].values())


async def test_every_route_that_is_not_public_wants_a_token(
    running: Running, document: dict[str, Any], routes: list[Route]
) -> None:
    public = {route.path for route in routes if route.public}
    assert public == {"/api/auth/v1/login", "/api/auth/v1/token"}
    for route in routes:
        operation = document["paths"][route.path][route.method.lower()]
        assert (operation.get("security") == []) is route.public
        if route.public:
            continue
        assert "401" in operation["responses"]
        path = route.path.replace("{", "").replace("}", "")
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
            answer = await running.client.request(route.method, path, headers=headers)
            assert answer.status_code == 401, route.path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert not answer.headers["content-type"].startswith("application/problem")


async def test_the_reference_is_served(running: Running, routes: list[Route]) -> None:
    page = html.unescape((await running.client.get("/docs/citizens")).text)
    for route in routes:
        assert route.path in page
        assert route.summary in page
