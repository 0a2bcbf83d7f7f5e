"""Whatever is sent, the answer is a refusal that explains itself, and the server goes on."""

import asyncio
import contextlib
import copy
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote, urlsplit

import anyio.to_thread
import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from messo.base import server
from messo.base.db import Pool
from messo.services.keys import create_pair
from messo.services.services import create_institution
from messo.settings import Settings
from tests.conftest import Running, free_port, until_started
from tests.world import ALL, AUTO, World, message

BODY_LIMIT = Settings().body_limit
# The same examples every time: a run that fails can be repeated.
bounded = hypothesis.settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

VALID: dict[str, Any] = {
    **message(
        require_secure_channels=True,
        due_date="2030-01-31T22:59:59Z",
        payment_data={
            "amount": 1,
            "notice_number": "302000000000000083",
            "invalid_after_due_date": True,
            "payee": {"fiscal_code": "01234567890"},
        },
        eu_covid_cert={"auth_code": "x"},
        prescription_data={"nre": "n" * 15, "iup": "i", "prescriber_fiscal_code": AUTO},
        legal_data={"sender_mail_from": "x", "message_unique_id": "x", "has_attachment": None},
    ),
    "time_to_live": 3600,
    "feature_level_type": "ADVANCED",
    "default_addresses": {"email": "a@b.it"},
}


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(value, dict):
        for name, member in value.items():
            found += places(member, (*path, name))
    return found


json_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()  # NaN and Infinity too, which are not JSON
    | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=20,
)


@strategies.composite
def spoiled(draw: strategies.DrawFn) -> bytes:
    """A valid message with one place replaced, written in one of the ways JSON allows."""
    body: Any = copy.deepcopy(VALID)
    path = draw(strategies.sampled_from(places(VALID)))
    value = draw(json_values)
    if not path:
        body = value
    else:
        at = body
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value
    text = json.dumps(body, ensure_ascii=draw(strategies.booleans()))
    return text.encode("utf-8", "surrogatepass")


async def post(
    running: Running, world: World, content: bytes, path: str = "/api/v1/messages", **headers: str
) -> httpx.Response:
    return await running.client.post(
        path,
        content=content,
        headers=world.anna.headers | {"Content-Type": "application/json"} | headers,
    )


def explained(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    """It is a complete problem document; the document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


async def still_answers(running: Running, world: World) -> None:
    assert (await post(running, world, json.dumps(message()).encode())).status_code == 201


# Arbitrary bodies ------------------------------------------------------------------------------


@bounded
@hypothesis.given(body=strategies.binary(max_size=400))
async def test_arbitrary_bytes_are_refused(running: Running, world: World, body: bytes) -> None:
    for path in ("/api/v1/messages", f"/api/v1/messages/{AUTO}", "/api/v1/profiles"):
        explained(await post(running, world, body, path))


@bounded
@hypothesis.given(value=json_values)
async def test_arbitrary_json_is_refused(running: Running, world: World, value: Any) -> None:
    body = json.dumps(value).encode()
    for path in ("/api/v1/messages", "/api/v1/profiles"):
        explained(await post(running, world, body, path))


@hypothesis.settings(bounded, max_examples=400)
@hypothesis.given(body=spoiled())
async def test_one_spoiled_place_is_refused_or_harmless(
    running: Running, world: World, body: bytes
) -> None:
    answer = await post(running, world, body)
    if answer.status_code != 201:
        # A text of the right length, a null that means the default: those are accepted.
        assert answer.status_code in {400, 403}, answer.text
        explained(answer, answer.status_code)


@bounded
@hypothesis.given(
    cut=strategies.integers(0, 1000), place=strategies.integers(0, 1000), by=strategies.binary()
)
async def test_a_valid_message_with_a_piece_overwritten(
    running: Running, world: World, cut: int, place: int, by: bytes
) -> None:
    whole = json.dumps(VALID).encode()
    body = whole[:place] + by + whole[place + cut :]
    answer = await post(running, world, body)
    assert answer.status_code in {201, 400}, answer.text
    if answer.status_code == 400:
        explained(answer)


@bounded
@hypothesis.given(
    name=strategies.sampled_from(
        [b"Idempotency-Key", b"X-Messo-Reference", b"Content-Type", b"X-Forwarded-For",
         b"Content-Encoding", b"Ocp-Apim-Subscription-Key", b"Origin", b"Accept"]
    ),
    value=strategies.binary(max_size=300).filter(
        lambda value: not set(value) & {0, 10, 13} and value.strip() == value
    ),
)  # fmt: skip
async def test_arbitrary_header_values_are_survived(
    running: Running, world: World, name: bytes, value: bytes
) -> None:
    headers = [(b"Ocp-Apim-Subscription-Key", world.anna.key.encode())]
    if name == headers[0][0]:
        headers.clear()
    try:
        answer = await running.client.post(
            "/api/v1/messages", content=json.dumps(message()), headers=[*headers, (name, value)]
        )
    except httpx.LocalProtocolError:
        return  # not even the client will send it
    assert answer.status_code in {201, 400, 401, 415, 422}, answer.text


@bounded
@hypothesis.given(text=strategies.text(min_size=1, max_size=60))
async def test_arbitrary_paths_and_ids_are_survived(
    running: Running, world: World, text: str
) -> None:
    part = quote(text.encode("utf-8", "surrogatepass"), safe="")
    for path in (
        f"/api/v1/messages/{AUTO}/{part}",
        f"/api/v1/messages/{part}/x",
        f"/api/v1/profiles/{part}",
        f"/messo/v1/messages/{part}",
        f"/messo/v1/messages?reference={part}",
        f"/{part}",
    ):
        answer = await running.client.get(path, headers=world.anna.headers)
        assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize(
    "text", ["%00", "a%00b", "%ff%fe", "%ed%a0%80", "%2e%2e", "%2F", "x" * 9000]
)
async def test_an_id_that_cannot_be_one_is_not_found(
    running: Running, world: World, text: str
) -> None:
    for path in (f"/api/v1/messages/{AUTO}/{text}", f"/messo/v1/messages/{text}"):
        answer = await running.client.get(path, headers=world.anna.headers)
        assert answer.status_code == 404, answer.text


async def test_an_impossible_id_does_not_disturb_those_asked_with_it(
    running: Running, world: World
) -> None:
    sent = await post(running, world, json.dumps(message()).encode())
    good = sent.headers["location"]
    answers = await asyncio.gather(
        *(
            running.client.get(path, headers=world.anna.headers)
            for _ in range(20)
            for path in (good, f"/api/v1/messages/{AUTO}/%00")
        )
    )
    assert [answer.status_code for answer in answers] == [200, 404] * 20


# JSON ------------------------------------------------------------------------------------------

WHOLE = json.dumps(VALID).encode()


def with_member(member: str, first: bool = False) -> bytes:
    """The valid message with one more member, as text."""
    text = WHOLE.decode()
    return (f"{{{member},{text[1:]}" if first else f"{text[:-1]},{member}}}").encode()


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b'{"content": }', 1, 13),
        (b'{"content":\n  {"subject": }}', 2, 15),
        (b"{\n\n\n  nonsense", 4, 3),
        (b"", 1, 1),
        (b"{", 1, 2),
        (b'{"content":\n{"subject":"x"', 2, 15),
        (b'{"content":\n"abc', 2, 5),
        (WHOLE + b"\nx", 2, 2),
        (WHOLE + WHOLE, 1, len(WHOLE) + 2),
        (WHOLE[:-1] + b",}", 1, len(WHOLE) + 1),
        (WHOLE[:-1] + b',"a":NaN}', 1, len(WHOLE) + 5),
        (b"\xef\xbb\xbf" + WHOLE, 1, 1),
        (b"\x00", 1, 1),
        (b"<xml/>", 1, 1),
        (b"subject=x&markdown=y", 1, 1),
    ],
)  # fmt: skip
async def test_malformed_json_is_refused_with_its_place(
    running: Running, world: World, body: bytes, line: int, column: int
) -> None:
    for path, title in (
        ("/api/v1/messages", "Invalid message structure"),
        ("/api/v1/profiles", "Invalid FiscalCodePayload"),
    ):
        document = explained(await post(running, world, body, path))
        assert document["title"] == title
        if path == "/api/v1/messages" or WHOLE not in body:
            assert f"at line {line}, column {column}" in document["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        with_member('"x":' + "[" * 50_000 + "]" * 50_000),
        with_member('"x":' + '{"a":' * 20_000 + "1" + "}" * 20_000, first=True),
        with_member('"time_to_live":3600.0,"x":' + "[" * 50_000 + "]" * 50_000, first=True),
        with_member('"x":1,"x":' + "[" * 50_000 + "]" * 50_000),
    ],
)
async def test_deep_nesting_is_refused(running: Running, world: World, body: bytes) -> None:
    assert len(body) <= BODY_LIMIT
    explained(await post(running, world, body))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (with_member('"content":{}'), "content"),
        (with_member('"content":{}', first=True), "content"),
        (with_member(f'"fiscal_code":"{AUTO}"'), "fiscal_code"),
        (with_member('"time_to_live":3600'), "time_to_live"),
        (with_member('"time_to_live" \n\t: 3600'), "time_to_live"),
        (WHOLE.replace(b'"subject"', b'"subject":"another one","subject"'), "subject"),
        (WHOLE.replace(b'"amount"', b'"amount":1,"amount"'), "amount"),
        (WHOLE.replace(b'"payee": {', b'"payee": {"fiscal_code":"00000000000",'), "fiscal_code"),
        (with_member('"unknown":{"a":[{"b":1,"b":2}]}'), "b"),
        # Escapes do not hide it.
        (with_member('"\\u0063ontent":{}'), "content"),
        (with_member('"fiscal\\u005fcode":"x"'), "fiscal_code"),
        (WHOLE.replace(b'"amount"', b'"\\u0061m\\u006Funt":1,"amount"'), "amount"),
    ],
)
async def test_a_member_given_twice_is_refused_at_any_depth(
    running: Running, world: World, body: bytes, name: str
) -> None:
    document = explained(await post(running, world, body))
    assert f"'{name}' is given 2 times" in document["detail"]
    assert document["field"] == name


async def test_the_same_name_in_two_objects_is_no_duplicate(running: Running, world: World) -> None:
    body = with_member('"a":{"content":1,"subject":2},"b":{"content":1}')
    assert (await post(running, world, body)).status_code == 201


@pytest.mark.parametrize(
    "number",
    ["1" + "0" * 30, "1" + "0" * 5000, "-1" + "0" * 400, "1e400", "-1e99999", "1e308", "1e-400",
     "0." + "0" * 9000 + "1", "18446744073709551616", "9223372036854775808", "01", "+1", ".5", "1.",
     "0x10", "NaN", "Infinity", "-Infinity", "1_000"],
)  # fmt: skip
async def test_numbers_out_of_all_proportion_are_refused(
    running: Running, world: World, number: str
) -> None:
    for place in (b'"time_to_live": 3600', b'"amount": 1'):
        name = place.split(b":")[0]
        explained(await post(running, world, WHOLE.replace(place, name + b":" + number.encode())))


@pytest.mark.parametrize("member", ["subject", "markdown", "auth_code", "iup"])
@pytest.mark.parametrize(
    "text",
    ["\\u0000", "x\\u0000y", "\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\ud83dx", "\\uD83D\\u0041"],
)
async def test_nul_and_half_characters_are_refused(
    running: Running, world: World, member: str, text: str
) -> None:
    body = copy.deepcopy(VALID)
    within = {"auth_code": "eu_covid_cert", "iup": "prescription_data"}.get(member)
    at = body["content"][within] if within else body["content"]
    at[member] = "TEXT" + ("m" * 90 if within is None else "")
    if member == "subject":
        at[member] = "TEXT" + "m" * 20
    plain = json.dumps(body)
    explained(await post(running, world, plain.replace("TEXT", text).encode()))
    # Nor by the slow way, which 3600.0 takes.
    slow = '{"time_to_live":3600.0,' + plain.replace('"time_to_live": 3600, ', "")[1:]
    explained(await post(running, world, slow.replace("TEXT", text).encode()))
    assert (await post(running, world, slow.replace("TEXT", "ok").encode())).status_code == 201


async def test_an_escaped_backslash_before_u0000_is_ordinary_text(
    running: Running, world: World
) -> None:
    body = message(markdown="\\u0000" * 20)
    assert (await post(running, world, json.dumps(body).encode())).status_code == 201


@pytest.mark.parametrize(
    "spoil",
    [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", "è".encode("latin-1")],
)
async def test_invalid_utf8_is_refused(running: Running, world: World, spoil: bytes) -> None:
    for place in (b'"La tua tessera', b'"Ciao! La tua'):
        assert place not in spoil
        body = json.dumps(message()).encode().replace(place, place + spoil)
        document = explained(await post(running, world, body))
        assert document["title"] == "Invalid message structure"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
async def test_only_utf8_is_read(running: Running, world: World, encoding: str) -> None:
    body = json.dumps(message(), ensure_ascii=False).encode(encoding)
    explained(await post(running, world, body))


# Kinds of bodies and their size ----------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "x",
     "application/xml", "", "application/jsonx", "json"],
)  # fmt: skip
async def test_another_content_type_is_refused(running: Running, world: World, kind: str) -> None:
    for path in ("/api/v1/messages", "/api/v1/profiles"):
        answer = await post(running, world, WHOLE, path, **{"Content-Type": kind})
        assert explained(answer, 415)["field"] == "Content-Type"


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json;charset=utf-8", "Application/JSON ; x=y",
     "application/vnd.ente+json"],
)  # fmt: skip
async def test_json_by_any_of_its_names_is_read(running: Running, world: World, kind: str) -> None:
    assert (await post(running, world, WHOLE, **{"Content-Type": kind})).status_code == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
async def test_compressed_bodies_are_refused(running: Running, world: World, encoding: str) -> None:
    body = gzip.compress(WHOLE)
    answer = await post(running, world, body, **{"Content-Encoding": encoding})
    assert explained(answer, 415)["field"] == "Content-Encoding"


async def test_a_body_may_have_256_kib_and_not_a_byte_more(running: Running, world: World) -> None:
    async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    assert BODY_LIMIT == 256 * 1024
    for size, status in ((BODY_LIMIT, 201), (BODY_LIMIT + 1, 413)):
        body = WHOLE + b" " * (size - len(WHOLE))
        assert (await post(running, world, body)).status_code == status
        chunked = await running.client.post(
            "/api/v1/messages", content=in_pieces(body), headers=world.anna.headers
        )
        assert chunked.status_code == status
        if status == 413:
            assert explained(chunked, 413)["title"] == "Payload too large"


# Connections -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def hasty(running: Running) -> AsyncIterator[int]:
    """The port of a server that gives a request one second to arrive."""
    port = free_port()
    public = server.public_server(running.started.app, "127.0.0.1", port, arrive_seconds=1)
    task = asyncio.create_task(public.serve())
    await until_started(public)
    yield port
    public.should_exit = True
    await task


async def converse(port: int, *pieces: bytes, pause: float = 0, finish: bool = False) -> bytes:
    """Everything the server says until it closes, or for as long as 5 seconds.

    Pieces are sent apart by `pause` seconds; `finish` closes our direction at the end.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = bytearray()

    async def listen() -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                said.extend(piece)

    listening = asyncio.create_task(listen())
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause:
                await asyncio.wait([listening], timeout=pause)
            if listening.done():
                break
        if finish:
            writer.write_eof()
    await asyncio.wait([listening], timeout=5)
    closed = listening.done()
    listening.cancel()
    writer.close()
    assert closed, f"the connection stays open; so far: {bytes(said)[:200]!r}"
    return bytes(said)


def head(world: World, *lines: str, method: str = "POST", path: str = "/api/v1/messages") -> bytes:
    key = f"Ocp-Apim-Subscription-Key: {world.anna.key}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", key, *lines, "", ""]).encode()


def parsed(said: bytes) -> tuple[int, dict[str, Any]]:
    first, _, rest = said.partition(b"\r\n")
    headers, _, body = rest.partition(b"\r\n\r\n")
    assert b"application/problem+json" in headers.lower(), said[:500]
    assert b"connection: close" in headers.lower()
    document = json.loads(body)
    assert set(document) >= {"title", "status", "detail"}
    status = int(first.split()[1])
    assert document["status"] == status
    return status, document


SLOWLY: dict[str, Callable[[World], list[bytes]]] = {
    "nothing at all": lambda _: [],
    "half a request line": lambda _: [b"POST /api"],
    "headers drop by drop": lambda world: [bytes([byte]) for byte in head(world)],
    "headers that never end": lambda world: [head(world)[:-2], *[b"X-A: b\r\n"] * 50],
    "no body": lambda world: [head(world, "Content-Length: 100")],
    "a body drop by drop": lambda world: [
        head(world, f"Content-Length: {len(WHOLE)}"), *(bytes([byte]) for byte in WHOLE)
    ],
    "chunks drop by drop": lambda world: [
        head(world, "Transfer-Encoding: chunked"), *[b"1\r\n \r\n"] * 100
    ],
}  # fmt: skip


@pytest.mark.parametrize("how", SLOWLY)
async def test_who_dawdles_is_told_and_let_go(
    running: Running, world: World, hasty: int, how: str
) -> None:
    began = asyncio.get_running_loop().time()
    said = await converse(hasty, *SLOWLY[how](world), pause=0.1)
    took = asyncio.get_running_loop().time() - began
    assert parsed(said)[0] == 408
    assert 0.9 <= took < 3
    await still_answers(running, world)


async def test_each_request_of_a_connection_has_its_own_second(hasty: int, world: World) -> None:
    """Three requests, 0.6 s each: late as one, in time each."""
    half = len(WHOLE) // 2
    one = [head(world, f"Content-Length: {len(WHOLE)}") + WHOLE[:half], WHOLE[half:]]
    last = head(world, "Connection: close", method="GET", path="/api/v1/nothing")
    said = await converse(hasty, *one * 3, last, pause=0.3)
    assert said.count(b"HTTP/1.1 201") == 3


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000 + b"\r\n\r\n"],
        [b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + b"X-A: bbbbbbbb\r\n" * 4000 + b"\r\n"],
        [b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + b"a" * 40_000 + b": x\r\n\r\n"],
    ],
)  # fmt: skip
async def test_a_head_of_40_kb_is_refused(
    running: Running, world: World, hasty: int, pieces: list[bytes]
) -> None:
    assert parsed(await converse(hasty, *pieces))[0] == 431
    await still_answers(running, world)


async def test_a_header_without_end_is_refused_before_it_fills_the_memory(
    running: Running, world: World, hasty: int
) -> None:
    start = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: "
    began = asyncio.get_running_loop().time()
    said = await converse(hasty, start, *[b"a" * 20_000] * 4, pause=0.05)
    assert parsed(said)[0] == 431
    assert asyncio.get_running_loop().time() - began < 0.9, "only the clock stopped it"


async def test_a_message_refused_for_its_head_is_not_kept(
    hasty: int, world: World, pool: Pool
) -> None:
    """The head is too large, the body is fine, and all comes at once."""
    async with pool.connection() as conn:
        before = await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    request = head(world, "X-Long: " + "a" * 40_000, f"Content-Length: {len(WHOLE)}") + WHOLE
    assert parsed(await converse(hasty, request))[0] == 431
    async with pool.connection() as conn:
        after = await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    assert after == before


async def test_an_earlier_request_gets_its_own_answer(
    running: Running, world: World, hasty: int
) -> None:
    """The next one on the connection is refused for its head: that is no answer to the first."""
    first = head(world, f"Content-Length: {len(WHOLE)}") + WHOLE
    said = await converse(hasty, first + first + head(world, "X-Long: " + "a" * 40_000))
    assert said.count(b"HTTP/1.1 201") == 2
    assert b"HTTP/1.1 431" not in said
    await still_answers(running, world)


async def test_empty_lines_do_not_keep_a_connection(hasty: int, world: World) -> None:
    whole = head(world, f"Content-Length: {len(WHOLE)}") + WHOLE
    said = await converse(hasty, whole, *[b"\r\n"] * 25, pause=0.1)
    assert said.startswith(b"HTTP/1.1 201")
    assert b"HTTP/1.1 408" in said


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,  # TLS
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-A: \x00\r\n\r\n",
    ],
)
async def test_garbage_is_refused_and_hung_up_on(
    running: Running, world: World, hasty: int, garbage: bytes
) -> None:
    said = await converse(hasty, garbage)
    assert said.startswith(b"HTTP/1.1 4"), said[:100]
    await still_answers(running, world)


@pytest.mark.parametrize("kept_bytes", [1, 20, 200, -1])
async def test_a_request_cut_off_is_forgotten(
    running: Running, world: World, hasty: int, pool: Pool, kept_bytes: int
) -> None:
    async with pool.connection() as conn:
        before = await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    request = head(world, f"Content-Length: {len(WHOLE)}") + WHOLE
    said = await converse(hasty, request[:kept_bytes], finish=True)
    assert b"HTTP/1.1 201" not in said
    assert b"HTTP/1.1 5" not in said
    async with pool.connection() as conn:
        after = await conn.raw.fetchval("SELECT count(*) FROM messages.message")
    assert after == before
    await still_answers(running, world)


@pytest.mark.parametrize("chunked", [False, True])
async def test_ten_megabytes_are_refused(
    running: Running, world: World, hasty: int, chunked: bool
) -> None:
    size = 10 * 1024 * 1024
    piece = b" " * 65536
    pieces = [piece] * (size // len(piece))
    if chunked:
        start = head(world, "Transfer-Encoding: chunked")
        pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]
    else:
        start = head(world, f"Content-Length: {size}")
    status, document = parsed(await converse(hasty, start, *pieces))
    assert (status, document["title"]) == (413, "Payload too large")
    await still_answers(running, world)


async def test_who_sends_all_before_reading_learns_why_it_was_refused(
    running: Running, world: World
) -> None:
    body = b" " * (10 * 1024 * 1024)
    for _ in range(5):
        assert explained(await post(running, world, body), 413)["title"] == "Payload too large"


@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)])
async def test_who_announces_too_much_is_told_before_it_has_come(
    running: Running, world: World, headers: tuple[str, ...]
) -> None:
    """Who asks first at once, and who has stopped sending after three of their ten seconds."""
    port = urlsplit(running.url).port
    assert port
    said = await converse(port, head(world, f"Content-Length: {10 * 1024 * 1024}", *headers))
    status, document = parsed(said)
    assert (status, document["title"]) == (413, "Payload too large")


async def test_many_at_once_do_not_hold_up_the_others(
    running: Running, world: World, hasty: int
) -> None:
    """A hundred who dawdle, while one who does not is served on the same port."""
    dawdling = [
        asyncio.create_task(converse(hasty, head(world, "Content-Length: 100"))) for _ in range(100)
    ]
    request = head(world, f"Content-Length: {len(WHOLE)}", "Connection: close") + WHOLE
    answer = await converse(hasty, request)
    waiting = [one for one in dawdling if not one.done()]
    told = await asyncio.gather(*dawdling)
    assert answer.startswith(b"HTTP/1.1 201")
    assert waiting, "it was answered with the last of those who dawdle"
    for said in told:
        assert parsed(said)[0] == 408


# The document, believed ------------------------------------------------------------------------


FRAMING = {"transfer-encoding", "content-length", "connection", "upgrade", "host", "expect"}


def is_managed(path: str) -> bool:
    """Whether a route takes a manage key; that key itself is not replaced meanwhile."""
    managed = ("/manage/", "/groups", "/manage-key", "/webhooks", "remote-contents", "/services/")
    return any(part in path for part in managed) and "/manage-key/keys/" not in path


async def manager_of_another_town(
    running: Running, world: World, mode: GenerationMode
) -> dict[str, str]:
    """A town that may be changed in any way: what a request with its manage key needs."""
    async with running.started.pool.transaction() as conn:
        town = await create_institution(
            conn, "tests", f"9999999990{mode.is_positive:d}", "Comune", "a@example.org", ALL
        )
        pair = await create_pair(conn, world.secrets, "tests", town, None)
    return {"Ocp-Apim-Subscription-Key": pair["primary"]}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_the_routes_do_what_their_document_says(
    running: Running, world: World, mode: GenerationMode
) -> None:
    """Schemathesis makes requests from the document; answers must be documented, in status,
    content type and schema. Each with the kind of key that the route takes."""
    manager = await manager_of_another_town(running, world, mode)
    document = (await running.client.get("/docs/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]

    def explore() -> int:
        explored = 0
        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]

            @hypothesis.settings(bounded, max_examples=20)
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Any) -> None:
                # How a request is framed is between the client and the HTTP server, which answers
                # a frame that is none by itself, before the application is there to document it.
                hypothesis.assume(FRAMING.isdisjoint(name.lower() for name in case.headers or ()))
                headers = manager if is_managed(case.path) else world.anna.headers
                case.call_and_validate(base_url=running.url, headers=headers, checks=checks)

            try:
                check()
            except hypothesis.errors.Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE
            explored += 1
        return explored

    assert await anyio.to_thread.run_sync(explore) == sum(map(len, document["paths"].values()))
