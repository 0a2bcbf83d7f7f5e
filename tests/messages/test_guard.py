"""The mass-communication guard, over HTTP, on two servers that share one database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from messo import app
from messo.base import clock, server
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.messages import guard
from messo.messages.fingerprint import fingerprint
from messo.messages.guard import Guard
from messo.sandbox.fiscal_codes import many
from messo.services import Directory, Sender
from messo.services.services import NewService, create_institution
from messo.settings import Settings
from tests.conftest import Running, free_port, until_started
from tests.world import ACTOR, ALL, Caller, World, add_configuration, add_service, message

THRESHOLD = 200
PROCESSES = 2
# docs/decisions/0003: one batch per process beyond the threshold. Near a threshold this low the
# allowance is its lower bound of 32, and what has been let through but not written yet (15 a process).
TOLERANCE = PROCESSES * (32 + 15)
TEXT = "Il Comune informa che da domani la piazza è chiusa al traffico per il mercato di stagione. "
TITLE = "Mass communication not permitted"
PEOPLE = many(3000)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000, rate_burst=100_000, guard_recipients=THRESHOLD, guard_share=0.1
    )


@pytest.fixture(scope="module")
async def second(
    settings: Settings, database_url: str, secrets: Secrets, world: World
) -> AsyncIterator[httpx.AsyncClient]:
    """Another server on the same database."""
    port = free_port()
    async with app.start(settings, database_url, secrets) as started:
        public = server.beside_server(started.app, "127.0.0.1", port)
        task = asyncio.create_task(public.serve())
        await until_started(public)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
        public.should_exit = True
        await task


class Institution:
    """A fresh institution per test, so that no test counts another's messages."""

    made = 0

    def __init__(self, id_: str, services: list[Caller]) -> None:
        self.id = id_
        self.services = services


@pytest.fixture
async def town(pool: Pool, secrets: Secrets) -> Institution:
    return await new_institution(pool, secrets)


async def new_institution(pool: Pool, secrets: Secrets) -> Institution:
    Institution.made += 1
    async with pool.transaction() as conn:
        made = await create_institution(
            conn, ACTOR, f"{777_000 + Institution.made:011d}", "Comune", "c@example.org", ALL
        )
        services = [
            await add_service(
                conn, secrets, made, NewService(name, max_allowed_payment_amount=9_999_999)
            )
            for name in ("Uno", "Due", "Tre")
        ]
    return Institution(made, services)


Body = Callable[[int, str], dict[str, Any]]


def same(_: int, code: str) -> dict[str, Any]:
    return message(code, subject="Chiusura della piazza", markdown=TEXT)


async def send_all(
    clients: list[httpx.AsyncClient],
    callers: list[Caller],
    people: list[str],
    body: Body = same,
) -> list[httpx.Response]:
    """Everybody's message, spread over servers and services, a few at a time."""
    few = asyncio.Semaphore(16)

    async def one(number: int, code: str) -> httpx.Response:
        async with few:
            return await clients[number % len(clients)].post(
                "/api/v1/messages",
                json=body(number, code),
                headers=callers[number // 2 % len(callers)].headers,
            )

    return await asyncio.gather(*(one(number, code) for number, code in enumerate(people)))


def accepted(answers: list[httpx.Response]) -> int:
    for answer in answers:
        if answer.status_code != 201:
            assert answer.status_code == 403, answer.text
            assert answer.json()["title"] == TITLE
    return sum(answer.status_code == 201 for answer in answers)


async def test_two_servers_and_three_services_stop_together_at_the_threshold(
    running: Running, second: httpx.AsyncClient, town: Institution, pool: Pool
) -> None:
    answers = await send_all([running.client, second], town.services, PEOPLE[:500])
    assert THRESHOLD <= accepted(answers) <= THRESHOLD + TOLERANCE
    assert [answer.status_code for answer in answers[-50:]] == [403] * 50
    async with pool.connection() as conn:
        held = [row for row in await guard.holds(conn) if row["institution_id"] == town.id]
    assert len(held) == 1
    assert held[0]["recipients"] >= THRESHOLD
    assert held[0]["name"] == "Comune"
    assert held[0]["service_name"] in {"Uno", "Due", "Tre"}
    assert held[0]["fingerprint"] == fingerprint("Chiusura della piazza", TEXT, "")


def folded(number: int, code: str) -> dict[str, Any]:
    """The same content for a person who compares: only what is folded away differs."""
    day, amount = number % 28 + 1, f"{number},{number % 100:02d}"
    month = ("gennaio", "maggio", "Agosto", "dicembre", "mag", "05")[number % 6]
    when = f"{day} {month} 20{number % 50 + 10}" if number % 2 else f"{day:02d}/{day:02d}/2026"
    text = (
        f"Il servizio numero {number} costa € {amount} entro il {when}: "
        f"[vedi](https://example.org/pagina?id={number}&nome={code.lower()}) per i dettagli."
    )
    if number % 5 == 1:
        text = text.upper().replace("HTTPS://EXAMPLE.ORG/PAGINA", "https://example.org/pagina")
    if number % 5 == 2:
        text = text.replace(" ", "  ").replace("  per", "\n\nper")
    return message(code, subject=f"Avviso n. {number} del servizio", markdown=text + "\n")


async def test_what_is_folded_away_does_not_make_another_content(
    running: Running, town: Institution
) -> None:
    answers = await send_all([running.client], town.services, PEOPLE[:350], folded)
    assert THRESHOLD <= accepted(answers) <= THRESHOLD + TOLERANCE


async def test_what_is_personal_by_nature_is_not_counted(
    running: Running, town: Institution, pool: Pool
) -> None:
    def payment(number: int, code: str) -> dict[str, Any]:
        # Application code 01 of auxiliary digit 0, check digits: mod 93.
        body = f"001{number:013d}"
        notice = body + f"{int(body) % 93:02d}"
        return message(
            code, markdown=TEXT, payment_data={"amount": 100 + number, "notice_number": notice}
        )

    answers = await send_all([running.client], town.services[:1], PEOPLE[:300], payment)
    assert {
        (answer.status_code, answer.text[:90]) for answer in answers if answer.is_error
    } == set()
    async with pool.connection() as conn:
        rows = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.guard_recipient WHERE institution_id = $1", town.id
        )
    assert rows == 0


async def test_another_text_and_another_institution_pass(
    running: Running, town: Institution, pool: Pool, secrets: Secrets
) -> None:
    assert accepted(await send_all([running.client], town.services, PEOPLE[:320])) < 320
    other_text = message(PEOPLE[0], markdown=TEXT + "Anche la biblioteca resta chiusa.")
    sent = await running.client.post(
        "/api/v1/messages", json=other_text, headers=town.services[0].headers
    )
    assert sent.status_code == 201
    other = await new_institution(pool, secrets)
    sent = await running.client.post(
        "/api/v1/messages",
        json={**same(0, PEOPLE[0]), "content": same(0, PEOPLE[0])["content"]},
        headers=other.services[0].headers,
    )
    assert sent.status_code == 201


async def test_a_repeated_request_gets_its_first_answer_in_spite_of_the_hold(
    running: Running, town: Institution
) -> None:
    headers = {**town.services[0].headers, "Idempotency-Key": "first-of-all"}
    body = same(0, PEOPLE[0])
    first = await running.client.post("/api/v1/messages", json=body, headers=headers)
    assert accepted(await send_all([running.client], town.services, PEOPLE[:320])) < 320
    again = await running.client.post("/api/v1/messages", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    new = {**headers, "Idempotency-Key": "another"}
    refused = await running.client.post("/api/v1/messages", json=body, headers=new)
    assert refused.status_code == 403
    changed = same(0, PEOPLE[0])
    changed["time_to_live"] = 7200
    conflict = await running.client.post("/api/v1/messages", json=changed, headers=headers)
    assert conflict.status_code == 422


async def test_an_operator_lets_an_institution_past_within_a_second(
    running: Running, town: Institution, pool: Pool
) -> None:
    assert accepted(await send_all([running.client], town.services, PEOPLE[:320])) < 320
    caller = town.services[0]
    async with pool.transaction() as conn:
        until = await guard.allow(conn, "operator", town.id, 2, "Evacuazione")
    assert timedelta(hours=1.9) < until - clock.now() < timedelta(hours=2)
    began = time.monotonic()
    while accepted(await send_all([running.client], [caller], PEOPLE[:1])) == 0:
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.02)
    async with pool.connection() as conn:
        audited = await conn.raw.fetch(
            "SELECT actor, detail::jsonb ->> 'reason' AS reason FROM operations.audit "
            "WHERE action = 'guard.allow' AND subject = $1",
            town.id,
        )
        listed = [row for row in await guard.allowances(conn) if row["institution_id"] == town.id]
        # The end comes by itself: as every process will read it from here on.
        await conn.raw.execute(
            "UPDATE messages.guard_allowance SET until = $2 WHERE institution_id = $1",
            town.id,
            clock.now() + timedelta(seconds=1.2),
        )
        await conn.raw.execute("UPDATE services.version SET number = number + 1")
    assert [tuple(row) for row in audited] == [("operator", "Evacuazione")]
    assert [(row["reason"], row["allowed_by"]) for row in listed] == [("Evacuazione", "operator")]
    await until_refused(running, caller, seconds=3)


async def test_an_allowance_is_taken_back(running: Running, town: Institution, pool: Pool) -> None:
    assert accepted(await send_all([running.client], town.services, PEOPLE[:320])) < 320
    async with pool.transaction() as conn:
        await guard.allow(conn, "operator", town.id, 2, "Evacuazione")
    caller, began = town.services[0], time.monotonic()
    while accepted(await send_all([running.client], [caller], PEOPLE[:1])) == 0:
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.02)
    async with pool.transaction() as conn:
        assert await guard.end_allowance(conn, "operator", town.id)
        assert not await guard.end_allowance(conn, "operator", town.id)
        audited = await conn.raw.fetch(
            "SELECT actor FROM operations.audit "
            "WHERE action = 'guard.end_allowance' AND subject = $1",
            town.id,
        )
    assert [row["actor"] for row in audited] == ["operator"]
    await until_refused(running, caller, seconds=2)


async def test_operators_see_the_threshold_in_force(pool: Pool) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO recipients.census (enrolled, counted_at) VALUES (30001, now()) "
            "ON CONFLICT (one) DO UPDATE SET enrolled = excluded.enrolled"
        )
        bound = await guard.threshold(conn, 1000, 0.1)
        assert (bound.enrolled, bound.in_force) == (30001, 3001)
        assert (await guard.threshold(conn, 5000, 0.1)).in_force == 5000
        await conn.raw.execute("DELETE FROM recipients.census")
        assert (await guard.threshold(conn, 1000, 0.1)).in_force == 1000


async def until_refused(running: Running, caller: Caller, seconds: float) -> None:
    began = time.monotonic()
    while accepted(await send_all([running.client], [caller], PEOPLE[:1])) == 1:
        assert time.monotonic() - began < seconds, "still let through"
        await asyncio.sleep(0.05)


def guard_of(pool: Pool, secrets: Secrets, least: int = THRESHOLD, share: float = 0.1) -> Guard:
    return Guard(pool, Directory(pool), secrets, least, share)


async def admitted(guarded: Guard, sender: Sender, people: list[str], text: str = TEXT) -> int:
    passed = 0
    for code in people:
        try:
            await guarded.admit(sender, code, "Chiusura della piazza", text)
        except Problem:
            continue
        passed += 1
    return passed


async def sender_of(pool: Pool, caller: Caller) -> Sender:
    found = await Directory(pool).find(caller.key)
    assert isinstance(found, Sender)
    return found


async def test_a_share_of_the_enrolled_is_the_threshold_where_that_is_more(
    pool: Pool, secrets: Secrets, town: Institution
) -> None:
    sender = await sender_of(pool, town.services[0])
    async with pool.connection() as conn:
        census = await conn.raw.fetchrow("SELECT * FROM recipients.census")
        await conn.raw.execute(
            "INSERT INTO recipients.census (enrolled, counted_at) VALUES (6000, now()) "
            "ON CONFLICT (one) DO UPDATE SET enrolled = 6000"
        )
    try:
        passed = await admitted(guard_of(pool, secrets), sender, PEOPLE[:1000])
        assert 600 <= passed <= 600 + 32 + 15
    finally:
        async with pool.connection() as conn:
            await conn.raw.execute(
                "UPDATE recipients.census SET enrolled = $1", census["enrolled"] if census else 0
            )


async def test_the_day_slides(pool: Pool, secrets: Secrets, town: Institution) -> None:
    """Recipients of more than a day ago no longer count, and are forgotten."""
    sender = await sender_of(pool, town.services[0])
    first = guard_of(pool, secrets)
    assert THRESHOLD <= await admitted(first, sender, PEOPLE[:400]) < 400
    await first.flush()
    assert await admitted(guard_of(pool, secrets), sender, PEOPLE[400:500]) < 100
    async with pool.connection() as conn:
        moved = await conn.raw.fetch(
            "UPDATE messages.guard_recipient SET seen_at = $2 WHERE institution_id = $1 "
            "AND recipient IN (SELECT recipient FROM messages.guard_recipient "
            "WHERE institution_id = $1 ORDER BY recipient LIMIT 150) RETURNING 1",
            town.id,
            clock.now() - guard.WINDOW - timedelta(seconds=1),
        )
    assert len(moved) == 150
    # A process that starts now counts only what is left.
    later = guard_of(pool, secrets)
    assert await admitted(later, sender, PEOPLE[500:550]) == 50
    # Written to again, a person counts anew and once.
    await later.flush()
    count = "SELECT count(*) FROM messages.guard_recipient WHERE institution_id = $1"
    async with pool.transaction() as conn:
        before = await conn.raw.fetchval(count, town.id)
        assert not await guard.forget_old(conn, 1000)
        assert await conn.raw.fetchval(count, town.id) == before - 150


async def test_repeating_a_message_to_one_person_is_no_mass_communication(
    pool: Pool, secrets: Secrets, town: Institution
) -> None:
    sender = await sender_of(pool, town.services[0])
    assert await admitted(guard_of(pool, secrets), sender, PEOPLE[:1] * 600) == 600


async def test_a_killed_process_forgets_at_most_its_unwritten_batch(
    pool: Pool, secrets: Secrets, town: Institution
) -> None:
    """The recorder never runs here: only what the count itself writes is there afterwards."""
    sender = await sender_of(pool, town.services[0])
    killed = guard_of(pool, secrets)
    passed = await admitted(killed, sender, PEOPLE[:150])
    async with pool.connection() as conn:
        written = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.guard_recipient WHERE institution_id = $1", town.id
        )
    assert passed == 150
    assert passed - written <= 32
    more = await admitted(guard_of(pool, secrets), sender, PEOPLE[150:600])
    assert THRESHOLD <= passed + more <= THRESHOLD + 32 + 32 + 15


async def test_recording_that_fails_loses_nothing(
    pool: Pool, secrets: Secrets, town: Institution
) -> None:
    sender = await sender_of(pool, town.services[0])
    guarded = guard_of(pool, secrets)
    await admitted(guarded, sender, PEOPLE[:30])
    async with pool.connection() as conn:
        await conn.raw.execute("ALTER TABLE messages.guard_recipient RENAME TO gone")
        try:
            with pytest.raises(Exception, match="guard_recipient"):
                await guarded.flush()
        finally:
            await conn.raw.execute("ALTER TABLE messages.gone RENAME TO guard_recipient")
        await guarded.flush()
        written = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.guard_recipient WHERE institution_id = $1", town.id
        )
    assert written == 30


SAME = [
    ("Paga entro il 3 maggio 2026", "Paga entro il 14 dicembre 2027"),
    ("Pay by 3 May 2026, please", "Pay by January 14th, 2027 please"),
    ("Entro lunedì 3/5/2026", "Entro   MARTEDÌ 14-12-27"),
    ("Importo 10,50 € da pagare", "importo € 1.200,00 da pagare"),
    ("Importo 10 euro", "Importo EUR 12.50"),
    ("Vedi https://a.example/x?u=1 ora", "Vedi https://a.example/x?u=2&v=Anna ora"),
    ("Vedi [qui](https://a.example/x?u=1) ora", "Vedi [qui](https://a.example/x?u=9) ora"),
    ("Una riga\n\ne un'altra", "Una riga e un'altra"),
    ("**Avviso** importante", "AVVISO importante"),
    ("Strasse", "STRASSE"),
]
DIFFERENT = [
    ("Cara Anna, vieni", "Caro Bruno, vieni"),
    ("Vedi https://a.example/x", "Vedi https://b.example/x"),
    ("La piazza è chiusa", "La piazza è aperta"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_these_are_one_content(one: str, two: str) -> None:
    assert fingerprint("Avviso", one) == fingerprint("Avviso", two)
    assert fingerprint(one, "Testo") == fingerprint(two, "Testo")


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_these_are_two_contents(one: str, two: str) -> None:
    assert fingerprint("Avviso", one) != fingerprint("Avviso", two)


def test_a_fingerprint_fits_a_bigint() -> None:
    assert all(-(2**63) <= fingerprint("a" * n, "b") < 2**63 for n in range(1, 500))


@pytest.mark.parametrize("own", ["payment_data", "third_party_data"])
async def test_what_is_shared_by_many_is_nobodys_own(
    running: Running, world: World, pool: Pool, secrets: Secrets, own: str
) -> None:
    """One notice number, or one remote content, for everybody makes no message personal."""
    town = await new_institution(pool, secrets)
    async with pool.transaction() as conn:
        configuration = await add_configuration(conn, secrets, town.id)
    carried: dict[str, dict[str, Any]] = {
        "payment_data": {"amount": 100, "notice_number": "302000000000000083"},
        "third_party_data": {
            "id": "everybody",
            "configuration_id": configuration,
            "has_remote_content": True,
        },
    }

    def shared(number: int, code: str) -> dict[str, Any]:
        return message(code, markdown=TEXT, **{own: carried[own]})

    def each(number: int, code: str) -> dict[str, Any]:
        return message(code, markdown=TEXT, third_party_data=carried[own] | {"id": code})

    answers = await send_all([running.client], town.services[:1], PEOPLE[:350], shared)
    assert THRESHOLD <= accepted(answers) <= THRESHOLD + TOLERANCE
    if own == "third_party_data":
        personal = await send_all([running.client], town.services[:1], PEOPLE[:300], each)
        assert accepted(personal) == 300


async def test_a_content_that_falls_out_of_memory_is_written_first(
    pool: Pool, secrets: Secrets, town: Institution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_REMEMBERED", 5)
    sender = await sender_of(pool, town.services[0])
    small = guard_of(pool, secrets)
    for number, code in enumerate(PEOPLE[:150]):
        # Ten others between each two of the same content.
        await small.admit(sender, code, "Chiusura della piazza", TEXT)
        if number % 3 == 2:
            for other in "abcdefghij":
                await small.admit(sender, code, f"altro {other * (number + 1)}", TEXT)
    await small.close()
    async with pool.connection() as conn:
        rows = await conn.raw.fetchval(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM messages.guard_recipient "
            "WHERE institution_id = $1 GROUP BY fingerprint) AS f",
            town.id,
        )
    assert rows == 150
