"""The client applications' way in and out: authenticate, parse, call, answer."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Parameter, Problem, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import ULID, ProblemDocument, Ulid
from messo.login import wire
from messo.login.bearer import BearerAuthenticate
from messo.login.clients import ClientTarget, is_registered, take_code
from messo.login.device_key import DeviceKey, read_device_key
from messo.login.flow import LoginFlow
from messo.login.refusal import LoginError
from messo.login.sessions import (
    Identity,
    Session,
    list_sessions,
    open_session,
)
from messo.login.sso_token import make_sso_token
from messo.login.web import Web

Welcome = Callable[[Connection, Identity], Awaitable[None]]
# (conn, secrets, fiscal code, session id or None for all): False if there is no such session.
LogOut = Callable[[Connection, Secrets, str, str | None], Awaitable[bool]]

_BASE = "/api/auth/v1"
_BODY = 16 * 1024  # bytes
_PRIVATE = (b"cache-control", b"no-store")
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")  # RFC 7636, section 4.2
_STATE = re.compile(r"[\x20-\x7e]{0,500}\Z")  # RFC 6749, appendix A.5
_FIELDS = re.compile(r"\(([A-Za-z]+(?:,[A-Za-z]+)*)?\)\Z")
_ULID = re.compile(ULID)
_KEY, _KEY_HASH = "x-pagopa-lollipop-pub-key", "x-pagopa-lollipop-pub-key-hash-algo"
_token_request = msgspec.json.Decoder(wire.TokenRequest)


@dataclass(frozen=True)
class LoginRoutes:
    """The routes and what they need. `welcome` enrols a citizen at their first login.

    `log_out` closes sessions, with whatever they gave elsewhere.
    """

    pool: Pool
    secrets: Secrets
    flow: LoginFlow
    web: Web
    authenticate: BearerAuthenticate
    welcome: Welcome
    log_out: LogOut
    redirects: tuple[str, ...]  # of registered client applications

    async def login(self, request: Request) -> Answer:
        query = _query(request)
        redirect_uri = query.get("redirect_uri", "")
        if not is_registered(redirect_uri, self.redirects):
            raise _bad("redirect_uri", "must be exactly one that this installation has registered")
        state = query.get("state")
        if state is not None and not _STATE.match(state):
            raise _bad("state", "may have up to 500 visible ASCII characters")
        challenge = query.get("code_challenge", "")
        client = ClientTarget(redirect_uri, challenge, state)
        # From here on the address is trusted: the application itself learns what is wrong.
        if not _CHALLENGE.match(challenge) or query.get("code_challenge_method") != "S256":
            return _redirect(client.address(error="invalid_request", iss=self.flow.public_url))
        try:
            address, pending = await self.flow.begin("/", client)
        except LoginError as error:
            return _redirect(self.flow.refusal_address(client, error.reason))
        return _redirect(address, (b"set-cookie", self.web.pending_header(pending).encode()))

    async def token(self, request: Request) -> Answer:
        given = decode(await request.json_body(_BODY), _token_request)
        device_key = _device_key(request)
        async with self.pool.transaction() as conn:
            granted = await take_code(
                conn, self.secrets, given.code, given.code_verifier, given.redirect_uri
            )
            if granted is not None:
                await self.welcome(conn, granted.identity)
                limits = self.authenticate.limits
                token = await open_session(
                    conn, granted.identity, "client", granted.client, limits, device_key
                )
        if granted is None:
            # Not which of them: whoever guesses learns nothing.
            raise Problem(
                400,
                "Bad request",
                "This code is not valid: unknown, used, older than a minute, or of another "
                "redirect_uri or code_verifier. Begin the login again.",
                headers=[_PRIVATE],
            )
        expires_at = clock.to_wire(clock.now() + limits.absolute)
        return _json(wire.Token(token, expires_at))

    async def session(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        wanted = _fields(_query(request).get("fields"))
        known = {
            "spidLevel": session.identity.level,
            "expirationDate": clock.to_wire(session.expires_at),
        }
        if wanted is None or "fimsToken" in wanted:
            known["fimsToken"] = make_sso_token(self.secrets, session.digest)
        if session.device_key:
            known["lollipopAssertionRef"] = session.device_key.assertion_ref
        shown = {name: value for name, value in known.items() if wanted is None or name in wanted}
        return _json(msgspec.convert(shown, wire.SessionFields))

    async def logout(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            await self.log_out(conn, self.secrets, session.fiscal_code, session.id)
        return _json(wire.Done())

    async def show_sessions(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.connection() as conn:
            found = await list_sessions(conn, session.fiscal_code, self.web.limits)
        return _json(wire.Sessions([_line(one, session.id) for one in found]))

    async def close(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        session_id = request.path["id"]
        closed = False
        if _ULID.match(session_id):
            async with self.pool.transaction() as conn:
                closed = await self.log_out(conn, self.secrets, session.fiscal_code, session_id)
        if not closed:
            raise Problem(404, "Not found", "You have no session with this id.")
        return _json(wire.Done())

    async def close_all(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            await self.log_out(conn, self.secrets, session.fiscal_code, None)
        return _json(wire.Done())

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        problem = ProblemDocument
        refusals = {
            401: (None, "No session, or one that has ended."),
            429: (problem, "Too fast: wait as long as Retry-After says."),
            503: (problem, "The database did not answer: try again after Retry-After."),
        }
        done = {200: (wire.Done, "Done."), **refusals}
        return [
            Route(
                "GET",
                f"{_BASE}/login",
                "beginLogin",
                self.login,
                "Begin a citizen's login",
                "Open it in the citizen's browser. The browser comes back to `redirect_uri` with "
                "`code`, `state` and `iss`, or with `error`: `access_denied`, "
                "`temporarily_unavailable` or `invalid_request`. The code is good for one minute, "
                "once (RFC 6749, 7636, 8252, 9207).",
                None,
                {
                    302: (None, "To the identity provider, or back with an error."),
                    400: (problem, "`redirect_uri` is not registered, or `state` is not usable."),
                },
                (
                    Parameter(
                        "redirect_uri",
                        "query",
                        "Registered with this installation; of a loopback address, any port.",
                        required=True,
                    ),
                    Parameter("state", "query", "Comes back as it is."),
                    Parameter(
                        "code_challenge",
                        "query",
                        "Of your code verifier: base64url of its SHA-256.",
                        required=True,
                    ),
                    Parameter("code_challenge_method", "query", "`S256`.", required=True),
                ),
                public=True,
            ),
            Route(
                "POST",
                f"{_BASE}/token",
                "exchangeCode",
                self.token,
                "Exchange a code for a bearer token",
                "The token is a session of its own: it ends at `expires_at`, at logout, or when "
                "the citizen closes it.",
                wire.TokenRequest,
                {
                    200: (wire.Token, "Send it as `Authorization: Bearer`."),
                    400: (problem, "The code is not valid, or not for you."),
                    **OF_BODY,
                    503: refusals[503],
                },
                (
                    Parameter(
                        _KEY,
                        "header",
                        "The device's public key, base64url of its JSON Web Key: content of some "
                        "institutions opens only to requests that it has signed.",
                    ),
                    Parameter(_KEY_HASH, "header", "`sha256` unless given, `sha384`, `sha512`."),
                ),
                public=True,
            ),
            Route(
                "GET",
                f"{_BASE}/session",
                "getSession",
                self.session,
                "Read who is logged in",
                "",
                None,
                {
                    200: (wire.SessionFields, "What was asked for, as far as it exists here."),
                    400: (problem, "`fields` is not a list."),
                    **refusals,
                },
                (
                    Parameter(
                        "fields",
                        "query",
                        "`(spidLevel,expirationDate,lollipopAssertionRef)`; everything without.",
                    ),
                ),
            ),
            Route("POST", f"{_BASE}/logout", "logout", self.logout, "Log out", answers=done),
            Route(
                "GET",
                f"{_BASE}/sessions",
                "listSessions",
                self.show_sessions,
                "Where the citizen is logged in",
                "Browsers and client applications, the one used last first. Messo's own.",
                None,
                {200: (wire.Sessions, "At least this one."), **refusals},
            ),
            Route(
                "DELETE",
                f"{_BASE}/sessions/{{id}}",
                "closeSession",
                self.close,
                "End one of the citizen's sessions",
                "Messo's own.",
                None,
                {404: (problem, "The citizen has no session with this id."), **done},
                (Parameter("id", "path", "The session's id.", type=Ulid),),
            ),
            Route(
                "DELETE",
                f"{_BASE}/sessions",
                "closeAllSessions",
                self.close_all,
                "Log out everywhere",
                "The one that asks included. Messo's own.",
                None,
                done,
            ),
        ]


def _query(request: Request) -> dict[str, str]:
    """The parameters, each at most once (RFC 6749, section 3.1)."""
    text = request.scope["query_string"].decode("latin-1")
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Problem(400, "Bad request", "A parameter was given more than once.")
    return query


def _fields(text: str | None) -> set[str] | None:
    if text is None:
        return None
    match = _FIELDS.match(text)
    if match is None:
        raise _bad("fields", "must be names between brackets, separated by commas")
    return set((match[1] or "").split(","))


def _line(session: Session, here: str) -> wire.SessionLine:
    return wire.SessionLine(
        id=session.id,
        kind=session.kind,
        client=session.client,
        created_at=clock.to_wire(session.created_at),
        seen_at=clock.to_wire(session.seen_at),
        expires_at=clock.to_wire(session.expires_at),
        current=session.id == here,
    )


def _device_key(request: Request) -> DeviceKey | None:
    header = request.header(_KEY.encode())
    if header is None:
        return None
    try:
        return read_device_key(header, request.header(_KEY_HASH.encode()) or "sha256")
    except ValueError:
        raise _bad(_KEY, f"must be an EC P-256 or RSA key, with {_KEY_HASH}") from None


def _bad(field: str, what: str) -> Problem:
    return Problem(400, "Bad request", f"{field} {what}.", field=field)


def _redirect(address: str, *more: tuple[bytes, bytes]) -> Answer:
    return Answer(302, b"", [(b"location", address.encode()), _PRIVATE, *more])


def _json(answer: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(answer), (JSON, _PRIVATE))
