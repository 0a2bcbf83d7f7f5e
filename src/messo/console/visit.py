"""The edge of every page of the console: who visits, and what happens when something fails."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from messo.base import db, log, metrics
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.forms import Form, read_form
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.console.rendering import Renderer
from messo.console.texts import Language
from messo.login import Flow
from messo.people.sessions import Person
from messo.people.staff_claims import Staff
from messo.people.staff_web import StaffWeb
from messo.recipients import language_of_browser

logger = log.get(__name__)

HOME = "/console"


@dataclass(frozen=True)
class Site:
    """What pages need of the process."""

    pool: Pool
    secrets: Secrets
    flow: Flow[Staff]
    web: StaffWeb
    render: Renderer


@dataclass
class Visit:
    """One request for a page. Only `person_page` has a person and a transaction for sure."""

    request: Request
    site: Site
    language: Language
    form: Form
    person: Person | None = None
    _conn: Connection | None = None

    @property
    def conn(self) -> Connection:
        assert self._conn is not None, "this page has no transaction"  # noqa: S101
        return self._conn

    @property
    def visitor(self) -> Person:
        """Who is logged in, on a page where somebody must be."""
        assert self.person is not None, "this page has no person"  # noqa: S101
        return self.person

    def page(self, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        """A page, with the frame around it as this visitor sees it."""
        csrf = self.site.web.csrf_token(self.person) if self.person else ""
        return self.site.render(
            template, self.language, status, person=self.person, csrf=csrf, **values
        )

    def problem(
        self, status: int, reason: str, *, again: str = HOME, about: str = "", number: str = ""
    ) -> Response:
        """A page that says what happened and what to do now.

        `reason` names the texts, `about` another one if the title's is not it; `again`: where the
        button leads.
        """
        return self.page(
            "problem.html",
            status,
            reason=reason,
            about=about or f"text_{reason}",
            again=again,
            number=number,
        )

    def cookie(self, name: str) -> str:
        """The value of a cookie, empty if there is none."""
        return self.request.cookies.get(name, "")


# What is done once the transaction is over, for it takes others' time.
Afterwards = Callable[[], Awaitable[Response]]
OpenFunction = Callable[[Visit], Awaitable[Response]]
Function = Callable[[Visit], Awaitable[Response | Afterwards]]


def redirect(path: str) -> Response:
    """The browser asks for `path` by GET, so that reloading repeats nothing."""
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers)


def log_in_at(path: str) -> str:
    """The address that logs somebody in and then leads to this path."""
    return f"{HOME}/login?return_to={quote(path, safe='')}"


def open_page(
    path: str, name: str, function: OpenFunction, methods: tuple[str, ...] = ("GET",)
) -> Route:
    """A page for everybody. It knows who is logged in, if somebody is, and reads no form."""

    async def run(visit: Visit) -> Response:
        if visit.cookie(visit.site.web.session_cookie):
            async with visit.site.pool.transaction() as conn:
                await _recognise(visit, conn)
        return await function(visit)

    return _route(path, name, run, methods)


def person_page(
    path: str,
    name: str,
    function: Function,
    methods: tuple[str, ...] = ("GET",),
    stranger: OpenFunction | None = None,
) -> Route:
    """A page for somebody who is logged in, in one transaction, its form checked.

    `stranger`: what everybody else gets. What the function answers instead of a page is called
    after the transaction.
    """

    async def run(visit: Visit) -> Response:
        if visit.request.method == "POST":
            visit.form = await read_form(visit.request)
        async with visit.site.pool.transaction() as conn:
            await _recognise(visit, conn)
            if visit.person is None:
                return await stranger(visit) if stranger else _turned_away(visit)
            if visit.request.method == "POST" and not visit.site.web.is_csrf_token(
                visit.person, visit.form.get("csrf")
            ):
                return visit.problem(403, "form")
            visit._conn = conn  # noqa: SLF001
            answer = await function(visit)
            visit._conn = None  # noqa: SLF001
        return answer if isinstance(answer, Response) else await answer()

    return _route(path, name, run, methods)


async def _recognise(visit: Visit, conn: Connection) -> None:
    visit.person = await visit.site.web.find(conn, visit.request.headers.get("cookie"))


def _turned_away(visit: Visit) -> Response:
    request = visit.request
    path = HOME if request.method == "POST" else request.url.path
    return visit.problem(401, "expired", again=log_in_at(path))


def _route(path: str, name: str, run: OpenFunction, methods: tuple[str, ...]) -> Route:
    seconds = metrics.request_seconds.labels(name)

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        language = language_of_browser(request.headers.get("accept-language", ""))
        visit = Visit(request, request.app.state.console, language, Form({}))
        try:
            response = await run(visit)
        except Problem as problem:
            reason = "nothing" if problem.status == HTTPStatus.NOT_FOUND else "problem"
            response = visit.problem(problem.status, reason)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  the last resort of every page
            response = _unforeseen(visit, name, error)
        seconds.observe(time.perf_counter() - began)
        metrics.requests.labels(name, response.status_code).inc()
        return response

    return Route(path, endpoint, methods=list(methods), name=name)


def _unforeseen(visit: Visit, name: str, error: Exception) -> Response:
    number = new_id()
    if db.passes(error):
        logger.warning("not available", request=number, route=name, error=log.describe(error))
        return visit.problem(503, "busy")
    logger.error("unforeseen", request=number, route=name, exc_info=error)
    return visit.problem(500, "broken", number=number)
