"""Institutions, services and keys: what operators change, and that each change is audited."""

from typing import Any

import pytest

from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.services import Directory, Permission, keys
from messo.services.permissions import DEFAULT
from messo.services.services import (
    NewService,
    NotAcceptedError,
    create_institution,
    create_service,
    grant,
    institution_of,
    list_institutions,
    list_services,
    revoke,
    set_state,
    suspend_institution,
    suspend_service,
)
from tests.world import ACTOR, AUTO, SANDBOX, World


async def audited(pool: Pool, subject: str) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT actor, action FROM operations.audit WHERE subject = $1 ORDER BY id", subject
        )
    assert {row["actor"] for row in rows} <= {"op"}
    return [row["action"] for row in rows]


async def version(pool: Pool) -> int:
    async with pool.connection() as conn:
        return int(await conn.raw.fetchval("SELECT number FROM services.version"))


async def test_the_life_of_an_institution_is_audited_and_seen_by_all(
    pool: Pool, world: World
) -> None:
    before = await version(pool)
    async with pool.transaction() as conn:
        made = await create_institution(conn, "op", "00000000501", "Comune", "c@example.org")
        await grant(conn, "op", made, [Permission.MESSAGE_READ_ADVANCED])
        await grant(conn, "op", made, [Permission.MESSAGE_READ_ADVANCED])
        await revoke(conn, "op", made, [Permission.MESSAGE_WRITE, Permission.SERVICE_READ])
        await suspend_institution(conn, "op", made, suspend=True, reason="misuse")
        await suspend_institution(conn, "op", made, suspend=False, reason="mended")
        (row,) = [row for row in await list_institutions(conn) if row["id"] == made]
    wanted = {*DEFAULT, Permission.MESSAGE_READ_ADVANCED} - {Permission.MESSAGE_WRITE}
    assert sorted(row["permissions"]) == sorted(wanted)
    assert row["suspended_at"] is None
    assert row["services"] == 0
    assert await audited(pool, made) == [
        "institution.create",
        "institution.grant",
        "institution.grant",
        "institution.revoke",
        "institution.suspend",
        "institution.restore",
    ]
    assert await version(pool) == before + 6


async def test_the_life_of_a_service_and_its_keys_is_audited(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    institution = world.anna.institution
    async with pool.transaction() as conn:
        made = await create_service(
            conn, "op", institution, NewService("Scuola", authorized_recipients=(AUTO,)), SANDBOX
        )
        pair = await keys.create_pair(conn, secrets, "op", institution, made)
        new = await keys.rotate(conn, secrets, "op", made, "secondary")
        await set_state(conn, "op", made, "approved")
        await suspend_service(conn, "op", made, suspend=True, reason="misuse")
        await suspend_service(conn, "op", made, suspend=False, reason="mended")
        read = await keys.read_pair(conn, secrets, made)
        stored = await conn.raw.fetch("SELECT * FROM services.key WHERE service_id = $1", made)
        (row,) = [row for row in await list_services(conn, institution) if row["id"] == made]
        recipients = await conn.raw.fetchval(
            "SELECT authorized_recipients FROM services.service WHERE id = $1", made
        )
        assert await institution_of(conn, made) == institution
    assert read == {"primary": pair["primary"], "secondary": new}
    assert new != pair["secondary"]
    assert {row["digest"] for row in stored} == {key_digest(key) for key in read.values()}
    # No key in clear.
    assert not any(key in str([tuple(row) for row in stored]) for key in read.values())
    assert (row["state"], row["suspended_at"]) == ("approved", None)
    assert recipients == sorted([AUTO, SANDBOX])
    assert await audited(pool, made) == [
        "service.create",
        "key.create",
        "key.rotate",
        "service.state",
        "service.suspend",
        "service.restore",
    ]


async def test_rotating_a_manage_key_leaves_the_services_keys(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    async with pool.transaction() as conn:
        new = await keys.rotate(conn, secrets, "op", world.anna.institution, "primary")
        assert (await keys.read_pair(conn, secrets, world.anna.institution))["primary"] == new
        assert (await keys.read_pair(conn, secrets, world.anna.id))["primary"] == world.anna.key
    assert new != world.manage_key


@pytest.mark.parametrize(
    "what",
    [
        lambda conn, _: grant(conn, "op", "nobody", [Permission.INFO_READ]),
        lambda conn, _: revoke(conn, "op", "nobody", [Permission.INFO_READ]),
        lambda conn, world: grant(conn, "op", world.anna.institution, ["ApiEverything"]),
        lambda conn, _: suspend_institution(conn, "op", "nobody", suspend=True, reason="x"),
        lambda conn, _: suspend_service(conn, "op", "nobody", suspend=True, reason="x"),
        lambda conn, _: set_state(conn, "op", "nobody", "draft"),
        lambda conn, world: set_state(conn, "op", world.anna.id, "gone"),
        lambda conn, world: keys.rotate(conn, world.secrets, "op", "nobody", "primary"),
        lambda conn, world: keys.rotate(conn, world.secrets, "op", world.anna.id, "third"),
        lambda conn, _: institution_of(conn, "nobody"),
        lambda conn, _: create_institution(conn, "op", "123", "Comune", "c@example.org"),
        lambda conn, _: create_institution(conn, "op", "00000000502", "Comune", "none"),
        lambda conn, _: create_institution(conn, "op", "00000000001", "Doppio", "c@example.org"),
        lambda conn, _: create_service(conn, "op", "nobody", NewService("x"), SANDBOX),
        lambda conn, world: create_service(
            conn,
            "op",
            world.anna.institution,
            NewService("x", authorized_cidrs=("10.0.0.0/33",)),
            SANDBOX,
        ),
        lambda conn, world: create_service(
            conn,
            "op",
            world.anna.institution,
            NewService("x", max_allowed_payment_amount=-1),
            SANDBOX,
        ),
    ],
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    pool: Pool, world: World, what: Any
) -> None:
    async def count() -> int:
        async with pool.connection() as conn:
            return int(await conn.raw.fetchval("SELECT count(*) FROM operations.audit"))

    before = (await version(pool), await count())
    with pytest.raises(NotAcceptedError):
        async with pool.transaction() as conn:
            await what(conn, world)
    assert (await version(pool), await count()) == before


async def test_a_failed_change_rolls_back_its_audit_entry(pool: Pool, world: World) -> None:
    async def change() -> None:
        async with pool.transaction() as conn:
            await set_state(conn, "op", world.bruno.id, "deleted")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()
    async with pool.connection() as conn:
        kept = await conn.raw.fetchval(
            "SELECT count(*) FROM operations.audit WHERE subject = $1 AND action = 'service.state'",
            world.bruno.id,
        )
    assert kept == 0


async def test_a_deleted_service_and_its_keys_do_not_come_back(pool: Pool, world: World) -> None:
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, world.draft.id, "deleted")
    with pytest.raises(NotAcceptedError, match="stays so"):
        async with pool.transaction() as conn:
            await set_state(conn, ACTOR, world.draft.id, "published")
    assert await Directory(pool).find(world.draft.key) is None
