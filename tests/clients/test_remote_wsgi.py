"""What is peculiar to WSGI: plain functions only, and what servers do to headers and slashes."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from messo_client.remote import Asked, Detail
from tests.clients.institution import (
    AMBIGUOUS,
    ANNA,
    HEADERS,
    KEY,
    PDF,
    STRANGE,
    Institution,
    letter,
    running_in_thread,
    wsgi_server,
)

# What a proxy makes of it for a server that drops underscores.
RENAMED = {"X-API-Key": KEY, "Fiscal-Code": ANNA}


@pytest.fixture(scope="module")
def url(institution: Institution) -> Iterator[str]:
    with wsgi_server(institution.content().wsgi) as address:
        yield address


@pytest.fixture(scope="module")
def werkzeug(institution: Institution) -> Iterator[str]:
    """Flask's server, which tells the path as it was sent: mounted, its address."""
    app = DispatcherMiddleware(institution.content().wsgi, {"/remote": institution.content().wsgi})
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with running_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"
    server.server_close()


@pytest.mark.parametrize("mount", ["", "/remote"])
@pytest.mark.parametrize("strange", STRANGE + AMBIGUOUS)
def test_an_id_may_contain_anything_where_the_server_tells_the_path_as_sent(
    werkzeug: str, strange: str, mount: str
) -> None:
    message = f"{werkzeug}{mount}/messages/{quote(strange, safe='')}"

    answer = httpx.get(message, headers=RENAMED)
    attachment = httpx.get(f"{message}/{answer.json()['attachments'][0]['url']}", headers=RENAMED)

    assert answer.json()["details"]["subject"] == f"About {strange}"
    assert attachment.content == PDF + strange.encode()


def test_a_server_that_drops_the_header_is_named_as_a_cause(werkzeug: str) -> None:
    answer = httpx.get(f"{werkzeug}/messages/plain", headers=HEADERS)

    assert answer.status_code == 400
    assert "server in front" in answer.json()["detail"]


async def awaited(*_: Any) -> None:
    pass


async def drawn(*_: Any) -> AsyncIterator[bytes]:
    yield PDF


class Awaited:
    async def __call__(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("function", [awaited, drawn, partial(awaited, 1), Awaited()])
@pytest.mark.parametrize("name", ["detail", "attachment"])
def test_async_functions_are_refused_at_once(
    institution: Institution, name: str, function: Any
) -> None:
    content = institution.content(**{name: function})

    with pytest.raises(TypeError, match=rf"^{name}: an async function"):
        _ = content.wsgi
    assert content.asgi


def test_what_has_to_be_awaited_all_the_same_is_a_fault(
    client: httpx.Client, institution: Institution
) -> None:
    institution.messages["awaited"] = awaited

    assert client.get("/messages/awaited").status_code == 500
    assert client.get(institution.announce("drawn", drawn)).status_code == 500


def test_requests_are_answered_side_by_side(
    client: httpx.Client, url: str, institution: Institution
) -> None:
    """One is answered while another is being asked: nothing is locked or shared."""

    def outer(asked: Asked) -> Detail:
        inner = httpx.get(f"{url}/messages/plain", headers=HEADERS)
        return letter(subject=f"The other was {inner.status_code}")

    institution.messages["outer"] = outer

    assert "200" in client.get("/messages/outer").json()["details"]["subject"]
