"""What the sandbox's relying party does of OpenID Connect: ask, exchange, check, and believe.

OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9207; Back-Channel Logout 1.0, section 2.6.
"""

import base64
import hashlib
import hmac
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from messo.base.outbound import Outbound, OutboundError
from messo.settings import Settings

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SCOPE = "openid profile email"
ALGORITHM = "RS256"  # what its client is registered with
EVENT = "http://schemas.openid.net/event/backchannel-logout"
PENDING_SECONDS = 600  # for the login, the question and the way back
_LEEWAY = 60  # seconds that clocks may differ
_OLDEST_LOGOUT = 300  # seconds since a logout token was made
_MOST_JTIS = 10_000
_object = msgspec.json.Decoder(dict[str, Any])


class Pending(msgspec.Struct, frozen=True, tag="sandbox.relying_party"):
    """What the site keeps in the browser until it comes back. `asked_at`: seconds since 1970."""

    state: str
    nonce: str
    verifier: str
    asked_at: float


@dataclass(frozen=True)
class Who:
    """Whom the site believes to be there. `claims`: of userinfo, `sub` among them.

    `waited_s`: from our request until the answer; `signed`: the header of the ID token.
    """

    claims: Mapping[str, Any]
    sid: str | None
    level: str
    authenticated_at: int
    issuer: str
    audience: str
    scope: str
    signed: Mapping[str, Any]
    waited_s: float


class RefusedError(Exception):
    """No login came of it. `error`: the provider's code, or what we did not believe."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.description = description


def begin() -> Pending:
    """A login that begins now."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Pending(state, nonce, verifier, time.time())


def own_address(settings: Settings) -> str:
    """Where this server is, as the same machine reaches it."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared, not bound
    return f"http://{everywhere.get(settings.host, settings.host)}:{settings.port}"


class OpenId:
    """One site at one provider, known by its issuer and nothing else."""

    def __init__(self, settings: Settings, redirect_uri: str, secret: str) -> None:
        self.issuer = settings.public_url.rstrip("/")
        self.redirect_uri = redirect_uri
        self._secret = secret
        self._near = own_address(settings)
        self._outbound = Outbound(LOOPBACK)
        self._seen: dict[str, float] = {}  # logout tokens, by jti

    async def close(self) -> None:
        """Close the connections."""
        await self._outbound.close()

    async def metadata(self) -> dict[str, Any]:
        """What the provider says of itself. `RefusedError` if it says that it is another one."""
        about = await self._get(f"{self.issuer}/.well-known/openid-configuration")
        if about.get("issuer") != self.issuer:
            raise RefusedError("wrong_issuer")
        return about

    async def request(self, client_id: str, pending: Pending, **more: str) -> str:
        """Where the browser is sent. `more`: parameters besides the usual."""
        digest = hashlib.sha256(pending.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": _text(digest),
            "code_challenge_method": "S256",
            **more,
        }
        about = await self.metadata()
        return f"{about['authorization_endpoint']}?{urlencode(query)}"

    async def answer(self, client_id: str, pending: Pending, given: Mapping[str, str]) -> Who:
        """Who has come back, by the parameters of the callback. `RefusedError` for nobody."""
        waited = time.time() - pending.asked_at
        if waited > PENDING_SECONDS or not _same(given.get("state", ""), pending.state):
            raise RefusedError("wrong_state")
        if given.get("iss") != self.issuer:  # RFC 9207, section 2.4
            raise RefusedError("wrong_issuer")
        if "error" in given:
            raise RefusedError(given["error"], given.get("error_description", ""))
        about = await self.metadata()
        tokens = await self._exchange(about, client_id, given.get("code", ""), pending.verifier)
        token = str(tokens.get("access_token", ""))
        verified = self._verified(tokens.get("id_token"), await self._keys(about), client_id)
        claims = verified.claims
        if not _same(str(claims.get("nonce", "")), pending.nonce):
            raise RefusedError("wrong_token")
        half = hashlib.sha256(token.encode()).digest()[:16]
        if claims.get("at_hash") != _text(half):  # section 3.1.3.6
            raise RefusedError("wrong_token")
        person = await self._get(about["userinfo_endpoint"], {"Authorization": f"Bearer {token}"})
        if person.get("sub") != claims["sub"]:  # section 5.3.2
            raise RefusedError("wrong_token")
        return Who(
            claims=person,
            sid=claims.get("sid"),
            level=str(claims.get("acr", "")),
            authenticated_at=int(claims.get("auth_time", 0)),
            issuer=claims["iss"],
            audience=client_id,
            scope=str(tokens.get("scope", "")),
            signed=verified.header,
            waited_s=waited,
        )

    async def logged_out(self, client_id: str, token: str) -> tuple[str | None, str | None]:
        """The `sub` and `sid` of a logout token; `RefusedError` for one that is not believed."""
        keys = await self._keys(await self.metadata())
        verified = self._verified(token, keys, client_id, kind="logout+jwt")
        claims, now = verified.claims, time.time()
        events, jti = claims.get("events"), claims.get("jti")
        sub, sid = claims.get("sub"), claims.get("sid")
        holds = (
            (isinstance(sub, str) or isinstance(sid, str))
            and isinstance(events, dict)
            and isinstance(events.get(EVENT), dict)
            and "nonce" not in claims
            and isinstance(jti, str)
            and claims["iat"] > now - _OLDEST_LOGOUT
        )
        if not holds or jti in self._seen:
            raise RefusedError("wrong_token")
        while len(self._seen) >= _MOST_JTIS:
            self._seen.pop(next(iter(self._seen)))
        self._seen[str(jti)] = now
        return sub, sid

    def _verified(
        self, token: object, keys: KeySet, client_id: str, kind: str = "JWT"
    ) -> jwt.Token:
        """A token that the provider signed for us, not long ago (section 3.1.3.7)."""
        rules = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            found = jwt.decode(str(token), keys, algorithms=[ALGORITHM])
            rules.validate(found.claims)
        except (JoseError, ValueError, TypeError, KeyError):
            raise RefusedError("wrong_token") from None
        # What is signed for one purpose is good for no other (RFC 8725, section 3.11).
        if found.header.get("typ") != kind or not isinstance(found.claims.get("sub", ""), str):
            raise RefusedError("wrong_token")
        return found

    async def _keys(self, about: Mapping[str, Any]) -> KeySet:
        given: Any = await self._get(about["jwks_uri"])
        return KeySet.import_key_set(given)

    async def _exchange(
        self, about: Mapping[str, Any], client_id: str, code: str, verifier: str
    ) -> dict[str, Any]:
        """The tokens for a code, with `client_secret_basic` (RFC 6749, section 2.3.1)."""
        pair = f"{quote_plus(client_id)}:{quote_plus(self._secret)}"
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {
            "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return await self._send("POST", about["token_endpoint"], headers, urlencode(form).encode())

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await self._send("GET", url, headers or {}, b"")

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        """Asked on this machine: the public address may lead through somebody's proxy."""
        near = self._near + url.removeprefix(self.issuer) if url.startswith(self.issuer) else url
        try:
            reply = await self._outbound.send(method, near, headers=headers, body=body)
            found = _object.decode(reply.body)
        except (OutboundError, msgspec.DecodeError):
            raise RefusedError("provider_down") from None
        if reply.status != 200:  # noqa: PLR2004  RFC 9110
            raise RefusedError(str(found.get("error", "provider_down")))
        return found


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
