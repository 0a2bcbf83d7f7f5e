"""What a relying party may learn of a citizen: by scope, and no more than the citizen agreed to.

OpenID Connect Core 1.0, sections 5.1, 5.4 and 8.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, get_args

from messo.base.crypto import Secrets
from messo.recipients import Profile
from messo.sso.clients import Claim, Client

# In the order in which citizens are shown them.
CLAIMS: tuple[Claim, ...] = get_args(Claim)
SCOPES: Mapping[str, tuple[Claim, ...]] = {
    "openid": (),
    "profile": ("fiscal_code", "given_name", "family_name"),
    "email": ("email",),
}


class Person(Protocol):
    """Who it is, as their login said."""

    @property
    def fiscal_code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def family_name(self) -> str: ...


def asked_for(client: Client, scopes: Iterable[str], *, has_email: bool) -> tuple[Claim, ...]:
    """The data that these scopes ask for and that there are.

    A client whose `sub` is the fiscal code asks for the fiscal code, whatever else it says.
    """
    wanted = {claim for scope in scopes for claim in SCOPES.get(scope, ())}
    if client.subject_type == "fiscal_code":
        wanted.add("fiscal_code")
    if not has_email:
        wanted.discard("email")
    return tuple(claim for claim in CLAIMS if claim in wanted)


def is_optional(client: Client, claim: Claim) -> bool:
    """Whether the citizen may refuse this datum and be let in all the same."""
    return claim == "email" or claim in client.optional_claims


def granted_scopes(scopes: Iterable[str], claims: Iterable[str]) -> list[str]:
    """The scopes that were granted in full or in part (RFC 6749, section 5.1), in their order."""
    agreed = set(claims)
    return [
        scope for scope in scopes if scope == "openid" or agreed.intersection(SCOPES.get(scope, ()))
    ]


def values(person: Person, email: tuple[str, bool] | None, claims: Iterable[str]) -> dict[str, Any]:
    """The claims of the userinfo answer, besides `sub`. `email`: the address, and if it is verified."""
    known: dict[str, Any] = {
        "fiscal_code": person.fiscal_code,
        "given_name": person.name,
        "family_name": person.family_name,
    }
    if email is not None:
        known["email"] = email[0]
    found = {claim: known[claim] for claim in claims if claim in known}
    if "email" in found and email is not None:
        found["email_verified"] = email[1]
    return found


def email_of(given: str | None, profile: Profile | None) -> tuple[str, bool] | None:
    """The address that could be handed over, and whether we have verified it.

    What the citizen chose here comes before what their login said (`given`).
    """
    if profile is not None and profile.email:
        return profile.email, profile.is_email_validated
    return (given, False) if given else None


def subject(secrets: Secrets, client: Client, fiscal_code: str, *, knows_code: bool = True) -> str:
    """The `sub`: for each service another one that says nothing (section 8.1), or the fiscal code.

    `knows_code`: whether the site may have the fiscal code. A client may have become of that type
    after the citizen had agreed to less.
    """
    if client.subject_type == "fiscal_code" and knows_code:
        return fiscal_code
    return _text(secrets.keyed_digest(f"sso.sub:{client.service_id}:{fiscal_code}"))


def session_reference(secrets: Secrets, client: Client, session_id: str) -> str:
    """The `sid` of a session here, for one client (Back-Channel Logout 1.0, section 2.1)."""
    return _text(secrets.keyed_digest(f"sso.sid:{client.id}:{session_id}"))


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
