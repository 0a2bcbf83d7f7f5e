"""The sandbox's identity provider: OpenID Connect, with a page of test people for a login form.

Served only in a sandbox. Its key and its codes live in memory: it is for one server process.
"""

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from messo.base.crypto import new_api_key
from messo.sandbox import invented, pages
from messo.sandbox.identity_page import Page, citizens_page, staff_page
from messo.settings import Settings

PATH = "/sandbox/identity"

_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
_CODE_SECONDS = 60
_TOKEN_SECONDS = 300
_BODY = 16 * 1024  # bytes
_KEPT = 10_000  # codes and tokens at most
_NO_STORE = {"Cache-Control": "no-store"}

T = TypeVar("T")


class _Kept(Generic[T]):
    """Values behind random names, for some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._values: dict[str, tuple[float, T]] = {}

    def put(self, value: T) -> str:
        while len(self._values) >= _KEPT:
            self._values.pop(next(iter(self._values)))
        name = new_api_key()
        self._values[name] = (time.monotonic() + self._seconds, value)
        return name

    def get(self, name: str) -> T | None:
        until, value = self._values.get(name, (0.0, None))
        return value if time.monotonic() < until else None

    def take(self, name: str) -> T | None:
        value = self.get(name)
        self._values.pop(name, None)
        return value


@dataclass(frozen=True)
class _Client:
    """One of this installation's clients. `choose`: the claims of who was chosen in a form.

    It is given the form and the levels of assurance that were asked for; None: nobody is.
    """

    client_id: str
    redirect_uri: str
    logged_out: str
    choose: Callable[[invented.Form, str], dict[str, Any] | None]
    page: Page


@dataclass(frozen=True)
class _Grant:
    claims: dict[str, Any]
    client_id: str
    nonce: str
    challenge: str
    redirect_uri: str


class IdentityProvider:
    """One provider with two clients of this installation: citizens', and institutions' people's."""

    def __init__(self, settings: Settings) -> None:
        base = settings.public_url.rstrip("/")
        self.issuer = base + PATH
        self.clients = (
            _Client(
                settings.login_client_id,
                f"{base}/login/callback",
                f"{base}/logged-out",
                invented.citizen,
                citizens_page(settings.client_redirects),
            ),
            _Client(
                settings.staff_client_id,
                f"{base}/console/callback",
                f"{base}/console",
                invented.staff,
                staff_page(),
            ),
        )
        self.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
        self.key.ensure_kid()
        self.codes: _Kept[_Grant] = _Kept(_CODE_SECONDS)
        self.tokens: _Kept[dict[str, Any]] = _Kept(_TOKEN_SECONDS)

    def routes(self) -> list[Route]:
        """All of them, under `/sandbox/identity`."""
        return [
            Route(f"{PATH}/.well-known/openid-configuration", self.describe),
            Route(f"{PATH}/jwks", self.jwks),
            Route(f"{PATH}/authorize", self.ask),
            Route(f"{PATH}/authorize", self.answer, methods=["POST"]),
            Route(f"{PATH}/token", self.token, methods=["POST"]),
            Route(f"{PATH}/userinfo", self.userinfo),
            Route(f"{PATH}/end-session", self.end_session),
            pages.style_sheet(PATH, "identity.css"),
        ]

    async def describe(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "end_session_endpoint": f"{self.issuer}/end-session",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "code_challenge_methods_supported": ["S256"],
                "acr_values_supported": list(invented.LEVELS),
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def ask(self, request: Request) -> Response:
        """The page of test people."""
        wrong = self._wrong(request)
        page = self._client(request).page
        return page.broken(request, wrong) if wrong else page.people(request)

    async def answer(self, request: Request) -> Response:
        """Somebody was chosen, or nobody: back to where the browser came from."""
        wrong, client = self._wrong(request), self._client(request)
        if wrong:
            return client.page.broken(request, wrong)
        form = await _form(request)
        query = request.query_params
        if "cancel" in form:
            return self._back(client, query["state"], error="access_denied")
        claims = client.choose(form, query.get("acr_values", ""))
        if claims is None:
            return client.page.people(request, form.get(client.page.field, ""))
        grant = _Grant(
            claims,
            client.client_id,
            query.get("nonce", ""),
            query["code_challenge"],
            client.redirect_uri,
        )
        return self._back(client, query["state"], code=self.codes.put(grant))

    async def token(self, request: Request) -> Response:
        form = await _form(request)
        grant = self.codes.take(form.get("code", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if form.get("client_id") not in {client.client_id for client in self.clients}:
            return JSONResponse({"error": "invalid_client"}, 401, _NO_STORE)
        if (
            grant is None
            or form.get("client_id") != grant.client_id
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != grant.redirect_uri
            or challenge != grant.challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400, _NO_STORE)
        now = int(time.time())
        claims = {
            **grant.claims,
            "iss": self.issuer,
            "aud": grant.client_id,
            "iat": now,
            "auth_time": now,
            "exp": now + _TOKEN_SECONDS,
            "nonce": grant.nonce,
        }
        signed = jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)
        return JSONResponse(
            {
                "access_token": self.tokens.put(grant.claims),
                "token_type": "Bearer",
                "expires_in": _TOKEN_SECONDS,
                "id_token": signed,
            },
            headers=_NO_STORE,
        )

    async def userinfo(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = self.tokens.get(token) if scheme == "Bearer" else None
        if claims is None:
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        return JSONResponse(claims, headers=_NO_STORE)

    async def end_session(self, request: Request) -> Response:
        """There is no session here to end: only the way back."""
        query = request.query_params
        asked = (query.get("client_id"), query.get("post_logout_redirect_uri"))
        for client in self.clients:
            if asked == (client.client_id, client.logged_out):
                return RedirectResponse(client.logged_out, 303, _NO_STORE)
        return self.clients[0].page.broken(request, "post_logout_redirect_uri")

    def _client(self, request: Request) -> _Client:
        """Whose request this is, as far as its addresses say: of citizens' client otherwise."""
        given = request.query_params.get("redirect_uri")
        return next((one for one in self.clients if one.redirect_uri == given), self.clients[0])

    def _wrong(self, request: Request) -> str:
        """The parameter that is not as it must be, or nothing."""
        query, client = request.query_params, self._client(request)
        holds = {
            "client_id": query.get("client_id") == client.client_id,
            "redirect_uri": query.get("redirect_uri") == client.redirect_uri,
            "response_type": query.get("response_type") == "code",
            "scope": "openid" in query.get("scope", "").split(),
            "state": bool(query.get("state")),
            "code_challenge_method": query.get("code_challenge_method") == "S256",
            "code_challenge": bool(_CHALLENGE.match(query.get("code_challenge", ""))),
        }
        return next((name for name, holding in holds.items() if not holding), "")

    def _back(self, client: _Client, state: str, **answer: str) -> Response:
        query = urlencode({**answer, "state": state, "iss": self.issuer})
        return RedirectResponse(f"{client.redirect_uri}?{query}", 303, _NO_STORE)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; nothing of one that is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY:
            return {}
    fields = parse_qs(body.decode("latin-1"), keep_blank_values=True, errors="replace")
    return {name: values[-1] for name, values in fields.items()}
