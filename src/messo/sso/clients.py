"""Relying parties, as the provider looks at them: one client of a service, live or for tests.

Their institutions register them (`registration.py`); here they are only read.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.parameters import storable
from messo.base.sql import Queries

queries = Queries("messo.sso")

Environment = Literal["live", "test"]
AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]
Algorithm = Literal["RS256", "ES256"]
Protection = Literal["pkce_and_nonce", "pkce_or_nonce", "none"]
SubjectType = Literal["pairwise", "fiscal_code"]
Claim = Literal["fiscal_code", "given_name", "family_name", "email"]

_LONGEST_ID = 40


class Redirect(msgspec.Struct, frozen=True):
    """Where browsers may be sent back to, and how citizens know that place."""

    uri: str
    it: str
    en: str = ""

    def name(self, language: str) -> str:
        """In this language, or else in Italian."""
        return (self.en if language == "en" else "") or self.it


read_redirects = msgspec.json.Decoder(tuple[Redirect, ...]).decode


@dataclass(frozen=True)
class Client:
    """A registered relying party with what is known of its service.

    `secrets`: SHA-256 of those that are good now. `state`: of the service. `level`: the level of
    assurance that it asks for at least.
    """

    id: str
    service_id: str
    institution_id: str
    service_name: str
    institution_name: str
    state: str
    authorized_recipients: frozenset[str]
    environment: Environment
    redirects: tuple[Redirect, ...]
    post_logout_redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    secrets: tuple[bytes, ...]
    jwks: dict[str, Any] | None
    id_token_alg: Algorithm
    request_protection: Protection
    subject_type: SubjectType
    optional_claims: frozenset[str]
    level: str | None
    backchannel_logout_uri: str | None
    state_missing_at: datetime | None

    def redirect(self, uri: str) -> Redirect | None:
        """The registered redirect URI that is exactly this one (RFC 9700, section 2.1)."""
        return next((one for one in self.redirects if one.uri == uri), None)

    def admits(self, fiscal_code: str) -> bool:
        """Whether this citizen may be signed on: tests and drafts are for their authorized few."""
        restricted = self.environment == "test" or self.state == "draft"
        return not restricted or fiscal_code in self.authorized_recipients


async def find_client(conn: Connection, client_id: str) -> Client | None:
    """A client whose service and institution may be used; None for any other."""
    if len(client_id) > _LONGEST_ID or not storable(client_id):
        return None
    return next(iter(await find_clients(conn, [client_id])), None)


async def find_clients(conn: Connection, client_ids: Collection[str]) -> list[Client]:
    """Those of them that may be used."""
    rows = await conn.rows(queries.find_clients, ids=list(client_ids))
    return [_client(row) for row in rows]


def _client(row: Row) -> Client:
    secrets = [row["secret_digest"]]
    if row["old_secret_until"] and row["old_secret_until"] > clock.now():
        secrets.append(row["old_secret_digest"])
    return Client(
        id=row["id"],
        service_id=row["service_id"],
        institution_id=row["institution_id"],
        service_name=row["service_name"],
        institution_name=row["institution_name"],
        state=row["state"],
        authorized_recipients=frozenset(row["authorized_recipients"]),
        environment=row["environment"],
        redirects=read_redirects(row["redirects"]),
        post_logout_redirect_uris=tuple(row["post_logout_redirect_uris"]),
        auth_method=row["auth_method"],
        secrets=tuple(one for one in secrets if one is not None),
        jwks=msgspec.json.decode(row["jwks"]) if row["jwks"] else None,
        id_token_alg=row["id_token_alg"],
        request_protection=row["request_protection"],
        subject_type=row["subject_type"],
        optional_claims=frozenset(row["optional_claims"]),
        level=row["level"],
        backchannel_logout_uri=row["backchannel_logout_uri"],
        state_missing_at=row["state_missing_at"],
    )
