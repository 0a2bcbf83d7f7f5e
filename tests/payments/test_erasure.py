"""Erasing a citizen: their part in the ledger goes, and what others have of a notice stays."""

import asyncio
from collections.abc import Sequence

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.messages import mailbox
from messo.payments import upkeep, watch
from messo.recipients.erase import erase_now
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import make
from tests.messages.mail import Mail
from tests.payments import cases
from tests.payments.cases import (
    execute,
    fresh,
    known,
    record_paid,
    rows,
    said,
    send,
    until_one_waits,
)
from tests.world import ACTOR, AUTO, World

ERASED = make("TSTRSD80A01Y001")


@pytest.fixture
async def erased(pool: Pool) -> str:
    """A citizen who has just enrolled, again if need be."""
    await execute(pool, "DELETE FROM recipients.data_request WHERE fiscal_code = $1", ERASED)
    async with pool.transaction() as conn:
        await create_profiles(
            conn,
            [
                Profile(
                    ERASED,
                    mode="AUTO",
                    settings_version=0,
                    is_inbox_enabled=True,
                    is_webhook_enabled=True,
                )
            ],
        )
    return ERASED


async def carriers(pool: Pool, messages: Sequence[str]) -> set[str]:
    sql = "SELECT message_id FROM payments.carrier WHERE message_id = ANY($1)"
    return {row["message_id"] for row in await rows(pool, sql, list(messages))}


async def test_carriers_go_and_a_notice_goes_unless_another_citizen_has_it(
    pool: Pool, world: World, mail: Mail, secrets: Secrets, erased: str
) -> None:
    own, paid, twice, shared = [fresh() for _ in range(4)]
    mine = [await send(mail, world.anna, one, erased) for one in (own, paid, twice, twice, shared)]
    theirs = await send(mail, world.anna, shared, AUTO)
    await record_paid(pool, said(paid, "paid", "event"), said(shared, "paid", "event"))
    await mail.settle()
    assert await carriers(pool, [*mine, theirs]) == {*mine, theirs}
    async with pool.transaction() as conn:
        await erase_now(conn, erased, [upkeep.erase, mailbox.erase], secrets, ACTOR)
    assert await carriers(pool, [*mine, theirs]) == {theirs}
    assert [await known(pool, one) is None for one in (own, paid, twice, shared)] == [
        True,
        False,  # another message may be about to bring it: see below
        True,
        False,
    ]
    found = await known(pool, shared)
    assert found is not None
    assert found.state == "paid"


async def test_that_it_was_paid_outlives_the_erasure_for_who_gets_the_notice_next(
    pool: Pool, world: World, mail: Mail, secrets: Secrets, erased: str
) -> None:
    notice = fresh()
    await send(mail, world.anna, notice, erased)
    await record_paid(pool, said(notice, "paid", "event"))
    theirs = await mail.post(
        world.anna, AUTO, payment_data=cases.payment(notice)
    )  # not watched yet
    async with pool.transaction() as conn:
        await erase_now(conn, erased, [upkeep.erase, mailbox.erase], secrets, ACTOR)
    found = await known(pool, notice)
    assert found is not None
    assert (found.state, found.payee_name, found.reason) == ("paid", None, None)
    (row,) = await rows(
        pool, "SELECT sweep_at FROM payments.notice WHERE number = $1", notice.number
    )
    assert row["sweep_at"] is not None, "forgotten one day, if nobody brings it"
    await mail.settle()
    assert await carriers(pool, [theirs]) == {theirs}
    after = await known(pool, notice)
    assert after is not None
    assert after.state == "paid"


async def test_what_came_after_the_erasure_began_is_left(
    pool: Pool, world: World, mail: Mail, erased: str
) -> None:
    notice = fresh()
    before = clock.now()
    message = await send(mail, world.anna, notice, erased)
    async with pool.transaction() as conn:
        await upkeep.erase(conn, erased, before)
    assert await carriers(pool, [message]) == {message}
    async with pool.transaction() as conn:
        await upkeep.erase(conn, erased, clock.now())
    assert await carriers(pool, [message]) == set()
    assert await known(pool, notice) is None


async def test_a_notice_that_another_message_is_just_bringing_stays(
    pool: Pool, world: World, mail: Mail, erased: str
) -> None:
    """The erasure waits for the other citizen's message, and then sees that it carries the notice."""
    notice = fresh()
    mine = await send(mail, world.anna, notice, erased)
    theirs = await send(mail, world.anna, notice, AUTO)
    await execute(pool, "DELETE FROM payments.carrier WHERE message_id = $1", theirs)

    async def erase() -> None:
        async with pool.transaction() as conn:
            await upkeep.erase(conn, erased, clock.now())

    async with pool.transaction() as conn:
        await watch.watch(conn, conn.bucket(AUTO), [theirs])
        erasing = asyncio.create_task(erase())
        await until_one_waits(pool, erasing)
    await erasing
    assert await carriers(pool, [mine, theirs]) == {theirs}
    assert await known(pool, notice) is not None
