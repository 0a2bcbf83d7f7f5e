"""Logos of services and institutions: kept under the id of either, and where they are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from messo.base import clock
from messo.base.db import Connection, Row
from messo.operations import record
from messo.services.services import queries

SERVICES, INSTITUTIONS = "/logos/services/", "/logos/organizations/"
_VERSION = 12  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Logo:
    """A PNG that we drew. `digest`: SHA-256 of it, in hexadecimal."""

    png: bytes
    digest: str


async def put_service_logo(conn: Connection, actor: str, service_id: str, png: bytes) -> None:
    """Keep a service's logo in the place of the one before; `png` is what `redrawn` gave."""
    await record(
        conn, actor, "service.logo", service_id, sha256=await put_logo(conn, service_id, png)
    )


async def put_institution_logo(
    conn: Connection, actor: str, institution_id: str, png: bytes
) -> None:
    """The same for an institution."""
    digest = await put_logo(conn, institution_id, png)
    await record(conn, actor, "institution.logo", institution_id, sha256=digest)


async def put_logo(conn: Connection, owner_id: str, png: bytes) -> str:
    """Without an entry in the audit log. Its digest."""
    digest = sha256(png)
    await conn.run(
        queries.put_logo, owner_id=owner_id, png=png, digest=digest.digest(), now=clock.now()
    )
    return digest.hexdigest()


async def read_service_logo(conn: Connection, service_id: str) -> Logo | None:
    """None if the service has none, or is deleted or unknown."""
    return _logo(await conn.row(queries.read_service_logo, service_id=service_id))


async def read_institution_logo(conn: Connection, fiscal_code: str) -> Logo | None:
    """The logo of the institution with this fiscal code of 11 digits. None if there is none."""
    return _logo(await conn.row(queries.read_institution_logo, fiscal_code=fiscal_code))


async def versions(conn: Connection, owner_ids: Sequence[str]) -> dict[str, str]:
    """Which of these services and institutions have a logo: for each that has, the version of it."""
    rows = await conn.rows(queries.list_logos, owner_ids=list(owner_ids))
    return {row["owner_id"]: row["digest"].hex()[:_VERSION] for row in rows}


async def addresses(
    conn: Connection, service_id: str, institution_id: str, fiscal_code: str
) -> tuple[str, str]:
    """Of a service's logo and of its institution's; "" where there is none."""
    known = await versions(conn, [service_id, institution_id])
    own, whole = known.get(service_id), known.get(institution_id)
    return (
        service_address(service_id, own) if own else "",
        institution_address(fiscal_code, whole) if whole else "",
    )


def service_address(service_id: str, version: str = "") -> str:
    """Path of a service's logo; with a version it changes when the logo does."""
    return f"{SERVICES}{service_id.lower()}.png" + (f"?v={version}" if version else "")


def institution_address(fiscal_code: str, version: str = "") -> str:
    """The same for an institution, whose fiscal code stands there without its leading zeros."""
    return f"{INSTITUTIONS}{fiscal_code.lstrip('0')}.png" + (f"?v={version}" if version else "")


def _logo(row: Row | None) -> Logo | None:
    return None if row is None else Logo(row["png"], row["digest"].hex())
