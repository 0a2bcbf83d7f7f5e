"""The sandbox's relying party: "Sportello online", a site of the Comune di Pontelungo.

It is a site as an institution would build one: it knows the provider by its address alone, and
believes nothing that it has not checked (`openid.py`). Its sessions live in memory: it is for one
server process.
"""

import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from messo.base.crypto import SecretError, Secrets, new_api_key
from messo.base.db import Pool
from messo.base.sql import Queries
from messo.sandbox import pages
from messo.sandbox.openid import PENDING_SECONDS, OpenId, Pending, RefusedError, Who, begin
from messo.sandbox.relying_party_page import RelyingPartyPage
from messo.settings import Settings

PATH = "/sandbox/sportello"
CALLBACK = f"{PATH}/callback"
AFTER = f"{PATH}/uscita"
LOGOUT = f"{PATH}/backchannel-logout"
NAMES: Final = ("Sportello online", "Online counter")

queries = Queries("messo.sandbox")

_INSIDE = f"{PATH}/area"
_SESSION, _PENDING = "sportello", "sportello-login"
_SESSION_SECONDS = 8 * 60 * 60
_MOST_SESSIONS = 10_000
_BODY = 16 * 1024  # bytes
_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
# What the page offers to try, by the value of `?try=`.
_TRIALS: Mapping[str, Mapping[str, str]] = {
    "level": {"acr_values": "https://www.spid.gov.it/SpidL3"},
    "fresh": {"prompt": "login"},
    "silent": {"prompt": "none"},
}
_pending = msgspec.json.Decoder(Pending)


def address(settings: Settings) -> str:
    """Where its visitors begin: what a button opens."""
    return settings.public_url.rstrip("/") + PATH


def client_secret(secrets: Secrets) -> str:
    """Always the same in one installation, and known to nobody else."""
    digest = secrets.keyed_digest("sandbox.relying_party")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True)
class _Session:
    who: Who
    until: float


class Sessions:
    """Who is logged in at the site, by the value of their cookie."""

    def __init__(self) -> None:
        self._open: dict[str, _Session] = {}

    def open(self, who: Who) -> str:
        """A new session; its name. The oldest ends where there are too many."""
        while len(self._open) >= _MOST_SESSIONS:
            self._open.pop(next(iter(self._open)))
        name = new_api_key()
        self._open[name] = _Session(who, time.monotonic() + _SESSION_SECONDS)
        return name

    def find(self, name: str) -> Who | None:
        """Whose session it is, if it has not ended."""
        found = self._open.get(name)
        return found.who if found and time.monotonic() < found.until else None

    def end(self, name: str) -> None:
        """This one is over."""
        self._open.pop(name, None)

    def end_of(self, sub: str | None, sid: str | None) -> int:
        """End those of a citizen, or of one login of theirs; how many."""
        ended = [
            name
            for name, session in self._open.items()
            if (sub is None or session.who.claims["sub"] == sub)
            and (sid is None or session.who.sid == sid)
        ]
        for name in ended:
            self.end(name)
        return len(ended)


class RelyingParty:
    """The site, under `/sandbox/sportello`."""

    def __init__(self, settings: Settings, secrets: Secrets, pool: Pool) -> None:
        base = settings.public_url.rstrip("/")
        self.sessions = Sessions()
        self._redirect_uri, self._after = base + CALLBACK, base + AFTER
        self._openid = OpenId(settings, self._redirect_uri, client_secret(secrets))
        self._secrets = secrets
        self._pool = pool
        self._page = RelyingPartyPage(PATH, base)
        self._is_secure = base.startswith("https://")

    def routes(self) -> list[Route]:
        """All of it."""
        return [
            Route(PATH, self.enter),
            Route(CALLBACK, self.callback),
            Route(_INSIDE, self.show),
            Route(f"{PATH}/logout", self.log_out, methods=["POST"]),
            Route(AFTER, self.goodbye),
            Route(LOGOUT, self.logged_out, methods=["POST"]),
            pages.style_sheet(PATH, "relying_party.css"),
        ]

    async def close(self) -> None:
        """Close its connections."""
        await self._openid.close()

    async def enter(self, request: Request) -> Response:
        """Off to the provider at once, also with a session: it may be somebody else by now."""
        more = _TRIALS.get(request.query_params.get("try", ""), {})
        pending = begin()
        try:
            where = await self._openid.request(await self._client_id(), pending, **more)
        except RefusedError as error:
            return self._page.refused(request, error)
        response = RedirectResponse(where, 303, _NO_STORE)
        sealed = self._secrets.encrypt(msgspec.json.encode(pending).decode())
        self._set_cookie(response, _PENDING, sealed, PENDING_SECONDS)
        return response

    async def callback(self, request: Request) -> Response:
        """The browser is back: somebody is logged in, or the page says why not."""
        try:
            pending = self._read_pending(request)
            given = dict(request.query_params)
            who = await self._openid.answer(await self._client_id(), pending, given)
        except RefusedError as error:
            refused = self._page.refused(request, error)
            self._set_cookie(refused, _PENDING, "", 0)
            return refused
        self.sessions.end(request.cookies.get(_SESSION, ""))
        response = RedirectResponse(_INSIDE, 303, _NO_STORE)
        self._set_cookie(response, _PENDING, "", 0)
        self._set_cookie(response, _SESSION, self.sessions.open(who), _SESSION_SECONDS)
        return response

    async def show(self, request: Request) -> Response:
        """Who the site believes its visitor to be."""
        who = self.sessions.find(request.cookies.get(_SESSION, ""))
        return self._page.somebody(request, who) if who else self._page.nobody(request)

    async def log_out(self, request: Request) -> Response:
        """End the session here, then ask the citizen whether to end the one there, too."""
        self.sessions.end(request.cookies.get(_SESSION, ""))
        where = self._after
        try:
            about = await self._openid.metadata()
            query = {
                "client_id": await self._client_id(),
                "post_logout_redirect_uri": self._after,
            }
            where = f"{about['end_session_endpoint']}?{urlencode(query)}"
        except RefusedError:  # then only here
            pass
        response = RedirectResponse(where, 303, _NO_STORE)
        self._set_cookie(response, _SESSION, "", 0)
        return response

    async def goodbye(self, request: Request) -> Response:
        """After a logout."""
        return self._page.nobody(request)

    async def logged_out(self, request: Request) -> Response:
        """The provider tells of a logout (Back-Channel Logout 1.0, section 2.5)."""
        try:
            token = await _logout_token(request)
            ended = await self._openid.logged_out(await self._client_id(), token)
        except RefusedError as error:
            body = {"error": "invalid_request", "error_description": error.error}
            # Whoever tells us may tell us again, unless the token is at fault.
            return JSONResponse(body, 503 if error.error == "provider_down" else 400, _NO_STORE)
        self.sessions.end_of(*ended)
        return Response(status_code=200, headers=_NO_STORE)

    async def _client_id(self) -> str:
        """The client that is registered with our address. `RefusedError` without one."""
        wanted = msgspec.json.encode([{"uri": self._redirect_uri}]).decode()
        async with self._pool.connection() as conn:
            found = await conn.value(queries.client_of_address, redirect=wanted)
        if found is None:
            raise RefusedError("not_registered")
        return str(found)

    def _read_pending(self, request: Request) -> Pending:
        """What this browser was sent away with. `RefusedError` if it was not."""
        try:
            return _pending.decode(self._secrets.decrypt(request.cookies.get(_PENDING, "")))
        except (SecretError, ValueError):
            raise RefusedError("wrong_state") from None

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int) -> None:
        # Lax: the way back from the provider must carry it.
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=PATH,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )


async def _logout_token(request: Request) -> str:
    """The token in a form. `RefusedError` without exactly one."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY:
            raise RefusedError("too_large")
    try:
        [token] = parse_qs(body.decode("ascii"))["logout_token"]
    except (ValueError, KeyError):
        raise RefusedError("no_token") from None
    return token
