"""Full-text search of a citizen's own messages: what is found, when it is indexed, what it bears."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.api import welcome
from messo.base import clock
from messo.base.db import Pool
from messo.base.work import Worker
from messo.login import Identity
from messo.messages import mailbox, search
from messo.messages.mailbox import Filters
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from tests.conftest import Running
from tests.messages.mail import Mail, fill
from tests.world import World

CITIZENS = iter(many(400)[300:])
LONG = " Si prega di leggere con attenzione quanto segue, e di conservare questa comunicazione."


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


async def enrol(pool: Pool) -> str:
    fiscal_code = next(CITIZENS)
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, "AUTO", 0, is_inbox_enabled=True)])
    return fiscal_code


async def found(pool: Pool, citizen: str, words: str, **more: Any) -> list[str]:
    async with pool.connection() as conn:
        page = await mailbox.list_messages(conn, citizen, Filters(words=words, **more), limit=100)
    return [line.id for line in page.items]


async def indexed(pool: Pool, citizen: str) -> int:
    async with pool.connection() as conn:
        count: int = await conn.raw.fetchval(
            "SELECT count(*) FROM messages.words WHERE fiscal_code = $1", citizen
        )
    return count


async def wipe(pool: Pool, citizen: str) -> None:
    async with pool.transaction() as conn:
        await mailbox.erase(conn, citizen, clock.now())


@pytest.mark.parametrize(
    ("subject", "markdown", "typed"),
    [
        ("Scadenze della mensa", "x", "scadenza"),  # Italian stem, of the subject
        ("Scadenze della mensa", "x", "MENSA scade"),  # any order, any case, a beginning
        ("Avviso importante", "La tua **domanda** di iscrizione", "domande iscrizioni"),
        ("Your new libraries", "Your books are waiting", "library book"),  # English stem
        ("Your new libraries", "Your books are waiting", '"books are waiting"'),
        ("Avviso importante", "La città di Perugia", "città"),
        ("Avviso importante", "x", "Anagrafe"),  # the service
        ("Avviso importante", "x", "Comune di Anna"),  # the organisation
        ("Avviso importante", "Paga la tassa", "tassa OR imposta"),
        ("Avviso importante", "Paga la tassa", "tassa -imposta"),
        ("Avviso importante", "Pratica AB123/2030", "AB123"),
        ("Avviso importante", "日本語 и русский текст", "русский"),
        ("Avviso importante", "---\nuna parola tra due righe\n---\nfine", "parola"),
    ],
)
async def test_words_are_found_in_sender_subject_and_body(
    pool: Pool, mail: Mail, world: World, subject: str, markdown: str, typed: str
) -> None:
    citizen = await enrol(pool)
    await mail.send(world.bruno, citizen)
    wanted = await mail.send(world.anna, citizen, subject=subject, markdown=markdown + LONG)
    assert await found(pool, citizen, typed) == [wanted]


@pytest.mark.parametrize(
    "typed", ["zebra", "tassa zebra", "-tassa", '"tassa paga"', "cta_1", "bottone", "ta"]
)
async def test_what_is_not_there_is_not_found(
    pool: Pool, mail: Mail, world: World, typed: str
) -> None:
    """Front matter, which is for machines, is not there either."""
    citizen = await enrol(pool)
    front = '---\nit:\n  cta_1:\n    text: "bottone"\n---\n'
    await mail.send(world.anna, citizen, markdown=f"{front}Paga la tassa.{LONG}")
    assert await found(pool, citizen, "tassa")
    assert await found(pool, citizen, typed) == []


async def test_one_s_own_messages_only_newest_first_and_narrowed_too(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen, other = await enrol(pool), await enrol(pool)
    first, second = [await mail.send(world.anna, citizen) for _ in range(2)]
    foreign = await mail.send(world.anna, other)
    assert await found(pool, citizen, "tessera") == [second, first]
    assert await found(pool, other, "tessera") == [foreign]
    async with pool.transaction() as conn:
        await mailbox.mark(conn, citizen, [first], archived=True)
    assert await found(pool, citizen, "tessera") == [second]
    assert await found(pool, citizen, "tessera", archived=True) == [first]
    assert await found(pool, citizen, "tessera", service_id=world.bruno.id) == []


async def test_accepting_and_deciding_index_nothing_and_what_came_since_is_found(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    first = await mail.send(world.anna, citizen)
    assert await indexed(pool, citizen) == 0
    assert await found(pool, citizen, "tessera") == [first]
    assert await indexed(pool, citizen) == 1
    second = await mail.send(world.anna, citizen)
    assert await found(pool, citizen, "tessera") == [second, first]


async def test_a_message_not_decided_yet_is_neither_indexed_nor_found(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    await mail.post(world.anna, citizen)
    assert await found(pool, citizen, "tessera") == []
    assert await indexed(pool, citizen) == 0
    await mail.settle()


async def test_a_login_has_everything_indexed_however_much_it_is(
    pool: Pool, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one transaction of the worker takes; asked for twice and more."""
    monkeypatch.setattr(search, "_BATCH", 40)
    citizen = await enrol(pool)
    await fill(pool, citizen, 130, size=100)
    identity = Identity(citizen, "Anna", "Prova", "https://www.spid.gov.it/SpidL2")
    async with pool.transaction() as conn:
        await welcome(conn, identity)
        await search.queue_indexing(conn, citizen)
    async with pool.transaction() as conn:
        await search.queue_indexing(conn, citizen)
    await mail.settle()
    assert await indexed(pool, citizen) == 130
    async with pool.connection() as conn:
        assert await conn.raw.fetchval("SELECT count(*) FROM work.item") == 0
    await wipe(pool, citizen)


async def test_a_search_indexes_the_newest_and_leaves_the_rest_to_the_worker(
    pool: Pool, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_AT_ONCE", 20)
    citizen = await enrol(pool)
    ids = await fill(pool, citizen, 50, words="zafferano", size=100)
    assert await found(pool, citizen, "zafferano") == ids[:-21:-1]
    await mail.settle()
    assert await found(pool, citizen, "zafferano") == ids[::-1]
    await wipe(pool, citizen)


async def test_several_citizens_are_indexed_in_one_batch(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizens = [await enrol(pool) for _ in range(4)]
    for citizen in citizens:
        await mail.post(world.anna, citizen)
    await mail.settle()
    async with pool.transaction() as conn:
        for citizen in citizens:
            await search.queue_indexing(conn, citizen)
    await mail.settle()
    assert [await indexed(pool, citizen) for citizen in citizens] == [1] * 4


async def test_two_that_index_at_once_leave_each_message_once(pool: Pool) -> None:
    citizen = await enrol(pool)
    ids = await fill(pool, citizen, 200)

    async def index() -> int:
        async with pool.transaction() as conn:
            return await search.index_new(conn, citizen)

    assert sum(await asyncio.gather(*(index() for _ in range(4)))) == 200
    assert await indexed(pool, citizen) == len(ids)
    await wipe(pool, citizen)


@pytest.mark.parametrize(
    "body",
    [
        "x" * 10_000,  # one word longer than an index takes
        " ".join(f"w{number:x}" for number in range(2500)),
        "€" * 3000 + " parola",
        "'\\:*&|!<->()" * 800,
        "---\n" * 2500,
        "---\n" + "a: " * 3000,
        "http://example.org/" + "a/" * 4000,
        "\u202e\u200d\ufeff " * 2000,
    ],
)
async def test_no_body_is_too_strange_to_be_indexed(
    pool: Pool, mail: Mail, world: World, body: str
) -> None:
    citizen = await enrol(pool)
    wanted = await mail.send(
        world.anna, citizen, subject="Qualcosa di strano", markdown=body[:9_990].ljust(80)
    )
    assert await found(pool, citizen, "strano") == [wanted]


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(words=st.text(max_size=400) | st.text(alphabet="ab'\"\\:*&|!<->() \x00", max_size=60))
async def test_whatever_is_typed_is_a_search(pool: Pool, world: World, words: str) -> None:
    async with pool.connection() as conn:
        await search.prepare(conn, "TSTNBD80A01Y009X", words)


@pytest.mark.parametrize("sign", ["-", "- ", "-_", "-!", "-(", "-²"])
async def test_two_hundred_characters_of_negations_find_something_or_nothing(
    pool: Pool, sign: str
) -> None:
    """The server refuses 33 negations in a row, and it would look like a failure of its own."""
    assert await found(pool, await enrol(pool), (sign * 200)[:190] + " tessera") == []


async def test_of_ten_kilobytes_the_first_two_hundred_characters_count(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    wanted = await mail.send(world.anna, citizen)
    assert await found(pool, citizen, "tessera" + " " * 193 + "zebra" * 2000) == [wanted]
