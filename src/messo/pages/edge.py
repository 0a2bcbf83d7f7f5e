"""The edge of every page: what is counted, and what happens when something fails."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from messo.base import db, log, metrics
from messo.base.http import Problem
from messo.base.ids import new_id

logger = log.get(__name__)


class Failing(Protocol):
    """A visit, which can say that it failed."""

    def refused(self, problem: Problem) -> Response:
        """The page for what was asked wrongly, or must not be done."""

    def busy(self) -> Response:
        """The page for when our own data cannot be reached; 503."""

    def broken(self, number: str) -> Response:
        """The page for what nobody foresaw; 500. `number` finds it in the log."""


V = TypeVar("V", bound=Failing)


def page_route(
    path: str,
    name: str,
    visit_of: Callable[[Request], V],
    run: Callable[[V], Awaitable[Response]],
    methods: tuple[str, ...],
) -> Route:
    """A page's route. Whatever happens, its visitor gets a page, and one that says what to do."""
    seconds = metrics.request_seconds.labels(name)

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        visit = visit_of(request)
        try:
            response = await run(visit)
        except Problem as problem:
            response = visit.refused(problem)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  the last resort of every page
            response = _unforeseen(visit, name, error)
        seconds.observe(time.perf_counter() - began)
        metrics.requests.labels(name, response.status_code).inc()
        return response

    return Route(path, endpoint, methods=list(methods), name=name)


def _unforeseen(visit: Failing, name: str, error: Exception) -> Response:
    number = new_id()
    if db.passes(error):
        logger.warning("not available", request=number, route=name, error=log.describe(error))
        return visit.busy()
    logger.error("unforeseen", request=number, route=name, exc_info=error)
    return visit.broken(number)


def redirect(path: str) -> Response:
    """After a form: the browser asks for `path` by GET, so that reloading repeats nothing."""
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers)


def address_of(request: Request) -> str:
    """Path and query of a page: where to come back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
