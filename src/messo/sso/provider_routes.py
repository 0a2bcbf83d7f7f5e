"""What relying parties' servers call: metadata, keys, the token endpoint, userinfo.

OpenID Connect Core 1.0, sections 3.1.3 and 5.3; RFC 6749, section 5; RFC 6750.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import JSON, Answer, Problem, Request, Route
from messo.settings import Settings
from messo.sso import access, claims, codes, discovery
from messo.sso.client_authentication import authenticate
from messo.sso.clients import Client, find_client
from messo.sso.codes import Grant, Redeemed
from messo.sso.keys import Keys
from messo.sso.refusals import NO_STORE, OAuthProblem

_BODY = 16 * 1024  # bytes
_ID_TOKEN_S = 300  # clocks of relying parties differ from ours by minutes
_CACHED = (b"cache-control", b"public, max-age=300")


@dataclass(frozen=True)
class ProviderRoutes:
    """The routes and what they need."""

    pool: Pool
    secrets: Secrets
    keys: Keys
    settings: Settings

    async def describe(self, _: Request) -> Answer:
        about = discovery.document(self.settings.public_url, self.settings.login_levels)
        return Answer(200, msgspec.json.encode(about), [JSON, _CACHED])

    async def jwks(self, _: Request) -> Answer:
        return Answer(200, msgspec.json.encode(await self.keys.jwks()), [JSON, _CACHED])

    async def token(self, request: Request) -> Answer:
        form = await _form(request)
        public_url = self.settings.public_url
        audiences = (discovery.issuer(public_url), discovery.token_endpoint(public_url))
        is_known = form.get("grant_type") == "authorization_code"
        async with self.pool.transaction() as conn:
            client = await authenticate(conn, request, form, audiences)
            redeemed = Redeemed()
            if is_known:
                redeemed = await codes.redeem(
                    conn,
                    self.secrets,
                    client,
                    form.get("code", ""),
                    form.get("redirect_uri", ""),
                    form.get("code_verifier"),
                )
            is_good = await _settle(conn, redeemed)
        # Not before: an assertion is used up by a request that is refused, too.
        if not is_known:
            raise OAuthProblem("unsupported_grant_type", "grant_type is authorization_code.")
        if redeemed.grant is None or redeemed.access_token is None or not is_good:
            raise OAuthProblem(
                "invalid_grant",
                "The code is unknown, used, older than a minute, or of another client, "
                "redirect_uri or code_verifier.",
            )
        return await self._tokens(client, redeemed.grant, redeemed.access_token)

    async def userinfo(self, request: Request) -> Answer:
        scheme, _, token = (request.header(b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise OAuthProblem("invalid_token", "Send the access token as a Bearer.", "Bearer")
        async with self.pool.connection() as conn:
            found = await codes.find_grant(conn, self.secrets, token.strip())
            client = await find_client(conn, found[0]) if found else None
            # Of an erased citizen nothing is told any more.
            stands = found is not None and await access.stands(
                conn, found[1].fiscal_code, found[1].access_id
            )
        if found is None or client is None or not stands:
            raise OAuthProblem(
                "invalid_token", "The access token is unknown, too old or taken back.", "Bearer"
            )
        grant = found[1]
        email = (grant.email, grant.email_verified) if grant.email is not None else None
        body = {
            "sub": grant.sub,
            **claims.values(grant, email, grant.claims),
        }
        return Answer(200, msgspec.json.encode(body), [JSON, *NO_STORE])

    async def _tokens(self, client: Client, grant: Grant, token: str) -> Answer:
        body = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(codes.TOKEN_LIFE.total_seconds()),
            "id_token": await self.keys.sign(
                client.id_token_alg, self._id_token(client, grant, token)
            ),
            "scope": " ".join(claims.granted_scopes(grant.scopes, grant.claims)),
        }
        return Answer(200, msgspec.json.encode(body), [JSON, *NO_STORE])

    def _id_token(self, client: Client, grant: Grant, token: str) -> Mapping[str, Any]:
        """OpenID Connect Core 1.0, section 2. Data of the citizen are at userinfo, and only there."""
        now = int(clock.now().timestamp())
        found: dict[str, Any] = {
            "iss": discovery.issuer(self.settings.public_url),
            "sub": grant.sub,
            "aud": client.id,
            "exp": now + _ID_TOKEN_S,
            "iat": now,
            "auth_time": grant.auth_time,
            "acr": grant.acr,
            "at_hash": _half_hash(token),
            "sid": claims.session_reference(self.secrets, client, grant.session_id),
        }
        if grant.nonce is not None:
            found["nonce"] = grant.nonce
        return found

    def routes(self) -> list[Route]:
        """All of them. They are not in the reference: their documents are the specifications."""
        return [
            Route(
                "GET",
                "/.well-known/openid-configuration",
                "ssoDescribe",
                self.describe,
                "What the provider says of itself",
                public=True,
            ),
            Route("GET", "/sso/jwks", "ssoKeys", self.jwks, "The public keys", public=True),
            Route("POST", "/sso/token", "ssoToken", self.token, "Exchange a code", public=True),
            *(
                Route(
                    method,
                    "/sso/userinfo",
                    "ssoUserinfo",
                    self.userinfo,
                    "The citizen",
                    public=True,
                )
                for method in ("GET", "POST")
            ),
        ]


async def _settle(conn: Connection, redeemed: Redeemed) -> bool:
    """Write what came of a code into its citizen's history; whether it may be answered.

    It may not if the citizen was erased meanwhile: then there is no history either.
    """
    grant = redeemed.grant
    if grant is None:
        return False
    if redeemed.access_token is None:
        await access.settle(conn, grant.fiscal_code, grant.access_id, "failed")
        return False
    return await access.settle(conn, grant.fiscal_code, grant.access_id, "redeemed")


async def _form(request: Request) -> dict[str, str]:
    """The parameters of a form, each at most once; without a value is left out (RFC 6749, 3.2)."""
    try:
        fields = [(name, value) for name, value in await request.form_body(_BODY) if value]
    except Problem as problem:
        refusal = OAuthProblem("invalid_request", problem.detail)
        if problem.status not in {400, 415}:
            refusal.status, refusal.headers = problem.status, problem.headers
        raise refusal from None
    form = dict(fields)
    if len(form) < len(fields):
        raise OAuthProblem("invalid_request", "A parameter is given more than once.")
    return form


def _half_hash(token: str) -> str:
    """`at_hash`: the left half of the SHA-256 (OpenID Connect Core 1.0, section 3.1.3.6)."""
    half = hashlib.sha256(token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()
