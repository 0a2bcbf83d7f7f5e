"""The documents say what the code does."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from docs.make import ROOT, pages

from messo.messages.checks import parse_message
from messo.settings import Settings, variable

README = (ROOT / "README.md").read_text()
WRITTEN = [
    path
    for path in ROOT.glob("**/*.md")
    if not {".venv", "var", "node_modules"} & set(path.relative_to(ROOT).parts)
]


@pytest.mark.parametrize("path", list(pages()), ids=lambda path: path.name)
def test_made_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text() == pages()[path], "run bin/reference"


def test_every_setting_is_documented_in_a_sentence() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    for setting in fields(Settings):
        assert f"`{variable(setting)}`" in page
        assert setting.metadata["about"].endswith(".")


def test_the_readme_sends_a_valid_message() -> None:
    body = re.search(r"-d '(\{.*?\})'", README, re.DOTALL)
    assert body is not None
    assert parse_message(body.group(1).encode()).fiscal_code == "AAAAAA00A00A000A"
    assert json.loads(body.group(1))


def test_the_readme_names_commands_that_exist() -> None:
    commands = set(re.findall(r"\./(bin/\w+)", README))
    assert {"bin/run", "bin/test", "bin/bench", "bin/ci"} <= commands
    for command in commands:
        assert (ROOT / command).stat().st_mode & 0o100


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_exist(path: Path) -> None:
    known = (ROOT / "docs/reference/commands.md").read_text()
    for command in re.findall(
        r"^\s*(messo [a-z][a-z-]+(?: [a-z][a-z-]+)?)", path.read_text(), re.MULTILINE
    ):
        one, two = " ".join(command.split()[:2]), command
        assert f"## {one}\n" in known or f"## {two}\n" in known, command


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_help_is_shown_without_a_database() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "messo", "--help"], capture_output=True, text=True, check=True
    )
    assert "Personal messages" in told.stdout
