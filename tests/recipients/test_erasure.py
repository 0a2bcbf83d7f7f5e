"""Erasing a citizen: afterwards their fiscal code stands nowhere, and nothing comes back."""

import asyncio
from itertools import count
from typing import Any

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.work import Worker
from messo.messages import mailbox, search
from messo.recipients import (
    Activation,
    Preference,
    Wishes,
    amend,
    begin_validation,
    enrol_at_login,
    put_activations,
    put_preferences,
    read_profile,
)
from messo.recipients.erase import erase_now
from tests.conftest import Running
from tests.recipients.asked import (
    broken,
    make_due,
    once,
    requests_of,
    until_idle,
)
from tests.recipients.asked import worker as worker_of
from tests.recipients.person import DATA, PROFILE, Person, code, enter, feed_of
from tests.world import World, message

NUMBERS = count(1)


async def person(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, code(next(NUMBERS), "RSR"), **more)


async def traces(pool: Pool, text: str) -> dict[str, int]:
    """Every table with a column of text, bytes or JSON in which it stands, and in how many rows."""
    found: dict[str, int] = {}
    async with pool.connection() as conn:
        columns = await conn.raw.fetch(
            "SELECT table_schema || '.' || table_name AS name, column_name, udt_name "
            "FROM information_schema.columns WHERE table_schema NOT IN "
            "('pg_catalog', 'information_schema') "
            "AND udt_name IN ('text', 'varchar', 'bytea', 'jsonb', 'json', '_text', 'tsvector')"
        )
        assert {"bytea", "text", "jsonb", "_text", "tsvector"} <= {
            row["udt_name"] for row in columns
        }
        for row in columns:
            column = f'"{row["column_name"]}"'
            condition = (
                f"position($1::text::bytea IN {column}) > 0"
                if row["udt_name"] == "bytea"
                else f"position(lower($1::text) IN lower({column}::text)) > 0"
            )
            rows = await conn.raw.fetchval(
                f"SELECT count(*) FROM {row['name']} WHERE {condition}", text
            )
            if rows:
                found[row["name"]] = found.get(row["name"], 0) + rows
    return found


async def send(running: Running, world: World, fiscal_code: str) -> str:
    body = message(fiscal_code, markdown=f"Caro {fiscal_code}, " + "ti scriviamo. " * 10)
    headers = {**world.anna.headers, "Idempotency-Key": f"k-{next(NUMBERS)}"}
    answer = await running.client.post("/api/v1/messages", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def rounds(worker: Worker) -> Worker:
    return worker


async def decide(rounds: Worker) -> None:
    while await rounds.work_once():
        pass


async def whole_life(
    pool: Pool,
    running: Running,
    world: World,
    rounds: Worker,
    secrets: Secrets,
    email: str = "tutto@example.org",
) -> Person:
    """A citizen with something in every table that can hold them."""
    someone = await person(pool, running, email=email, is_email_validated=True)
    message_id = await send(running, world, someone.code)
    await decide(rounds)
    async with pool.transaction() as conn:
        await mailbox.report_not_for_me(conn, someone.code, message_id)
        await put_preferences(conn, [Preference(someone.code, world.anna.id, 0, False)])
        await put_activations(conn, [Activation(someone.code, world.special.id, "ACTIVE")])
        await amend(conn, someone.code, Wishes(email=f"{someone.code}@example.org"))
        await begin_validation(conn, someone.code)
    device = {"platform": "apns", "pushChannel": "x"}
    await someone.request("PUT", f"/api/communication/v1/installations/{someone.code}", json=device)
    await someone.post(
        f"/api/identity/v1/services/{world.bruno.id}/preferences",
        {
            "is_inbox_enabled": False,
            "is_email_enabled": True,
            "is_webhook_enabled": True,
            "settings_version": 0,
        },
    )
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    await until_idle(pool, worker_of(secrets))
    return someone


ROOMS = {
    *("recipients.profile", "recipients.preference", "recipients.activation"),
    *("recipients.change", "recipients.email_validation", "recipients.installation"),
    *("recipients.data_request", "recipients.archive_part", "login.session"),
    *("messages.message", "messages.content", "messages.idempotency", "messages.words"),
}


async def test_nothing_is_left_of_an_erased_citizen(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    someone = await whole_life(pool, running, world, rounds, secrets)
    neighbour = await whole_life(pool, running, world, rounds, secrets, "vicina@example.org")
    assert (await traces(pool, someone.code)).keys() >= ROOMS - {"messages.words"}
    before = await traces(pool, neighbour.code)
    await someone.post(DATA, {"choice": "DELETE"})
    await make_due(pool, someone.code)
    step = worker_of(secrets)
    await until_idle(pool, step)
    # All that is left is the request, until the sweep.
    assert await traces(pool, someone.code) == {"recipients.data_request": 1}
    assert (await someone.get(PROFILE)).status_code == 401
    await make_due(pool, someone.code)
    await until_idle(pool, step)
    assert await traces(pool, someone.code) == {}
    assert await traces(pool, "tutto@example.org") == {}
    assert await feed_of(pool, someone.code) == {"": False}
    async with pool.connection() as conn:
        entries = await conn.raw.fetch(
            "SELECT actor, subject, detail FROM operations.audit WHERE action = 'citizen.erase'"
        )
    assert [tuple(row) for row in entries] == [("citizen", secrets.keyed_hash(someone.code), "{}")]
    assert await traces(pool, neighbour.code) == before
    assert (await neighbour.get(PROFILE)).status_code == 200


async def test_a_message_that_was_under_way_is_swept_up(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    """It is accepted before the erasure, by a transaction that commits after it."""
    someone = await person(pool, running)
    message_id = await send(running, world, someone.code)
    await decide(rounds)
    step = worker_of(secrets)
    await someone.post(DATA, {"choice": "DELETE"})
    await make_due(pool, someone.code)
    assert await once(pool, step)
    async with pool.connection() as other:
        # As a flusher would hold it: not committed, so the erasure cannot see it.
        late = other.raw.transaction()
        await late.start()
        await other.raw.execute(
            "INSERT INTO messages.message SELECT bucket, 'LATE' || right(id, 22), fiscal_code, "
            "service_id, sender_id, subject, 'PROCESSED', NULL, feature_level_type, "
            "require_secure_channels, time_to_live, reference, created_at, decided_at, NULL, false "
            "FROM messages.message WHERE id = $1",
            message_id,
        )
        await until_idle(pool, step)
        await late.commit()
    assert (await traces(pool, someone.code)).keys() == {
        "messages.message",
        "recipients.data_request",
    }
    assert await until_idle(pool, step) == 1  # not before it is due
    await make_due(pool, someone.code)
    await until_idle(pool, step)
    assert await traces(pool, someone.code) == {}


async def test_messages_that_were_being_indexed_leave_no_words(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    await send(running, world, someone.code)
    await decide(rounds)
    step = worker_of(secrets)
    await someone.post(DATA, {"choice": "DELETE"})
    await make_due(pool, someone.code)
    async with pool.connection() as other:
        late = other.raw.transaction()
        await late.start()
        assert await search.index_new(other, someone.code) == 1
        await until_idle(pool, step)
        await late.commit()
    assert "messages.words" in await traces(pool, someone.code)
    await make_due(pool, someone.code)
    await until_idle(pool, step)
    assert await traces(pool, someone.code) == {}


async def test_a_report_at_the_moment_of_the_erasure_waits_and_leaves_nothing(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    message_id = await send(running, world, someone.code)
    await decide(rounds)

    async def report() -> bool:
        async with pool.transaction() as conn:
            return await mailbox.report_not_for_me(conn, someone.code, message_id)

    async with pool.transaction() as conn:
        await erase_now(conn, someone.code, [mailbox.erase], secrets, "operator")
        reporting = asyncio.create_task(report())
        async with pool.connection() as other:
            while not await other.raw.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0)
    assert await reporting is False
    assert "messages.report" not in await traces(pool, message_id)


async def test_who_enrols_again_keeps_what_is_theirs_since(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    someone = await whole_life(pool, running, world, rounds, secrets)
    await someone.post(DATA, {"choice": "DELETE"})
    await make_due(pool, someone.code)
    step = worker_of(secrets)
    await until_idle(pool, step)
    async with pool.transaction() as conn:
        await enrol_at_login(conn, someone.code, None)
    again = await enter(pool, running.client, someone.code, profile=False)
    assert (await again.get(f"{DATA}/DELETE")).status_code == 404
    await again.post(
        PROFILE,
        {
            "version": 0,
            "accepted_tos_version": 1,
            "service_preferences_settings": {"mode": "AUTO"},
        },
    )
    new = await send(running, world, someone.code)
    await decide(rounds)
    await make_due(pool, someone.code)
    await until_idle(pool, step)
    assert (await again.get(PROFILE)).json()["version"] == 1
    async with pool.connection() as conn:
        found = await mailbox.list_messages(conn, someone.code, mailbox.Filters(), limit=10)
    assert [line.id for line in found.items] == [new]
    assert await requests_of(pool, someone.code) == {}


async def test_a_worker_that_dies_between_the_steps_loses_nothing(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    someone = await whole_life(pool, running, world, rounds, secrets)
    await someone.post(DATA, {"choice": "DELETE"})
    await make_due(pool, someone.code)
    dead = worker_of(secrets)
    assert await once(pool, dead)  # claimed
    assert (await someone.get(f"{DATA}/DELETE")).json()["status"] == "WIP"
    await make_due(pool, someone.code)
    step = worker_of(secrets)
    await until_idle(pool, step)  # erased by another
    await until_idle(pool, dead)  # wakes up, and is too late
    assert await traces(pool, someone.code) == {"recipients.data_request": 1}
    await make_due(pool, someone.code)
    assert await once(pool, dead)  # claimed for the sweep
    await make_due(pool, someone.code)
    await until_idle(pool, step)
    await until_idle(pool, dead)
    assert await traces(pool, someone.code) == {}


async def test_an_erasure_that_fails_erases_nothing_and_lets_others_pass(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    bad, good = await person(pool, running), await person(pool, running)

    async def picky(conn: Any, fiscal_code: str, before: Any) -> None:
        if fiscal_code == bad.code:
            await broken(conn, fiscal_code)

    for someone in (bad, good):
        await someone.post(DATA, {"choice": "DELETE"})
        await make_due(pool, someone.code)
    await until_idle(pool, worker_of(secrets, erasers=[picky]))
    assert (await bad.get(PROFILE)).status_code == 200
    assert (await good.get(PROFILE)).status_code == 401
    assert await requests_of(pool, bad.code) == {"DELETE": ("WIP", 1)}


async def test_changes_at_the_moment_of_the_erasure_leave_nothing(
    pool: Pool, running: Running, world: World, secrets: Secrets
) -> None:
    """Each change waits for the erasure and finds nobody, or comes before it and is erased."""
    someone = await person(pool, running)
    device = {"platform": "apns", "pushChannel": "x"}
    preferences = f"/api/identity/v1/services/{world.anna.id}/preferences"
    choice = {
        "is_inbox_enabled": True,
        "is_email_enabled": True,
        "is_webhook_enabled": True,
        "settings_version": 0,
    }

    async def erase() -> None:
        async with pool.transaction() as conn:
            await erase_now(conn, someone.code, [mailbox.erase], secrets, "tests")

    answers = await asyncio.gather(
        *(
            someone.request("PUT", f"/api/communication/v1/installations/{n}", json=device)
            for n in range(4)
        ),
        *(someone.post(preferences, choice) for _ in range(4)),
        erase(),
        *(someone.post(DATA, {"choice": "DOWNLOAD"}) for _ in range(4)),
        *(someone.get(PROFILE) for _ in range(4)),
    )
    statuses = {answer.status_code for answer in answers if answer is not None}
    assert statuses <= {200, 401, 404, 409}
    assert await traces(pool, someone.code) == {"recipients.data_request": 1}


async def test_an_operator_erases_at_once(
    pool: Pool, running: Running, world: World, rounds: Worker, secrets: Secrets
) -> None:
    """Somebody without a profile too: messages to them were rejected and are kept."""
    someone = await whole_life(pool, running, world, rounds, secrets)
    stranger = code(900, "RSR")
    await send(running, world, stranger)
    await decide(rounds)
    for fiscal_code in (someone.code, stranger):
        assert "messages.message" in await traces(pool, fiscal_code)
        async with pool.transaction() as conn:
            await erase_now(conn, fiscal_code, [mailbox.erase], secrets, "cli:tests")
        assert await traces(pool, fiscal_code) == {"recipients.data_request": 1}
        async with pool.transaction() as conn:
            assert await read_profile(conn, fiscal_code) is None
            with pytest.raises(Problem) as refused:
                await erase_now(conn, fiscal_code, [mailbox.erase], secrets, "cli:tests")
        assert refused.value.status == 409
        await make_due(pool, fiscal_code)
    await until_idle(pool, worker_of(secrets))
    assert await traces(pool, someone.code) == {}
    assert await traces(pool, stranger) == {}
    assert await feed_of(pool, stranger) == {}
