"""The accesses for citizens' client applications: authenticate, parse, call, answer.

As the reference platform has them: single-sign-on contract, section 12.
"""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Struct, UnsetType

from messo.base import clock, parameters
from messo.base.db import Pool
from messo.base.http import JSON, Answer, Parameter, Problem, Request, Route
from messo.base.ids import new_id
from messo.base.wire import ProblemDocument, Timestamp, Ulid
from messo.login import Session
from messo.recipients import ask, language_of_browser
from messo.sso.access import Outcome
from messo.sso.history import Access, list_accesses

# The newer address first.
_ACCESSES = ("/api/fims/v1/accesses", "/api/v1/fims/accesses")
_EXPORTS = ("/api/fims/v1/export-requests", "/api/v1/fims/export-requests")
_ON_A_PAGE = 15
_AGREED: tuple[Outcome, ...] = ("granted", "redeemed")
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")
_PRIVATE = [JSON, (b"cache-control", b"no-store")]


class AccessRedirect(Struct):
    """Where the browser was sent back to, and how citizens know that place."""

    uri: str
    display_name: str


class AccessLine(Struct):
    """One time that a citizen agreed to be known to a site. `timestamp`: when the site asked."""

    id: Ulid
    fiscal_code: str
    service_id: str
    timestamp: Timestamp
    redirect: AccessRedirect


class AccessPage(Struct):
    """Up to 15, newest first. `next`: the `page` that goes on; there is none after the last."""

    data: list[AccessLine]
    next: str | UnsetType = UNSET


class ExportAsked(Struct):
    """The request was taken."""

    id: Ulid


@dataclass(frozen=True)
class HistoryRoutes:
    """The routes and what they need. `authenticate` gives the citizen's session, or refuses."""

    authenticate: Callable[[Request], Awaitable[Session]]
    pool: Pool

    async def accesses(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        before = _last(parameters.of_query(request).get("page"))
        language = language_of_browser(request.header(b"accept-language") or "")
        async with self.pool.connection() as conn:
            found = await list_accesses(conn, session.fiscal_code, _ON_A_PAGE + 1, before, _AGREED)
        shown = found[:_ON_A_PAGE]
        page = AccessPage([_line(one, session.fiscal_code, language) for one in shown])
        if len(found) > _ON_A_PAGE:
            page.next = _token(shown[-1].id)
        return Answer(200, msgspec.json.encode(page), _PRIVATE)

    async def ask_export(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            await ask(conn, session.fiscal_code, "DOWNLOAD", clock.now())
        return Answer(202, msgspec.json.encode(ExportAsked(new_id())), _PRIVATE)

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        return [
            *(
                self._accesses_route(path, name)
                for path, name in zip(_ACCESSES, ("getAccesses", "getAccessesLegacy"), strict=True)
            ),
            *(
                self._export_route(path, name)
                for path, name in zip(
                    _EXPORTS, ("requestExport", "requestExportLegacy"), strict=True
                )
            ),
        ]

    def _accesses_route(self, path: str, name: str) -> Route:
        return Route(
            "GET",
            path,
            name,
            self.accesses,
            "Where the citizen was signed on",
            "The accesses that they agreed to, newest first. `display_name` is in the language of "
            "Accept-Language, Italian or English.",
            None,
            {
                200: (AccessPage, "A page of them; maybe empty."),
                400: (ProblemDocument, "`page` is none that was answered here."),
                **_REFUSALS,
            },
            (
                Parameter("page", "query", "`next` of the page before, as it is."),
                Parameter("Accept-Language", "header", "`it` unless given, or `en`."),
            ),
        )

    def _export_route(self, path: str, name: str) -> Route:
        problem = ProblemDocument
        return Route(
            "POST",
            path,
            name,
            self.ask_export,
            "Ask for the accesses as a file",
            "They are in the archive of the citizen's data, as `access.json`: this asks for it as "
            "a DOWNLOAD does (`/api/identity/v1/user-data-processing`), and it is fetched there.",
            None,
            {
                202: (ExportAsked, "Asked for."),
                404: (problem, "The citizen has no profile."),
                409: (problem, "It is asked for already, and not done yet."),
                **_REFUSALS,
            },
        )


_REFUSALS = {
    401: (None, "No session, or one that has ended."),
    429: (ProblemDocument, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "The database did not answer: try again after Retry-After."),
}


def _line(access: Access, fiscal_code: str, language: str) -> AccessLine:
    return AccessLine(
        access.id,
        fiscal_code,
        access.service_id,
        clock.to_wire(access.requested_at),
        AccessRedirect(access.redirect_uri, access.place(language)),
    )


def _token(access_id: str) -> str:
    return base64.urlsafe_b64encode(access_id.encode()).rstrip(b"=").decode()


def _last(page: str | None) -> str | None:
    """The id that a page ended with. `Problem` 400 for whatever was not answered as `next`."""
    if page is None:
        return None
    try:
        access_id = base64.urlsafe_b64decode(page + "=" * (-len(page) % 4)).decode()
    except (binascii.Error, ValueError):
        access_id = ""
    # Written in the one way that we write it: decoding is lenient.
    if not _ID.match(access_id) or _token(access_id) != page:
        raise Problem(
            400, "Bad request", "page must be `next` of a page before, as it is.", field="page"
        )
    return access_id
