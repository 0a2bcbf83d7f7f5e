"""The WSGI front (PEP 3333)."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from messo_client.remote import faults
from messo_client.remote.calls import is_async, run_plain
from messo_client.remote.paths import segments
from messo_client.remote.pieces import Pieces
from messo_client.remote.protocol import Request, answer
from messo_client.remote.served import Served, cgi_name

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class WsgiApplication:
    """Answers requests; can be mounted under a path.

    Raises `TypeError` for functions that have to be awaited.
    """

    def __init__(self, served: Served) -> None:
        for name, function in (("detail", served.detail), ("attachment", served.attachment)):
            if is_async(function):
                raise TypeError(f"{name}: an async function, WSGI needs a plain one; or use .asgi")
        self._served = served

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        given = run_plain(answer(self._served, self._request(environ)))
        status = f"{given.status} {HTTPStatus(given.status).phrase}"
        start_response(status, list(given.headers))
        if isinstance(given.body, Pieces):
            return _Body(given.body)
        return [given.body] if isinstance(given.body, bytes) and given.body else []

    def _request(self, environ: Environ) -> Request:
        # Not part of WSGI: the path as it was sent, under the names that servers give it.
        raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
        return Request(
            environ["REQUEST_METHOD"],
            segments(_bytes(environ.get("PATH_INFO", "")), _bytes(raw) if raw else None),
            _header(environ, self._served.header),
            _header(environ, "fiscal_code"),
        )


class _Body:
    """Pieces, as WSGI servers draw them: one when the one before has been sent."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def __iter__(self) -> "_Body":
        return self

    def __next__(self) -> bytes:
        try:
            piece = self._pieces.piece()
        except Exception as fault:  # noqa: BLE001  logged here, and never told to the server
            faults.log("sending an attachment", fault)
        else:
            if piece is None:
                raise StopIteration
            return piece
        raise faults.BrokenOffError

    def close(self) -> None:
        """Called by the server at the end, also when the reader has gone."""
        try:
            self._pieces.close()
        except Exception as fault:  # noqa: BLE001  the answer has been given
            faults.log("closing an attachment", fault)


def _header(environ: Environ, name: str) -> bytes | None:
    value = environ.get("HTTP_" + cgi_name(name))
    return None if value is None else _bytes(value)


def _bytes(text: str) -> bytes:
    # Every character stands for a byte. What is none, some servers give all the same.
    return text.encode("latin-1", "replace")
