"""What comes in and goes out of the routes of login."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Timestamp, Ulid


class TokenRequest(Struct):
    """A code for a token (RFC 6749, section 4.1.3), as JSON."""

    code: Annotated[str, Meta(min_length=1, max_length=200)]
    code_verifier: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{43,128}\Z")]
    redirect_uri: Annotated[str, Meta(min_length=1, max_length=2000)]


class Token(Struct):
    """A session of a client application."""

    token: str
    expires_at: Timestamp
    token_type: str = "Bearer"  # noqa: S105  the name of a scheme


class SessionFields(Struct, rename="camel", omit_defaults=True):
    """What is known of the session, under the names of the wire contract."""

    spid_level: str | UnsetType = UNSET
    expiration_date: Timestamp | UnsetType = UNSET
    fims_token: str | UnsetType = UNSET
    lollipop_assertion_ref: str | UnsetType = UNSET


class SessionLine(Struct):
    """One of the citizen's sessions. `client`: what the citizen recognises it by."""

    id: Ulid
    kind: str
    client: str
    created_at: Timestamp
    seen_at: Timestamp
    expires_at: Timestamp
    current: bool


class Sessions(Struct):
    """The one used last first."""

    items: list[SessionLine]


class Done(Struct):
    """Nothing more to say."""
