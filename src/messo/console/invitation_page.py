"""Where the link of an invitation leads: what it is for, and a button to accept it."""

import hmac
from http import HTTPStatus

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from messo.base.crypto import SecretError, Secrets
from messo.base.http import Problem
from messo.console import roles_shown
from messo.console.visit import HOME, Visit, log_in_at, open_page, person_page
from messo.pages.edge import redirect
from messo.people.invitations import Invitation, accept, look

_PATH = f"{HOME}/invitation"
_SECONDS = 1800  # for reading and for a login
_LONGEST = 200  # characters; our tokens have 43
_REASONS = {"Institution suspended": "suspended", "Last admin": "last_admin"}


class Opened(msgspec.Struct, frozen=True, tag="console.invitation"):
    """What a cookie keeps of a link that was opened. The tag says what was encrypted."""

    token: str


_opened = msgspec.json.Decoder(Opened)


def routes() -> list[Route]:
    """Looking changes nothing: programs that look for bad mails follow every link."""
    return [
        open_page(_PATH, "console.invitation", show),
        person_page(_PATH, "console.accept", take, ("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """The invitation. Its token leaves the address at once, for histories and logs keep those."""
    given = visit.request.query_params.get("token")
    if given is not None:
        return _remember(visit, given)
    token = _token(visit)
    found = None
    if token:
        async with visit.site.pool.connection() as conn:
            found = await look(conn, token)
    if found is None:
        return visit.problem(HTTPStatus.NOT_FOUND, "invitation")
    return _page(visit, found, token)


async def take(visit: Visit) -> Response:
    """Accept what was shown, and not another one whose link was opened meanwhile."""
    web, token = visit.site.web, _token(visit)
    shown = visit.form.get("shown").encode("utf-8", "replace")
    if not token or not hmac.compare_digest(shown, _mark(visit.site.secrets, token).encode()):
        return visit.problem(HTTPStatus.CONFLICT, "form", again=_PATH)
    try:
        async with visit.conn.transaction():
            await accept(visit.conn, token, visit.visitor)
    except Problem as problem:
        return visit.problem(problem.status, _REASONS.get(problem.title, "invitation"))
    response = redirect(f"{HOME}?done=joined")
    response.headers.append("set-cookie", web.written(web.invitation_cookie, "", 0))
    return response


def _page(visit: Visit, found: Invitation, token: str) -> Response:
    return visit.page(
        "invitation.html",
        invitation=found,
        roles=roles_shown.shown(visit.texts),
        mark=_mark(visit.site.secrets, token),
        log_in=log_in_at(_PATH),
    )


def _remember(visit: Visit, token: str) -> Response:
    web = visit.site.web
    sealed = msgspec.json.encode(Opened(token[:_LONGEST])).decode()
    value = visit.site.secrets.encrypt(sealed)
    response = redirect(_PATH)
    response.headers.append("set-cookie", web.written(web.invitation_cookie, value, _SECONDS))
    return response


def _token(visit: Visit) -> str:
    """Of the link that was opened in this browser; empty if there is none."""
    value = visit.cookie(visit.site.web.invitation_cookie)
    try:
        return _opened.decode(visit.site.secrets.decrypt(value)).token
    except (SecretError, ValueError):  # not base64, not ours, not an invitation
        return ""


def _mark(secrets: Secrets, token: str) -> str:
    """Which invitation a page showed, without saying its token."""
    return secrets.keyed_digest(f"console.invitation:{token}").hex()
