"""The API reference at `/docs`: one page made once from the OpenAPI document, without scripts."""

import re
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

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "public, max-age=300",
}

# What examples say; the first that the schema admits is taken.
_TEXTS = {
    "subject": "Your identity card expires soon",
    "markdown": (
        "Your identity card expires on **31 January 2027**. "
        "Book an appointment at the town hall to renew it in time."
    ),
    "email": "office@example.org",
    "reference": "case-2026-0042",
}
_SAMPLES = (
    "01K5ZJ7M8N9PQRSTVWXYZ01234",  # a ULID
    "AAAAAA00A00A000A",  # a citizen's fiscal code
    "00000000000",  # an organisation's
    "000000000000000000",  # a payment notice
)
_MOMENT = "2026-12-31T12:00:00Z"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Word:
    """A piece of a type's name; `anchor` is where on the page it is explained, or empty."""

    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Shape:
    """What a value looks like. `limits` and `about` may hold `code` between backticks."""

    words: tuple[Word, ...]
    limits: tuple[str, ...] = ()
    about: str = ""
    members: "tuple[Member, ...]" = ()


@dataclass(frozen=True)
class Member:
    """A member of an object, or a parameter: then `place` is path, query or header."""

    name: str
    required: bool
    shape: Shape
    place: str = ""


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


def pages(document: dict[str, Any]) -> list[Route]:
    """`/docs` and its style sheet. `document` is OpenAPI 3.1, as `base/openapi.py` makes it."""
    html = _render(document)
    css = resources.files("messo.operations").joinpath("static/reference.css").read_bytes()

    async def show_page(_: Request) -> Response:
        return Response(html, headers=_HEADERS, media_type="text/html")

    async def show_style(_: Request) -> Response:
        return Response(css, headers=_HEADERS, media_type="text/css")

    return [Route("/docs", show_page), Route("/docs/reference.css", show_style)]


def _render(document: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("messo.operations"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    components = document["components"]
    schemas = Schemas(components["schemas"])
    header = components["securitySchemes"]["key"]["name"]
    server = document["servers"][0]["url"].rstrip("/")
    operations = [
        _operation(method, path, operation, schemas, server=server, key=header)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return environment.get_template("reference.html").render(
        info=document["info"],
        server=server,
        header=header,
        operations=operations,
        schemas={name: schemas.shape(components["schemas"][name]) for name in sorted(schemas.all)},
    )


def _operation(
    method: str, path: str, operation: dict[str, Any], schemas: "Schemas", *, server: str, key: str
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
            key,
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


def _answer(status: str, answer: dict[str, Any], schemas: "Schemas") -> Answer:
    for media, body in answer.get("content", {}).items():
        return Answer(status, answer["description"], media, schemas.shape(body["schema"]))
    return Answer(status, answer["description"], "", None)


def _values(parameters: list[dict[str, Any]], place: str, schemas: "Schemas") -> dict[str, str]:
    """Make example values of the required parameters of a place."""
    return {
        given["name"]: str(schemas.example(given["schema"], given["name"]))
        for given in parameters
        if given["in"] == place and given["required"]
    }


def _curl(method: str, url: str, key: str, given: dict[str, dict[str, str]], body: Any) -> str:  # noqa: ANN401  JSON
    for name, value in given["path"].items():
        url = url.replace(f"{{{name}}}", quote(value, safe=""))
    if given["query"]:
        url += "?" + urlencode(given["query"])
    lines = ["curl -i" if method == "GET" else f"curl -i -X {method}"]
    lines[0] += " " + shlex.quote(url)
    lines.append(f'-H "{key}: $MESSO_KEY"')
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in given["header"].items()]
    if body is not None:
        text = msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)


class Schemas:
    """The document's named schemas: puts a schema into words, and makes an example of it."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self.all = schemas

    def shape(self, schema: Schema, within: tuple[str, ...] = ()) -> Shape:
        """Describe a schema with all inside it; one that contains itself is only named there."""
        name, target = self._resolve(schema)
        if name in within:
            return Shape((_link(name),))
        if name:
            within = (*within, name)
        variants = _variants(target)
        if variants:
            return _joined(target, [self.shape(variant, within) for variant in variants])
        words: tuple[Word, ...] = (_link(name),) if name else (Word(_kind(target)),)
        members: tuple[Member, ...] = ()
        if target.get("type") == "object":
            members = self._members(target, within)
        elif "items" in target:
            items = self.shape(target["items"], within)
            words, members = (Word("list of "), *items.words), items.members
            limits = (*_limits(target), *items.limits)
            return Shape(words, limits, target.get("description", items.about), members)
        return Shape(words, _limits(target), target.get("description", ""), members)

    def example(
        self,
        schema: Schema,
        name: str = "",
        *,
        without: frozenset[str] = frozenset(),
        within: tuple[str, ...] = (),
    ) -> Any:  # noqa: ANN401  JSON
        """Make a valid value: required members, and optional ones that have an example.

        `without` names members to leave out of the outermost object.
        """
        reference, target = self._resolve(schema)
        given = _given(target)
        if given is not None or reference in within:
            return given
        if reference:
            within = (*within, reference)
        for variant in _variants(target):
            if variant.get("type") != "null":
                return self.example(variant, name, without=without, within=within)
        if target.get("type") == "object":
            required = target.get("required", ())
            return {
                member: self.example(inner, member, within=within)
                for member, inner in target.get("properties", {}).items()
                if member not in without
                and (member in required or "examples" in self._resolve(inner)[1])
            }
        if target.get("type") == "array":
            return [self.example(target.get("items", {}), name, within=within)]
        return _scalar(target, name)

    def _resolve(self, schema: Schema) -> tuple[str, Schema]:
        """Find its name, empty for a schema that has none, and what it stands for."""
        if "$ref" not in schema:
            return "", schema
        name = schema["$ref"].rpartition("/")[2]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return name, {**self.all[name], **beside}

    def _members(self, target: Schema, within: tuple[str, ...]) -> tuple[Member, ...]:
        required = target.get("required", ())
        members = [
            Member(name, name in required, self.shape(inner, within))
            for name, inner in target.get("properties", {}).items()
        ]
        # What must be there comes first; otherwise the document's order.
        return tuple(sorted(members, key=lambda member: not member.required))


def _link(name: str) -> Word:
    return Word(name, f"schema-{name}")


def _variants(schema: Schema) -> list[Schema]:
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            found: list[Schema] = schema[key]
            return found
    return []


def _joined(target: Schema, shapes: list[Shape]) -> Shape:
    words: list[Word] = []
    for shape in shapes:
        words += [*([Word(" or ")] if words else []), *shape.words]
    inner = [shape.members for shape in shapes if shape.members]
    return Shape(
        tuple(words),
        (*(limit for shape in shapes for limit in shape.limits), *_limits(target)),
        target.get("description") or " ".join(shape.about for shape in shapes if shape.about),
        # Members of several kinds of object in one list would look like one object.
        inner[0] if len(inner) == 1 else (),
    )


def _kind(schema: Schema) -> str:
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if values:
        return "string" if all(isinstance(value, str) for value in values) else "value"
    kind: str = schema.get("type", "anything")
    return kind


def _limits(schema: Schema) -> tuple[str, ...]:
    limits = [
        _range("length ", schema.get("minLength"), schema.get("maxLength")),
        _range("", schema.get("minimum"), schema.get("maximum")),
        _range("items ", schema.get("minItems"), schema.get("maxItems")),
    ]
    if "exclusiveMinimum" in schema:
        limits.append(f"more than {schema['exclusiveMinimum']}")
    if "exclusiveMaximum" in schema:
        limits.append(f"less than {schema['exclusiveMaximum']}")
    if "multipleOf" in schema:
        limits.append(f"a multiple of {schema['multipleOf']}")
    if "const" in schema:
        limits.append(f"always {_code(schema['const'])}")
    if "enum" in schema:
        limits.append("one of " + ", ".join(_code(value) for value in schema["enum"]))
    if "format" in schema:
        limits.append(f"format {schema['format']}")
    if "pattern" in schema:
        limits.append(f"matches {_code(schema['pattern'])}")
    if "default" in schema:
        limits.append(f"default {_code(schema['default'])}")
    if "examples" in schema:
        limits.append(f"for example {_code(schema['examples'][0])}")
    return tuple(limit for limit in limits if limit)


def _range(what: str, least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if least == most:
        return f"{what}{least:,}"
    if most is None:
        return f"{what}at least {least:,}"
    return f"{what}at most {most:,}" if least is None else f"{what}{least:,} to {most:,}"


def _code(value: Any) -> str:  # noqa: ANN401  JSON
    return f"`{value if isinstance(value, str) else msgspec.json.encode(value).decode()}`"


def _given(schema: Schema) -> Any:  # noqa: ANN401  JSON
    """Take the value the schema itself gives, or None."""
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    return schema.get("const", schema.get("default"))


def _scalar(schema: Schema, name: str) -> str | float | None:
    match schema.get("type"):
        case "integer" | "number":
            least: float = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            return least
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _text(schema, name)


def _text(schema: Schema, name: str) -> str:
    least: int = schema.get("minLength", 0)
    most: int | None = schema.get("maxLength")
    pattern = re.compile(schema.get("pattern", ""))
    moment = _MOMENT if schema.get("format") == "date-time" else ""
    for candidate in (_TEXTS.get(name, ""), moment, *_SAMPLES):
        fits = len(candidate) >= max(least, 1) and (most is None or len(candidate) <= most)
        if fits and pattern.search(candidate):
            return candidate
    padded = ("text " * (least // 5 + 1)).strip().ljust(least, ".")
    return padded[:most]
