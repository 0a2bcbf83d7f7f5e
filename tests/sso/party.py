"""An institution's site, as strict a relying party as the specifications want one.

It speaks HTTP with the provider and knows nothing of its insides.
"""

import base64
import contextlib
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from messo.base.db import Pool
from messo.base.http import Problem
from messo.sso import registration
from messo.sso.client_wire import SsoSettings
from messo.sso.registration import Asked, Rules
from tests.conftest import Running
from tests.inbox.pages import Browser, Page

CALLBACK = "https://sportello.example.org/callback"
AFTER = "https://sportello.example.org/uscita"
_LEVELS = ("https://www.spid.gov.it/SpidL2", "https://www.spid.gov.it/SpidL3")


@dataclass(frozen=True)
class Pending:
    """What the site keeps in its visitor's session."""

    address: str
    state: str
    nonce: str
    verifier: str


@dataclass
class Party:
    """A site: its settings, and what it does in a login."""

    client: httpx.AsyncClient
    issuer: str
    client_id: str
    secret: str | None
    redirect_uri: str = CALLBACK
    auth: str = "client_secret_basic"
    alg: str = "RS256"
    key: ECKey | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    async def discover(self) -> dict[str, Any]:
        if not self.metadata:
            answer = await self.client.get("/.well-known/openid-configuration")
            self.metadata = answer.json()
        return self.metadata

    def ask(self, scope: str = "openid profile", **more: str | None) -> Pending:
        """A request; None leaves a parameter out."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        values: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            **more,
        }
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return Pending(f"/sso/authorize?{query}", state, nonce, verifier)

    async def exchange(self, code: str, verifier: str | None, **more: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
            **self.posted(),
            **more,
        }
        by_header = self.auth == "client_secret_basic" and self.secret is not None
        return await self.client.post(
            "/sso/token",
            data={name: value for name, value in form.items() if value is not None},
            auth=httpx.BasicAuth(self.client_id, self.secret or "")
            if by_header
            else httpx.USE_CLIENT_DEFAULT,
        )

    def posted(self) -> dict[str, str | None]:
        """What goes into the form so that the site is known."""
        if self.auth == "client_secret_post":
            return {"client_id": self.client_id, "client_secret": self.secret}
        if self.auth == "private_key_jwt":
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            return {"client_assertion_type": kind, "client_assertion": self.assertion()}
        return {}

    def assertion(self, **more: Any) -> str:
        """A fresh one (RFC 7523)."""
        assert self.key is not None
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(16),
            "exp": int(time.time()) + 60,
            **more,
        }
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    async def claims(self, id_token: str, nonce: str | None) -> dict[str, Any]:
        """The ID token's, once everything a site must check holds."""
        keys = (await self.client.get("/sso/jwks")).json()
        token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=[self.alg])
        found = dict(token.claims)
        assert found["iss"] == self.issuer
        assert found["aud"] == self.client_id
        assert found["exp"] > found["iat"]
        assert found.get("nonce") == nonce
        assert token.header["typ"] == "JWT"
        return found

    async def userinfo(self, token: str) -> httpx.Response:
        return await self.client.get("/sso/userinfo", headers={"Authorization": f"Bearer {token}"})

    def answered(self, address: str, state: str) -> dict[str, str]:
        """What came back to the site, once it holds that this is an answer to its own question."""
        assert address.startswith(self.redirect_uri), address
        found = dict(parse_qsl(urlsplit(address).query))
        assert found["iss"] == self.issuer
        assert found["state"] == state
        return found


async def register(
    pool: Pool, running: Running, service: str, environment: str = "live", **more: Any
) -> Party:
    """A site of this service, registered anew if there is one."""
    key = None
    if more.get("token_endpoint_auth_method") == "private_key_jwt":
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
        key.ensure_kid()
        more["jwks"] = {"keys": [key.as_dict(private=False)]}
    redirects = more.pop("redirects", [CALLBACK])
    body = {
        "redirect_uris": [{"uri": one, "display_name": {"it": "Sportello"}} for one in redirects],
        "post_logout_redirect_uris": [AFTER],
        **more,
    }
    rules = Rules(running.url, _LEVELS, sandbox=running.settings.sandbox)
    asked = Asked(None, service, "test" if environment == "test" else "live")
    async with pool.transaction() as conn:
        with contextlib.suppress(Problem):  # there is none yet
            await registration.delete(conn, "tests", asked)
        made, _ = await registration.put(
            conn, rules, "tests", asked, msgspec.convert(body, SsoSettings)
        )
    secret = made.client_secret if isinstance(made.client_secret, str) else None
    return Party(
        running.client,
        running.url,
        made.client_id,
        secret,
        redirects[0],
        body.get("token_endpoint_auth_method", "client_secret_basic"),
        body.get("id_token_signed_response_alg", "RS256"),
        key,
    )


async def arrive(browser: Browser, pending: Pending) -> httpx.Response:
    """The browser is sent to the provider with this request; what it sees in the end."""
    answer = await browser.get(pending.address)
    keep_cookies(browser, answer)
    assert answer.status_code == 303, answer.text
    if not answer.headers["location"].startswith("/"):
        return answer
    answer = await browser.get(answer.headers["location"])
    keep_cookies(browser, answer)
    return answer


async def consent(
    browser: Browser, pending: Pending, *claims: str, action: str = "agree", remember: bool = False
) -> str:
    """Through the page that asks; the address that the browser is sent back to."""
    shown = await arrive(browser, pending)
    assert shown.status_code == 200, shown.status_code
    return await decide(browser, shown, *claims, action=action, remember=remember)


async def decide(
    browser: Browser,
    shown: httpx.Response,
    *claims: str,
    action: str = "agree",
    remember: bool = False,
) -> str:
    """Answer the question on this page."""
    form = next(one for one in Page(shown.text).forms if one.action.startswith("/sso/consent/"))
    fields: dict[str, Any] = {"csrf": form.fields["csrf"], "action": action, "claim": list(claims)}
    if remember:
        fields["remember"] = "1"
    answer = await browser.post(form.action, fields)
    keep_cookies(browser, answer)
    assert answer.status_code == 303, (answer.status_code, answer.text)
    return str(answer.headers["location"])


def keep_cookies(browser: Browser, answer: httpx.Response) -> None:
    """As a browser does; the client of these tests is shared and keeps none."""
    for line in answer.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        value = rest.partition(";")[0]
        if value and "Max-Age=0" not in line:
            browser.cookies[name] = value
            browser.paths[name] = next(
                part.removeprefix("Path=") for part in rest.split("; ") if part.startswith("Path=")
            )
        else:
            browser.cookies.pop(name, None)


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def query_of(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)
