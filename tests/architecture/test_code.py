"""Reads the code: rooms, names, sizes and who imports what."""

import ast
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

SOURCE = Path(str(files("messo")))
FILES = sorted(SOURCE.glob("**/*.py"))
# Words of the domain: plumbing that needs one is not plumbing.
DOMAIN = re.compile(
    r"(?<![a-z])(institutions?|organi[sz]ations?|citizens?|fiscal_?codes?|recipients?|profiles?"
    r"|preferences?|activations?|services?|inbox|notices?|payees?|payments?|messages"
    r"|fingerprints?)(?![a-z])",
    re.IGNORECASE,
)
# Where a word of the domain in `base` has a reason. Prose is free; names and strings are not.
EXEMPT = {
    "log.py": {"fiscal_code"},  # the pattern of what must never be written, to blot it out
    "metrics.py": {"messages", "inbox"},  # one registry, so that names cannot collide
}


def relative(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def words_of(path: Path) -> set[str]:
    """Words of the domain in the names (not in comments, docstrings or texts) of a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str | None] = []
        if isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.arg | ast.keyword):
            names = [node.arg]
        for name in filter(None, names):
            spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            found |= {match.group(1) for match in DOMAIN.finditer(spaced)}
    return found


# "message" alone is ASGI's word, and the word for what an error says.
@pytest.mark.parametrize("path", sorted((SOURCE / "base").glob("*.py")), ids=relative)
def test_base_knows_nothing_of_the_domain(path: Path) -> None:
    assert words_of(path) - EXEMPT.get(path.name, set()) == set()


@pytest.mark.parametrize("path", sorted((SOURCE / "base").glob("*.py")), ids=relative)
def test_base_imports_no_room(path: Path) -> None:
    for module in imported(path):
        if module.startswith("messo."):
            assert module.startswith(("messo.base", "messo.migrations")), module


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_is_named_after_a_fact(path: Path) -> None:
    refused = {"helpers", "helper", "utils", "util", "service", "repository", "manager", "common"}
    assert path.stem not in refused
    assert path.parent.name not in {"models", "helpers", "utils"}


def test_only_the_database_module_imports_the_driver() -> None:
    importing = {
        relative(path)
        for path in FILES
        if any(module.split(".")[0] == "asyncpg" for module in imported(path))
    }
    assert importing == {"base/db.py"}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"


def test_rooms_import_downwards_only() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [program, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# A channel's name is a key: in its folder, in the registry, and in settings and migrations.
CHANNELS = sorted(
    path.name
    for path in (SOURCE / "notifications" / "channels").iterdir()
    if path.is_dir() and path.name[0] != "_"
)


def texts(path: Path) -> set[str]:
    """Strings and imported modules of a file."""
    found = imported(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_channel_is_named_in_its_folder_and_the_registry_only(path: Path, channel: str) -> None:
    place = relative(path)
    if place.startswith(f"notifications/channels/{channel}/") or place == (
        "notifications/channels/__init__.py"
    ):
        return
    module = f"messo.notifications.channels.{channel}"
    assert not any(text.startswith(module) for text in texts(path)), "imported past the registry"
    if place.startswith("notifications/"):
        # Elsewhere the same word may be a citizen's address, or the wire's name for it.
        assert channel not in texts(path)
        assert not re.search(rf"\b{channel}\b", " ".join(names(path)))


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_statement_outside_its_folder_names_a_channel(channel: str) -> None:
    for path in SOURCE.glob("**/*.sql"):
        place = relative(path)
        if place.startswith(("migrations/", f"notifications/channels/{channel}/")):
            continue
        text = path.read_text()
        assert f"'{channel}'" not in text, place
        assert f"notifications.{channel}" not in text, place


def test_there_are_channels() -> None:
    assert len(CHANNELS) >= 2


def names(path: Path) -> set[str]:
    """Names of a module's variables, functions and attributes."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found
