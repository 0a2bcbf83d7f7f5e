"""Attachments through the API: which may be opened, and how they are passed on."""

import asyncio
import contextlib
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messo.base import clock
from messo.base.db import Pool
from messo.base.outbound import ForbiddenAddressError
from messo.content import announced
from messo.content.address import message_url, tail, tail_of
from tests.conftest import Running
from tests.content.conftest import MakeReader
from tests.content.institution import MESSAGE, PDF, THIRD, Institution, answer, detail, listed

MIB = 1024 * 1024


def chunked(*pieces: bytes) -> bytes:
    """An answer of no announced length."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (*pieces, b""))


async def test_an_announced_attachment_is_passed_on_as_it_comes(
    town: Institution, make_reader: MakeReader
) -> None:
    reader = await make_reader()
    url = (await reader.get()).json()["third_party_message"]["attachments"][0]["url"]
    opened = await reader.get(f"/attachments/{url}")
    assert (opened.status_code, opened.content) == (200, PDF)
    assert opened.headers["content-type"] == "application/octet-stream"
    assert opened.headers["cache-control"] == "no-store"
    assert opened.headers["x-content-type-options"] == "nosniff"
    assert opened.headers["content-length"] == str(len(PDF))
    assert "content-disposition" not in opened.headers
    assert town.asked[-1] == "/remote/messages/42/attachments/uno"
    assert town.headers()["fiscal_code"] == reader.person.code


async def test_without_an_announced_length_it_comes_in_chunks(
    town: Institution, make_reader: MakeReader
) -> None:
    town.serves(f"{MESSAGE}/attachments/uno", chunked(b"%", b"P", b"D", b"F", b"-1.7 and more"))
    reader = await make_reader()
    await reader.get()
    opened = await reader.get("/attachments/attachments/uno")
    assert (opened.status_code, opened.content) == (200, b"%PDF-1.7 and more")
    assert "content-length" not in opened.headers


@pytest.mark.parametrize(
    "body", [b"", b"%PD", b"<html>", b"PK\x03\x04", b"\n%PDF-1.7", b"{}", b"%pdf-1.7"]
)
async def test_what_does_not_begin_like_a_pdf_is_no_pdf(
    town: Institution, make_reader: MakeReader, body: bytes
) -> None:
    town.serves(f"{MESSAGE}/attachments/uno", answer(body, kind="application/pdf"))
    reader = await make_reader()
    await reader.get()
    opened = await reader.get("/attachments/attachments/uno")
    assert (opened.status_code, opened.json()["title"]) == (415, "Unsupported Media Type")


@pytest.mark.parametrize(
    ("announced_as", "asked_as", "sent_as"),
    [
        ("attachments/uno", "attachments/uno", "attachments/uno"),
        ("/attachments/uno", "attachments/uno", "attachments/uno"),
        ("//attachments/uno", "/attachments/uno", "attachments/uno"),
        ("a b.pdf", "a%20b.pdf", "a%20b.pdf"),
        ("a%20b.pdf", "a%20b.pdf", "a%20b.pdf"),
        ("più/uno", "pi%C3%B9/uno", "pi%C3%B9/uno"),
        ("a/b/c", "a%2Fb%2Fc", "a/b/c"),
        ("doc?n=1&m=2", "doc?n=1&m=2", "doc?n=1&m=2"),
        ("100%.pdf", "100%25.pdf", "100%25.pdf"),
        ("a'(b)\"<c>.pdf", "a'(b)%22%3Cc%3E.pdf", "a'(b)%22%3Cc%3E.pdf"),
    ],
)
async def test_the_same_address_in_another_spelling_is_the_same(
    town: Institution, make_reader: MakeReader, announced_as: str, asked_as: str, sent_as: str
) -> None:
    town.serves(MESSAGE, detail(listed("x") | {"url": announced_as}))
    town.serves(f"{MESSAGE}/{sent_as}", answer(PDF))
    reader = await make_reader()
    await reader.get()
    opened = await reader.get(f"/attachments/{asked_as}")
    assert (opened.status_code, town.asked[-1]) == (200, f"/remote/messages/42/{sent_as}")


@pytest.mark.parametrize(
    "asked",
    [
        "attachments/due",
        "attachments/uno?more=1",
        "attachments/uno/",
        "attachments//uno",
        "attachments/./uno",
        "attachments/x/../uno",
        "attachments%2F..%2F..%2Fmessages%2F43",
        "../43",
        "attachments/uno%00",
        "attachments\\uno",
        "Attachments/uno",
        "http://127.0.0.1/",
    ],
)
async def test_what_was_not_announced_is_not_there_and_not_asked_for(
    town: Institution, make_reader: MakeReader, running: Running, asked: str
) -> None:
    reader = await make_reader()
    await reader.get()
    before = len(town.asked)
    # As it stands: no client library between that tidies it.
    path = f"{THIRD}/{reader.message_id}/attachments/{asked}"
    coming, going = await asyncio.open_connection("127.0.0.1", urlsplit(running.url).port)
    bearer = f"Authorization: Bearer {reader.person.token}"
    going.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{bearer}\r\nConnection: close\r\n\r\n".encode())
    answered = await coming.read()
    going.close()
    await going.wait_closed()
    assert answered.startswith(b"HTTP/1.1 404 "), answered
    assert len(town.asked) == before


async def test_nothing_may_be_opened_before_the_message_was_read(
    town: Institution, make_reader: MakeReader
) -> None:
    reader = await make_reader()
    opened = await reader.get("/attachments/attachments/uno")
    assert (opened.status_code, opened.json()["title"]) == (404, "Not found")
    assert town.asked == []
    assert (await reader.get("/attachments/")).status_code == 400


async def test_it_may_be_opened_for_a_quarter_of_an_hour_by_who_read_it(
    make_reader: MakeReader, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, other = await make_reader(), await make_reader()
    await reader.get()
    assert (await other.get("/attachments/attachments/uno")).status_code == 404
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=14))
    assert (await reader.get("/attachments/attachments/uno")).status_code == 200
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=16))
    assert (await reader.get("/attachments/attachments/uno")).status_code == 404
    # What is too old is forgotten, what is not stays.
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO content.allowed (bucket, digest, expires_at) VALUES (0, 'x', $1)",
            now + timedelta(minutes=20),
        )
        assert not await announced.forget(conn)
        left = await conn.raw.fetch("DELETE FROM content.allowed RETURNING digest")
    assert [row["digest"] for row in left] == [b"x"]


async def test_a_message_that_promised_none_has_none(
    town: Institution, make_reader: MakeReader
) -> None:
    reader = await make_reader(has_attachments=False)
    assert (await reader.get()).json()["third_party_message"]["attachments"] == []
    assert (await reader.get("/attachments/attachments/uno")).status_code == 404


async def test_only_hashes_are_kept_of_what_was_announced(
    town: Institution, make_reader: MakeReader, pool: Pool
) -> None:
    town.serves(MESSAGE, detail(listed("uno", name="Segretissimo.pdf"), subject="Segretissimo 1"))
    reader = await make_reader()
    assert "Segretissimo" in (await reader.get()).text
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT a.* FROM content.allowed AS a")
    assert rows
    assert {len(row["digest"]) for row in rows} == {32}
    assert {row["sealed"] for row in rows} == {None}


# Passing on --------------------------------------------------------------------------------------


async def test_who_reads_slowly_holds_the_institution_up(
    town: Institution, make_reader: MakeReader, running: Running
) -> None:
    """Of 20 MiB only as much is taken as there is room on the way."""
    taken = 0
    stopped = asyncio.Event()

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%%PDF" % (20 * MIB))
        taken = 4
        while taken < 20 * MIB:
            size = min(64 * 1024, 20 * MIB - taken)
            writer.write(b"x" * size)
            try:
                async with asyncio.timeout(1):
                    await writer.drain()
            except TimeoutError:
                stopped.set()
                await writer.drain()
            taken += size

    town.serves(f"{MESSAGE}/attachments/uno", pour)
    reader = await make_reader()
    await reader.get()
    path = f"{THIRD}/{reader.message_id}/attachments/attachments/uno"
    headers = {"Authorization": f"Bearer {reader.person.token}"}
    async with running.client.stream("GET", path, headers=headers) as opened:
        assert opened.status_code == 200
        await asyncio.wait_for(stopped.wait(), 20)  # nobody has read a byte
        assert taken < 16 * MIB
        size = sum([len(piece) async for piece in opened.aiter_raw()])
    assert size == 20 * MIB


async def test_who_goes_away_ends_the_request_to_the_institution(
    town: Institution, make_reader: MakeReader, running: Running
) -> None:
    gone = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%%PDF" % (20 * MIB))
        writer.write(b"x" * 100_000)
        await writer.drain()
        asyncio.get_running_loop().call_soon(writer.write, b"x" * 100_000)
        await reader.read()  # until the other side closes
        gone.set()

    town.serves(f"{MESSAGE}/attachments/uno", pour)
    reader = await make_reader()
    await reader.get()
    path = f"{THIRD}/{reader.message_id}/attachments/attachments/uno"
    headers = {"Authorization": f"Bearer {reader.person.token}"}
    async with (
        httpx.AsyncClient(base_url=running.url) as client,
        client.stream("GET", path, headers=headers) as opened,
    ):
        assert opened.status_code == 200
        async for _ in opened.aiter_raw():
            break
    await asyncio.wait_for(gone.wait(), 20)


@pytest.mark.parametrize("announced_length", [True, False])
async def test_what_breaks_off_never_looks_whole(
    town: Institution, make_reader: MakeReader, announced_length: bool
) -> None:
    async def break_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if announced_length:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
            writer.write(PDF)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%s\r\n" % (len(PDF), PDF))
        await writer.drain()
        writer.close()

    town.serves(f"{MESSAGE}/attachments/uno", break_off)
    reader = await make_reader()
    await reader.get()
    with pytest.raises(httpx.RemoteProtocolError):
        await reader.get("/attachments/attachments/uno")


async def test_more_than_is_allowed_breaks_off(town: Institution, make_reader: MakeReader) -> None:
    """Announced, it is refused before a byte; not announced, it never looks whole."""

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n%PDF\r\n")
        for _n in range(21):
            writer.write(b"%x\r\n" % MIB + b"x" * MIB + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    town.serves(MESSAGE, detail(listed("uno"), listed("due")))
    town.serves(f"{MESSAGE}/attachments/uno", pour)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%%PDF" % (2 * 1024 * MIB)
    town.serves(f"{MESSAGE}/attachments/due", head)
    reader = await make_reader()
    await reader.get()
    refused = await reader.get("/attachments/attachments/due")
    assert (refused.status_code, refused.json()["type"]) == (
        502,
        "urn:messo:remote-content:too-large",
    )
    with pytest.raises(httpx.RemoteProtocolError):
        await reader.get("/attachments/attachments/uno")


async def test_exactly_what_is_allowed_comes_whole(
    town: Institution, make_reader: MakeReader
) -> None:
    whole = b"%PDF" + b"x" * (20 * MIB - 4)
    town.serves(f"{MESSAGE}/attachments/uno", answer(whole, kind="application/pdf"))
    reader = await make_reader()
    await reader.get()
    assert (await reader.get("/attachments/attachments/uno")).content == whole


async def test_one_citizen_has_four_on_their_way(
    town: Institution, make_reader: MakeReader, running: Running
) -> None:
    """However slowly they are read, the institution has places for others."""
    release = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%PDF")
        await release.wait()
        writer.write(b"rest")

    town.serves(f"{MESSAGE}/attachments/uno", hold)
    reader, other = await make_reader(), await make_reader()
    await reader.get()
    await other.get()
    path = f"{THIRD}/{reader.message_id}/attachments/attachments/uno"
    headers = {"Authorization": f"Bearer {reader.person.token}"}
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(running.client.stream("GET", path, headers=headers))
            for _ in range(4)
        ]
        refused = await reader.get("/attachments/attachments/uno")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        waiting = asyncio.ensure_future(other.get("/attachments/attachments/uno"))
        release.set()
        assert [await one.aread() for one in opened] == [b"%PDFrest"] * 4
        assert (await waiting).content == b"%PDFrest"
    assert (await reader.get("/attachments/attachments/uno")).status_code == 200


# Addresses ---------------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_an_attachment_s_address_never_leaves_its_message(url: str) -> None:
    found = tail_of(url)
    if found is None:
        return
    path = found.partition("?")[0]
    assert found.isascii()
    assert not {".", "..", ""} & {path.split("/")[0]}
    assert not {".", ".."} & set(path.split("/"))
    assert "#" not in found
    assert tail_of(found) == found


@given(st.text(min_size=1, max_size=100))
def test_a_message_s_address_is_one_segment(remote_id: str) -> None:
    try:
        url = message_url("https://a.example.org/base", remote_id)
    except ForbiddenAddressError:
        return
    rest = url.removeprefix("https://a.example.org/base/messages/")
    assert rest != url
    assert not set("/?#") & set(rest)
    assert rest not in {".", ".."}


@pytest.mark.parametrize("path", ["", "/", "..", "a/../b", "a\x00b", "a\nb", "a\\b", "./a"])
def test_what_leads_out_is_no_address(path: str) -> None:
    assert tail(path, "") is None
