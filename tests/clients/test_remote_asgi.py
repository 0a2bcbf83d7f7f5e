"""What is peculiar to ASGI: functions that are awaited, mounts, and the paths as they were sent."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from messo_client.remote import Asked, Detail
from tests.clients.institution import (
    AMBIGUOUS,
    ANNA,
    HEADERS,
    KEY,
    PDF,
    Institution,
    asgi_server,
    letter,
)
from tests.clients.readers import Large, read_all, reader, until_nothing_is_drawn
from tests.clients.test_remote_faults import SECRET, fail


@pytest.fixture(scope="module")
def url(institution: Institution) -> Iterator[str]:
    with asgi_server(institution.content().asgi) as address:
        yield address


def test_an_answer_that_breaks_off_is_not_taken_for_whole(
    client: httpx.Client, institution: Institution, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[bytes]:
        yield PDF
        fail()

    path = institution.announce("broken", broken)

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(path)

    assert "TaxOfficeError" in caplog.text
    assert SECRET not in caplog.text
    assert ANNA not in caplog.text


def test_async_functions_serve_as_well(institution: Institution) -> None:
    async def detail(asked: Asked) -> Detail | None:
        return institution.detail(asked)

    async def attachment(asked: Asked, attachment_id: str) -> bytes:
        return PDF

    content = institution.content(detail=detail, attachment=attachment)
    with (
        asgi_server(content.asgi) as address,
        httpx.Client(base_url=address, headers=HEADERS) as client,
    ):
        assert client.get("/messages/whole").status_code == 200
        assert client.get("/messages/whole/attachments/pdf").content == PDF


def test_a_plain_function_keeps_nobody_else_waiting(
    client: httpx.Client, institution: Institution
) -> None:
    """One waits for what another request does: on the event loop that would be for ever."""
    reached = threading.Event()

    def slow(_: Asked) -> Detail:
        assert reached.wait(20)
        return letter()

    def quick(_: Asked) -> Detail:
        reached.set()
        return letter()

    institution.messages |= {"slow": slow, "quick": quick}

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(client.get, ["/messages/slow", "/messages/quick"]))

    assert [each.status_code for each in answers] == [200, 200]


def test_pieces_may_be_awaited(client: httpx.Client, institution: Institution) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield PDF
        yield b""
        yield b"x" * 200_000

    answer = client.get(institution.announce("awaited", pieces))

    assert answer.content == PDF + b"x" * 200_000
    assert "content-length" not in answer.headers


def test_nothing_is_awaited_ahead_of_a_reader_who_does_not_read(
    client: httpx.Client, url: str, institution: Institution
) -> None:
    large = Large()
    with reader(url, institution.announce("slowly", large.beside)) as opened:
        until_nothing_is_drawn(large, client)

        assert large.drawn < Large.size / 2
        assert read_all(opened) > Large.size


def test_a_reader_who_goes_away_closes_the_async_generator(
    url: str, institution: Institution
) -> None:
    """Though neither it nor the server ever waits, and so gives others a turn."""
    large = Large()
    with reader(url, institution.announce("left", large.beside)) as opened:
        assert opened.recv(1000)

    assert large.closed.wait(20), "the generator was not closed"
    assert large.drawn < Large.size


def test_a_reader_who_goes_away_ends_a_wait_for_more(url: str, institution: Institution) -> None:
    """An upstream that never goes on keeps no connection open."""
    closed = threading.Event()

    async def stuck() -> AsyncIterator[bytes]:
        try:
            yield PDF
            await asyncio.Event().wait()
        finally:
            closed.set()

    with reader(url, institution.announce("stuck", stuck)) as opened:
        assert opened.recv(1000)

    assert closed.wait(20), "the generator was not closed"


def test_a_reader_who_goes_away_while_a_piece_is_drawn_closes_the_generator_after_it(
    url: str, institution: Institution, caplog: pytest.LogCaptureFixture
) -> None:
    """A generator that is running in a thread cannot be closed, and must not be forgotten."""
    drawing, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        try:
            yield PDF
            drawing.set()
            assert go_on.wait(20)
            yield PDF
        finally:
            closed.set()

    with reader(url, institution.announce("slow", slow)) as opened:
        assert opened.recv(1000)
        assert drawing.wait(20)
    # An answer to somebody else: by then the server knows that the first has gone.
    with reader(url, "/messages/plain") as other:
        assert read_all(other)
    go_on.set()

    assert closed.wait(20), "the generator was not closed"
    assert "failed" not in caplog.text


@pytest.mark.parametrize("strange", AMBIGUOUS)
def test_an_id_may_look_like_a_path_of_the_protocol(client: httpx.Client, strange: str) -> None:
    message = f"/messages/{quote(strange, safe='')}"

    answer = client.get(message)
    attachment = client.get(f"{message}/{answer.json()['attachments'][0]['url']}")

    assert answer.json()["details"]["subject"] == f"About {strange}"
    assert attachment.content == PDF + strange.encode()


def test_it_can_be_mounted_under_a_path(institution: Institution) -> None:
    app = Starlette(routes=[Mount("/remote content", app=institution.content().asgi)])
    with (
        asgi_server(app) as address,
        httpx.Client(base_url=address, headers=HEADERS) as client,
    ):
        answer = client.get("/remote%20content/messages/a%2Fb")
        assert answer.json()["details"]["subject"] == "About a/b"
        assert client.get("/messages/plain").status_code == 404


def test_it_can_be_served_below_a_prefix_and_behind_a_proxy(
    institution: Institution,
) -> None:
    app = institution.content(prefix="/remote/", header="Authorization").asgi
    headers = {"Authorization": KEY, "fiscal_code": ANNA}
    with (
        asgi_server(app, root_path="/proxied") as address,
        httpx.Client(base_url=address, headers=headers) as client,
    ):
        assert client.get("/remote/messages/a%2Fb").status_code == 200
        assert client.get("/messages/a%2Fb").status_code == 404


def test_a_framework_may_rewrite_the_path_alone(institution: Institution) -> None:
    """`raw_path` then still has what was cut off, and tells which slashes were encoded."""
    inner = institution.content().asgi

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope | {"path": scope.get("path", "")[len("/cut") :]}, receive, send)

    with (
        asgi_server(app, lifespan="off") as address,
        httpx.Client(base_url=address, headers=HEADERS) as client,
    ):
        answer = client.get("/cut/messages/%2Fa%2F%2Fb%2F/attachments/%2Fa%2F%2Fb%2F")

    assert answer.content == PDF + b"/a//b/"
