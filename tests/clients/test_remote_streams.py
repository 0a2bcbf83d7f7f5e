"""Attachments on their way: in pieces, no faster than they are read, and closed at the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.institution import PDF, Institution, until
from tests.clients.readers import Large, is_open, read_all, reader, until_nothing_is_drawn


def test_head_tells_the_same_without_the_body(
    client: httpx.Client, institution: Institution
) -> None:
    large = Large()
    path = institution.announce("only its head", large.plain)

    for place in ("/messages/whole", "/messages/whole/attachments/pdf", "/messages/none"):
        whole, head = client.get(place), client.head(place)
        assert head.status_code == whole.status_code
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert head.content == b""
    assert client.head(path).status_code == 200
    assert large.closed.is_set()


def contents(folder: Path) -> Iterator[Any]:
    expected = PDF + b"x" * 200_000
    stored = folder / "stored.pdf"
    stored.write_bytes(expected)
    yield expected
    yield bytearray(expected)
    yield stored
    yield [PDF, b"x" * 200_000]
    yield lambda: iter([PDF, b"", b"x" * 200_000])
    yield lambda: stored.open("rb")


def test_bytes_may_come_in_any_form(
    client: httpx.Client, institution: Institution, tmp_path: Path
) -> None:
    expected = PDF + b"x" * 200_000
    for content in contents(tmp_path):
        answer = client.get(institution.announce("form", content))
        assert answer.content == expected
        known = isinstance(content, bytes | bytearray | Path)
        assert answer.headers.get("content-length") == (str(len(expected)) if known else None)


def test_an_empty_attachment_is_served(
    client: httpx.Client, institution: Institution, tmp_path: Path
) -> None:
    (tmp_path / "empty.pdf").touch()
    empty: list[Any] = [b"", tmp_path / "empty.pdf", []]
    for content in empty:
        assert client.get(institution.announce("empty", content)).content == b""


def test_nothing_is_drawn_ahead_of_a_reader_who_does_not_read(
    client: httpx.Client, url: str, institution: Institution
) -> None:
    large = Large()
    path = institution.announce("slowly", large.plain)
    with reader(url, path) as opened:
        until_nothing_is_drawn(large, client)

        assert large.drawn < Large.size / 2
        received = read_all(opened)

    assert received > large.size
    assert large.drawn == large.size


def test_a_reader_who_goes_away_closes_the_generator(url: str, institution: Institution) -> None:
    large = Large()
    path = institution.announce("left", large.plain)
    with reader(url, path) as opened:
        assert opened.recv(1000)

    assert large.closed.wait(20), "the generator was not closed"
    assert large.drawn < large.size


def test_a_reader_who_goes_away_closes_the_file(
    url: str, institution: Institution, tmp_path: Path
) -> None:
    stored = tmp_path / "large.pdf"
    with stored.open("wb") as file:
        file.truncate(Large.size)
    with reader(url, institution.announce("left file", stored)) as opened:
        assert opened.recv(1000)
        assert is_open(stored)

    until(lambda: not is_open(stored), "the file is closed")


def test_a_file_that_shrinks_is_not_taken_for_whole(
    url: str, institution: Institution, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = tmp_path / "shrinking.pdf"
    with stored.open("wb") as file:
        file.truncate(Large.size)
    with reader(url, institution.announce("shrinking", stored)) as opened:
        received = len(opened.recv(1000))
        with stored.open("r+b") as file:
            file.truncate(100)
        received += read_all(opened)

    assert received < Large.size
    until(lambda: "EOFError" in caplog.text, "it is logged")
