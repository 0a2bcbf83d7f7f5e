"""A message that is accepted: what is answered, what is kept, what becomes of it."""

from messo.base.db import Pool
from messo.base.work import Worker
from tests.conftest import Running
from tests.world import AUTO, STRANGER, World, message


async def test_is_kept_and_processed(running: Running, world: World, worker: Worker) -> None:
    sent = await running.client.post("/api/v1/messages", json=message(), headers=world.anna.headers)
    assert sent.status_code == 201
    message_id = sent.json()["id"]
    assert sent.json() == {"id": message_id}
    assert sent.headers["location"] == f"/api/v1/messages/{AUTO}/{message_id}"

    before = await running.client.get(sent.headers["location"], headers=world.anna.headers)
    assert before.json()["status"] == "ACCEPTED"
    assert "content" not in before.json()["message"]

    await worker.work_once()

    after = await running.client.get(sent.headers["location"], headers=world.anna.headers)
    assert after.json()["status"] == "PROCESSED"
    assert after.json()["message"]["content"] == message()["content"]


async def test_to_a_stranger_is_rejected_and_its_text_forgotten(
    running: Running, world: World, worker: Worker, pool: Pool
) -> None:
    sent = await running.client.post(
        "/api/v1/messages", json=message(STRANGER), headers=world.anna.headers
    )
    assert sent.status_code == 201
    await worker.work_once()
    life = await running.client.get(
        f"/messo/v1/messages/{sent.json()['id']}", headers=world.anna.headers
    )
    assert life.json()["status"] == "REJECTED"
    assert life.json()["rejection_reason"] == "USER_NOT_FOUND"
    assert [event["kind"] for event in life.json()["events"]] == ["accepted", "rejected"]
    async with pool.connection() as conn:
        kept = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.content WHERE id = $1", sent.json()["id"]
        )
        subject = await conn.raw.fetchval(
            "SELECT subject FROM messages.message WHERE id = $1", sent.json()["id"]
        )
    assert (kept, subject) == (0, None)
