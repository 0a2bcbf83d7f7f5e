"""What was given up is listed without saying whose it is, and tried again."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from messo.base.work import Worker
from messo.payments import Notice, intake
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.console.operating import not_for_others, operating
from tests.events.receiver import OK, Receiver, receiving, status
from tests.events.told import LOOPBACK, Post, tell
from tests.messages.mail import Mail
from tests.payments.pushed import DEBTOR, broken, event
from tests.world import AUTO, BLOCKING, World

pytestmark = pytest.mark.anyio

SUBJECT = "La tua multa di maggio"
PAGES = ["/failed", "/failed/webhooks", "/failed/payments", "/failed/requests"]


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest.fixture
async def post(pool: Pool, secrets: Secrets, receiver: Receiver) -> AsyncIterator[Post]:
    outbound = Outbound(LOOPBACK, open_s=0.01)
    made = Post(pool, secrets, outbound, receiver)
    yield made
    await made.clear()
    await outbound.close()


async def statuses(pool: Pool, ids: list[str]) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT status FROM messages.message WHERE id = ANY($1) ORDER BY id", ids
        )
    return [row["status"] for row in rows]


async def fail(pool: Pool, ids: list[str]) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM work.item")
        await conn.raw.execute(
            "UPDATE messages.message SET status = 'FAILED' WHERE id = ANY($1)", ids
        )


async def test_failed_messages_are_replayed_by_choice_and_processed(
    colleague: Colleague, pool: Pool, mail: Mail, world: World
) -> None:
    operator = await operating(colleague, pool)
    assert "No message has failed" in await operator.get("/failed")
    ids = [await mail.post(world.bruno, to, subject=SUBJECT) for to in (AUTO, BLOCKING) * 26]
    await fail(pool, ids)
    page = await operator.get("/failed")
    assert "Messages (52)" in page
    assert "Biblioteca" in page
    assert page.count('name="shown"') == 50
    for secret in (AUTO, BLOCKING, SUBJECT):
        assert secret not in page
    assert ids[-1] in page
    assert ids[0] not in page
    assert f"/failed?before={ids[2]}" in page
    second = await operator.get(f"/failed?before={ids[2]}")
    assert ids[0] in second
    assert f'value="{ids[2]}"' not in second
    lines = await operator.rows("/failed?format=csv")
    assert len(lines) == 53
    assert AUTO not in "".join(lines)

    nothing = await operator.post("/failed", 400, what="chosen", shown=ids[0])
    assert "Nothing is ticked" in nothing.text
    done = await operator.post("/failed", what="chosen", id=ids[:2], shown=ids)
    assert "Done: 2 messages are tried again" in done.text
    await mail.settle()
    assert await statuses(pool, ids[:3]) == ["PROCESSED", "PROCESSED", "FAILED"]
    done = await operator.post("/failed", what="all", shown=[*ids[2:], "x", "é"])
    assert "Done: 50 messages" in done.text
    await mail.settle()
    assert set(await statuses(pool, ids)) == {"PROCESSED"}
    again = await operator.post("/failed", what="chosen", id=ids[0])
    assert "Done: 0 messages" in again.text


async def test_dead_letters_of_a_webhook_are_sent_again_and_arrive(
    colleague: Colleague, pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    operator = await operating(colleague, pool)
    assert "No dead letters" in await operator.get("/failed/webhooks")
    made = await post.create(world.anna)
    receiver.answer = lambda seen: status(400) if seen.message in bad else OK
    bad: list[str] = []
    await tell(pool, world.anna.id, "accepted")
    await post.settle()
    bad += await tell(pool, world.anna.id, "accepted", "processed", messages=3)
    await post.settle()
    await post.later(days=3, hours=1)
    await post.settle()
    # The later event of each message begins to be tried once the first is dead.
    await post.later(days=3, hours=1)
    await post.settle()
    dead = len(await post.retries(made))
    page = await operator.get("/failed/webhooks")
    assert f"Webhooks ({dead})" in page
    assert "Comune di Anna" in page
    assert "127.0.0.1" in page
    assert "s3cret" not in page
    assert "status 400" in page
    line = (await operator.rows("/failed/webhooks?format=csv"))[1]
    assert f'"{dead}"' in line

    receiver.answer = lambda _: OK
    receiver.seen.clear()
    done = await operator.post(f"/failed/webhooks/{made.id}/replay")
    assert f"Done: {dead} events are sent again." in done.text
    await post.settle()
    assert sorted({one.message for one in receiver.seen}) == sorted(bad)
    assert len(receiver.seen) == dead
    assert await post.retries(made) == []
    async with pool.connection() as conn:
        audited = await conn.raw.fetchval(
            "SELECT detail::text FROM operations.audit WHERE action = 'webhook.replay'"
            " AND subject = $1 AND actor LIKE 'operator:%'",
            made.id,
        )
    assert json.loads(audited) == {"events": dead}
    for unknown in ("x", "%00", "01JZZZZZZZZZZZZZZZZZZZZZZZ"):
        await operator.post(f"/failed/webhooks/{unknown}/replay", 404)


async def test_payment_events_are_read_again_and_never_shown(
    colleague: Colleague, pool: Pool, secrets: Secrets
) -> None:
    operator = await operating(colleague, pool)
    async with pool.transaction() as conn:
        await intake.take(conn, secrets, [broken("x1"), broken("x2"), b"{"])
        # What an older Messo could not read.
        good = json.dumps(event(Notice("00000000001", "3" + "0" * 17))).encode()
        await conn.raw.execute(
            "INSERT INTO payments.dead_letter VALUES ('00ff', now() - $1::interval, 'old', $2)",
            timedelta(days=1),
            secrets.seal(good, "payments.dead_letter"),
        )
    page = await operator.get("/failed/payments")
    assert "Payment events (4)" in page
    assert page.count('name="shown"') == 4
    assert DEBTOR not in page
    assert len(await operator.rows("/failed/payments?format=csv")) == 5
    async with pool.connection() as conn:
        letters = await intake.dead_letters(conn, 10)
        first = await intake.dead_letters(conn, 2)
        rest = await intake.dead_letters(conn, 10, intake.place_of(first[-1]))
        assert [*first, *rest] == list(letters)
    nothing = await operator.post("/failed/payments", 400, what="chosen")
    assert "Nothing is ticked" in nothing.text
    ids = [row["id"] for row in letters]
    done = await operator.post("/failed/payments", what="all", shown=[*ids, "nothing"])
    assert "Done: 1 payment event could be used this time, 3 still not." in done.text
    assert "00ff" not in done.text
    assert done.text.count('name="shown"') == 3


async def test_failed_wishes_stand_there_as_hashes(
    colleague: Colleague, pool: Pool, secrets: Secrets
) -> None:
    operator = await operating(colleague, pool)
    assert "No request has failed" in await operator.get("/failed/requests")
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO recipients.data_request (bucket, fiscal_code, choice, status, version,"
            " attempts, due_at, created_at, updated_at)"
            " VALUES ($1, $2, 'DOWNLOAD', 'FAILED', 0, 10, now(), now(), now())",
            conn.bucket(AUTO),
            AUTO,
        )
    page = await operator.get("/failed/requests")
    assert "Data requests (1)" in page
    assert secrets.keyed_hash(AUTO) in page
    assert AUTO not in page
    assert secrets.keyed_hash(AUTO) in (await operator.rows("/failed/requests?format=csv"))[1]


async def test_nobody_else_sees_it_and_it_speaks_italian(
    colleague: Colleague, other: Colleague, pool: Pool
) -> None:
    forms = ["/failed", "/failed/payments", "/failed/webhooks/x/replay"]
    await not_for_others(other, PAGES, forms)
    operator = await operating(colleague, pool)
    for path in PAGES:
        assert "Che cosa non è riuscito" in await operator.get(path, language="it")
        await operator.get(f"{path}?before=%00&after=%ED%A0%80&n=x&done=replayed")
