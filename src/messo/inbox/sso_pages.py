"""Single sign-on in the browser: the authorization endpoint, and the page that asks the citizen.

OpenID Connect Core 1.0, section 3.1.2. Application clients get the same as JSON
(`sso/interaction_routes.py`).
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from messo.base import clock
from messo.base.forms import read_fields
from messo.base.http import Problem
from messo.inbox.entrance import failed
from messo.inbox.sso_history import words
from messo.inbox.visit import Visit, citizen_page, let_forms_leave, open_page
from messo.login import LoginError
from messo.services import catalog
from messo.services.catalog import Service
from messo.sso.authorize import SECONDS, Asked, RefusedError, read_request, seal, unseal
from messo.sso.claims import email_of, values
from messo.sso.consents import REMEMBERED
from messo.sso.decision import Answered, Back, Citizen, LogIn, Provider, Question
from messo.sso.hints import Proof
from messo.sso.interaction_routes import APP_COOKIE

_PAGE, _APP_PAGE = "/sso/consent/", "/sso/interaction/"
_NOT_KEPT = {"Cache-Control": "no-store"}


def routes() -> list[Route]:
    """A site may send its request by GET or by POST (section 3.1.2.1)."""
    return [
        open_page("/sso/authorize", "sso.authorize", authorize, methods=("GET", "POST")),
        open_page(_PAGE + "{id}", "sso.consent", show),
        citizen_page(_PAGE + "{id}", "sso.answer", answer, methods=("POST",), before_welcome=True),
    ]


async def authorize(visit: Visit) -> Response:
    """Read the request, give it to the browser to keep, and go on with a page of our own.

    Nothing is decided here: a POST of another site comes without our cookies.
    """
    site, request = visit.site, visit.request
    try:
        given = await _parameters(request)
        hinted = any(name == "id_token_hint" for name, _ in given)
        proof = Proof(_provider_of(visit).issuer, await site.keys.public() if hinted else ())
        async with site.pool.transaction() as conn:
            asked = await read_request(conn, given, proof, in_url=request.method == "GET")
    except RefusedError as error:
        return _refused(visit, error)
    value = seal(site.secrets, asked)
    if value is None:
        too_long = RefusedError("invalid_request", "The parameters are too long.", asked)
        return _refused(visit, too_long)
    path = (_APP_PAGE if _is_app(request) else _PAGE) + asked.id
    response = _go(path)
    response.headers.append("set-cookie", site.web.sso_header(asked.id, value, SECONDS, path))
    return response


async def show(visit: Visit) -> Response:
    """What happens now: a login, the question, or the way back."""
    asked = _read_asked(visit)
    if asked is None:
        return _too_late(visit)
    provider, citizen = _provider_of(visit), _citizen(visit)
    try:
        async with visit.site.pool.transaction() as conn:
            step = await provider.next_step(conn, asked, citizen)
            service = (
                await catalog.read_service(conn, step.client.service_id)
                if isinstance(step, Question)
                else None
            )
    except RefusedError as error:
        return _refused(visit, error)
    if isinstance(step, Answered):
        return _too_late(visit)
    if isinstance(step, Back):
        return _back(visit, asked, step.address)
    if isinstance(step, LogIn):
        return await _log_in(visit, asked, step)
    assert citizen is not None  # noqa: S101  or there would be no question
    return _ask(visit, step, citizen, service)


async def answer(visit: Visit) -> Response:
    """The citizen has decided. What they had to be logged in for is looked at once more."""
    asked = _read_asked(visit)
    if asked is None:
        return _too_late(visit)
    provider, citizen = _provider_of(visit), _citizen(visit)
    assert citizen is not None  # noqa: S101  a citizen's page
    try:
        step = await provider.question(visit.conn, asked, citizen)
    except RefusedError as error:
        return _refused(visit, error)
    if not isinstance(step, Question) or step.has_changed:
        return _go(_PAGE + asked.id)  # which says what is missing, or what has changed
    if visit.form.get("action") == "agree":
        address = await provider.agree(
            visit.conn,
            step,
            citizen,
            visit.form.all("claim"),
            remember=visit.form.ticked("remember"),
        )
    else:
        address = await provider.refuse(visit.conn, step, citizen)
    return _back(visit, asked, address) if address else _too_late(visit)


def _is_app(request: Request) -> bool:
    """Whether a citizen's application asks, which shows the question itself."""
    accepted = request.headers.get("accept", "")
    return (
        APP_COOKIE in request.cookies
        or "authorization" in request.headers
        or ("json" in accepted and "html" not in accepted)
    )


def _read_asked(visit: Visit) -> Asked | None:
    """The request that this browser keeps under the id in the path."""
    access_id = visit.request.path_params["id"]
    value = visit.request.cookies.get(visit.site.web.sso_cookie(access_id), "")
    return unseal(visit.site.secrets, access_id, value)


def _provider_of(visit: Visit) -> Provider:
    """What decides, in this installation."""
    return Provider.of(visit.site.settings, visit.site.secrets)


def _citizen(visit: Visit) -> Citizen | None:
    """Who is logged in here, with the address that could be handed over."""
    session = visit.session
    if session is None:
        return None
    return Citizen(session, email_of(session.identity.email, visit.profile))


async def _parameters(request: Request) -> Sequence[tuple[str, str]]:
    try:
        if request.method == "POST":
            return await read_fields(request)
        return parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=50)
    except (Problem, ValueError):
        raise RefusedError("invalid_request", "The parameters cannot be read.") from None


async def _log_in(visit: Visit, asked: Asked, step: LogIn) -> Response:
    """Off to the identity provider, and back to this page."""
    try:
        address, pending = await visit.site.flow.begin(_PAGE + asked.id, None, step.demand)
    except LoginError as error:
        return failed(visit, error)
    response = _go(address)
    visit.site.web.set_pending(response, pending)
    return response


def _ask(visit: Visit, question: Question, citizen: Citizen, service: Service | None) -> Response:
    response = visit.page(
        "sso_consent.html",
        question=question,
        place=question.place.name(visit.texts.language),
        host=urlsplit(question.place.uri).hostname,
        required=[claim for claim in question.claims if claim not in question.optional],
        optional=[claim for claim in question.claims if claim in question.optional],
        values=values(citizen.session.identity, citizen.email, question.claims),
        names=words(visit.texts).claims,
        known=question.remembered,
        lacks_button=question.is_decided,
        until=clock.now() + REMEMBERED,
        is_test=question.client.environment == "test",
        privacy_url=service.metadata["privacy_url"] if service else "",
    )
    let_forms_leave(response, visit.site)
    response.headers["Cache-Control"] = "no-store"
    return response


def _refused(visit: Visit, error: RefusedError) -> Response:
    """To the site, where that is safe; or else to the person, who can do nothing about it."""
    if error.asked is not None:
        issuer = _provider_of(visit).issuer
        return _go(error.asked.refusal(issuer, error.error, error.description))
    if _is_app(visit.request):
        body = {"error": error.error, "error_description": error.description}
        return JSONResponse(body, 400, _NOT_KEPT)
    # Not with its own address in it: that is the site's, and may name somebody.
    return visit.page(
        "sso_refused.html", 400, why=error.error, description=error.description, address="/"
    )


def _too_late(visit: Visit) -> Response:
    return visit.page("sso_refused.html", 400, why="late", description="")


def _back(visit: Visit, asked: Asked, address: str) -> Response:
    response = _go(address)
    gone = visit.site.web.sso_header(asked.id, "", 0, _PAGE + asked.id)
    response.headers.append("set-cookie", gone)
    return response


def _go(address: str) -> Response:
    """By 303, so that no browser sends our form on to the site (RFC 9700, section 4.12)."""
    return RedirectResponse(address, 303, {**_NOT_KEPT, "Referrer-Policy": "no-referrer"})
