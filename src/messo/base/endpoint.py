"""From a request to its answer: which route it is for, and what is added to every answer."""

import asyncio
import contextlib
import functools
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from messo.base import db, log, metrics
from messo.base.coalesce import QueueFullError
from messo.base.http import (
    SECURITY,
    Answer,
    ClientGoneError,
    Problem,
    Receive,
    Request,
    Route,
    Scope,
    Send,
    StreamedAnswer,
    not_available,
)

logger = log.get(__name__)


class Router:
    """Finds the endpoint of a request: exact paths by look-up, the others by pattern."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._exact: dict[tuple[str, str], Endpoint] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Endpoint]] = []
        for route in routes:
            endpoint = Endpoint(route.name, route.function)
            if "{" in route.path:
                pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
                if route.takes_rest:
                    pattern = pattern.removesuffix("[^/]+)") + ".*)"
                self._patterns.append((route.method, re.compile(pattern + r"\Z"), endpoint))
            else:
                self._exact[route.method, route.path] = endpoint

    def find(self, scope: Scope) -> "Endpoint | None":
        """The endpoint, with its path parameters put into the scope."""
        method, path = scope["method"], scope["path"]
        endpoint = self._exact.get((method, path))
        if endpoint is not None:
            return endpoint
        for known, pattern, candidate in self._patterns:
            if known == method and (match := pattern.match(path)):
                scope["path_params"] = match.groupdict()
                return candidate
        return None


class Endpoint:
    """One route of the API as an ASGI application.

    Adds the request id, the security headers, metrics and one log line; turns a `Problem` into its
    document and everything unforeseen into a 500 that tells nothing.
    """

    def __init__(self, name: str, function: Callable[[Request], Awaitable[Answer]]) -> None:
        self.name = name
        self.function = function
        self._seconds = metrics.request_seconds.labels(name)
        self._counts: dict[int, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request = Request(scope, receive, scope.get("path_params") or {})
        try:
            answer = await self.function(request)
        except Problem as problem:
            answer = problem.answer()
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001  the last resort of every route
            answer = _unforeseen(request.id, self.name, error)
        await self._send(answer, request, send)
        elapsed = time.perf_counter() - began
        self._seconds.observe(elapsed)
        count = self._counts.get(answer.status)
        if count is None:
            count = self._counts[answer.status] = metrics.requests.labels(self.name, answer.status)
        count.inc()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            # Never the path: compatible routes carry fiscal codes in it.
            logger.info(
                "refused",
                request=request.id,
                route=self.name,
                status=answer.status,
                ms=round(elapsed * 1000, 1),
            )

    async def _send(self, answer: Answer, request: Request, send: Send) -> None:
        own = {name for name, _ in answer.headers}
        headers = [
            *answer.headers,
            *request.answer_headers,
            (b"x-request-id", request.id.encode()),
            *(header for header in SECURITY if header[0] not in own),
        ]
        # Of a 304 it would be the length of what the client has (RFC 9110, section 8.6).
        if not isinstance(answer, StreamedAnswer) and answer.status != HTTPStatus.NOT_MODIFIED:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if isinstance(answer, StreamedAnswer):
            await self._stream(answer, request, send, start)
            return
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})

    async def _stream(
        self, answer: StreamedAnswer, request: Request, send: Send, start: dict[str, Any]
    ) -> None:
        """Send the pieces.

        If not all are sent, nothing ends the answer, so that the server closes the connection and the client
        sees that it is not whole.
        """
        leaving = asyncio.ensure_future(_until_gone(request.receive))
        try:
            async with asyncio.timeout(answer.within_s) as bound:
                leaving.add_done_callback(functools.partial(_end, bound))
                await send(start)
                async for piece in answer.pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except Exception as error:  # noqa: BLE001  the status is out already
            if not leaving.done():
                logger.warning(
                    "broken off", request=request.id, route=self.name, error=log.describe(error)
                )
        finally:
            leaving.cancel()
            if answer.close is not None:
                await answer.close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _end(bound: asyncio.Timeout, leaving: asyncio.Future[None]) -> None:
    """The client has gone: nothing is waited for any longer."""
    if not leaving.cancelled():
        with contextlib.suppress(RuntimeError):  # it has just ended by itself
            bound.reschedule(asyncio.get_running_loop().time())


def _unforeseen(request_id: str, route: str, error: Exception) -> Answer:
    if isinstance(error, QueueFullError) or db.passes(error):
        logger.warning("not available", request=request_id, route=route, error=log.describe(error))
        problem = not_available(
            "The database did not confirm this. Try again: with an Idempotency-Key nothing is kept "
            "twice."
        )
    else:
        logger.error("unforeseen", request=request_id, route=route, exc_info=error)
        problem = Problem(
            500,
            "Internal server error",
            f"Something went wrong on our side. Quote the request id {request_id} to report it.",
        )
    return problem.answer()
