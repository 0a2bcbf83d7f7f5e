"""What a citizen asks for: the contract's states, and that a download is made and can be fetched."""

import asyncio
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser
from itertools import count
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Request
from messo.login import Session
from messo.recipients import Wishes, amend, data_requests, state
from messo.recipients.archive import (
    ArchiveReplacedError,
    Letter,
    forget_old,
    read_archive,
    read_piece,
)
from messo.recipients.citizen_routes import CitizenRoutes
from messo.recipients.data_requests import count_requests, failed_requests
from messo.recipients.preferences import Preference, put_preferences
from tests.conftest import Running
from tests.recipients.asked import broken, make_due, once, requests_of, until_idle, worker
from tests.recipients.person import DATA, Person, code, enter
from tests.world import World, message

NUMBERS = count(1)
EVIL = "<script>alert('x')</script> & \"quoted\""


async def person(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, code(next(NUMBERS), "DTR"), **more)


async def fetch(someone: Person) -> zipfile.ZipFile:
    answer = await someone.get(f"{DATA}/DOWNLOAD/archive")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    return zipfile.ZipFile(io.BytesIO(answer.content))


class Page(HTMLParser):
    """Tags, text and places that a browser would go to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._texts: list[str] = []
        self.feed(text)
        self.text = "".join(self._texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self._texts.append(data)


async def test_the_states_of_a_request(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)
    for choice in ("DOWNLOAD", "DELETE"):
        assert (await someone.get(f"{DATA}/{choice}")).status_code == 404
        assert (await someone.request("DELETE", f"{DATA}/{choice}")).status_code == 404
        first = await someone.post(DATA, {"choice": choice})
        assert first.status_code == 200
        body = first.json()
        assert (body["choice"], body["status"], body["version"]) == (choice, "PENDING", 0)
        assert body.keys() == {"choice", "status", "version", "created_at", "updated_at"}
        assert (await someone.post(DATA, {"choice": choice})).status_code == 409
        assert (await someone.get(f"{DATA}/{choice}")).json() == body
    assert (await someone.request("DELETE", f"{DATA}/DOWNLOAD")).status_code == 409
    assert (await someone.request("DELETE", f"{DATA}/DELETE")).status_code == 202
    assert (await someone.get(f"{DATA}/DELETE")).json()["status"] == "ABORTED"
    assert (await someone.request("DELETE", f"{DATA}/DELETE")).status_code == 409
    again = (await someone.post(DATA, {"choice": "DELETE"})).json()
    assert (again["status"], again["version"]) == ("PENDING", 2)


@pytest.mark.parametrize("body", [{}, [], {"choice": "delete"}, {"choice": None}, {"choice": ""}])
async def test_a_body_that_names_no_choice_is_400(pool: Pool, running: Running, body: Any) -> None:
    someone = await person(pool, running)
    assert (await someone.post(DATA, body)).status_code == 400


async def test_a_path_that_names_no_choice_is_400(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)
    for method in ("GET", "DELETE"):
        for choice in ("download", "DOWNLOAD%00", "%F0%9F%98%80"):
            assert (await someone.request(method, f"{DATA}/{choice}")).status_code == 400


async def test_without_profile_or_session_there_is_nothing(pool: Pool, running: Running) -> None:
    nobody = await person(pool, running, profile=False)
    assert (await nobody.post(DATA, {"choice": "DOWNLOAD"})).status_code == 404
    for method, path in (
        ("POST", DATA),
        ("GET", f"{DATA}/DOWNLOAD"),
        ("DELETE", f"{DATA}/DELETE"),
        ("GET", f"{DATA}/DOWNLOAD/archive"),
    ):
        assert (await running.client.request(method, path, json={})).status_code == 401


async def test_of_many_requests_at_once_one_is_kept(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)
    answers = await asyncio.gather(*(someone.post(DATA, {"choice": "DOWNLOAD"}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    # Asking, taking back, and changing the profile at once never block each other for good.
    answers = await asyncio.gather(
        *(someone.post(DATA, {"choice": "DELETE"}) for _ in range(6)),
        *(someone.request("DELETE", f"{DATA}/DELETE") for _ in range(6)),
        *(someone.get(f"{DATA}/DELETE") for _ in range(6)),
    )
    assert {answer.status_code for answer in answers} <= {200, 202, 404, 409}


async def test_an_erasure_waits_and_a_download_does_not(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    await someone.post(DATA, {"choice": "DELETE"})
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    await until_idle(pool, worker(secrets))
    assert await requests_of(pool, someone.code) == {
        "DELETE": ("PENDING", 0),
        "DOWNLOAD": ("CLOSED", 1),
    }
    async with pool.connection() as conn:
        found = await data_requests.state(conn, someone.code, "DELETE")
    assert found is not None
    assert timedelta(days=6, hours=23) < found.due_at - clock.now() <= timedelta(days=7)


async def test_what_has_begun_is_not_taken_back(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    await someone.post(DATA, {"choice": "DELETE"})
    await make_due(pool, someone.code)
    assert await once(pool, worker(secrets))  # claimed, and the worker dies
    assert (await someone.request("DELETE", f"{DATA}/DELETE")).status_code == 409
    assert (await someone.get(f"{DATA}/DELETE")).json()["status"] == "WIP"
    assert (await someone.post(DATA, {"choice": "DELETE"})).status_code == 409


async def test_the_archive_holds_everything_and_nothing_of_others(
    pool: Pool, running: Running, secrets: Secrets, world: World, worker_round: Any
) -> None:
    someone, other = await person(pool, running), await person(pool, running)
    sent = []
    for citizen, words in ((someone, "mio"), (other, "altrui")):
        body = message(citizen.code, subject=f"Un messaggio {words} {EVIL}", markdown=EVIL * 5)
        answer = await running.client.post(
            "/api/v1/messages", json=body, headers=world.anna.headers
        )
        assert answer.status_code == 201, answer.text
        sent.append(answer.json()["id"])
    await worker_round()
    async with pool.transaction() as conn:
        await put_preferences(conn, [Preference(someone.code, world.bruno.id, 0, False)])
        await amend(conn, someone.code, Wishes(email="qui@example.org"))
    device = {"platform": "apns", "pushChannel": "a-secret-channel"}
    await someone.request("PUT", "/api/communication/v1/installations/phone", json=device)
    assert (await someone.get(f"{DATA}/DOWNLOAD/archive")).status_code == 404
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    assert (await someone.get(f"{DATA}/DOWNLOAD/archive")).status_code == 404
    await until_idle(pool, worker(secrets))
    packed = await fetch(someone)
    assert packed.testzip() is None
    files = {name: packed.read(name).decode() for name in packed.namelist()}
    assert files.keys() == {
        *("profile.json", "preferences.json", "history.json", "sessions.json"),
        *("devices.json", "messages.json", "notices.json", "index.html"),
    }
    assert json.loads(files["profile.json"])["email"] == "qui@example.org"
    preferences = json.loads(files["preferences.json"])["preferences"]
    assert [(p["service_name"], p["is_inbox_enabled"]) for p in preferences] == [
        ("Biblioteca", False)
    ]
    assert [row["kind"] for row in json.loads(files["history.json"])] == ["email"]
    assert [row["client"] for row in json.loads(files["sessions.json"])] == ["tests"]
    assert [row["id"] for row in json.loads(files["devices.json"])] == ["phone"]
    messages = json.loads(files["messages.json"])
    assert [one["line"]["id"] for one in messages] == [sent[0]]
    assert messages[0]["content"]["markdown"] == EVIL * 5
    page = Page(files["index.html"])
    assert not page.tags & {"script", "a", "img", "link", "iframe", "form", "object"}
    assert not {name for name in page.attributes if name.startswith("on")} | page.attributes & {
        "src",
        "href",
    }
    assert EVIL * 5 in page.text
    for words in ("Un messaggio mio", "Biblioteca", "qui@example.org", "Comune di Anna", "phone"):
        assert words in page.text
    everything = "".join(files.values())
    for absent in (other.code, sent[1], "altrui", "a-secret-channel", someone.token):
        assert absent not in everything
    assert (await other.get(f"{DATA}/DOWNLOAD/archive")).status_code == 404
    async with pool.connection() as conn:
        stored = await conn.raw.fetch("SELECT bytes FROM recipients.archive_part")
        assert all(len(row[0]) <= 1 << 20 and b"PK" != row[0][:2] for row in stored)
        assert b"".join([piece async for piece in read_archive(conn, someone.code, secrets)])


async def many_letters(
    conn: Connection, fiscal_code: str, after: str, limit: int
) -> Sequence[Letter]:
    """1,000 messages of random hex, which does not pack well."""
    first = int(after or 0) + 1
    return [
        Letter(f"{n:06}", clock.now(), "Ente", f"Oggetto {n}", noise(n), {"n": n}, {"id": n})
        for n in range(first, min(first + limit, 1001))
    ]


def noise(number: int) -> str:
    import random

    return random.Random(number).randbytes(4000).hex()


async def test_a_large_archive_is_made_in_short_steps_and_comes_in_pieces(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    step = worker(secrets, many_letters)
    assert await until_idle(pool, step) > 10
    packed = await fetch(someone)
    assert len(json.loads(packed.read("messages.json"))) == 1000
    text = Page(packed.read("index.html").decode()).text
    assert all(f"Oggetto {n}\n" in text for n in range(1, 1001))
    async with pool.connection() as conn:
        pieces = await conn.raw.fetchval(
            "SELECT count(*) FROM recipients.archive_part WHERE fiscal_code = $1", someone.code
        )
        assert pieces > 3
    # A new one takes the place of the old one, whose surplus goes.
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    assert (await someone.get(f"{DATA}/DOWNLOAD/archive")).status_code == 404
    await until_idle(pool, worker(secrets))
    assert json.loads((await fetch(someone)).read("messages.json")) == []
    async with pool.connection() as conn:
        assert 1 == await conn.raw.fetchval(
            "SELECT count(*) FROM recipients.archive_part WHERE fiscal_code = $1", someone.code
        )


async def test_a_worker_that_dies_at_any_step_loses_nothing(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    for steps in (1, 2, 4, 7, 11, 13):
        await someone.post(DATA, {"choice": "DOWNLOAD"})
        step = worker(secrets, many_letters)
        for _ in range(steps):
            assert await once(pool, step)
        assert (await someone.get(f"{DATA}/DOWNLOAD")).json()["status"] == "WIP"
        # While the lease holds, nobody else begins.
        assert await once(pool, worker(secrets, many_letters)) is False
        await make_due(pool, someone.code)
        await until_idle(pool, worker(secrets, many_letters))
        packed = await fetch(someone)
        assert len(json.loads(packed.read("messages.json"))) == 1000
        # The first one wakes up and finds that it is no longer its request.
        await until_idle(pool, step)
        assert (await fetch(someone)).testzip() is None


async def test_a_step_whose_commit_fails_is_noticed(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    step = worker(secrets, many_letters)

    async def lost() -> None:
        async with pool.transaction() as conn:
            assert await step.run(conn)
            raise ConnectionResetError

    async with pool.connection() as conn:
        while not await conn.raw.fetchval(
            "SELECT count(*) FROM recipients.archive_part WHERE fiscal_code = $1", someone.code
        ):
            assert await once(pool, step)
    with pytest.raises(ConnectionResetError):
        await lost()
    await until_idle(pool, step)
    assert await requests_of(pool, someone.code) == {"DOWNLOAD": ("WIP", 1)}
    await make_due(pool, someone.code)
    await until_idle(pool, step)
    assert len(json.loads((await fetch(someone)).read("messages.json"))) == 1000


async def test_one_that_fails_is_put_off_then_given_up_and_blocks_nobody(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    bad, good = await person(pool, running), await person(pool, running)

    async def picky(conn: Connection, fiscal_code: str, after: str, limit: int) -> list[Letter]:
        if fiscal_code == bad.code:
            await broken(conn, fiscal_code)
        return []

    step = worker(secrets, picky)
    for someone in (bad, good):
        await someone.post(DATA, {"choice": "DOWNLOAD"})
    await until_idle(pool, step)
    assert await requests_of(pool, good.code) == {"DOWNLOAD": ("CLOSED", 1)}
    assert await requests_of(pool, bad.code) == {"DOWNLOAD": ("WIP", 1)}
    async with pool.connection() as conn:
        wait = await conn.raw.fetchval(
            "SELECT due_at - now() FROM recipients.data_request WHERE fiscal_code = $1", bad.code
        )
    assert timedelta(0) < wait < timedelta(seconds=10)
    for attempt in range(2, 11):
        await make_due(pool, bad.code)
        await until_idle(pool, step)
        assert await requests_of(pool, bad.code) == {"DOWNLOAD": ("WIP", attempt)}
    async with pool.connection() as conn:
        wait = await conn.raw.fetchval(
            "SELECT due_at - now() FROM recipients.data_request WHERE fiscal_code = $1", bad.code
        )
    assert wait > timedelta(minutes=30)
    await make_due(pool, bad.code)
    await until_idle(pool, step)
    assert await requests_of(pool, bad.code) == {"DOWNLOAD": ("FAILED", 10)}
    async with pool.connection() as conn:
        failed = await failed_requests(conn, secrets, 10)
        counted = {(r["choice"], r["status"]): r["requests"] for r in await count_requests(conn)}
    assert [one["citizen"] for one in failed] == [secrets.keyed_hash(bad.code)]
    assert counted["DOWNLOAD", "FAILED"] == 1
    # Asked again, it begins anew.
    assert (await bad.post(DATA, {"choice": "DOWNLOAD"})).status_code == 200
    await until_idle(pool, worker(secrets))
    assert await requests_of(pool, bad.code) == {"DOWNLOAD": ("CLOSED", 1)}


async def test_a_download_breaks_off_when_another_archive_is_asked_for(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    """Rather than end early as if it were whole."""
    someone = await person(pool, running)
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    await until_idle(pool, worker(secrets, many_letters))
    routes = CitizenRoutes(unasked, pool, secrets, timedelta())
    async with pool.connection() as conn:
        asked = await state(conn, someone.code, "DOWNLOAD")
        first = await read_piece(conn, someone.code, secrets, 0)
    assert asked
    assert first
    pieces = routes._pieces(someone.code, asked, first)
    assert await anext(pieces) == first
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    with pytest.raises(ArchiveReplacedError):
        await anext(pieces)
    assert (await someone.get(f"{DATA}/DOWNLOAD/archive")).status_code == 404


async def unasked(_: Request) -> Session:
    raise AssertionError("nobody asks over HTTP here")


async def test_an_archive_expires_and_is_forgotten(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    await someone.post(DATA, {"choice": "DOWNLOAD"})
    await until_idle(pool, worker(secrets))
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.archive_part SET expires_at = now() WHERE fiscal_code = $1",
            someone.code,
        )
    assert (await someone.get(f"{DATA}/DOWNLOAD/archive")).status_code == 404
    async with pool.transaction() as conn:
        assert await forget_old(conn) is False
        assert 0 == await conn.raw.fetchval(
            "SELECT count(*) FROM recipients.archive_part WHERE fiscal_code = $1", someone.code
        )
    assert (await someone.get(f"{DATA}/DOWNLOAD")).json()["status"] == "CLOSED"


@pytest.fixture
def worker_round(running: Running, pool: Pool, settings: Any, secrets: Secrets) -> Any:
    """Decide every message that waits."""
    from messo.base.work import Worker
    from messo.outside import Outside
    from messo.worker import steps

    channels = Outside.of(settings, secrets).channels
    rounds = Worker(pool, pool.buckets, steps(settings, channels), [], 1000)

    async def run() -> None:
        while await rounds.work_once():
            pass

    return run
