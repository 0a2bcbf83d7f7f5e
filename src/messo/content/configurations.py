"""Configurations as their institutions keep them: created, listed, read, replaced.

The caller has checked who asks. There is no way to delete one: messages that were sent name it.
"""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.base.sql import Queries
from messo.content import wire
from messo.operations import record
from messo.services import changed

queries = Queries("messo.content")


class Sealed(msgspec.Struct, omit_defaults=True):
    """What of a configuration is encrypted: keys, and the fiscal codes of those who try."""

    disable_lollipop_for: list[str] = []
    is_lollipop_enabled: bool = False
    prod_environment: wire.Environment | msgspec.UnsetType = UNSET
    test_environment: wire.TestEnvironment | msgspec.UnsetType = UNSET


_sealed = msgspec.json.Decoder(Sealed)


@dataclass(frozen=True)
class Repeatable:
    """The key under which something is made once, and what was asked."""

    key: str
    asked: bytes


async def create(
    conn: Connection,
    secrets: Secrets,
    institution_id: str,
    new: wire.NewConfiguration,
    repeatable: Repeatable | None = None,
    actor: str | None = None,
) -> wire.Configuration:
    """Make one; or answer the one made before under the same key.

    `actor`: as the audit log calls who asks; the institution, if not given.

    `Problem` 422 for a key that stands for something else.
    """
    fresh = new_id()
    digest = secrets.keyed_digest(repeatable.asked.hex()) if repeatable else None
    written = await conn.run(
        queries.create_configuration,
        id=fresh,
        institution_id=institution_id,
        idempotency_key=repeatable.key if repeatable else None,
        idempotency_digest=digest,
        **_columns(secrets, fresh, new),
    )
    if written:
        await _tell(conn, institution_id, actor, "remote_content.create", fresh)
        return await read(conn, secrets, institution_id, fresh)
    first = await conn.row(
        queries.find_repeated,
        institution_id=institution_id,
        idempotency_key=repeatable.key if repeatable else None,
    )
    if first is None or first["idempotency_digest"] != digest:
        raise Problem(
            422,
            "Idempotency key reused",
            "This Idempotency-Key was used for another configuration. Use a new key for a new one.",
            field="Idempotency-Key",
        )
    return await read(conn, secrets, institution_id, first["id"])


async def list_all(
    conn: Connection, secrets: Secrets, institution_id: str
) -> wire.ConfigurationList:
    """All of an institution, with their keys."""
    rows = await conn.rows(queries.list_configurations, institution_id=institution_id)
    return wire.ConfigurationList([shown(secrets, row) for row in rows])


async def names_of(conn: Connection, institution_id: str, limit: int) -> list[tuple[str, str]]:
    """Id and name of so many of an institution, for whoever chooses one: no key is read."""
    rows = await conn.rows(
        queries.names_of_configurations, institution_id=institution_id, limit=limit
    )
    return [(row["id"], row["name"]) for row in rows]


async def read(
    conn: Connection, secrets: Secrets, institution_id: str, configuration_id: str
) -> wire.Configuration:
    """One, with its keys. `Problem` 404 if there is none, or it is another's."""
    row = await conn.row(queries.read_configuration, id=configuration_id)
    return shown(secrets, _own(row, institution_id))


async def find(conn: Connection, secrets: Secrets, configuration_id: str) -> wire.Configuration:
    """One, whoever owns it: for operators. `Problem` 404 if there is none."""
    row = await conn.row(queries.read_configuration, id=configuration_id)
    if row is None:
        raise _missing()
    return shown(secrets, row)


async def replace(
    conn: Connection,
    secrets: Secrets,
    institution_id: str,
    configuration_id: str,
    new: wire.NewConfiguration,
    actor: str | None = None,
) -> None:
    """All of it but id and owner: an environment that is left out is gone. Raises as `read`."""
    _own(await conn.row(queries.read_configuration, id=configuration_id), institution_id)
    await conn.run(
        queries.replace_configuration,
        id=configuration_id,
        institution_id=institution_id,
        **_columns(secrets, configuration_id, new),
    )
    await _tell(conn, institution_id, actor, "remote_content.replace", configuration_id)


def shown(secrets: Secrets, row: Row) -> wire.Configuration:
    """A row with what is encrypted in it."""
    sealed = Sealed()
    if row["sealed"] is not None:
        sealed = _sealed.decode(secrets.unseal(row["sealed"], _about(row["id"])))
    return wire.Configuration(
        configuration_id=row["id"],
        user_id=row["institution_id"],
        name=row["name"],
        description=row["description"],
        has_precondition=row["has_precondition"],
        disable_lollipop_for=sealed.disable_lollipop_for,
        is_lollipop_enabled=sealed.is_lollipop_enabled,
        prod_environment=sealed.prod_environment,
        test_environment=sealed.test_environment,
    )


def _columns(
    secrets: Secrets, configuration_id: str, new: wire.NewConfiguration
) -> dict[str, object]:
    sealed = Sealed(
        new.disable_lollipop_for,
        new.is_lollipop_enabled,
        new.prod_environment,
        new.test_environment,
    )
    return {
        "name": new.name,
        "description": new.description,
        "has_precondition": new.has_precondition,
        "sealed": secrets.seal(msgspec.json.encode(sealed), _about(configuration_id)),
        "now": clock.now(),
    }


async def _tell(
    conn: Connection, institution_id: str, actor: str | None, action: str, configuration_id: str
) -> None:
    # Not the address: its path may be a secret.
    await record(conn, actor or f"institution:{institution_id}", action, configuration_id)
    await changed(conn)


def _own(row: Row | None, institution_id: str) -> Row:
    if row is None or row["institution_id"] != institution_id:
        raise _missing()
    return row


def _missing() -> Problem:
    return Problem(
        404, "Not found", "There is no remote-content configuration with this id.", field="id"
    )


def _about(configuration_id: str) -> str:
    return f"content.configuration:{configuration_id}"
