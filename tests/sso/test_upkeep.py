"""What goes with an erased citizen, what is in their archive, and what grows old."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count as numbers
from typing import Any

import msgspec
import pytest

from messo import worker as built
from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import lowest_id, new_id
from messo.base.work import Worker
from messo.erasers import erasers
from messo.recipients.erase import erase_now
from messo.sso import upkeep
from messo.sso.logout import unseal
from messo.sso.upkeep import eraser, export, forget_old
from tests.inbox.pages import citizen
from tests.recipients.person import code
from tests.recipients.test_erasure import traces
from tests.sso.accesses import add_access, add_client, add_consent, count
from tests.world import World

pytestmark = pytest.mark.anyio

_CODES = numbers(1)
_NUMBERS = numbers(1)


def somebody() -> str:
    return code(next(_CODES), "UPK")


async def test_the_archive_holds_accesses_and_consents(pool: Pool, world: World) -> None:
    mine, theirs = somebody(), somebody()
    first = await add_access(pool, mine, world.anna, "refused")
    second = await add_access(pool, mine, world.anna)
    await add_consent(pool, mine, world.anna.id)
    await add_access(pool, theirs, world.bruno)
    await add_consent(pool, theirs, world.bruno.id)
    async with pool.connection() as conn:
        files = await export(conn, mine)
    assert set(files) == {"access.json"}
    held = msgspec.json.decode(msgspec.json.encode(files["access.json"]))
    assert [(one["id"], one["outcome"], one["claims"]) for one in held["accesses"]] == [
        (second, "redeemed", ["fiscal_code", "given_name"]),
        (first, "refused", []),
    ]
    assert [one["service"] for one in held["consents"]] == ["Anagrafe"]


async def test_the_worker_puts_them_into_the_archive_and_erases_them(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    mine = await citizen(pool, "UPA", 1)
    theirs = await citizen(pool, "UPA", 2)
    client = await add_client(pool, world.anna, logout="https://rp.example.it/logout")
    for fiscal_code in (mine, theirs):
        await add_access(pool, fiscal_code, world.anna)
        await add_consent(pool, fiscal_code, client)
    async with pool.transaction() as conn:
        assert "access.json" in await built.others(secrets)(conn, mine)
        await erase_now(conn, mine, erasers([], secrets), secrets, "operator")
    assert await traces(pool, mine) == {"recipients.data_request": 1}  # until the sweep
    assert (await traces(pool, theirs)).keys() >= {"sso.access", "sso.consent"}


async def test_the_sites_that_let_them_in_are_told(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    mine = somebody()
    told = await add_client(pool, world.bruno, logout="https://rp.example.it/logout")
    await add_client(pool, world.special)  # takes no logout
    for _ in range(3):
        await add_access(pool, mine, world.bruno)
    await add_access(pool, mine, world.special)
    await add_access(pool, mine, world.anna, "refused")
    before = await count(pool, "sso.logout")
    async with pool.transaction() as conn:
        await eraser(secrets)(conn, mine, clock.now())
    assert await count(pool, "sso.logout") == before + 1
    assert await count(pool, "sso.logout", "client_id = $1", told) == 1
    async with pool.transaction() as conn:  # the sweep finds nothing, and tells nobody again
        await eraser(secrets)(conn, mine, clock.now())
    assert await count(pool, "sso.logout") == before + 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_site_that_ever_got_the_fiscal_code_is_told_by_it(
    pool: Pool, world: World, secrets: Secrets, order: tuple[int, int]
) -> None:
    mine, kinds = somebody(), (("fiscal_code",), ())
    client = await add_client(pool, world.bruno, logout="https://rp.example.it/logout")
    for one in order:
        await add_access(pool, mine, world.bruno, claims=kinds[one])
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM sso.logout")
        await conn.raw.execute(
            "UPDATE sso.client SET subject_type = 'fiscal_code' WHERE id = $1", client
        )
        await eraser(secrets)(conn, mine, clock.now())
        (row,) = await conn.raw.fetch(
            "SELECT id, sealed FROM sso.logout WHERE client_id = $1", client
        )
    assert unseal(secrets, row["id"], row["sealed"]).sub == mine


async def test_who_enrols_again_keeps_what_is_theirs_since(
    pool: Pool, world: World, secrets: Secrets
) -> None:
    mine, erased_at = somebody(), clock.now()
    await add_client(pool, world.bruno, logout="https://rp.example.it/logout")
    before = await count(pool, "sso.logout")
    await add_access(pool, mine, world.bruno)
    await add_consent(pool, mine, world.bruno.id)
    async with pool.transaction() as conn:
        await eraser(secrets)(conn, mine, erased_at)
    assert await count(pool, "sso.access", "fiscal_code = $1", mine) == 1
    assert await count(pool, "sso.consent", "fiscal_code = $1", mine) == 1
    assert await count(pool, "sso.logout") == before


async def add_code(pool: Pool, at: datetime) -> str:
    return await add(
        pool,
        "INSERT INTO sso.code (bucket, id, client_id, code_digest, sealed, created_at) "
        "VALUES ($1, $2, 'c', '\\x00', '\\x00', $3)",
        at,
    )


async def add_launch(pool: Pool, at: datetime) -> str:
    return await add(
        pool,
        "INSERT INTO sso.launch (bucket, client_id, session_digest, expires_at) "
        "VALUES ($1, $2, '\\x00', $3)",
        at,
    )


async def add_assertion(pool: Pool, at: datetime) -> str:
    return await add(
        pool,
        "INSERT INTO sso.assertion (bucket, digest, expires_at) "
        "VALUES ($1, convert_to($2, 'UTF8'), $3)",
        at,
    )


async def add_logout(pool: Pool, at: datetime) -> str:
    return await add(
        pool,
        "INSERT INTO sso.logout (bucket, id, client_id, sealed, created_at) "
        "VALUES ($1, $2, 'c', '\\x00', $3)",
        at,
    )


async def add_old_consent(pool: Pool, at: datetime) -> str:
    return await add(
        pool,
        "INSERT INTO sso.consent (bucket, fiscal_code, client_id, agreed, refused, given_at, "
        "expires_at) VALUES ($1, 'X', $2, '{}', '{}', now(), $3)",
        at,
    )


async def add_old_access(pool: Pool, at: datetime) -> str:
    return await add(
        pool,
        "INSERT INTO sso.access (bucket, fiscal_code, id, client_id, service_id, redirect_uri, "
        "names, outcome, claims, session_id, requested_at) "
        "VALUES ($1, 'X', $2, 'c', 's', 'u', '{}', 'redeemed', '{}', 's', $3)",
        at,
        lowest_id(at)[:10] + new_id()[10:],
    )


async def add(pool: Pool, statement: str, at: datetime, known: str = "") -> str:
    """Spread over all buckets."""
    number = next(_NUMBERS)
    async with pool.transaction() as conn:
        key = known or f"{number:026}"
        await conn.raw.execute(statement, number % conn.buckets, key, at)
    return key


Add = Callable[[Pool, datetime], Any]
KEPT: list[tuple[str, Add, timedelta]] = [
    ("sso.code", add_code, timedelta(minutes=10)),
    ("sso.launch", add_launch, timedelta()),
    ("sso.assertion", add_assertion, timedelta()),
    ("sso.consent", add_old_consent, timedelta()),
    ("sso.logout", add_logout, timedelta(days=2)),
    ("sso.access", add_old_access, timedelta(days=730)),
]


@pytest.mark.parametrize(("table", "insert", "kept"), KEPT, ids=[one[0] for one in KEPT])
async def test_what_is_old_is_forgotten_and_no_sooner(
    pool: Pool,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    insert: Add,
    kept: timedelta,
) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(f"DELETE FROM {table}")
    monkeypatch.setattr(upkeep, "_AT_ONCE", 3)
    now = clock.now()
    for _ in range(2):
        await insert(pool, now - kept + timedelta(minutes=1))
    for _ in range(4 * pool.buckets):
        await insert(pool, now - kept - timedelta(seconds=1))
    assert await count(pool, table) == 2 + 4 * pool.buckets
    async with pool.transaction() as conn:
        assert await forget_old(conn) is True, "bounded"
    assert await count(pool, table) == 2 + pool.buckets
    async with pool.transaction() as conn:
        assert await forget_old(conn) is False
    assert await count(pool, table) == 2


async def test_the_worker_forgets_and_tends_the_keys(worker: Worker) -> None:
    every = {one.name: one.every for one in worker.periodics}
    assert every["sso.forget"] <= timedelta(minutes=10)
    assert every["sso.keys"] == timedelta(minutes=10)


async def test_the_keys_are_there_after_the_first_round(pool: Pool, worker: Worker) -> None:
    (tending,) = [one for one in worker.periodics if one.name == "sso.keys"]
    assert await worker.run_periodic(tending)
    assert await count(pool, "sso.signing_key") == 2
