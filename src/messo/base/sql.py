"""Named statements: SQL stays in `queries.sql` beside the code that runs it.

A statement begins with `-- name: do_a_thing`; the comment lines under it say why it is so.
Parameters are written `:name` and become `$1`, `$2` … in order of first appearance.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
# Strings and comments are skipped whole; `::type` is a cast, not a parameter.
_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|:([a-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement, ready for the driver."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    comment: str

    def bind(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the statement's order. A missing or extra name is a `KeyError`."""
        if len(values) != len(self.parameters):
            raise KeyError(
                f"{self.name} takes {sorted(self.parameters)}, was given {sorted(values)}"
            )
        return [values[name] for name in self.parameters]


def parse(text: str) -> dict[str, Statement]:
    """All statements of a file, by name. Two of one name are a `ValueError`."""
    found: dict[str, Statement] = {}
    pieces = _NAME.split(text)
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in found:
            raise ValueError(f"two statements are named {name}")
        order: list[str] = []

        def number(match: re.Match[str], order: list[str] = order) -> str:
            word = match.group(1)
            if word is None:
                return "" if match.group().startswith("--") else match.group()
            if word not in order:
                order.append(word)
            return f"${order.index(word) + 1}"

        comment = "\n".join(line[2:].strip() for line in body.splitlines() if line.startswith("--"))
        sql = _TOKEN.sub(number, body).strip().rstrip(";")
        found[name] = Statement(name, sql, tuple(order), comment)
    return found


class Queries:
    """The statements of one room: `queries = Queries("messo.messages")`, then `queries.name`."""

    def __init__(self, package: str) -> None:
        self.statements = parse(files(package).joinpath("queries.sql").read_text())

    def __getattr__(self, name: str) -> Statement:
        try:
            return self.statements[name]
        except KeyError:
            raise AttributeError(name) from None
