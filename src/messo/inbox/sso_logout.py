"""The page that sites send citizens to who log out there: whether to log out here too."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import read_fields
from messo.base.http import Problem
from messo.inbox.entrance import leave
from messo.inbox.visit import Visit, let_forms_leave, open_page
from messo.pages.edge import redirect
from messo.sso import discovery, end_session
from messo.sso.end_session import PATH, Ending
from messo.sso.hints import Proof

_ANSWER = f"{PATH}/answer"


def routes() -> list[Route]:
    """A form of another site comes without our cookie: it is led to the page, which has it."""
    return [
        open_page(PATH, "sso.end_session", show),
        open_page(PATH, "sso.end_session_form", take, methods=("POST",)),
        open_page(_ANSWER, "sso.end_session_answer", answer, methods=("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """The question, for whoever is logged in here; all others go straight back."""
    given = visit.request.query_params.multi_items()
    try:
        ending = await _read(visit, given, in_url=True)
    except Problem as problem:
        return _refused(visit, problem)
    if any(name == "id_token_hint" for name, _ in given):
        return redirect(ending.address)  # out of the address bar
    if visit.session is None:
        return redirect(ending.back or "/logged-out")
    return _ask(visit, ending)


async def take(visit: Visit) -> Response:
    """The same by POST: the hint is read here, and is in no address."""
    given = await read_fields(visit.request)
    try:
        ending = await _read(visit, given, in_url=False)
    except Problem as problem:
        return _refused(visit, problem)
    return redirect(ending.address)


async def answer(visit: Visit) -> Response:
    """What the citizen chose; back to the site in any case."""
    site, session = visit.site, visit.session
    given = await read_fields(visit.request)
    form = dict(given)
    try:
        ending = await _read(visit, given, in_url=False)
    except Problem as problem:
        return _refused(visit, problem)
    if session is None:  # it has ended meanwhile
        return redirect(ending.back or "/logged-out")
    if not site.web.is_csrf_token(session, form.get("csrf", "")):
        return visit.error(403, "form")
    if form.get("answer") != "leave":
        return redirect(ending.back or "/")
    return await leave(visit, session, ending.back)


async def _read(visit: Visit, given: Sequence[tuple[str, str]], *, in_url: bool) -> Ending:
    site = visit.site
    values, hinted = end_session.parameters(given), None
    if "id_token_hint" in values:
        issuer = discovery.issuer(site.settings.public_url)
        proof = Proof(issuer, await site.keys.public())
        hinted = end_session.audience(proof, values["id_token_hint"])
    async with site.pool.connection() as conn:
        return await end_session.read(conn, values, hinted, in_url=in_url)


def _ask(visit: Visit, ending: Ending) -> Response:
    response = visit.page("sso_logout.html", asked=ending, action=_ANSWER, wrong="")
    if ending.uri:
        let_forms_leave(response, visit.site)
    return response


def _refused(visit: Visit, problem: Problem) -> Response:
    """Nobody is sent anywhere: an address that is not registered may be anybody's."""
    # Not with its own address in it: that may hold a token.
    return visit.page(
        "sso_logout.html", problem.status, asked=None, wrong=problem.detail, address=PATH
    )
