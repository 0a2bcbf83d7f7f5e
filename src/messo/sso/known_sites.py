"""Where the registered sites of institutions are, remembered in this process."""

import asyncio
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from messo.base.db import Pool
from messo.sso.clients import queries, read_redirects

_REMEMBERED = 10_000  # institutions; more than that and the memory starts anew
_PORTS = {"https": 443, "http": 80}


def origin_of(address: str) -> str | None:
    """Scheme, host and port of a web address (RFC 6454, section 4); None for anything else.

    In lower case, and without a port that the scheme implies: two of one origin are equal.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:  # a port out of range, brackets that do not close
        return None
    usual = _PORTS.get(parts.scheme)
    if usual is None or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def origins_of(stored: Iterable[str]) -> frozenset[str]:
    """The origins of redirect URIs, from the JSON of a few clients."""
    found = {origin_of(one.uri) for redirects in stored for one in read_redirects(redirects)}
    return frozenset(origin for origin in found if origin is not None)


class KnownSites:
    """By institution, the origins of its sites. `version`: changes when any client may have.

    As fresh as `version` is: in the server that is the number of `services.Directory`, polled for
    every request, which every change of a client raises.
    """

    def __init__(self, pool: Pool, version: Callable[[], int]) -> None:
        self.pool = pool
        self.version = version
        self._at: int | None = None
        self._known: dict[str, frozenset[str]] = {}
        self._reading = asyncio.Lock()

    async def of(self, institution_id: str) -> frozenset[str]:
        """The origins, from memory; from the database after a change, once for all who wait."""
        known = self._remembered(institution_id)
        if known is not None:
            return known
        async with self._reading:
            known = self._remembered(institution_id)
            return await self._read(institution_id) if known is None else known

    def _remembered(self, institution_id: str) -> frozenset[str] | None:
        version = self.version()
        if version != self._at or len(self._known) >= _REMEMBERED:
            self._known.clear()
            self._at = version
        return self._known.get(institution_id)

    async def _read(self, institution_id: str) -> frozenset[str]:
        version = self._at
        async with self.pool.connection() as conn:
            rows = await conn.rows(queries.sites_of_institution, institution_id=institution_id)
        found = origins_of(row["redirects"] for row in rows)
        if version == self._at == self.version():  # else: read before a change, kept after it
            self._known[institution_id] = found
        return found
