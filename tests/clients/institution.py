"""An institution with remote content, and real servers to serve it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.validate import validator

import uvicorn

from messo_client.remote import Asked, Attachment, Detail, Precondition, RemoteContent

ANNA = "AAAAAA00A00A000A"
BRUNO = "BBBBBB00A00B000B"
KEY = "first key"
NEXT_KEY = "next-key"
HEADERS = {"X-API-Key": KEY, "fiscal_code": ANNA}
PDF = b"%PDF-1.4\n"
MARKDOWN = "The fee for **school meals** is due. " * 4
STRANGE = [
    "with space",
    "a/b",
    "/a//b/",
    "quo\"te'",
    "è 文🙂",
    "50%25",
    "a?b#c",
    "+&=;",
    "~",
    "-_.",
]
# Read wrongly where a server tells only the decoded path.
AMBIGUOUS = ["a/attachments/b", "a/precondition", "precondition"]


def letter(**members: Any) -> Detail:
    """A message for Anna, with what is peculiar to it."""
    usual: dict[str, Any] = {
        "recipient": ANNA,
        "subject": "School meals: your fee",
        "markdown": MARKDOWN,
    }
    return Detail(**(usual | members))


class Institution:
    """Messages by id, and attachments by id: each a value, or a function that gives it."""

    def __init__(self) -> None:
        self.messages: dict[str, Any] = {"plain": letter()}
        self.files: dict[str, Any] = {"pdf": PDF}
        self.messages["whole"] = letter(
            attachments=[
                Attachment("pdf", name="letter.pdf", size=len(PDF), category="DOCUMENT"),
                Attachment("bare", content_type=None),
            ],
            precondition=Precondition("Before you read", "It counts as *delivery*."),
        )
        for strange in STRANGE + AMBIGUOUS:
            self.messages[strange] = letter(
                subject=f"About {strange}", attachments=[Attachment(strange)]
            )
            self.files[strange] = PDF + strange.encode()

    def announce(self, attachment_id: str, content: Any) -> str:
        """A new message with this attachment: the path of the attachment."""
        self.messages[attachment_id] = letter(attachments=[Attachment(attachment_id)])
        self.files[attachment_id] = content
        return f"/messages/{quote(attachment_id)}/attachments/{quote(attachment_id)}"

    def detail(self, asked: Asked) -> Detail | None:
        found = self.messages.get(asked.message_id)
        given: Detail | None = found(asked) if callable(found) else found
        return given

    def attachment(self, _: Asked, attachment_id: str) -> Any:
        found = self.files.get(attachment_id)
        return found() if callable(found) else found

    def content(self, **others: Any) -> RemoteContent:
        """It as remote content, with two keys."""
        usual: dict[str, Any] = {"detail": self.detail, "attachment": self.attachment}
        usual["keys"] = [KEY, NEXT_KEY]
        return RemoteContent(**(usual | others))


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they belong to the test run


@contextlib.contextmanager
def asgi_server(app: Any, **options: Any) -> Iterator[str]:
    """uvicorn on a free loopback port: its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none", **options)
    server = _Uvicorn(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, "uvicorn listens")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class _Threading(ThreadingMixIn, WSGIServer):
    block_on_close = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its name there
        pass


@contextlib.contextmanager
def wsgi_server(app: Any) -> Iterator[str]:
    """The standard library's server on a free loopback port, checking PEP 3333: its address."""
    with _Threading(("127.0.0.1", 0), _Quiet) as server:
        server.set_app(validator(app))
        with running_in_thread(server):
            yield f"http://127.0.0.1:{server.server_port}"


@contextlib.contextmanager
def running_in_thread(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for it, with a limit."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)
