"""The API reference at `/docs`: one page made once from the OpenAPI document, without scripts."""

import asyncio
import functools
import shlex
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from messo.operations.shapes import Member, Schemas, Shape

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "public, max-age=300",
}


# Each links to the others.
_ALL = {
    "/docs": "For institutions",
    "/docs/citizens": "For client applications",
    "/docs/people": "For people and operators",
}


@dataclass(frozen=True)
class Answer:
    """One status of an operation; `media` and `shape` are of its body, if it has one."""

    status: str
    about: str
    media: str
    shape: Shape | None


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the page shows it."""

    anchor: str
    method: str
    path: str
    summary: str
    about: str
    parameters: tuple[Member, ...]
    body: Shape | None
    curl: str
    answers: tuple[Answer, ...]


def pages(document: dict[str, Any], path: str = "/docs") -> list[Route]:
    """The page at `path`, the document beside it, and their style sheet.

    `document` is OpenAPI 3.1, as `base/openapi.py` makes it.
    """
    # For the first who asks: a start does not wait for it.
    html = functools.cache(lambda: _render(document, path))
    encoded = msgspec.json.encode(document)
    css = resources.files("messo.operations").joinpath("static/reference.css").read_bytes()

    async def show_page(_: Request) -> Response:
        return Response(await asyncio.to_thread(html), headers=_HEADERS, media_type="text/html")

    async def show_document(_: Request) -> Response:
        return Response(encoded, media_type="application/json")

    async def show_style(_: Request) -> Response:
        return Response(css, headers=_HEADERS, media_type="text/css")

    return [
        Route(path, show_page),
        Route(f"{path}/openapi.json", show_document),
        Route("/docs/reference.css", show_style),
    ]


@dataclass(frozen=True)
class Credential:
    """What callers send to say who they are, and what the examples read it from."""

    header: str
    prefix: str
    variable: str
    is_key: bool


def _credential(scheme: dict[str, str]) -> Credential:
    if scheme["type"] == "http":
        return Credential("Authorization", "Bearer ", "MESSO_TOKEN", is_key=False)
    if scheme["in"] == "cookie":
        return Credential("Cookie", f"{scheme['name']}=", "MESSO_LOGIN", is_key=False)
    return Credential(scheme["name"], "", "MESSO_KEY", is_key=True)


def _render(document: dict[str, Any], path: str) -> str:
    environment = Environment(
        loader=PackageLoader("messo.operations"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    components = document["components"]
    schemas = Schemas(components["schemas"])
    credential = _credential(components["securitySchemes"]["key"])
    server = document["servers"][0]["url"].rstrip("/")
    operations = [
        _operation(method, path, operation, schemas, server=server, credential=credential)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return environment.get_template("reference.html").render(
        info=document["info"],
        server=server,
        credential=credential,
        path=path,
        others={other: name for other, name in _ALL.items() if other != path},
        operations=operations,
        schemas={name: schemas.shape(components["schemas"][name]) for name in sorted(schemas.all)},
    )


def _operation(
    method: str,
    path: str,
    operation: dict[str, Any],
    schemas: Schemas,
    *,
    server: str,
    credential: Credential,
) -> Operation:
    body = operation.get("requestBody")
    content = None if body is None else body["content"]["application/json"]["schema"]
    parameters = operation["parameters"]
    in_path = frozenset(given["name"] for given in parameters if given["in"] == "path")
    return Operation(
        anchor=f"operation-{operation['operationId']}",
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        about=operation.get("description", ""),
        parameters=tuple(
            Member(
                given["name"],
                given["required"],
                _described(schemas.shape(given["schema"]), given["description"]),
                given["in"],
            )
            for given in parameters
        ),
        body=None if content is None else schemas.shape(content),
        curl=_curl(
            method.upper(),
            server + path,
            None if operation.get("security") == [] else credential,
            {place: _values(parameters, place, schemas) for place in ("path", "query", "header")},
            # What the path says, the body does not repeat.
            None if content is None else schemas.example(content, without=in_path),
        ),
        answers=tuple(
            _answer(status, answer, schemas)
            for status, answer in sorted(operation["responses"].items())
        ),
    )


def _described(shape: Shape, about: str) -> Shape:
    both = " ".join(text for text in (about, shape.about) if text)
    return Shape(shape.words, shape.limits, both, shape.members)


def _answer(status: str, answer: dict[str, Any], schemas: Schemas) -> Answer:
    for media, body in answer.get("content", {}).items():
        return Answer(status, answer["description"], media, schemas.shape(body["schema"]))
    return Answer(status, answer["description"], "", None)


def _values(parameters: list[dict[str, Any]], place: str, schemas: Schemas) -> dict[str, str]:
    """Make example values of the required parameters of a place."""
    return {
        given["name"]: str(schemas.example(given["schema"], given["name"]))
        for given in parameters
        if given["in"] == place and given["required"]
    }


def _curl(
    method: str,
    url: str,
    credential: Credential | None,
    given: dict[str, dict[str, str]],
    body: Any,  # noqa: ANN401  JSON
) -> str:
    for name, value in given["path"].items():
        url = url.replace(f"{{{name}}}", quote(value, safe=""))
    if given["query"]:
        url += "?" + urlencode(given["query"])
    lines = ["curl -i" if method == "GET" else f"curl -i -X {method}"]
    lines[0] += " " + shlex.quote(url)
    if credential:
        lines.append(f'-H "{credential.header}: {credential.prefix}${credential.variable}"')
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in given["header"].items()]
    if body is not None:
        text = msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)
