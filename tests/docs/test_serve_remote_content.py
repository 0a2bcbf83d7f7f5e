"""The how-to of remote content does what it says: its commands are run as they stand there.

Only ports are replaced, and `./bin/run` by what it runs, for both would be taken or would install.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import msgspec
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from messo.base.postgres import EmbeddedPostgres
from messo.content import wire
from tests.acceptance.installed import (
    CHECKOUT,
    alive,
    bare_environment,
    descendants,
    forget_data,
    free_ports,
    process_table,
    status_of,
    wait_until,
)
from tests.pages.conftest import FLAGS

TEXT = (CHECKOUT / "docs/howto/serve-remote-content.md").read_text()
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## ", re.MULTILINE)
_FILE = re.compile(r"`(\S+\.py)`")
# Every block of the steps, by how it begins; whatever else stands there is a mistake of one of us.
SCRIPT = (
    "sh ./bin/run",
    "sh mkdir ../town",
    "python from pathlib import Path",
    "sh cd ../town",
    "sh curl -s http://127.0.0.1:8001/messages/MENSA-117 \\",
    'json { "details":',
    "sh curl -s http://127.0.0.1:8001/messages/MENSA-117 \\",
    'json {"title": "Not the recipient"',
    "sh (cd ../town && .venv/bin/python -m messo_client.remote",
    "text No fault found.",
    "sh manage_key=",
    'json { "name": "Letters"',
    "sh configuration=",
    "sh curl -s http://127.0.0.1:8480/messo/v1/remote-contents/configurations/",
    'json { "ok": true',
    "sh .venv/bin/messo service check-remote",
    "text All is well.",
    "sh service_key=",
    'json {"id":',
)
# Commands that are left running, each in a terminal of its own, and what they say when they are ready.
RUNNING = {"./bin/run": "Ctrl-C stops everything", "cd ../town\n": "Uvicorn running on"}
# What the last step, which is not for a shell, names.
SHOWN = (
    "http://127.0.0.1:8480",
    "Accedi",
    "Giulia Ferretti",
    "Mensa scolastica: una lettera",
    "Una lettera della scuola",
    "Continua",
    "Apri",
    "Lettera.pdf",
    "Comune di Pontelungo in questo momento non è raggiungibile",
)


class Block(NamedTuple):
    """A fenced block, and the text before it since the one before."""

    language: str
    body: str
    before: str

    def begins(self, words: str) -> bool:
        return " ".join(f"{self.language} {self.body}".split()).startswith(words)


def sections(text: str) -> tuple[str, str]:
    """The steps, whose headings are numbered, and the rest."""
    parts = _HEADING.split(text)
    steps = [part for part in parts[1:] if part[0].isdigit()]
    assert [int(part.split(".")[0]) for part in steps] == list(range(1, len(steps) + 1))
    return "".join(steps), "".join(part for part in parts[1:] if part not in steps)


def blocks(text: str) -> list[Block]:
    found, end = [], 0
    for match in _FENCED.finditer(text):
        found.append(Block(match[1], match[2], text[end : match.start()]))
        end = match.end()
    return found


STEPS, REST = sections(TEXT)


def test_no_block_has_come_or_gone() -> None:
    found = blocks(STEPS)
    assert len(found) == len(SCRIPT)
    for block, words in zip(found, SCRIPT, strict=True):
        assert block.begins(words), f"expected {words!r}, found {block.body!r}"
    last = STEPS.rpartition("\n10. ")[2]
    for words in SHOWN:
        assert words in last


def test_the_example_of_a_test_environment_is_one() -> None:
    samples = [json.loads(each.body) for each in blocks(REST) if each.language == "json"]
    assert [list(sample) for sample in samples] == [["test_environment"]]
    made = msgspec.convert(samples[0]["test_environment"], wire.TestEnvironment)
    assert made.test_users


class Terminal:
    """A shell that stays open, as a reader's; it ends at the first command that fails."""

    def __init__(self, folder: Path, environment: dict[str, str], output: Path) -> None:
        self._output = output
        self._ends = 0
        with output.open("w") as file:
            self.popen = subprocess.Popen(
                # What is started in the background ignores Ctrl-C, and so would all that it starts.
                ["env", "--default-signal=INT", "bash", "-euo", "pipefail"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def type(self, command: str) -> None:
        assert self.popen.stdin is not None
        # Commands read nothing of what is typed after them.
        self.popen.stdin.write("{\n" + command + "} </dev/null\n")
        self.popen.stdin.flush()

    def run(self, command: str) -> str:
        """What the command says."""
        self._ends += 1
        end, begin = f"--- end of {self._ends} ---", len(self.said())
        self.type(command + f"\nprintf '\\n%s\\n' '{end}'\n")

        def is_over() -> bool:
            said = self.said()[begin:]
            assert end in said or self.popen.poll() is None, f"{command}\nfailed:\n{said}"
            return end in said

        wait_until(is_over, f"this comes to its end:\n{command}", seconds=120)
        return self.said()[begin:].rpartition(end)[0]

    def said(self) -> str:
        return self._output.read_text()

    def interrupt(self) -> None:
        """Ctrl-C, and wait for the end of what runs here."""
        running = descendants(self.popen.pid)
        for seen in process_table():
            # What these have started in turn, they stop themselves.
            if seen.parent == self.popen.pid:
                with suppress(ProcessLookupError):
                    os.kill(seen.pid, signal.SIGINT)
        wait_until(lambda: not alive(running), "all that ran in this terminal has ended")

    def close(self) -> None:
        self.interrupt()
        self.popen.kill()
        self.popen.communicate()


def place_of(package: str) -> str:
    """The folder that a package is installed in."""
    found = find_spec(package)
    assert found, f"this test needs {package}, since it may fetch nothing"
    assert found.origin
    return str(Path(found.origin).parents[1])


class Reader:
    """Somebody who follows the text in a checkout of their own, with ports of their own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.checkout = folder / "checkout"
        self.checkout.mkdir()
        shutil.copytree(
            CHECKOUT / "clients",
            self.checkout / "clients",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        (self.checkout / ".venv").symlink_to(sys.prefix)
        self.messo, self.town = free_ports(5), free_ports()
        self.environment = bare_environment(
            PATH=f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
            # No index and no other environment for the build: everything that is needed is here.
            PYTHONPATH=":".join({place_of("uvicorn"), place_of("hatchling")}),
            PIP_CONFIG_FILE="/dev/null",
            PIP_NO_INDEX="1",
            PIP_NO_BUILD_ISOLATION="false",  # it switches the isolation off
            PYTHONUNBUFFERED="1",
            MESSO_PORT=str(self.messo),
            MESSO_OPS_PORT=str(self.messo + 1),
            MESSO_DATABASE_PORT=str(self.messo + 3),
            MESSO_SANDBOX_MAIL_PORT=str(self.messo + 4),
        )
        self._folder = folder
        self._stack = stack
        self.terminals: list[Terminal] = []
        self.hands = self.open_terminal()

    def open_terminal(self) -> Terminal:
        output = self._folder / f"terminal-{len(self.terminals)}.out"
        terminal = Terminal(self.checkout, self.environment, output)
        self._stack.callback(terminal.close)
        self.terminals.append(terminal)
        return terminal

    def here(self, text: str) -> str:
        """The text with the ports that are free here."""
        return (
            text.replace("127.0.0.1:8480", f"127.0.0.1:{self.messo}")
            .replace("127.0.0.1:8001", f"127.0.0.1:{self.town}")
            .replace("--port 8001", f"--port {self.town}")
            .replace("./bin/run", ".venv/bin/messo up")
        )

    def follow(self, found: list[Block]) -> None:
        said = ""
        for block in found:
            body = self.here(block.body)
            if block.language == "python":
                (self.checkout / _FILE.findall(block.before)[-1]).write_text(body)
            elif block.language != "sh":
                must_be_said(block.language, body, said)
            elif ready := next((RUNNING[c] for c in RUNNING if block.body.startswith(c)), None):
                self.leave_running(body, ready)
            else:
                said = self.hands.run(body)

    def leave_running(self, command: str, ready: str) -> None:
        terminal = self.open_terminal()
        terminal.type(command)

        def is_ready() -> bool:
            assert terminal.popen.poll() is None, f"{command}\nhas ended:\n{terminal.said()}"
            return ready in terminal.said()

        wait_until(is_ready, f"{command} says {ready!r}")


def must_be_said(language: str, expected: str, said: str) -> None:
    """The shown answer is the one that came; `…` stands for anything."""
    if language == "json":
        given = json.loads(said)
        assert is_like(json.loads(expected), given), f"expected {expected}\nfound {said}"
    else:
        lines = [" ".join(line.split()) for line in said.splitlines()]
        for line in expected.splitlines():
            assert any(is_like(" ".join(line.split()), each) for each in lines), said


def is_like(expected: Any, given: Any) -> bool:
    """Whether they are the same but for `…` in texts, and how long a call has taken."""
    if isinstance(expected, dict) and isinstance(given, dict):
        return expected.keys() == given.keys() and all(
            name == "ms" or is_like(expected[name], given[name]) for name in expected
        )
    if isinstance(expected, list) and isinstance(given, list):
        return len(expected) == len(given) and all(map(is_like, expected, given))
    if isinstance(expected, str) and isinstance(given, str):
        pattern = ".+".join(re.escape(part) for part in expected.split("…"))
        return re.fullmatch(pattern, given, re.DOTALL) is not None
    return type(expected) is type(given) and bool(expected == given)


@contextmanager
def a_browser() -> Iterator[Page]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "this test needs Chromium: bin/parts installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(locale="it-IT", timezone_id="Europe/Rome")
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def read_as_giulia(reader: Reader, page: Page) -> None:
    """The last step, as its words have it."""
    page.goto(reader.here("http://127.0.0.1:8480"))
    page.get_by_role("link", name="Accedi").first.click()
    page.get_by_role("button", name="Giulia Ferretti").click()
    newest = page.locator("main a[href^='/messages/']").first
    expect(newest).to_contain_text("Mensa scolastica: una lettera")
    newest.click()
    expect(page.get_by_role("heading", name="Una lettera della scuola")).to_be_visible()
    assert "GET /messages/MENSA-117/precondition" in reader.terminals[-1].said()
    page.get_by_role("button", name="Continua").click()
    expect(page.get_by_role("heading", name="Mensa scolastica: la retta")).to_be_visible()
    expect(page.locator(".message-body")).to_contain_text("96 euro")
    opens = page.get_by_role("link", name=re.compile(r"Apri Lettera\.pdf"))
    address = opens.get_attribute("href")
    assert address
    # What the browser gets there; its viewer is none of ours.
    file = page.request.get(urljoin(page.url, address))
    assert file.headers["content-type"] == "application/pdf"
    assert file.body() == (reader.checkout / "../town/letter.pdf").read_bytes()


def change_a_word(reader: Reader, page: Page) -> None:
    letters = reader.checkout / "../town/letters.py"
    letters.write_text(letters.read_text().replace("96 euro", "84 euro"))
    again = next(block for block in blocks(STEPS) if block.body.startswith("cd ../town\n"))
    reader.terminals[-1].interrupt()
    reader.leave_running(reader.here(again.body), "Uvicorn running on")
    page.reload()
    expect(page.locator(".message-body")).to_contain_text("84 euro")


def stop_the_server(reader: Reader, page: Page) -> None:
    reader.terminals[-1].interrupt()
    page.reload()
    expect(page.locator("main")).to_contain_text(
        "Comune di Pontelungo in questo momento non è raggiungibile"
    )
    expect(page.locator(".message-body")).to_contain_text("la scuola ti ha scritto una lettera")


@pytest.mark.acceptance
def test_a_newcomer_gets_to_a_remote_message_in_the_browser(tmp_path: Path) -> None:
    data = EmbeddedPostgres(tmp_path / "checkout" / "var", 0)
    try:
        with ExitStack() as stack:
            reader = Reader(tmp_path, stack)
            reader.follow(blocks(STEPS))
            with a_browser() as page:
                read_as_giulia(reader, page)
                change_a_word(reader, page)
                stop_the_server(reader, page)
        assert status_of(f"http://127.0.0.1:{reader.messo}/health/live") == 0
    finally:
        forget_data(data)
