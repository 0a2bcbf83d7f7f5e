"""Shapes of values, read from JSON Schema: names of types, limits, members, and examples."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

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
