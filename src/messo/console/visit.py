"""Who visits a page of the console, and what they may do there. Asked anew for every request."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Connection
from messo.base.forms import Form, read_form
from messo.base.http import Problem
from messo.base.turns import NoTurnError
from messo.console import explained
from messo.console.csv_export import CsvAnswer
from messo.console.navigation import Section, of_institution, of_operators
from messo.console.parts import Site
from messo.messages.send import MAY_WRITE
from messo.operations.operators import is_operator
from messo.pages.edge import address_of, page_route
from messo.pages.languages import Texts, asked_language
from messo.people.authenticate import Access, actor_of, allowed, find_access
from messo.people.members import lock_people, no_institution
from messo.people.sessions import Person
from messo.services import Need

HOME = "/console"
_WAIT_S = 5  # for other forms of the same institution
_FORM_LIMIT = 512 * 1024  # bytes; the largest is a whole message as JSON, percent-encoded


@dataclass
class Visit:
    """One request for a page. What a page has for sure depends on its kind: see below."""

    request: Request
    site: Site
    texts: Texts
    form: Form
    person: Person | None = None
    is_operator: bool = False
    may: frozenset[Need] = frozenset()
    sections: list[Section] = field(default_factory=list)
    _access: Access | None = None
    _conn: Connection | None = None

    @property
    def conn(self) -> Connection:
        """The transaction of this page; over once the page's function has answered."""
        assert self._conn is not None, "this page has no transaction"  # noqa: S101
        return self._conn

    @property
    def visitor(self) -> Person:
        """Who is logged in, on a page where somebody must be."""
        assert self.person is not None, "this page has no person"  # noqa: S101
        return self.person

    @property
    def access(self) -> Access:
        """The institution and what the visitor is there, on a page of an institution."""
        assert self._access is not None, "this page has no institution"  # noqa: S101
        return self._access

    @property
    def actor(self) -> str:
        """The visitor as the audit log calls them: here at the institution, or as an operator."""
        if self._access is not None:
            return self._access.actor
        return actor_of(self.site.secrets, self.visitor.login)

    @property
    def can_write(self) -> bool:
        """Whether the visitor may write to citizens here and now."""
        access = self._access
        if access is None or access.suspended_at is not None or "send" not in self.may:
            return False
        return not set(MAY_WRITE).isdisjoint(access.permissions)

    @property
    def here(self) -> str:
        """The address below which the institution's pages are, or the operators'."""
        if self._access is not None:
            return institution_home(self._access.institution_id)
        return f"{HOME}/operate"

    def page(self, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        """A page, with the frame around it as this visitor sees it."""
        csrf = self.site.web.csrf_token(self.person) if self.person else ""
        return self.site.render(
            template,
            self.texts,
            status,
            person=self.person,
            access=self._access,
            may=self.may,
            can_write=self.can_write,
            is_operator=self.is_operator,
            sections=self.sections,
            here=self.here if self._access or self.is_operator else HOME,
            csrf=csrf,
            address=address_of(self.request) if self.request.method != "POST" else HOME,
            path=self.request.url.path,
            link=self.link,
            explain=self.explain,
            **values,
        )

    def problem(
        self,
        status: int,
        reason: str,
        *,
        again: str = HOME,
        about: str = "",
        number: str = "",
        detail: str = "",
    ) -> Response:
        """A page that says what happened and what to do now.

        `reason` names the texts in `explained`, `about` another text if that is not it; `again`:
        where the button leads; `detail`: what the API says of it, in English.
        """
        title, text = explained.REASONS[reason]
        return self.page(
            "problem.html",
            status,
            reason=reason,
            title=self.texts.text(title),
            text=self.texts.text(about or text),
            again=again,
            number=number,
            detail=detail,
        )

    def refused(self, problem: Problem) -> Response:
        """What a page or the room below it refuses, explained where we know what it is."""
        if problem.status == 404 and problem.title not in explained.PROBLEMS:  # noqa: PLR2004
            return self.problem(404, "nothing", again=self._home())
        about = explained.refusal(problem)
        if problem.title == explained.NOT_ALLOWED and self._access and self._access.suspended_at:
            about = explained.SUSPENDED
        return self.problem(
            problem.status, "problem", about=about, detail=problem.detail, again=self._home()
        )

    def busy(self) -> Response:
        """We cannot reach our data."""
        return self.problem(503, "busy", again=self._again())

    def broken(self, number: str) -> Response:
        """What nobody foresaw."""
        return self.problem(500, "broken", number=number)

    def cookie(self, name: str) -> str:
        """The value of a cookie, empty if there is none."""
        return self.request.cookies.get(name, "")

    def query(self, name: str, longest: int = 200) -> str:
        """A parameter of the address, bounded, empty if there is none; no NUL in it."""
        return self.request.query_params.get(name, "")[:longest].replace("\x00", " ").strip()

    def link(self, **changes: str | None) -> str:
        """The address of this page with these parameters changed; None or "" takes one away."""
        values = {**dict(self.request.query_params), **changes}
        values.pop("done", None)
        query = urlencode({name: value for name, value in values.items() if value})
        return self.request.url.path + (f"?{query}" if query else "")

    def done(self, texts: Mapping[str, str]) -> str:
        """What a form before this page did: the text for the parameter `done`, or nothing."""
        text = texts.get(self.query("done"))
        return self.texts.text(text) if text else ""

    def explain(self, kind: str, value: str) -> explained.Explained:
        """A state in words: its name, what it means and what to do, and how grave it is."""
        return explained.explain(self.texts, kind, value)

    @property
    def wants_csv(self) -> bool:
        """Whether the list is asked for as a file."""
        return self.query("format") == "csv"

    def csv(self, name: str, header: list[str], rows: list[list[object]]) -> Response:
        """A list as a file; `header` in the visitor's language."""
        return CsvAnswer(name, header, rows, self.texts.language)

    def _home(self) -> str:
        return self.here if self._access or self.is_operator else HOME

    def _again(self) -> str:
        return self._home() if self.request.method == "POST" else address_of(self.request)


# What is done once the transaction is over, for it takes others' time.
Afterwards = Callable[[], Awaitable[Response]]
OpenFunction = Callable[[Visit], Awaitable[Response]]
Function = Callable[[Visit], Awaitable[Response | Afterwards]]


def institution_home(institution_id: str) -> str:
    """The address of an institution's first page."""
    return f"{HOME}/institutions/{quote(institution_id, safe='')}"


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

    return page_route(path, name, visit_of, run, methods)


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

    async def enter(visit: Visit) -> None:
        """Whoever is logged in may."""

    return _person_route(path, name, enter, function, methods, stranger)


def institution_page(
    path: str,
    name: str,
    need: Need,
    function: Function,
    methods: tuple[str, ...] = ("GET",),
    *,
    changes: bool = True,
) -> Route:
    """A page of one institution, at `/console/institutions/{institution}` and `path` below it.

    For members whose role may do this there: 404 for another institution's, 403 for a role that
    may not. A form that changes the institution's own holds it, and with it the role, until the
    transaction is over; one that only looks (`changes` False), searches or sends holds nothing.
    """
    holding = changes and need in {"edit", "administer"}

    async def enter(visit: Visit) -> None:
        institution_id = visit.request.path_params["institution"]
        access = await find_access(visit.conn, visit.site.secrets, visit.visitor, institution_id)
        if access is None or access.role is None:
            raise no_institution()
        visit._access = access  # noqa: SLF001
        visit.may = access.may
        visit.sections = of_institution(visit.texts, visit.here, access, visit.request.url.path)
        allowed(access, need)

    async def hold(visit: Visit) -> None:
        """With the row held, what somebody may is looked up anew, and stays so."""
        await lock_people(visit.conn, visit.access.institution_id)
        await enter(visit)

    return _person_route(
        f"{HOME}/institutions/{{institution}}{path}",
        name,
        enter,
        function,
        methods,
        hold=hold if holding and "POST" in methods else None,
    )


def operator_page(
    path: str, name: str, function: Function, methods: tuple[str, ...] = ("GET",)
) -> Route:
    """A page of whoever operates this installation, at `/console/operate` and `path` below it."""

    async def enter(visit: Visit) -> None:
        if not visit.is_operator:
            raise Problem(404, "Not found", "")
        visit.sections = of_operators(visit.texts, visit.here, visit.request.url.path)

    return _person_route(f"{HOME}/operate{path}", name, enter, function, methods)


Enter = Callable[[Visit], Awaitable[None]]


def _person_route(
    path: str,
    name: str,
    enter: Enter,
    function: Function,
    methods: tuple[str, ...],
    stranger: OpenFunction | None = None,
    hold: Enter | None = None,
) -> Route:
    async def run(visit: Visit) -> Response:
        posted = visit.request.method == "POST"
        if posted:
            visit.form = await read_form(visit.request, _FORM_LIMIT)
        if posted and hold is not None:
            answer = await in_turn(visit, hold)
        else:
            answer = await act(visit, enter, function)
        return answer if isinstance(answer, Response) else await answer()

    async def in_turn(visit: Visit, hold: Enter) -> Response | Afterwards:
        """Who may not is sent away before the wait, and who waits has no connection."""
        looked = await act(visit, enter, _nothing)
        if isinstance(looked, Response):
            return looked
        try:
            async with visit.site.turns.one(f"form:{visit.access.institution_id}", 1, _WAIT_S):
                return await act(visit, hold, function)
        except NoTurnError:
            return visit.busy()

    async def act(visit: Visit, begin: Enter, function: Function) -> Response | Afterwards:
        async with visit.site.pool.transaction() as conn:
            await _recognise(visit, conn)
            if visit.person is None:
                return await stranger(visit) if stranger else _turned_away(visit)
            if visit.request.method == "POST" and not visit.site.web.is_csrf_token(
                visit.person, visit.form.get("csrf")
            ):
                return visit.problem(403, "form", again=HOME)
            visit._conn = conn  # noqa: SLF001
            await begin(visit)
            answer = await function(visit)
            visit._conn = None  # noqa: SLF001
        return answer

    return page_route(path, name, visit_of, run, methods)


async def _nothing(visit: Visit) -> Afterwards:
    """To look whether somebody may, and do nothing yet."""

    async def nothing() -> Response:
        return visit.busy()

    return nothing


def visit_of(request: Request) -> Visit:
    """A visit of nobody in particular, in the language that was asked for."""
    texts = Texts(asked_language(request), "messo.console")
    return Visit(request, request.app.state.console, texts, Form({}))


async def _recognise(visit: Visit, conn: Connection) -> None:
    visit.person = await visit.site.web.find(conn, visit.request.headers.get("cookie"))
    if visit.person is not None:
        visit.is_operator = await is_operator(conn, visit.person.login)


def _turned_away(visit: Visit) -> Response:
    if visit.request.headers.get("hx-request"):  # a preview: the page itself asks for a login
        return Response(headers={"HX-Refresh": "true", "Cache-Control": "no-store"})
    path = HOME if visit.request.method == "POST" else address_of(visit.request)
    return visit.problem(401, "expired", again=log_in_at(path))
