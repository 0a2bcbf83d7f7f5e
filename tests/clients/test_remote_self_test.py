"""The self-test: each fault has its sentence, and a sound message has none."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from messo_client.remote import Asked, Attachment, Detail, NotReady, Precondition
from tests.clients.institution import ANNA, BRUNO, MARKDOWN, PDF, Institution, letter
from tests.clients.test_remote_faults import SECRET, fail

ASKED = Asked("it", ANNA)


def found(message: Any, content: Any = PDF, **others: Any) -> list[str]:
    """What the self-test finds in this message and its attachments, which all have these bytes."""
    institution = Institution()
    institution.messages["it"] = message
    functions = {"attachment": lambda *_: content() if callable(content) else content}
    return institution.content(**(functions | others)).self_test(ASKED)


def one(**members: Any) -> Detail:
    """A message with one attachment that has what is peculiar to it."""
    return letter(attachments=[Attachment(**({"id": "pdf"} | members))])


SOUND = letter(
    subject="s" * 10,
    markdown="m" * 80,
    attachments=[
        Attachment("pdf", name="a.pdf", size=len(PDF), category="F24"),
        Attachment("è / ?", content_type=None),
    ],
    precondition=Precondition("Title", "Text"),
)


def test_nothing_is_found_in_what_is_sound() -> None:
    assert found(SOUND) == []
    assert found(letter(subject="s" * 120, markdown="m" * 10_000)) == []
    assert found(letter(subject=None, markdown=None, attachments=[Attachment("pdf")])) == []
    assert found(SOUND, lambda: iter([PDF])) == []


@pytest.mark.parametrize(
    ("message", "sentences"),
    [
        (letter(subject="short"), ["details.subject: 5 characters, must be 10 to 120"]),
        (letter(subject="🙂" * 61), ["details.subject: 122 characters, must be 10 to 120"]),
        (letter(subject=None), ["details.subject: None, must be text of 10 to 120 characters"]),
        (
            letter(subject="\ud800" * 20),
            ["details.subject: half of a surrogate pair, which cannot"],
        ),
        (letter(markdown="m" * 79), ["details.markdown: 79 characters, must be 80 to 10000"]),
        (letter(markdown="m" * 10_001), ["details.markdown: 10001 characters, must be"]),
        (letter(markdown=5), ["details.markdown: int, must be text"]),
        (letter(subject=None, markdown=None), ["details: neither a subject and a markdown nor"]),
        (letter(attachments=None), ["attachments: None, must be a list"]),
        (letter(attachments=["pdf"]), ["attachments[0]: str, must be an Attachment"]),
        (
            letter(attachments=[Attachment("b"), Attachment("pdf"), Attachment("pdf")]),
            ["attachments[2].id: the same as of attachments[1]"],
        ),
        (one(id=""), ["attachments[0].id: empty"]),
        (one(id=5), ["attachments[0].id: int, must be text"]),
        (one(id=".."), ["attachments[0].id: must not be . or .."]),
        (one(id="a/./b"), ["attachments[0].id: must not be . or .."]),
        (one(id="a\\b"), ["attachments[0].id: must not have a backslash"]),
        (
            letter(attachments=[Attachment(str(number)) for number in range(101)]),
            ["attachments: 101, must be at most 100"],
        ),
        (one(name="letter.doc"), ['attachments[0].name: must end in ".pdf"']),
        (one(name=""), ['attachments[0].name: must end in ".pdf"']),
        (one(category="X"), ["attachments[0].category: must be 2 to 30 of A-Z, 0-9 and _"]),
        (one(category="tax form"), ["attachments[0].category: must be"]),
        (one(content_type="text/plain"), ["attachments[0].content_type: must be"]),
        (one(size=5), [f"attachments[0].size: 5, but there are {len(PDF)} bytes"]),
        (one(size=-1), ["attachments[0].size: must be a number of bytes"]),
        (one(size="5"), ["attachments[0].size: must be a number of bytes"]),
        (
            letter(precondition=Precondition("", " ")),
            ["precondition.title: empty", "precondition.m"],
        ),
        (letter(precondition=Precondition("T", None)), ["precondition.markdown: None, must be"]),  # type: ignore[arg-type]
        (letter(precondition="T"), ["precondition: str, must be a Precondition"]),
        (
            letter(recipient=BRUNO),
            ["recipient: not the fiscal code that was given", "detail() for"],
        ),
        (letter(recipient=None), ["recipient: None, must be a fiscal code"]),
        (None, ["detail(): gave None, must be a Detail for a message that exists"]),
        ({"recipient": ANNA}, ["detail(): gave dict, must be a Detail"]),
    ],
)
def test_a_fault_of_a_message_has_a_sentence(message: Any, sentences: list[str]) -> None:
    findings = found(message)

    assert len(findings) == len(sentences)
    for finding, sentence in zip(findings, sentences, strict=True):
        assert finding.startswith(sentence)


async def pieces() -> AsyncIterator[bytes]:
    yield b"<html>"


def breaking() -> Iterator[bytes]:
    yield PDF
    fail()


def soon() -> bytes:
    raise NotReady(after_s=5)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "attachments[0]: attachment() gave None, but it is announced"),
        ("text", "attachments[0]: attachment() gave str, must be bytes, a Path or an iterable"),
        (b"", "attachments[0]: does not begin with %PDF"),
        (b"\n%PDF", "attachments[0]: does not begin with %PDF"),
        (pieces, "attachments[0]: does not begin with %PDF"),
        (b"%PDF" + bytes(20 * 1024 * 1024), "attachments[0]: larger than 20 MiB"),
        (Path("/nowhere/at/all.pdf"), "attachments[0]: attachment(): raised FileNotFoundError"),
        (fail, "attachments[0]: attachment(): raised TaxOfficeError"),
        (breaking, "attachments[0]: attachment(): raised TaxOfficeError"),
        (soon, "attachments[0]: attachment(): not ready for 5 s"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else type(value).__name__,
)
def test_a_fault_of_an_attachment_has_a_sentence(content: Any, sentence: str) -> None:
    [finding] = found(one(), content)

    assert finding.startswith(sentence)
    assert SECRET not in finding
    assert ANNA not in finding


def test_an_attachment_is_drawn_no_further_than_needed_and_closed() -> None:
    drawn, closed = 0, []

    def endless() -> Iterator[bytes]:
        nonlocal drawn
        try:
            while True:
                drawn += 1_000_000
                yield PDF + bytes(1_000_000 - len(PDF))
        finally:
            closed.append(True)

    assert found(one(), endless) == ["attachments[0]: larger than 20 MiB"]
    assert drawn < 23_000_000
    assert closed == [True]


def test_who_lets_anybody_in_is_told() -> None:
    [finding] = found(lambda asked: letter(recipient=asked.fiscal_code))

    assert finding.startswith("detail() for another fiscal code: is let in")


def test_who_knows_every_message_is_told() -> None:
    [finding] = found(letter(), detail=lambda _: letter())

    assert finding == "detail() for an unknown message id: gave Detail, must be None"


def test_what_is_raised_is_told_by_kind_and_place() -> None:
    [finding] = found(fail)

    assert re.match(
        r"detail\(\): raised TaxOfficeError at .*test_remote_faults.py:\d+ fail", finding
    )
    assert SECRET not in finding


def test_what_is_raised_only_for_strangers_is_told() -> None:
    def strict(asked: Asked) -> Detail:
        return letter() if asked.fiscal_code == ANNA else fail()

    [finding] = found(strict)

    assert finding.startswith("detail() for another fiscal code: raised TaxOfficeError")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [(Asked("", ANNA), "message_id: empty"), (Asked("it", ANNA.lower()), "fiscal_code: not 16")],
)
def test_a_test_needs_a_message_and_a_reader(asked: Asked, sentence: str) -> None:
    [finding] = Institution().content().self_test(asked)

    assert finding.startswith(sentence)


async def test_async_functions_are_tested_as_well() -> None:
    """Also from within an event loop, as in a test of theirs."""

    async def detail(asked: Asked) -> Detail | None:
        return letter(attachments=[Attachment("pdf")]) if asked.message_id == "it" else None

    async def attachment(_: Asked, __: str) -> AsyncIterator[bytes]:
        async def both() -> AsyncIterator[bytes]:
            yield PDF
            yield MARKDOWN.encode()

        return both()

    content = Institution().content(detail=detail, attachment=attachment)

    assert content.self_test(ASKED) == []


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "messo_client.remote", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_prints_what_is_found(tmp_path: Path) -> None:
    (tmp_path / "town.py").write_text(
        "from messo_client.remote import *\n"
        f"letters = {{'1': Detail('{ANNA}', 'short', 'm' * 80), '2': Detail('{ANNA}', 's' * 10, 'm' * 80)}}\n"
        "content = RemoteContent(detail=lambda asked: letters.get(asked.message_id),"
        " attachment=lambda *_: None, keys=['k'])\n"
    )

    faulty, sound = (
        run(tmp_path, "town:content", "1", ANNA),
        run(tmp_path, "town:content", "2", ANNA),
    )

    assert faulty.stdout == "details.subject: 5 characters, must be 10 to 120\n"
    assert faulty.returncode == 1
    assert sound.stdout == "No fault found.\n"
    assert sound.returncode == 0
    for wrong in ("town", "town:letters", "town:none", "village:content"):
        refused = run(tmp_path, wrong, "1", ANNA)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
