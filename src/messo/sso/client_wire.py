"""Relying parties as institutions give and get them. The OpenAPI document uses these types.

Members have the names of the registration standards where those have one (RFC 7591, OpenID Connect
Dynamic Client Registration 1.0, Back-Channel Logout 1.0).
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Text, Timestamp, Ulid
from messo.sso.addresses import LONGEST
from messo.sso.clients import Algorithm, AuthMethod, Environment, Protection, SubjectType

Address = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST,
        description="An absolute https address in plain ASCII, without a fragment.",
        examples=["https://sportello.example.org/sso/callback"],
    ),
]
Name = Annotated[
    str,
    Meta(min_length=3, max_length=30, examples=["Sportello online"]),
]


class SsoDisplayName(Struct, forbid_unknown_fields=True):
    """How citizens know the place they are taken to. Without `en` the Italian name is shown."""

    it: Name
    en: Name | UnsetType = UNSET


class SsoRedirect(Struct, forbid_unknown_fields=True):
    """Where browsers may be sent back to. A request must name it exactly."""

    uri: Address
    display_name: SsoDisplayName


class SsoKeySet(Struct):
    """A JWK set (RFC 7517) of public keys: EC on P-256, or RSA of 2048 to 4096 bits."""

    keys: Annotated[
        list[dict[str, Any]],
        Meta(
            min_length=1,
            max_length=10,
            description="Public keys only. Of each its numbers, `kid`, `alg` and `use` are kept.",
        ),
    ]


class SsoSettings(Struct, forbid_unknown_fields=True):
    """What an institution decides about a relying party. What is left out has its default."""

    redirect_uris: Annotated[list[SsoRedirect], Meta(min_length=1, max_length=10)]
    post_logout_redirect_uris: Annotated[
        list[Address],
        Meta(max_length=10, description="Where browsers may be sent after a logout."),
    ] = []
    token_endpoint_auth_method: Annotated[
        AuthMethod, Meta(description="How the site proves who it is.")
    ] = "client_secret_basic"  # noqa: S105  the name of a method
    jwks: Annotated[
        SsoKeySet | None,
        Meta(description="The keys of `private_key_jwt`: given with it, and only with it."),
    ] = None
    id_token_signed_response_alg: Annotated[
        Algorithm, Meta(description="What tokens are signed with.")
    ] = "RS256"  # noqa: S105  an algorithm
    request_protection: Annotated[
        Protection,
        Meta(
            description="What every request must carry: a PKCE challenge and a nonce, or one of "
            "them. `none` is for sites that were built for the reference platform."
        ),
    ] = "pkce_and_nonce"
    subject_type: Annotated[
        SubjectType,
        Meta(description="What `sub` is: a value of this service's own, or the fiscal code."),
    ] = "pairwise"
    optional_claims: Annotated[
        list[Literal["given_name", "family_name", "fiscal_code"]],
        Meta(
            max_length=3,
            description="Data that citizens may refuse and be let in all the same. The e-mail "
            "address always is one.",
        ),
    ] = []
    level: Annotated[
        str | None,
        Meta(description="The least level of assurance (acr), one that this installation knows."),
    ] = None
    backchannel_logout_uri: Annotated[
        Address | None,
        Meta(description="Told when a citizen logs out or takes their consent back."),
    ] = None


class SsoAdvice(Struct):
    """Something that is less safe than it could be. It keeps nothing from working."""

    field: str
    advice: str


class SsoClient(SsoSettings, kw_only=True):
    """A relying party. `client_secret` is in the answer that made it, and in no other.

    `old_secret_until`: the secret before is good until then. `state_missing_at`: a request came
    without `state`.
    """

    client_id: Text
    service_id: Ulid
    environment: Environment
    issuer: Annotated[Text, Meta(description="What to configure at the site; `iss` of all tokens.")]
    client_id_issued_at: Annotated[int, Meta(description="Seconds since 1970 (RFC 7591).")]
    created_at: Timestamp
    changed_at: Timestamp
    client_secret: Text | UnsetType = UNSET
    old_secret_until: Timestamp | UnsetType = UNSET
    state_missing_at: Timestamp | UnsetType = UNSET
    advice: list[SsoAdvice]


class SsoClientList(Struct):
    """Those of a service: none, one or two, the live one first."""

    items: list[SsoClient]
