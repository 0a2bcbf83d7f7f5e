"""Institutions' servers that hang, lie and lead astray: the exact answer, and nobody else waits."""

import asyncio
import contextlib
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from messo.base.db import Pool
from messo.base.work import Worker
from messo.content import Ask, Configurations, Fetch, Promised, Remote
from messo.content.problems import NotServedProblem
from tests.base.test_outbound import LOOPBACK, client, names
from tests.conftest import Running
from tests.content.conftest import MakeReader
from tests.content.institution import (
    MESSAGE,
    PDF,
    STATIC,
    Institution,
    answer,
    detail,
    institution,
    reader,
)
from tests.world import World, add_configuration

TEXTS = ["", "/precondition"]
ALL = [*TEXTS, "/attachments/attachments/uno"]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def refused(town: Institution, make_reader: MakeReader, more: str, told: object) -> object:
    """What the citizen's client gets, as `status reason`; `told`: what the server then does."""
    one = await make_reader()
    await one.get()  # so that the attachment is announced
    town.serves(MESSAGE + more.replace("/attachments/attachments", "/attachments"), told)  # type: ignore[arg-type]
    read = await one.get(more)
    problem = read.json()
    assert problem["status"] == read.status_code
    assert read.headers["content-type"] == "application/problem+json"
    return f"{read.status_code} {problem['type'].rpartition(':')[2]}"


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head, and then one byte a second."""
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n%PDF")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(1)


async def drip_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for letter in b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf":
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(1)


async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Two gigabytes, not announced."""
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    for _n in range(32_768):
        writer.write(piece)
        await writer.drain()


async def test_a_server_that_hangs_or_drips_is_waited_for_five_seconds(
    running: Running, worker: Worker, world: World, citizens: Iterator[str]
) -> None:
    """Each way of keeping us waiting, for each of the calls; side by side, for they take long."""
    async with contextlib.AsyncExitStack() as stack:
        cases = []
        for how in (hang, drip_head, drip):
            for more in ALL if how is not drip else TEXTS:
                town = await stack.enter_async_context(institution())
                one = await reader(running, worker, world, next(citizens), town.base_url)
                await one.get()
                town.serves(MESSAGE + more.replace("/attachments/attach", "/attach"), how)
                cases.append((how, more, one))
        began = time.monotonic()
        answers = await asyncio.gather(*[one.get(more) for _, more, one in cases])
        elapsed = time.monotonic() - began
    for (how, more, _), read in zip(cases, answers, strict=True):
        said = (read.status_code, read.json()["title"])
        assert said == (504, "Gateway Timeout"), (how.__name__, more)
    assert 4.5 < elapsed < 9


@pytest.mark.parametrize("more", TEXTS)
@pytest.mark.parametrize(
    "told",
    [
        answer(b"<!doctype html><title>Benvenuti</title>", kind="text/html"),
        answer(b""),
        answer(b"{"),
        answer(b"nul"),
        answer(b"[" * 100_000),
        answer(b'{"a":' * 100_000),
        answer(b"\xff\xfe\x00"),
        answer("details"),
        answer(None),
        answer(12),
        answer(b'{"details": {"subject": "\xff"}}'),
        answer(b'{"title": 1, "markdown": [], "details": 3}'),
    ],
    ids=range(12),
)
async def test_what_is_not_the_protocol_s_json_is_a_bad_gateway(
    town: Institution, make_reader: MakeReader, more: str, told: bytes
) -> None:
    assert await refused(town, make_reader, more, told) == "502 wrong"


@pytest.mark.parametrize("more", ALL)
@pytest.mark.parametrize(
    "told",
    [
        b"HELO mail.example.org\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=range(5),
)
async def test_what_is_no_http_is_a_bad_gateway(
    town: Institution, make_reader: MakeReader, more: str, told: bytes
) -> None:
    assert await refused(town, make_reader, more, told) == "502 down"


@pytest.mark.parametrize("more", TEXTS)
@pytest.mark.parametrize(
    "told",
    [
        pour,
        HEAD + b"Content-Length: 2147483648\r\n\r\n",
        answer(b'{"details":"' + b"x" * 1024 * 1024 + b'"}'),
    ],
    ids=["poured", "announced", "a bit more"],
)
async def test_more_than_a_mebibyte_of_text_is_too_large(
    town: Institution, make_reader: MakeReader, more: str, told: object
) -> None:
    assert await refused(town, make_reader, more, told) == "502 too-large"


async def test_a_mebibyte_of_text_is_read(town: Institution, make_reader: MakeReader) -> None:
    whole = detail(more="x" * 1_000_000)
    town.serves(MESSAGE, whole)
    read = await (await make_reader()).get()
    assert read.json()["third_party_message"]["details"] == whole["details"]


@pytest.mark.parametrize("more", TEXTS)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x"])
async def test_a_zip_bomb_is_never_unpacked(
    town: Institution, make_reader: MakeReader, more: str, coding: str
) -> None:
    bomb = gzip.compress(b" " * 200_000_000, 6) if coding != "deflate" else _deflated()
    told = answer(bomb, Content_Encoding=coding)
    assert await refused(town, make_reader, more, told) == "502 too-large"


def _deflated() -> bytes:
    return zlib.compress(b" " * 200_000_000, 6)


async def test_a_packed_attachment_is_refused_unseen(
    town: Institution, make_reader: MakeReader
) -> None:
    told = answer(gzip.compress(PDF), Content_Encoding="gzip")
    assert await refused(town, make_reader, ALL[2], told) == "502 too-large"


async def test_a_packed_text_within_the_bound_is_read(
    town: Institution, make_reader: MakeReader
) -> None:
    packed = gzip.compress(json.dumps(detail()).encode())
    town.serves(MESSAGE, answer(packed, Content_Encoding="gzip"))
    assert (await (await make_reader()).get()).status_code == 200


@pytest.mark.parametrize("more", ALL)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/meta-data/", "self"])
async def test_a_redirect_is_not_followed(
    town: Institution, make_reader: MakeReader, more: str, status: int, to: str
) -> None:
    where = f"{town.base_url}/elsewhere" if to == "self" else to
    told = answer(b"", status, Location=where)
    assert await refused(town, make_reader, more, told) == "502 wrong"
    assert "/remote/elsewhere" not in town.asked


@pytest.mark.parametrize(
    "base_url",
    [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://[::1]:1/",  # not in the network that the operator has listed
        "http://0x7f.1/",
        "http://1.1.1.1/",  # public, and not encrypted
        "file:///etc/passwd",
        "https://a@b.example.org/",
    ],
)
async def test_an_address_inside_is_not_called(make_reader: MakeReader, base_url: str) -> None:
    read = await (await make_reader(base_url)).get()
    assert (read.status_code, read.json()["type"]) == (502, "urn:messo:remote-content:wrong")
    assert base_url.split("/")[2] not in read.text or not base_url.split("/")[2]


async def test_a_name_that_changes_its_address_gains_nothing(
    pool: Pool, running: Running, world: World
) -> None:
    """The first answer of the resolver is listed; the second, a moment later, leads inside."""
    resolve = names(["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1", "::1"])
    async with institution() as town, client(allowed=LOOPBACK[:1], resolve=resolve) as first:
        port = town.server.port if town.server else 0
        async with pool.transaction() as conn:
            configuration = await add_configuration(
                conn, world.secrets, world.anna.institution, f"http://rebind.test:{port}/remote"
            )
        configurations = Configurations(pool, running.started.directory, world.secrets)
        remote = Remote("m", "c", configuration, "42", Promised(True, True, *STATIC.values()))
        assert (await Fetch(configurations, Ask(first)).detail(remote)).subject
        for _ in range(3):  # clients that have to look the name up again
            async with client(allowed=LOOPBACK[:1], resolve=resolve) as later:
                with pytest.raises(NotServedProblem) as failed:
                    await Fetch(configurations, Ask(later)).detail(remote)
            assert (failed.value.status, failed.value.reason) == (502, "wrong")
        assert len(town.asked) == 1


# Others ------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def besieged(
    running: Running, worker: Worker, world: World, codes: Iterator[str], how: object
) -> AsyncIterator[Sequence[asyncio.Task[int]]]:
    """Thirty citizens open messages of an institution whose server misbehaves."""
    async with institution() as bad:
        bad.serves(MESSAGE, how)  # type: ignore[arg-type]
        victims = [
            await reader(running, worker, world, next(codes), bad.base_url) for _ in range(30)
        ]

        async def open_it(who: int) -> int:
            return (await victims[who].get()).status_code

        tasks = [asyncio.create_task(open_it(who)) for who in range(30)]
        while bad.server is not None and len(bad.server.heads) < 5:
            await asyncio.sleep(0.01)
        yield tasks


@pytest.mark.parametrize("how", [hang, drip, pour])
async def test_nobody_else_waits_for_an_institution_that_misbehaves(
    running: Running,
    worker: Worker,
    world: World,
    citizens: Iterator[str],
    make_reader: MakeReader,
    how: object,
) -> None:
    """Another institution's messages are read, and all the rest is done, as if it were not there."""
    well = await make_reader()
    async with besieged(running, worker, world, citizens, how) as tasks:
        began = time.monotonic()
        for _ in range(20):
            assert (await well.get()).status_code == 200
            assert (await well.get("/attachments/attachments/uno")).status_code == 200
            assert (await well.person.get("/api/communication/v1/messages")).status_code == 200
        assert time.monotonic() - began < 4  # while the others wait for five seconds each
        statuses = await asyncio.gather(*tasks)
    assert set(statuses) <= {502, 503, 504}


async def test_one_institution_has_only_so_many_places(
    running: Running, worker: Worker, world: World, citizens: Iterator[str]
) -> None:
    """Also over all its configurations: whoever comes too many is told to come again."""
    async with institution() as bad:
        bad.serves(MESSAGE, hang)
        victims = [
            await reader(running, worker, world, next(citizens), bad.base_url) for _ in range(40)
        ]
        answers = await asyncio.gather(*[one.get() for one in victims])
    turned_away = [one for one in answers if one.status_code == 503]
    assert len(turned_away) == 8
    assert {one.json()["type"].rpartition(":")[2] for one in turned_away} == {"busy"}
    assert all(int(one.headers["retry-after"]) >= 1 for one in turned_away)
    assert {one.status_code for one in answers} == {503, 504}


async def test_a_server_that_is_well_again_is_asked_again(
    town: Institution, make_reader: MakeReader
) -> None:
    one = await make_reader()

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    town.serves(MESSAGE, close)
    for _ in range(3):
        assert (await one.get()).status_code == 502
    town.serves(MESSAGE, detail())
    assert (await one.get()).status_code == 200
