"""Sending logout tokens: lease, sign and send without a connection, record for many at once.

OpenID Connect Back-Channel Logout 1.0, sections 2.4, 2.5 and 2.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from messo.base import clock, log, work
from messo.base.crypto import SecretError, Secrets
from messo.base.db import Connection
from messo.base.ids import new_id
from messo.base.outbound import BusyError, ForbiddenAddressError, Limits, Outbound, OutboundError
from messo.base.outward import Outward
from messo.base.retry_after import retry_after_s
from messo.base.work import Finished, Leased
from messo.sso.clients import Algorithm, queries
from messo.sso.keys import Keys
from messo.sso.logout import LOGOUT, Ended, unseal

logger = log.get(__name__)

LIMITS = Limits(connect_s=2, total_s=5)
KIND = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(seconds=120)  # of a token: section 2.4 recommends no more
TRIED_FOR = timedelta(hours=24)
_AT_ONCE = 128
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Job:
    """A site that has to be told. `sealed`: what, opened only to be sent."""

    item: Leased
    client_id: str
    uri: str
    alg: Algorithm
    sealed: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do. `why`: it was given up; empty: the site has taken it."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """To be tried again. `after_s`: not sooner. `tried`: the site was asked, and did not take it."""

    why: str
    after_s: float = 0.0
    tried: bool = True


Outcome = Done | Again


def step(
    keys: Keys, outbound: Outbound, secrets: Secrets, issuer: str, limits: Limits = LIMITS
) -> Outward[Job, Outcome]:
    """The outward step. Its references are ids of `sso.logout`, in the bucket of the id."""

    async def send(job: Job) -> Outcome:
        try:
            ended = unseal(secrets, job.item.reference, job.sealed)
        except SecretError:
            return Done("its secret is no longer listed")
        claims = token_claims(issuer, job.client_id, ended, clock.now())
        token = await keys.sign(job.alg, claims, KIND)
        return await _post(outbound, job, token, limits)

    return Outward(LOGOUT, _claim, send, _record, _AT_ONCE)


def token_claims(issuer: str, client_id: str, ended: Ended, now: datetime) -> dict[str, Any]:
    """The claims of a logout token (section 2.4): another token at each try."""
    moment = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": client_id,
        "iat": moment,
        "exp": moment + int(LIFE.total_seconds()),
        "jti": new_id(),
        "sub": ended.sub,
        "events": {EVENT: {}},
    }
    if ended.sid is not None:
        claims["sid"] = ended.sid
    return claims


def meaning(status: int, after_s: float | None = None) -> Outcome:
    """What a site's answer means, by its status alone (section 2.8).

    Besides the standard's own, what a site answers while its address is being put in order.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Done()
    if status == HTTPStatus.BAD_REQUEST:
        return Done("status 400")
    return Again(f"status {status}", after_s or 0.0)


async def _post(outbound: Outbound, job: Job, token: str, limits: Limits) -> Outcome:
    body = urlencode({"logout_token": token}).encode()
    try:
        # Nobody reads what else it says, however long it is.
        # Sites of several institutions may be at one host: each has places of its own.
        async with outbound.open(
            "POST", job.uri, headers=_FORM, body=body, limits=limits, place=f"sso:{job.client_id}"
        ) as reply:
            pause = retry_after_s(reply.headers.get("retry-after"), clock.now())
            return meaning(reply.status, pause)
    except BusyError as error:
        return Again(f"{error.kind}: {error.reason}", error.after_s, tried=False)
    except ForbiddenAddressError as error:
        return Done(f"{error.kind}: {error.reason}")
    except OutboundError as error:
        return Again(f"{error.kind}: {error.reason}")


async def _claim(conn: Connection, bucket: int, limit: int) -> list[Job]:
    items = {item.reference: item for item in await work.lease(conn, bucket, LOGOUT, limit)}
    rows = await conn.rows(queries.read_logouts, bucket=bucket, ids=list(items))
    jobs = [
        Job(
            items[row["id"]],
            row["client_id"],
            row["backchannel_logout_uri"],
            row["id_token_alg"],
            row["sealed"],
            row["created_at"],
        )
        for row in rows
    ]
    wanted = {job.item.reference for job in jobs}
    # Their clients are gone, or do not want to be told any more.
    await _drop(conn, bucket, [item for item in items.values() if item.reference not in wanted])
    return jobs


async def _record(conn: Connection, bucket: int, sent: Sequence[tuple[Job, Outcome]]) -> None:
    now, done, later = clock.now(), [], []
    for job, outcome in sent:
        why = outcome.why
        if isinstance(outcome, Again):
            due = _due(job, outcome, now)
            if due <= job.created_at + TRIED_FOR:
                later.append(Finished(job.item, due, failed=outcome.tried))
                continue
        done.append(job.item)
        if why:
            logger.warning("logout given up", client=job.client_id, why=why)
    await _drop(conn, bucket, done)
    await work.finish(conn, bucket, LOGOUT, later)


def _due(job: Job, again: Again, now: datetime) -> datetime:
    pause = timedelta(seconds=again.after_s)
    if again.tried:
        pause = max(pause, work.delay_after(job.item.attempts + 1))
    return now + pause


async def _drop(conn: Connection, bucket: int, items: Sequence[Leased]) -> None:
    if items:
        ids = [item.reference for item in items]
        await conn.run(queries.drop_logouts, bucket=bucket, ids=ids)
        await work.finish(conn, bucket, LOGOUT, [Finished(item) for item in items])
