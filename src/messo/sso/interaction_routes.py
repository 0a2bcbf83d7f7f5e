"""The question as JSON, for citizens' applications that show it themselves.

Source: contract/single-sign-on.md, sections 3, 4 and 8. What it lists is what is handed over:
optional data are left out unless the application says that the citizen agreed to them.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import cookie_parser

from messo.base.db import Connection, Pool
from messo.base.decode import decode
from messo.base.http import Answer, Problem, Request, Route
from messo.login import Limits, Session, Web, find_by_digest, find_session, open_sso_token
from messo.recipients import language_of_browser, read_profile
from messo.sso.authorize import Asked, RefusedError, unseal
from messo.sso.claims import email_of
from messo.sso.decision import Answered, Back, Citizen, Provider, Question

APP_COOKIE = "_io_fims_token"
_BODY = 16 * 1024  # bytes
_HAL = (b"content-type", b"application/hal+json; charset=utf-8")
_PRIVATE = (b"cache-control", b"no-store")
# Names of the wire, and as citizens are shown them.
_DATA: Mapping[str, tuple[str, str, str]] = {
    "fiscal_code": ("fiscalCode", "Codice fiscale", "Fiscal code"),
    "given_name": ("firstName", "Nome", "Given name"),
    "family_name": ("lastName", "Cognome", "Family name"),
    "email": ("email", "Indirizzo e-mail", "E-mail address"),
}


class Decided(msgspec.Struct):
    """What an application may add to a consent. `optional`: claims, by their names on the wire."""

    optional: list[str] = []
    remember: bool = False


Decide = Callable[[Connection, Question, Citizen], Awaitable[str | None]]
_decided = msgspec.json.Decoder(Decided)


@dataclass(frozen=True)
class InteractionRoutes:
    """The routes and what they need. `limits`: of client applications' sessions."""

    pool: Pool
    provider: Provider
    web: Web
    limits: Limits

    async def show(self, request: Request) -> Answer:
        asked = self._asked(request)
        try:
            async with self.pool.transaction() as conn:
                citizen = await self._citizen(conn, request)
                step = await self.provider.next_step(conn, asked, citizen)
        except RefusedError as error:
            raise _void(error) from None
        if isinstance(step, Answered):
            raise _answered()
        if isinstance(step, Back):
            return self._back(asked, step.address)
        if not isinstance(step, Question):
            # Only the browser could log in anew: the site hears that it was not possible.
            refusal = asked.refusal(self.provider.issuer, "login_required", "A login is needed.")
            return self._back(asked, refusal)
        return self._question(request, step)

    async def consent(self, request: Request) -> Answer:
        decided = await _read_decided(request)
        ticked = [claim for claim, names in _DATA.items() if names[0] in decided.optional]

        async def agree(conn: Connection, question: Question, citizen: Citizen) -> str | None:
            if question.has_changed:
                return None
            return await self.provider.agree(
                conn, question, citizen, ticked, remember=decided.remember
            )

        return await self._answer(request, agree)

    async def abort(self, request: Request) -> Answer:
        return await self._answer(request, self.provider.refuse)

    async def _answer(self, request: Request, decide: Decide) -> Answer:
        asked = self._asked(request)
        try:
            async with self.pool.transaction() as conn:
                citizen = await self._citizen(conn, request)
                step = await self.provider.question(conn, asked, citizen)
                address = await decide(conn, step, citizen) if isinstance(step, Question) else None
        except RefusedError as error:
            raise _void(error) from None
        if address is None:
            raise _answered()
        return self._back(asked, address)

    def _asked(self, request: Request) -> Asked:
        access_id = request.path["id"]
        value = _cookie(request, self.web.sso_cookie(access_id))
        asked = unseal(self.provider.secrets, access_id, value)
        if asked is None:
            raise Problem(
                404, "Not found", "This request is too old, or was begun elsewhere. Begin again."
            )
        return asked

    async def _citizen(self, conn: Connection, request: Request) -> Citizen:
        session = await self._session(conn, request)
        if session is None:
            raise Problem(401, "Unauthorized", "No session, or one that has ended.")
        profile = await read_profile(conn, session.fiscal_code)
        return Citizen(session, email_of(session.identity.email, profile))

    async def _session(self, conn: Connection, request: Request) -> Session | None:
        """By the token that is good for this alone, or by the session's own."""
        token = _cookie(request, APP_COOKIE)
        if token:
            digest = open_sso_token(self.provider.secrets, token)
            return await find_by_digest(conn, digest, self.limits, "client") if digest else None
        scheme, _, bearer = (request.header(b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not bearer.strip():
            return None
        return await find_session(conn, bearer.strip(), self.limits, "client")

    def _question(self, request: Request, question: Question) -> Answer:
        language = language_of_browser(request.header(b"accept-language") or "")
        base = f"{self.provider.issuer}/sso/interaction/{question.asked.id}"
        body = {
            "_links": {
                "abort": {"href": f"{base}/abort"},
                "consent": {"href": f"{base}/consent"},
            },
            "service_id": question.client.service_id,
            "redirect": {"display_name": question.place.name(language)},
            "type": "consent",
            "user_metadata": [_datum(claim, question, language) for claim in question.claims],
        }
        return Answer(200, msgspec.json.encode(body), [_HAL, _PRIVATE])

    def _back(self, asked: Asked, address: str) -> Answer:
        gone = self.web.sso_header(asked.id, "", 0, f"/sso/interaction/{asked.id}").encode()
        headers = [(b"location", address.encode()), (b"set-cookie", gone), _PRIVATE]
        return Answer(303, b"", headers)

    def routes(self) -> list[Route]:
        """Reached from /sso/authorize only, so that no reference lists them."""
        base = "/sso/interaction/{id}"
        return [
            Route("GET", base, "ssoQuestion", self.show, "What the citizen is asked"),
            Route("POST", f"{base}/consent", "ssoConsent", self.consent, "The citizen agrees"),
            Route("POST", f"{base}/abort", "ssoAbort", self.abort, "The citizen refuses"),
        ]


def _answered() -> Problem:
    return Problem(
        409,
        "Conflict",
        "This question was answered before, is void, or has changed: ask for it again.",
    )


def _void(error: RefusedError) -> Problem:
    return Problem(400, "Bad request", error.description)


async def _read_decided(request: Request) -> Decided:
    """An empty body says nothing more than that the citizen agrees, whatever it says it is."""
    body = await request.body(_BODY)
    return decode(body, _decided) if body else Decided()


def _datum(claim: str, question: Question, language: str) -> dict[str, Any]:
    name, italian, english = _DATA[claim]
    shown: dict[str, Any] = {
        "name": name,
        "display_name": english if language == "en" else italian,
    }
    if claim in question.optional:
        shown["optional"] = True  # our own: not in the reference's answer
    return shown


def _cookie(request: Request, name: str) -> str:
    """As for pages: cookies of others that are malformed hide none of ours."""
    return cookie_parser(request.header(b"cookie") or "").get(name, "")
