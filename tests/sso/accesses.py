"""Accesses and consents, written as the provider leaves them."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import lowest_id, new_id
from tests.world import Caller

NAMES = {"it": "Portale dei servizi", "en": "Services portal"}
CLAIMS = ("fiscal_code", "given_name")


async def add_client(
    pool: Pool, service: Caller, *, test: bool = False, logout: str | None = None
) -> str:
    """Register the site of a service; its client_id."""
    now, client_id = clock.now(), f"{service.id}-test" if test else service.id
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO sso.client (id, service_id, environment, redirects, "
            "post_logout_redirect_uris, auth_method, secret_digest, id_token_alg, "
            "request_protection, subject_type, optional_claims, backchannel_logout_uri, "
            "created_at, changed_at) VALUES ($1, $2, $3, $4, '{}', 'client_secret_basic', '\\x00', "
            "'RS256', 'pkce_and_nonce', 'pairwise', '{}', $5, $6, $6) ON CONFLICT DO NOTHING",
            client_id,
            service.id,
            "test" if test else "live",
            json.dumps([{"uri": "https://rp.example.it/callback", **NAMES}]),
            logout,
            now,
        )
    return client_id


async def add_access(
    pool: Pool,
    fiscal_code: str,
    service: Caller,
    outcome: str = "redeemed",
    *,
    at: datetime | None = None,
    client_id: str | None = None,
    claims: Sequence[str] = CLAIMS,
    names: dict[str, str] | None = None,
    uri: str = "https://rp.example.it/callback",
    message_id: str | None = None,
    session_id: str = "session",
) -> str:
    """One access; its id."""
    moment = at or clock.now()
    access_id = new_id() if at is None else lowest_id(at)[:10] + new_id()[10:]
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO sso.access (bucket, fiscal_code, id, client_id, service_id, redirect_uri, "
            "names, outcome, claims, message_id, session_id, requested_at, settled_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            conn.bucket(fiscal_code),
            fiscal_code,
            access_id,
            client_id or service.id,
            service.id,
            uri,
            json.dumps(NAMES if names is None else names),
            outcome,
            list(claims),
            message_id,
            session_id,
            moment,
            None if outcome == "requested" else moment + timedelta(seconds=5),
        )
    return access_id


async def add_consent(
    pool: Pool,
    fiscal_code: str,
    client_id: str,
    *,
    days: float = 180,
    given: datetime | None = None,
    agreed: Sequence[str] = CLAIMS,
) -> None:
    """A remembered consent that ends in so many days."""
    now = given or clock.now()
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO sso.consent (bucket, fiscal_code, client_id, agreed, refused, given_at, "
            "expires_at) VALUES ($1, $2, $3, $4, '{email}', $5, $6)",
            conn.bucket(fiscal_code),
            fiscal_code,
            client_id,
            list(agreed),
            now,
            clock.now() + timedelta(days=days),
        )


async def count(pool: Pool, table: str, condition: str = "true", *values: Any) -> int:
    """How many rows a table has."""
    async with pool.connection() as conn:
        return int(
            await conn.raw.fetchval(f"SELECT count(*) FROM {table} WHERE {condition}", *values)
        )
