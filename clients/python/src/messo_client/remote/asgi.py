"""The ASGI front (ASGI 3.0, on asyncio)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from messo_client.remote import faults
from messo_client.remote.answers import Answer
from messo_client.remote.calls import called, run_async
from messo_client.remote.paths import segments
from messo_client.remote.pieces import AsyncPieces, Pieces
from messo_client.remote.protocol import Request, answer
from messo_client.remote.served import Served, cgi_name

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiApplication:
    """Answers requests; can be mounted under a path."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind, as ASGI wants it."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            given = await run_async(answer(self._served, self._request(scope)))
            if isinstance(given.body, bytes):
                await _send_whole(given, given.body, send)
            else:
                await _send_pieces_or_stop(given, given.body, receive, send)

    def _request(self, scope: Scope) -> Request:
        path, root = scope["path"], scope.get("root_path", "").rstrip("/")
        # Some frameworks cut the mount off the path themselves.
        if root and path.startswith(root + "/"):
            path = path[len(root) :]
        headers: dict[str, bytes] = {}
        for name, value in scope["headers"]:
            key = cgi_name(name.decode("latin-1"))
            # Two of a name are one with a comma, which is no fiscal code: nobody may choose.
            headers[key] = headers[key] + b"," + value if key in headers else value
        return Request(
            scope["method"],
            segments(path.encode("utf-8", "surrogatepass"), scope.get("raw_path")),
            headers.get(cgi_name(self._served.header)),
            headers.get("FISCAL_CODE"),
        )


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _send_whole(given: Answer, body: bytes, send: Send) -> None:
    await _start(given, send)
    await send({"type": "http.response.body", "body": body})


async def _start(given: Answer, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in given.headers]
    await send({"type": "http.response.start", "status": given.status, "headers": headers})


async def _send_pieces_or_stop(
    given: Answer, pieces: Pieces | AsyncPieces, receive: Receive, send: Send
) -> None:
    """Send until the end, or until the reader goes away: not every server's `send` tells."""
    sending = asyncio.ensure_future(_send_pieces(given, pieces, send))
    going = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait([sending, going], return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        going.cancel()
        await asyncio.gather(sending, going, return_exceptions=True)
        await _close(pieces)
    if not sending.cancelled():
        sending.result()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_pieces(given: Answer, pieces: Pieces | AsyncPieces, send: Send) -> None:
    # What ASGI servers raise when the reader has gone.
    with contextlib.suppress(OSError):
        await _start(given, send)
        while piece := await _piece(pieces):
            # Waits while the server has enough unsent, so that nothing is drawn ahead of the reader.
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            # Neither need have waited for anything; others want their turn, and the end of the
            # connection wants to be noticed.
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


async def _piece(pieces: Pieces | AsyncPieces) -> bytes | None:
    try:
        piece: bytes | None = await called(pieces.piece)
    except Exception as fault:  # noqa: BLE001  logged here, and never told to the server
        faults.log("sending an attachment", fault)
    else:
        return piece
    raise faults.BrokenOffError


async def _close(pieces: Pieces | AsyncPieces) -> None:
    try:
        await called(pieces.close)
    except Exception as fault:  # noqa: BLE001  the answer has been given
        faults.log("closing an attachment", fault)
