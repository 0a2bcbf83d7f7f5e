"""The authorization request: read strictly, kept in the browser that sent it until it is decided.

OpenID Connect Core 1.0, section 3.1.2; RFC 6749, section 4.1; RFC 7636; RFC 9207; RFC 9700,
sections 2.1 and 4.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlencode

import msgspec

from messo.base import clock, log
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection
from messo.base.ids import new_id
from messo.sso.clients import Client, find_client, queries
from messo.sso.hints import Proof, read_hint
from messo.sso.refusals import Error

logger = log.get(__name__)

SECONDS = 300  # in which the citizen logs in and decides
_LONGEST_COOKIE = 4000
_LONGEST_SCOPE = 500
_STATE = re.compile(r"[\x20-\x7e]{0,1000}\Z")  # RFC 6749, appendix A.5
_NONCE = re.compile(r"[\x20-\x7e]{1,500}\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")  # RFC 7636, section 4.2: of a SHA-256
_SECONDS = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_NOT_SUPPORTED: Mapping[str, Error] = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
_TOLD_AGAIN = timedelta(days=1)


class Asked(msgspec.Struct, frozen=True, tag="sso.asked", omit_defaults=True):
    """What a site asked for. `id`: of the access it becomes; `made_at`: seconds since 1970.

    `named`: the `sub` of the only citizen that will do (`id_token_hint`).
    """

    id: str
    client_id: str
    redirect_uri: str
    scopes: list[str]
    made_at: float
    state: str | None = None
    nonce: str | None = None
    challenge: str | None = None
    prompt: list[str] = []
    max_age: int | None = None
    acr_values: list[str] = []
    named: str | None = None

    def answer(self, issuer: str, **parameters: str) -> str:
        """Where the browser is sent back to, with this answer, our name and the site's state."""
        if self.state is not None:
            parameters["state"] = self.state
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode({**parameters, 'iss': issuer})}"

    def refusal(self, issuer: str, error: Error, description: str) -> str:
        """Where the browser is sent back to without a login (RFC 6749, section 4.1.2.1)."""
        return self.answer(issuer, error=error, error_description=description)


_asked = msgspec.json.Decoder(Asked)


class RefusedError(Exception):
    """A request that is not followed. `asked`: its sender may be told, by redirect; else None."""

    def __init__(self, error: Error, description: str, asked: Asked | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.asked = asked


async def read_request(
    conn: Connection, given: Sequence[tuple[str, str]], proof: Proof, *, in_url: bool
) -> Asked:
    """The request these parameters make, those without a value left out. `RefusedError` otherwise.

    Until client and redirect URI are known to belong together nobody is redirected: that would
    lend our name to any address (RFC 9700, section 4.11.2).
    """
    given = [(name, value) for name, value in given if value]  # RFC 6749, section 3.1
    values = dict(given)
    client = await find_client(conn, values.get("client_id", ""))
    if client is None:
        raise RefusedError("invalid_client", "There is no such client_id.")
    redirect_uri = values.get("redirect_uri", "")
    if client.redirect(redirect_uri) is None:
        raise RefusedError(
            "invalid_redirect_uri",
            "redirect_uri must be exactly one that is registered for this client.",
        )
    times = Counter(name for name, _ in given)
    if max(times["client_id"], times["redirect_uri"]) > 1:
        raise RefusedError("invalid_request", "client_id and redirect_uri must come once.")
    if len(values) < len(given):  # RFC 6749, section 3.1
        asked = Asked(new_id(), client.id, redirect_uri, [], 0, _state(values))
        raise RefusedError("invalid_request", "A parameter is given more than once.", asked)
    asked = _asked_by(client, values, proof, in_url=in_url)
    if asked.state is None:
        await _warn(conn, client)
    return asked


def _asked_by(client: Client, values: Mapping[str, str], proof: Proof, *, in_url: bool) -> Asked:
    hint = values.get("id_token_hint")
    hinted = read_hint(proof, hint) if hint else None
    asked = Asked(
        id=new_id(),
        client_id=client.id,
        redirect_uri=values["redirect_uri"],
        scopes=list(dict.fromkeys(values.get("scope", "")[:_LONGEST_SCOPE].split())),
        made_at=clock.now().timestamp(),
        state=_state(values),
        nonce=values.get("nonce"),
        challenge=values.get("code_challenge"),
        prompt=values.get("prompt", "").split(),
        max_age=int(values["max_age"]) if _SECONDS.match(values.get("max_age", "")) else None,
        acr_values=values.get("acr_values", "")[:_LONGEST_SCOPE].split(),
        named=hinted.subject if hinted and hinted.audience == client.id else None,
    )
    wrong = _wrong(client, values, asked)
    if wrong is None and hint and asked.named is None:
        wrong = "invalid_request", "id_token_hint is not an ID token issued for this client."
    if wrong is None and hint and in_url and client.subject_type == "fiscal_code":
        wrong = "invalid_request", "id_token_hint names a citizen: send it by POST."
    if wrong is not None:
        raise RefusedError(*wrong, asked)
    return asked


def _state(values: Mapping[str, str]) -> str | None:
    """What the site wants back, unless it is nothing that could be given back."""
    state = values.get("state")
    return state if state is not None and _STATE.match(state) else None


def _wrong(client: Client, values: Mapping[str, str], asked: Asked) -> tuple[Error, str] | None:
    """What is wrong with a request, if anything."""
    for name, error in _NOT_SUPPORTED.items():
        if name in values:
            return error, f"The parameter {name} is not supported: send the parameters themselves."
    if values.get("response_type") != "code":
        if "response_type" not in values:
            return "invalid_request", "response_type is missing: it is code."
        return "unsupported_response_type", "response_type must be code."
    if "openid" not in asked.scopes:
        return "invalid_scope", "scope must contain openid."
    malformed = _malformed(values, asked)
    if malformed is not None:
        return "invalid_request", malformed
    return _unprotected(client, asked)


def _malformed(values: Mapping[str, str], asked: Asked) -> str | None:
    """The rule that a parameter breaks."""
    method = values.get("code_challenge_method", "plain")
    rules = {
        "state may have up to 1000 visible ASCII characters.": (values.get("state") == asked.state),
        "nonce may have up to 500 visible ASCII characters.": (
            asked.nonce is None or bool(_NONCE.match(asked.nonce))
        ),
        "response_mode must be query.": values.get("response_mode", "query") == "query",
        "code_challenge_method must be S256.": asked.challenge is None or method == "S256",
        "code_challenge_method comes without code_challenge.": (
            asked.challenge is not None or "code_challenge_method" not in values
        ),
        "code_challenge must be the base64url of a SHA-256.": (
            asked.challenge is None or bool(_CHALLENGE.match(asked.challenge))
        ),
        "prompt may be login, consent and select_account, or none alone.": (
            _PROMPTS.issuperset(asked.prompt)
            and ("none" not in asked.prompt or asked.prompt == ["none"])
        ),
        "max_age must be a number of seconds.": (
            "max_age" not in values or asked.max_age is not None
        ),
    }
    return next((rule for rule, holds in rules.items() if not holds), None)


def _unprotected(client: Client, asked: Asked) -> tuple[Error, str] | None:
    """What binds the code to the browser that asked for it, and is missing (RFC 9700, 2.1.1)."""
    has = {"code_challenge": asked.challenge is not None, "nonce": asked.nonce is not None}
    needed = {"pkce_and_nonce": 2, "pkce_or_nonce": 1, "none": 0}[client.request_protection]
    if sum(has.values()) >= needed:
        return None
    missing = " and ".join(name for name, there in has.items() if not there)
    if client.request_protection == "pkce_or_nonce":
        missing = "code_challenge (S256) or nonce"
    return "invalid_request", f"{missing} must be sent."


async def _warn(conn: Connection, client: Client) -> None:
    """Without `state` a site can be made to log in somebody else: its institution is told."""
    now = clock.now()
    if client.state_missing_at is None or now - client.state_missing_at > _TOLD_AGAIN:
        logger.warning("request without state", client=client.id)
        await conn.run(queries.note_missing_state, id=client.id, now=now)


def seal(secrets: Secrets, asked: Asked) -> str | None:
    """For a cookie of the browser that asked, and no other; None if it would be too large."""
    value = secrets.encrypt(msgspec.json.encode(asked).decode())
    return value if len(value) <= _LONGEST_COOKIE else None


def unseal(secrets: Secrets, access_id: str, value: str) -> Asked | None:
    """What `seal` was given; None if it is another's, too old, or not ours."""
    if not 0 < len(value) <= _LONGEST_COOKIE or not _ULID.match(access_id):
        return None
    try:
        asked = _asked.decode(secrets.decrypt(value))
    except (SecretError, ValueError):
        return None
    late = clock.now().timestamp() - asked.made_at > SECONDS
    return None if late or asked.id != access_id else asked
