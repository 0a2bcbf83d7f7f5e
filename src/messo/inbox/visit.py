"""The edge of every page: who visits, in which language, and what happens when something fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.forms import Form, read_form
from messo.base.http import Problem
from messo.base.limits import RateLimit
from messo.content import Fetch
from messo.inbox.rendering import Renderer
from messo.inbox.turns import Turns
from messo.login import Identity, Limits, LoginFlow, Session, Web, find_session
from messo.pages.edge import address_of, page_route, redirect
from messo.pages.languages import Texts, asked_language
from messo.payments import Live
from messo.recipients import Profile, language_of, read_profile
from messo.recipients.email import SendValidation
from messo.settings import Settings
from messo.sso.keys import Keys

Welcome = Callable[[Connection, Identity], Awaitable[None]]  # at every login, in its transaction


@dataclass(frozen=True)
class Site:
    """What pages need of the process."""

    pool: Pool
    secrets: Secrets
    settings: Settings
    flow: LoginFlow
    web: Web
    limits: Limits
    render: Renderer
    welcome: Welcome
    send_validation: SendValidation | None  # None: no mail server
    fetch: Fetch
    turns: Turns
    live: Live
    checkout_url: str
    asking: RateLimit  # questions of each citizen that the node has to answer anew
    keys: Keys  # of the tokens that sites get


@dataclass
class Visit:
    """One request for a page. Only `citizen_page` has a citizen, and a transaction open."""

    request: Request
    site: Site
    texts: Texts
    form: Form
    session: Session | None = None
    _profile: Profile | None = None
    _conn: Connection | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def conn(self) -> Connection:
        assert self._conn is not None, "this page has no transaction"  # noqa: S101
        return self._conn

    @property
    def profile(self) -> Profile:
        assert self._profile is not None, "this page has no citizen"  # noqa: S101
        return self._profile

    @property
    def fiscal_code(self) -> str:
        return self.profile.fiscal_code

    def page(self, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        """A page, with the frame around it as this visitor sees it."""
        csrf = self.site.web.csrf_token(self.session) if self.session else ""
        values.setdefault("address", address_of(self.request))
        return self.site.render(
            template,
            self.texts,
            status,
            citizen=self.session.identity if self.session else None,
            onboarded=self._profile is not None and is_onboarded(self._profile, self.site),
            csrf=csrf,
            path=self.request.url.path,
            **values,
        )

    def error(self, status: int, reason: str, **values: Any) -> Response:  # noqa: ANN401
        """An error page that says what happened and what to do now."""
        return self.page("error.html", status, reason=reason, code=status, **values)

    def refused(self, problem: Problem) -> Response:
        """The page for what was asked wrongly."""
        return self.error(problem.status, "problem", detail=problem.detail)

    def busy(self) -> Response:
        """Where to try again. A form's address is not always a page, so that begins at the front."""
        address = address_of(self.request)
        front = self.request.method == "POST" or address.startswith("//")
        return self.error(503, "busy", again="/" if front else address)

    def broken(self, number: str) -> Response:
        """The page for what nobody foresaw."""
        return self.error(500, "broken", number=number)


def let_forms_leave(response: Response, site: Site) -> None:
    """For a page whose form leads to another site in the end.

    Browsers apply the policy for forms to every redirect that follows, those of the other site
    included, and nobody but that site knows them.
    """
    is_safe = site.settings.public_url.startswith("https:")
    policy = response.headers["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = policy.replace(
        "form-action 'self'", f"form-action 'self' {'https:' if is_safe else 'https: http:'}"
    )


def is_onboarded(profile: Profile, site: Site) -> bool:
    """Whether the citizen has accepted the terms in force and chosen a mode."""
    accepted = profile.accepted_tos_version
    return (
        accepted is not None
        and accepted >= site.settings.terms_version
        and profile.mode != "LEGACY"
    )


# What is done once the transaction is over, for it takes others' time.
Afterwards = Callable[[], Awaitable[Response]]
Function = Callable[[Visit], Awaitable[Response | Afterwards]]
OpenFunction = Callable[[Visit], Awaitable[Response]]


def open_page(
    path: str, name: str, function: OpenFunction, *, methods: tuple[str, ...] = ("GET",)
) -> Route:
    """A page for everybody. It knows the visitor's session if there is one, and reads no form."""

    async def run(visit: Visit) -> Response:
        if visit.site.web.session_cookie in visit.request.cookies:
            async with visit.site.pool.transaction() as conn:
                await _recognise(visit, conn)
        return await function(visit)

    return _route(path, name, run, methods)


def citizen_page(
    path: str,
    name: str,
    function: Function,
    *,
    methods: tuple[str, ...] = ("GET",),
    before_welcome: bool = False,
    stranger: OpenFunction | None = None,
    by_itself: bool = False,
) -> Route:
    """A page for a citizen who is logged in, in one transaction, its form checked.

    `before_welcome`: also for one who has not finished the first steps; all others are led there.
    What it answers instead of a page is called after the transaction. `stranger`: what somebody
    sees there who was not logged in. `by_itself`: scripts ask for it, so
    that it does not keep a session open whose citizen has gone away.
    """

    async def run(visit: Visit) -> Response:
        request = visit.request
        if request.method == "POST":
            visit.form = await read_form(request)
        async with visit.site.pool.transaction() as conn:
            await _recognise(visit, conn, use=not by_itself)
            if visit.session is None or visit._profile is None:  # noqa: SLF001
                if stranger and visit.site.web.session_cookie not in request.cookies:
                    return await stranger(visit)
                return _turned_away(visit)
            if request.method == "POST" and not visit.site.web.is_csrf_token(
                visit.session, visit.form.get("csrf")
            ):
                return visit.error(403, "form")
            if not before_welcome and not is_onboarded(visit.profile, visit.site):
                return redirect("/welcome")
            visit._conn = conn  # noqa: SLF001
            answer = await function(visit)
            visit._conn = None  # noqa: SLF001
        return answer if isinstance(answer, Response) else await answer()

    return _route(path, name, run, methods)


async def _recognise(visit: Visit, conn: Connection, *, use: bool = True) -> None:
    token = visit.request.cookies.get(visit.site.web.session_cookie)
    if token is None:
        return
    session = await find_session(conn, token, visit.site.limits, use=use)
    if session is None or session.kind != "web":
        return
    profile = await read_profile(conn, session.fiscal_code)
    if profile is None:  # erased meanwhile
        return
    visit.session, visit._profile = session, profile  # noqa: SLF001
    chosen = language_of(profile.preferred_languages)
    if chosen is not None:
        visit.texts = Texts(chosen, "messo.inbox")


def _turned_away(visit: Visit) -> Response:
    """Not logged in, or not any more. A form that was being filled in is not silently lost."""
    request = visit.request
    if request.headers.get("hx-request"):
        return Response(headers={"HX-Refresh": "true", "Cache-Control": "no-store"})
    expired = visit.site.web.session_cookie in request.cookies
    if request.method == "POST":
        return visit.error(401, "expired", back="/", lost=True)
    path = address_of(request)
    if not expired:
        return redirect(f"/login?return_to={quote(path, safe='')}")
    return visit.error(401, "expired", back=path, lost=False)


def _route(path: str, name: str, run: OpenFunction, methods: tuple[str, ...]) -> Route:
    return page_route(path, name, _visit, run, methods)


def _visit(request: Request) -> Visit:
    texts = Texts(asked_language(request), "messo.inbox")
    return Visit(request, request.app.state.site, texts, Form({}))
