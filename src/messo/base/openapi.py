"""OpenAPI 3.1 (spec.openapis.org/oas/v3.1.1) from the routes and their msgspec types."""

from collections.abc import Sequence
from typing import Any

import msgspec

from messo.base.http import Parameter, Route
from messo.base.wire import GatewayError

_REF = "#/components/schemas/{name}"

KEY = {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"}
BEARER = {"type": "http", "scheme": "bearer"}


def cookie(name: str) -> dict[str, str]:
    """The scheme of callers who say who they are with a cookie of this name."""
    return {"type": "apiKey", "in": "cookie", "name": name}


def document(
    routes: Sequence[Route],
    *,
    title: str,
    version: str,
    about: str,
    server: str,
    scheme: dict[str, str] = KEY,
) -> dict[str, Any]:
    """The whole document, ready to be encoded as JSON. `scheme`: how a caller says who it is."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = {id(kind): _portable(schema) for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": about},
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": _portable(components),
            "securitySchemes": {"key": scheme},
        },
    }


def _types(routes: Sequence[Route]) -> list[Any]:
    found: dict[int, Any] = {}
    for route in routes:
        bodies = [route.body, *(kind for kind, _ in route.answers.values())]
        for kind in [*bodies, *(parameter.type for parameter in route.parameters)]:
            if kind is not None:
                found[id(kind)] = kind
    return list(found.values())


def _operation(route: Route, by_type: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": route.about,
        "parameters": [_parameter(parameter, by_type) for parameter in route.parameters],
        "responses": {
            str(status): _response(status, kind, about, by_type)
            for status, (kind, about) in route.answers.items()
        },
    }
    if route.public:
        operation["security"] = []
    if route.body is not None:
        schema = by_type[id(route.body)]
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _parameter(parameter: Parameter, by_type: dict[int, Any]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required or parameter.place == "path",
        "description": parameter.about,
        "schema": by_type[id(parameter.type)],
    }


def _response(status: int, kind: Any, about: str, by_type: dict[int, Any]) -> dict[str, Any]:  # noqa: ANN401
    response: dict[str, Any] = {"description": about}
    if kind is not None:
        problem = status >= 400 and kind is not GatewayError  # noqa: PLR2004
        media = "application/problem+json" if problem else "application/json"
        response["content"] = {media: {"schema": by_type[id(kind)]}}
    return response


def _portable(schema: Any) -> Any:  # noqa: ANN401  JSON Schema
    """Patterns in the dialect of JSON Schema (ECMA-262): `$` where Python needs its own sign."""
    if isinstance(schema, dict):
        return {
            name: value.replace(r"\Z", "$")
            if name == "pattern" and isinstance(value, str)
            else _portable(value)
            for name, value in schema.items()
        }
    if isinstance(schema, list):
        return [_portable(value) for value in schema]
    return schema
