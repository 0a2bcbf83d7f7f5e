"""The identity provider, as its client sees it: OpenID Connect, authorization code with PKCE.

Sources: OpenID Connect Core 1.0 and Discovery 1.0, RFC 6749, 7636, 9207.
"""

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic

import httpx
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.deprecate import AuthlibDeprecationWarning

from messo.base import log
from messo.base.outbound import Outbound
from messo.login import id_token
from messo.login.fetch import ANSWER_WITHIN_S, GuardedTransport, Remembered
from messo.login.refusal import LoginError, Reason
from messo.login.registration import Registration, W

with warnings.catch_warnings():  # it prefers httpx2, whose life has just begun, over httpx
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import AsyncOAuth2Client

logger = log.get(__name__)

_URL = re.compile(r"https?://[\x21-\x7e]{1,1000}\Z")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,20000}\Z")
_LONGEST_ID_TOKEN = 64 * 1024
_object = msgspec.json.Decoder(dict[str, Any])


class Metadata(msgspec.Struct, frozen=True):
    """What the provider says of itself (Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = []
    authorization_response_iss_parameter_supported: bool = False


_metadata = msgspec.json.Decoder(Metadata)


class Provider(Generic[W]):
    """Asked for the first time when somebody logs in: we start without it."""

    def __init__(
        self, registration: Registration[W], outbound: Outbound, pause_s: float = 2.0
    ) -> None:
        """`pause_s`: how long nobody asks again after the provider did not answer."""
        self.registration = registration
        self.issuer = registration.issuer
        self._transport = GuardedTransport(outbound)
        self._about: Remembered[Metadata] = Remembered(self._discover, pause_s)
        self._keys: Remembered[list[id_token.Key]] = Remembered(self._fetch_keys, pause_s)

    async def metadata(self) -> Metadata:
        """What the provider says of itself. `LoginError` `not_configured` or `provider_down`."""
        if not self.issuer:
            raise LoginError("not_configured")
        return await self._about.get()

    async def authorize_url(
        self, state: str, nonce: str, verifier: str, levels: Sequence[str], *, fresh: bool
    ) -> str:
        """Where the browser is sent to log in. `levels`: enough for this login, if not the usual.

        `fresh`: whoever is still logged in at the provider logs in once more.
        """
        about = await self.metadata()
        enough = levels or self.registration.levels
        client = AsyncOAuth2Client(
            self.registration.client_id,
            scope=self.registration.scope,
            redirect_uri=self.registration.redirect_uri,
            code_challenge_method="S256",
            transport=self._transport,
        )
        url, _ = client.create_authorization_url(
            about.authorization_endpoint,
            state=state,
            code_verifier=verifier,
            nonce=nonce,
            **({"acr_values": " ".join(enough)} if enough else {}),
            **({"prompt": "login"} if fresh else {}),
        )
        return str(url)

    async def check_issuer(self, given: str | None) -> None:
        """Whether an answer in the browser is this provider's (RFC 9207, section 2.4)."""
        if given is None:
            about = await self.metadata()
            if about.authorization_response_iss_parameter_supported:
                raise LoginError("refused", "answer: no iss")
        elif given != self.issuer:
            raise LoginError("refused", "answer: iss")

    async def identify(self, code: str, verifier: str, nonce: str, levels: Sequence[str] = ()) -> W:
        """Exchange the code, check what comes for it, and read who it is.

        `levels`: enough for this login, if not the usual.
        """
        about = await self.metadata()
        given = await self._exchange(about, code, verifier)
        access = given.get("access_token")
        if not isinstance(access, str) or not _VISIBLE.match(access):
            access = None
        token = given.get("id_token")
        if not isinstance(token, str) or len(token) > _LONGEST_ID_TOKEN:
            raise LoginError("refused", "token endpoint: no ID token")
        header = id_token.read_header(token)
        expected = id_token.Expected(
            self.issuer,
            self.registration.client_id,
            nonce,
            levels or self.registration.levels,
            access,
        )
        claims, level = id_token.verify(token, await self._key(header), header, expected)
        if access and about.userinfo_endpoint and not self.registration.is_complete(claims):
            more = await self._userinfo(about.userinfo_endpoint, access, claims["sub"])
            claims = {**more, **claims}
        return self.registration.read(claims, level)

    async def _key(self, header: id_token.Header) -> id_token.Key:
        keys = await self._keys.get()
        # Once more: providers sign with a new key as soon as they have published it.
        for found in (keys, None):
            key = id_token.pick(found or await self._keys.newer(keys), header)
            if key is not None:
                return key
        raise LoginError("refused", "ID token: no such key")

    async def _discover(self) -> Metadata:
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            about = _metadata.decode(await self._get(url))
        except (msgspec.DecodeError, RecursionError):
            raise _down("metadata: malformed") from None
        if about.issuer != self.issuer:
            raise _down("metadata: another issuer")
        for address in (
            about.authorization_endpoint,
            about.token_endpoint,
            about.jwks_uri,
            about.userinfo_endpoint,
            about.end_session_endpoint,
        ):
            # Encrypted like the issuer itself; only a sandbox's is not.
            if address is not None and not (
                _URL.match(address)
                and (address.startswith("https://") or self.issuer.startswith("http://"))
            ):
                raise _down("metadata: an address is not usable")
        return about

    async def _fetch_keys(self) -> list[id_token.Key]:
        return id_token.read_keys(await self._get((await self.metadata()).jwks_uri))

    async def _userinfo(self, url: str, access_token: str, subject: str) -> dict[str, Any]:
        body = await self._get(url, {"Authorization": f"Bearer {access_token}"})
        try:
            claims = _object.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise _refused("userinfo: malformed") from None
        if claims.get("sub") != subject:  # Core 1.0, section 5.3.2
            raise _refused("userinfo: another subject")
        return claims

    async def _exchange(self, about: Metadata, code: str, verifier: str) -> Mapping[str, Any]:
        async with self._client(about) as client:
            client.register_compliance_hook("access_token_response", _only_answers)
            try:
                given: Mapping[str, Any] = await client.fetch_token(
                    about.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    redirect_uri=self.registration.redirect_uri,
                )
            except AuthlibBaseError as error:
                if error.error == "invalid_grant":
                    raise _refused("token endpoint: invalid_grant") from None
                # Anything else is about us, not about this citizen.
                raise _down("token endpoint: our request is refused") from None
            except (ValueError, TypeError, AttributeError, RecursionError):
                raise _refused("token endpoint: malformed") from None
        return given

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        async with self._client(None) as client:
            answer = await client.request("GET", url, headers=headers, withhold_token=True)
            if answer.status_code != httpx.codes.OK:
                raise _down(f"status {answer.status_code}")
            return bytes(answer.content)

    @asynccontextmanager
    async def _client(self, about: Metadata | None) -> AsyncIterator[Any]:
        """A client for one exchange: what it learns (cookies, tokens) is not kept."""
        methods = about.token_endpoint_auth_methods_supported if about else []
        by_post = "client_secret_post" in methods and "client_secret_basic" not in methods
        secret = self.registration.client_secret
        try:
            async with (
                asyncio.timeout(ANSWER_WITHIN_S),
                AsyncOAuth2Client(
                    self.registration.client_id,
                    secret or None,
                    token_endpoint_auth_method="client_secret_post" if secret and by_post else None,
                    transport=self._transport,
                    timeout=ANSWER_WITHIN_S,
                    follow_redirects=False,
                    trust_env=False,
                ) as client,
            ):
                yield client
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise _down(type(error).__name__) from None


def _only_answers(response: httpx.Response) -> httpx.Response:
    """A token comes with 200 and an error with 4xx (RFC 6749, section 5): nothing else is read."""
    if response.status_code != httpx.codes.OK and not response.is_client_error:
        raise httpx.HTTPStatusError("unexpected", request=response.request, response=response)
    return response


def _down(what: str) -> LoginError:
    return _said("provider_down", what)


def _refused(what: str) -> LoginError:
    return _said("refused", what)


def _said(reason: Reason, what: str) -> LoginError:
    logger.warning("identity provider", reason=reason, what=what)
    return LoginError(reason, what)
