"""Makes what the code already says: docs/reference/settings.md, commands.md, openapi*.json and
schema.sql. A test fails when they are not what this writes.
"""

import asyncio
import json
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from messo import documents
from messo.api import Content, Fetchers, Senders, citizen_routes, institution_routes, people_routes
from messo.base import db, migrate
from messo.base.postgres import EmbeddedPostgres
from messo.base.schema_dump import dump_schema
from messo.cli import cli
from messo.settings import Settings, variable

ROOT = Path(__file__).parent.parent


def settings_page() -> str:
    rows = [
        f"| `{variable(f)}` | {_default(f.default)} | {f.metadata['about']} |"
        for f in fields(Settings)
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Read from the environment. Made from `src/messo/settings.py` by `bin/reference`.",
            "",
            "| variable | default | what it does |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(value: object) -> str:
    if isinstance(value, tuple) or value == "":
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def commands_page() -> str:
    lines = ["# Commands", "", "Made from `src/messo/cli.py` by `bin/reference`.", ""]
    _describe(typer.main.get_command(cli), "messo", lines)
    return "\n".join(lines)


def _describe(command: Any, path: str, lines: list[str]) -> None:
    if hasattr(command, "commands"):
        for name, inner in sorted(command.commands.items()):
            _describe(inner, f"{path} {name}", lines)
        return
    words = [path]
    options: list[str] = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = (parameter.name or "").upper()
            words.append(name if parameter.required else f"[{name}]")
        elif parameter.name != "help":
            about = parameter.help or ""
            options.append(
                f"- `{' / '.join(parameter.opts + parameter.secondary_opts)}` {about}".rstrip()
            )
    lines += [f"## {path}", "", f"`{' '.join(words)}`", "", (command.help or "").strip(), ""]
    if options:
        lines += [*options, ""]


def openapi_documents() -> dict[str, str]:
    """All documents, from routes that are only described, not served."""
    nothing: Any = None
    settings = Settings()
    institutions = institution_routes(
        settings, nothing, Senders(*[*[nothing] * 7, Content(*[nothing] * 4), *[nothing] * 3])
    )
    citizens = citizen_routes(settings, nothing, nothing, nothing, Fetchers(*[nothing] * 3))
    people = people_routes(settings, nothing, nothing, nothing, nothing)
    made = {
        "openapi.json": documents.for_institutions(institutions, settings),
        "openapi-citizens.json": documents.for_citizens(citizens, settings),
        "openapi-people.json": documents.for_people(people, settings),
    }
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in made.items()
    }


def schema() -> str:
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder), port=0)
        url = postgres.start()

        async def fill() -> None:
            conn = await db.connect(url)
            await migrate.migrate(conn, 1, lambda _: None)
            await conn.close()

        asyncio.run(fill())
        dumped = dump_schema(url)
        postgres.stop()
    return dumped


def pages() -> dict[Path, str]:
    """What each file should hold, except schema.sql, which needs a database."""
    reference = ROOT / "docs" / "reference"
    return {
        reference / "settings.md": settings_page(),
        reference / "commands.md": commands_page(),
        **{reference / name: text for name, text in openapi_documents().items()},
    }


if __name__ == "__main__":
    for path, text in {**pages(), ROOT / "schema.sql": schema()}.items():
        path.write_text(text)
