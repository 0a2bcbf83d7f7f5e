"""Whose key is this? Answered from memory, at most one second behind the database."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from messo.base import log
from messo.base.crypto import key_digest
from messo.base.db import Connection, Pool, Row
from messo.base.work import lane_of
from messo.services.key_uses import KeyUses
from messo.services.services import queries

logger = log.get(__name__)

_POLL_SECONDS = 0.4
_STALE_SECONDS = 0.9  # with the poll's own duration, a change is seen within a second
_LOOK_SECONDS = 2  # a database that hangs is not waited for
_REMEMBERED = 100_000  # keys, wrong ones included; more than that and the cache starts anew


@dataclass(frozen=True, slots=True)
class Manager:
    """Who manages an institution's services: a key of the institution or of a group, or a person.

    `group_id`: only the services of this group. `actor`: as the audit log calls them.
    """

    institution_id: str
    permissions: frozenset[str]
    actor: str
    group_id: str | None = None
    networks: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Sender:
    """What a use key stands for: a service, and what its institution may do."""

    rate_key: str
    institution_id: str
    permissions: frozenset[str]
    service_id: str
    lane: int
    state: str
    category: str
    service_name: str
    department_name: str
    organization_name: str
    organization_fiscal_code: str
    user_email: str
    require_secure_channels: bool
    authorized_recipients: frozenset[str]
    networks: tuple[IPv4Network, ...]
    max_allowed_payment_amount: int


def networks_of(cidrs: Sequence[str]) -> tuple[IPv4Network, ...]:
    """A list as `cidrs.py` admits it, to compare addresses with."""
    return tuple(IPv4Network(cidr, strict=False) for cidr in cidrs)


def is_within(address: str | None, networks: Sequence[IPv4Network]) -> bool:
    """Whether requests may come from there. No list: from anywhere, known or not."""
    if not networks:
        return True
    if address is None:
        return False
    parsed: IPv4Address | IPv6Address | None = ip_address(address)
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped
    return parsed is not None and any(parsed in network for network in networks)


class Directory:
    """The cache of keys. Ask it anew for every request; keep nothing it answered."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.version = 0
        self.uses = KeyUses(pool)
        self._found: dict[bytes, Sender | Manager | None] = {}
        self._checked = float("-inf")
        self._failed = float("-inf")
        self._checking = asyncio.Lock()

    async def find(self, key: str) -> Sender | Manager | None:
        """What a key stands for; None if it is unknown, or its service or institution is not usable."""
        await self.refresh()
        digest = key_digest(key)
        if digest in self._found:
            return self._used(digest, self._found[digest])
        version = self.version
        async with self.pool.connection() as conn:
            row = await conn.row(queries.find_key, digest=digest)
        found = _read(row) if row else None
        if version == self.version:  # else: read before a change, remembered after it
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[digest] = found
        return self._used(digest, found)

    def _used(self, digest: bytes, found: Sender | Manager | None) -> Sender | Manager | None:
        if found is not None:
            self.uses.note(digest)
        return found

    async def refresh(self, older_than_seconds: float = _STALE_SECONDS) -> None:
        """Make sure the cache is not older than that; concurrent callers share one look."""
        asked = time.monotonic()
        if asked - self._checked < older_than_seconds:
            return
        async with self._checking:
            if time.monotonic() - self._checked < older_than_seconds:
                return
            if self._failed > asked:  # while this one waited: no need to try for each in turn
                raise TimeoutError
            began = time.monotonic()
            try:
                async with asyncio.timeout(_LOOK_SECONDS), self.pool.connection() as conn:
                    version = await conn.value(queries.read_version)
            except BaseException:
                self._failed = time.monotonic()
                raise
            if version != self.version:
                self._found.clear()
                self.version = version
            self._checked = began

    async def keep_fresh(self) -> None:
        """Poll for ever, so that requests hardly ever wait for it."""
        while True:
            try:
                await self.refresh(_POLL_SECONDS / 2)
            except Exception as error:
                logger.warning("cannot read the version of services", exc_info=error)
            await asyncio.sleep(_POLL_SECONDS)


async def sender_of(conn: Connection, service_id: str, institution_id: str) -> Sender | None:
    """The sender that a key of this service would stand for, for somebody who is logged in.

    None if there is no such service of this institution, or one of the two is not usable. Whether
    the person may write is decided beforehand. Lists of addresses are about keys: there is none.
    All who write for a service by hand share one `rate_key`, which no key has.
    """
    if "\x00" in service_id:  # PostgreSQL takes no such text
        return None
    row = await conn.row(queries.find_sender, service_id=service_id, institution_id=institution_id)
    return None if row is None else _sender(row, f"login:{service_id}", ())


def _read(row: Row) -> Sender | Manager:
    if row["service_id"] is None:
        institution, group = row["institution_id"], row["group_id"]
        permissions = frozenset(row["permissions"])
        actor = f"group:{group}" if group else f"institution:{institution}"
        return Manager(institution, permissions, actor, group, networks_of(row["manage_cidrs"]))
    return _sender(row, row["digest"].hex(), networks_of(row["authorized_cidrs"]))


def _sender(row: Row, rate_key: str, networks: tuple[IPv4Network, ...]) -> Sender:
    return Sender(
        rate_key=rate_key,
        institution_id=row["institution_id"],
        permissions=frozenset(row["permissions"]),
        service_id=row["service_id"],
        lane=lane_of(row["service_id"]),
        state=row["state"],
        category=row["category"],
        service_name=row["name"],
        department_name=row["department"],
        organization_name=row["organization_name"],
        organization_fiscal_code=row["organization_fiscal_code"],
        user_email=row["email"],
        require_secure_channels=row["require_secure_channels"],
        authorized_recipients=frozenset(row["authorized_recipients"]),
        networks=networks,
        max_allowed_payment_amount=row["max_allowed_payment_amount"],
    )
