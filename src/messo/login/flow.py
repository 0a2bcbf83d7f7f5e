"""A login from the first click to the return from the provider, without a row in the database.

What must be remembered meanwhile travels in a cookie that only we can read.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic
from urllib.parse import urlencode

import msgspec

from messo.base import clock, log
from messo.base.crypto import SecretError, Secrets, new_api_key
from messo.base.db import Connection
from messo.login import clients
from messo.login.clients import ClientTarget
from messo.login.provider import Provider
from messo.login.refusal import LoginError, Reason
from messo.login.registration import W
from messo.login.sessions import Identity

logger = log.get(__name__)

PENDING_SECONDS = 600
_LONGEST_COOKIE = 4096
_LONGEST_CODE = 4000
# One slash, then neither another nor a backslash, which browsers take for one. Nothing that is
# not visible ASCII: browsers drop tabs and line ends, and what is left may be another host.
_LOCAL = re.compile(r"/(?!/)[\x21-\x5b\x5d-\x7e]{0,1000}\Z")
# RFC 6749, section 4.1.2.1; OpenID Connect Core, section 3.1.2.6; OpenID Connect Core
# Unmet Authentication Requirements 1.0. Whatever else: refused.
_ERRORS: Mapping[str, Reason] = {
    "access_denied": "cancelled",
    "temporarily_unavailable": "provider_down",
    "server_error": "provider_down",
    "unmet_authentication_requirements": "level",
}


class Pending(msgspec.Struct, frozen=True, tag="login.pending"):
    """A login that has begun. The tag says what was encrypted. `made_at`: seconds since 1970.

    `levels`: the levels of assurance that are enough, where not all that usually are. `kind`: of
    the registration that it was begun for.
    """

    state: str
    nonce: str
    verifier: str
    return_to: str
    made_at: int
    client: ClientTarget | None = None
    levels: list[str] = []
    kind: str = "citizen"


@dataclass(frozen=True)
class Finished(Generic[W]):
    """Who logged in, and where they wanted to go: a page, or a client application."""

    identity: W
    return_to: str
    client: ClientTarget | None


_pending = msgspec.json.Decoder(Pending)


def local_path(text: str) -> str:
    """The text if it is a path of this site, otherwise `/`."""
    return text if _LOCAL.match(text) else "/"


@dataclass(frozen=True)
class Demand:
    """What a login must be that is asked for on top of another one.

    `levels`: the levels of assurance that are enough. `fresh`: the citizen proves anew who they are,
    even if the provider still knows.
    """

    levels: tuple[str, ...]
    fresh: bool


class Flow(Generic[W]):
    """Login and logout at an identity provider, for pages and for client applications."""

    def __init__(self, public_url: str, secrets: Secrets, provider: Provider[W]) -> None:
        self.secrets = secrets
        self.provider = provider
        self.public_url = public_url.rstrip("/")
        self.registration = provider.registration

    @property
    def issuer(self) -> str:
        """Whom people log in with; empty: nobody can."""
        return self.provider.issuer

    @property
    def is_configured(self) -> bool:
        return bool(self.provider.issuer)

    async def begin(
        self, return_to: str, client: ClientTarget | None = None, demand: Demand | None = None
    ) -> tuple[str, str]:
        """Where to send the browser, and the value of the pending cookie.

        `LoginError` `not_configured` or `provider_down`, with `return_to`.
        """
        pending = Pending(
            state=new_api_key(),
            nonce=new_api_key(),
            verifier=new_api_key(),  # 43 characters of RFC 7636's alphabet
            return_to=local_path(return_to),
            made_at=int(clock.now().timestamp()),
            client=client,
            levels=list(demand.levels) if demand else [],
            kind=self.registration.kind,
        )
        try:
            url = await self.provider.authorize_url(
                pending.state,
                pending.nonce,
                pending.verifier,
                pending.levels,
                fresh=demand is not None and demand.fresh,
            )
        except LoginError as error:
            error.return_to = pending.return_to
            raise
        return url, self.secrets.encrypt(msgspec.json.encode(pending).decode())

    async def finish(self, query: Mapping[str, str], cookie_value: str) -> Finished[W]:
        """Who came back from the provider; `LoginError` says why nobody did.

        The error carries where to send the browser, if a client application awaits an answer.
        """
        try:
            pending = self._read(query, cookie_value)
            try:
                return await self._identify(query, pending)
            except LoginError as error:
                error.return_to = pending.return_to
                if pending.client is not None:
                    error.redirect = self.refusal_address(pending.client, error.reason)
                raise
        except LoginError as error:
            logger.info("login failed", reason=error.reason, what=error.detail)
            raise

    def refusal_address(self, client: ClientTarget, reason: Reason) -> str:
        """Where to send the browser of a client application when there is no login."""
        passing = reason in {"provider_down", "not_configured"}
        error = "temporarily_unavailable" if passing else "access_denied"
        return client.address(error=error, iss=self.public_url)

    async def logout_url(self) -> str | None:
        """Where the browser ends its session at the provider; None if it has no such place.

        OpenID Connect RP-Initiated Logout 1.0, section 2, without `id_token_hint`: the ID token
        names a person, and URLs end up in histories and logs. The client id is enough.
        """
        try:
            about = await self.provider.metadata()
        except LoginError:
            return None  # logged out here all the same
        end = about.end_session_endpoint
        if end is None:
            return None
        ours = self.registration
        asked = urlencode(
            {"client_id": ours.client_id, "post_logout_redirect_uri": ours.logged_out}
        )
        return f"{end}{'&' if '?' in end else '?'}{asked}"

    def _read(self, query: Mapping[str, str], cookie_value: str) -> Pending:
        if not cookie_value or len(cookie_value) > _LONGEST_COOKIE:
            raise LoginError("expired", "no pending cookie")
        try:
            pending = _pending.decode(self.secrets.decrypt(cookie_value))
        except (SecretError, ValueError):  # not base64, not ours, not a pending login
            raise LoginError("expired", "pending cookie not readable") from None
        # Before everything else: whoever does not know the state speaks of another login.
        state = query.get("state", "").encode("utf-8", "replace")
        if not hmac.compare_digest(state, pending.state.encode()):
            raise LoginError("expired", "state")
        if pending.kind != self.registration.kind:
            raise LoginError("expired", "begun as another kind of login")
        if clock.now().timestamp() - pending.made_at > PENDING_SECONDS:
            raise LoginError("expired", "too long ago")
        return pending

    async def _identify(self, query: Mapping[str, str], pending: Pending) -> Finished[W]:
        await self.provider.check_issuer(query.get("iss"))
        if "error" in query:
            raise LoginError(_ERRORS.get(query["error"], "refused"), "answer: error")
        code = query.get("code", "")
        if not code or len(code) > _LONGEST_CODE:
            raise LoginError("refused", "answer: no code")
        identity = await self.provider.identify(
            code, pending.verifier, pending.nonce, pending.levels
        )
        return Finished(identity, pending.return_to, pending.client)


class LoginFlow(Flow[Identity]):
    """Citizens' login. Only theirs may be for a client application, too."""

    async def mint_code(self, conn: Connection, finished: Finished[Identity]) -> str:
        """Where to send the browser of a client application, with its code."""
        client = finished.client
        assert client is not None, "no client application asked"  # noqa: S101
        code = await clients.mint_code(conn, self.secrets, finished.identity, client)
        return client.address(code=code, iss=self.public_url)
