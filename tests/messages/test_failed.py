"""What operators see of messages that could not be decided, and how they put them back."""

import pytest

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.messages import failed
from messo.messages.submit import PROCESS
from messo.sandbox.fiscal_codes import many
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.world import World

PEOPLE = many(830)[800:]


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


async def test_they_are_listed_newest_first_and_replayed_by_choice(
    pool: Pool, mail: Mail, world: World
) -> None:
    ids = [await mail.post(caller, to) for to in PEOPLE[:7] for caller in (world.anna, world.bruno)]
    fine = await mail.post(world.anna, PEOPLE[8])
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM work.item")
        await conn.raw.execute(
            "UPDATE messages.message SET status = 'FAILED' WHERE id = ANY($1)", ids
        )

    async with pool.connection() as conn:
        pages = [await failed.failed_messages(conn, limit=5)]
        while pages[-1].next is not None:
            pages.append(await failed.failed_messages(conn, pages[-1].next, limit=5))
        assert (await failed.failed_messages(conn, "\x00", limit=5)).rows == pages[0].rows
    rows = [row for page in pages for row in page.rows]
    assert [row.id for row in rows] == sorted(ids, reverse=True)
    assert [len(page.rows) for page in pages] == [5, 5, 4]
    assert (rows[0].service_name, rows[0].institution_name) == ("Biblioteca", "Comune di Bruno")

    chosen = [ids[0], ids[1], ids[2]]
    async with pool.transaction() as conn:
        assert await failed.replay(conn, "operator:x", [*chosen, fine, new_id(), "\x00"]) == 3
    async with pool.transaction() as conn:
        assert await failed.replay(conn, "operator:x", chosen) == 0
        assert await failed.replay(conn, "operator:x", []) == 0
        with pytest.raises(ValueError, match="1000"):
            await failed.replay(conn, "operator:x", ["x"] * 1001)
    async with pool.connection() as conn:
        queued = await conn.raw.fetch("SELECT bucket, reference, step FROM work.item")
        of = {
            row[0]: row[1]
            for row in await conn.raw.fetch("SELECT id, bucket FROM messages.message")
        }
        audited = await conn.raw.fetch(
            "SELECT actor, subject, detail FROM operations.audit WHERE action = 'messages.replay'"
        )
        left = await failed.failed_messages(conn)
    assert sorted(tuple(row) for row in queued) == sorted((of[i], i, PROCESS) for i in chosen)
    assert [tuple(row) for row in audited] == [("operator:x", PROCESS, '{"count": 3}')]
    assert [row.id for row in left.rows] == sorted(set(ids) - set(chosen), reverse=True)
