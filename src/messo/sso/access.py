"""The steps of one access: asked for, agreed to or refused, and taken by the site or not.

The row is the citizen's own: it is what they see in their history, and it makes sure that one
request is answered once.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from messo.base import clock
from messo.base.db import Connection
from messo.sso.authorize import SECONDS, Asked
from messo.sso.clients import Client, queries

Outcome = Literal["requested", "granted", "redeemed", "refused", "failed"]


async def begin(
    conn: Connection,
    fiscal_code: str,
    session_id: str,
    asked: Asked,
    client: Client,
    claims: Sequence[str],
    terms: str,
    message_id: str | None,
) -> bool:
    """A site asks who this citizen is; False if they have answered this question.

    Looking twice at the same question is one access.

    Of the questions of a site that nobody answered only this one is kept: a page elsewhere can
    make a browser ask as often as it likes.
    """
    await conn.run(
        queries.drop_unanswered,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        client_id=client.id,
        before=clock.now() - timedelta(seconds=SECONDS),
    )
    redirect = client.redirect(asked.redirect_uri)
    names = {"it": redirect.it, "en": redirect.en or redirect.it} if redirect else {}
    written = await conn.run(
        queries.begin_access,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        id=asked.id,
        client_id=client.id,
        service_id=client.service_id,
        redirect_uri=asked.redirect_uri,
        names=msgspec.json.encode(names).decode(),
        claims=list(claims),
        terms=terms,
        message_id=message_id,
        session_id=session_id,
        now=clock.now(),
    )
    return written > 0


async def settle(
    conn: Connection,
    fiscal_code: str,
    access_id: str,
    outcome: Outcome,
    claims: Sequence[str] | None = None,
) -> bool:
    """What came of it; False if it was answered before. `claims`: those that were agreed to."""
    before = {
        "granted": ["requested"],
        "refused": ["requested"],
        "redeemed": ["granted"],
        # What a site has got is not taken back: a code that comes twice changes nothing here.
        "failed": ["granted"],
    }[outcome]
    written = await conn.run(
        queries.settle_access,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        id=access_id,
        before=before,
        outcome=outcome,
        claims=None if claims is None else list(claims),
        now=clock.now(),
    )
    return written > 0


async def shown_terms(conn: Connection, fiscal_code: str, access_id: str) -> str | None:
    """The terms of the question as it was shown; None if none waits for an answer."""
    found: str | None = await conn.value(
        queries.shown_terms,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        id=access_id,
    )
    return found


async def stands(conn: Connection, fiscal_code: str, access_id: str) -> bool:
    """Whether the site was let in, and that is still so."""
    found = await conn.value(
        queries.access_stands,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        id=access_id,
    )
    return found is not None
