"""The subscriptions feed: net changes of each UTC day, for institutions that keep their own list.

Written in the transaction of the change itself, under the citizen's lock, so that it never says
anything else than the preferences do. Contract: processing-and-preferences §8.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from messo.base import clock
from messo.base.db import Connection
from messo.recipients.profile import Profile, queries


@dataclass(frozen=True)
class Feed:
    """One day as one service sees it: hex SHA-256 of fiscal codes, in no order."""

    subscriptions: list[str]
    unsubscriptions: list[str]


def citizen_digest(fiscal_code: str) -> bytes:
    """How the contract names a citizen in the feed: SHA-256 of the fiscal code in upper case."""
    return hashlib.sha256(fiscal_code.upper().encode()).digest()


async def enter_profile(conn: Connection, fiscal_code: str, *, subscribed: bool) -> None:
    """Say that a citizen is from now on reached, or not, by every service without a choice."""
    await conn.run(
        queries.put_profile_entry,
        bucket=conn.bucket(fiscal_code),
        day=clock.now().date(),
        citizen=citizen_digest(fiscal_code),
        subscribed=subscribed,
    )


async def enter_services(
    conn: Connection, fiscal_code: str, subscribed: Mapping[str, bool]
) -> None:
    """Say, by service id, which ones may reach a citizen now and could not before, or the reverse.

    One that takes back what was said the same day leaves nothing.
    """
    if not subscribed:
        return
    bucket, day, citizen = conn.bucket(fiscal_code), clock.now().date(), citizen_digest(fiscal_code)
    cancelled = await conn.rows(
        queries.cancel_service_entries,
        bucket=bucket,
        day=day,
        citizen=citizen,
        service_ids=list(subscribed),
        subscribed=list(subscribed.values()),
    )
    left = {
        k: v for k, v in subscribed.items() if k not in {row["service_id"] for row in cancelled}
    }
    if left:
        await conn.run(
            queries.put_service_entries,
            bucket=bucket,
            day=day,
            citizen=citizen,
            service_ids=list(left),
            subscribed=list(left.values()),
        )


async def drop_services(conn: Connection, fiscal_code: str) -> None:
    """Take back what was said today of single services: the whole profile speaks now."""
    await conn.run(
        queries.drop_service_entries,
        bucket=conn.bucket(fiscal_code),
        day=clock.now().date(),
        citizen=citizen_digest(fiscal_code),
    )


async def enter_change(conn: Connection, old: Profile, new: Profile) -> None:
    """What the change of a profile means for the feed, in the contract's words (§8.2)."""
    if new.mode == "LEGACY":
        before, after = _blocked(old), _blocked(new)
        changed = {service: service in before for service in before ^ after}
        await enter_services(conn, new.fiscal_code, changed)
    elif old.mode == "LEGACY":
        if new.mode == "MANUAL":
            await enter_profile(conn, new.fiscal_code, subscribed=False)
    elif old.mode != new.mode:
        await drop_services(conn, new.fiscal_code)
        await enter_profile(conn, new.fiscal_code, subscribed=new.mode == "AUTO")


async def read_feed(conn: Connection, service_id: str, day: date) -> Feed:
    """A whole day of one service; empty lists where nothing changed."""
    row = await conn.row(
        queries.read_feed, buckets=list(range(conn.buckets)), service_id=service_id, day=day
    )
    return Feed(**row) if row else Feed([], [])


def _blocked(profile: Profile) -> set[str]:
    return {service for service, channels in profile.blocked.items() if "INBOX" in channels}
