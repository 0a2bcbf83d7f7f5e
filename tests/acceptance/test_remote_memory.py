"""Attachments on their way through a server: what they cost in memory, and what is left if it dies."""

import asyncio
import hashlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from bench.institution import LARGE, MARK, pdf

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.login import Identity, client_limits, open_session
from messo.recipients import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from messo.settings import Settings
from tests.acceptance.installed import CHECKOUT, Server, Site, bare_environment, tree_mb
from tests.world import add_configuration, message

pytestmark = pytest.mark.acceptance

AT_ONCE = 100
CITIZENS = 25  # each has four on their way, which is what one citizen may
GROWTH_MB = 100
PACE = 4_000_000  # bytes a second, each: a moderate line
DYING = 12  # downloads under way when the server is killed
SMALL_WINDOW = 64 * 1024  # else the kernel would take in what nobody has read
DIGEST = hashlib.sha256(pdf(LARGE)).hexdigest()
OWN_WORDS = b"La tua tessera"  # of the message itself, which is kept


@dataclass
class Sent:
    """A message to each of some citizens, whose content is at the institution."""

    server: Server
    letters: list[tuple[str, str]]  # path, and the header that says who asks

    def announce(self) -> None:
        """Everybody reads theirs, and may open its attachments from now on."""
        with httpx.Client(base_url=self.server.url, timeout=30) as client:
            for path, bearer in self.letters:
                read = client.get(path, headers={"Authorization": bearer})
                assert read.status_code == 200, read.text
                content = read.json()["third_party_message"]
                assert MARK.decode() in content["details"]["markdown"]

    def attachment(self, number: int, name: str) -> tuple[str, str]:
        path, bearer = self.letters[number % len(self.letters)]
        return f"{path}/attachments/attachments/{name}", bearer


@pytest.fixture(scope="module")
def institution() -> Iterator[str]:
    """Where an institution's server is, a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.institution"],
        cwd=CHECKOUT,
        env=bare_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        port = json.loads(child.stdout.readline())["well"]
        yield f"http://127.0.0.1:{port}/remote"
        child.kill()


@pytest.fixture(scope="module")
def sent(site: Site, institution: str) -> Sent:
    citizens = many(CITIZENS)

    async def prepare(conn: Connection) -> tuple[str, list[str]]:
        secrets, limits = Secrets.parse(site.secret_text), client_limits(Settings())
        made = await add_configuration(conn, secrets, site.world.anna.institution, institution)
        profiles = [
            Profile(code, mode="AUTO", settings_version=0, is_inbox_enabled=True)
            for code in citizens
        ]
        await create_profiles(conn, profiles)
        identities = [
            Identity(code, "Anna", "Prova", "https://www.spid.gov.it/SpidL2") for code in citizens
        ]
        return made, [
            await open_session(conn, one, "client", "tests", limits) for one in identities
        ]

    configuration, tokens = site.do(prepare)
    server, worker = site.serve(), site.work()
    third = {
        "id": "42",
        "configuration_id": configuration,
        "has_remote_content": True,
        "has_attachments": True,
    }
    letters = []
    with site.client(server) as client:
        for code, token in zip(citizens, tokens, strict=True):
            body = message(code, third_party_data=third) | {"feature_level_type": "ADVANCED"}
            answer = client.post("/api/v1/messages", json=body, headers=site.world.anna.headers)
            assert answer.status_code == 201, answer.text
            path = f"/api/communication/v1/third-party-messages/{answer.json()['id']}"
            letters.append((path, f"Bearer {token}"))
    site.wait_decided()
    worker.kill()
    return Sent(server, letters)


def test_a_hundred_attachments_at_once_cost_little_memory_and_arrive_whole(
    sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    sent.announce()
    spec = {
        "port": sent.server.port,
        "requests": [
            (path, f"Authorization: {bearer}")
            for path, bearer in (sent.attachment(number, "large") for number in range(CITIZENS))
        ],
        "connections": AT_ONCE,
        "files": AT_ONCE,
        "pace": PACE,
        "digest": DIGEST,
        "seconds": 120,
    }
    before = most = tree_mb(sent.server.pid)
    told = {}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.download"],
        cwd=CHECKOUT,
        env=bare_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        child.stdin.write(json.dumps(spec))
        child.stdin.close()
        while child.poll() is None:
            most = max(most, tree_mb(sent.server.pid))
            time.sleep(0.1)
        assert child.stdout is not None
        told = json.load(child.stdout)

    assert told["files"] == {"whole": AT_ONCE}, told
    assert told["at_once"] == AT_ONCE
    with capsys.disabled():
        print(f"\n{AT_ONCE} attachments at once: {before:.0f} MB before, {most:.0f} MB at most")
    assert most - before <= GROWTH_MB, (before, most)


def test_killed_in_mid_download_the_answer_is_broken_and_nothing_is_left_behind(
    site: Site, sent: Sent
) -> None:
    """Half of them have a length; the others come in chunks, of which the last one is missing."""
    sent.announce()
    names = ["large", "unannounced"] * (DYING // 2)

    ends = asyncio.run(download_until_killed(sent, names))

    assert len(ends) == DYING
    for got, error in ends:
        assert 0 < got < LARGE
        assert issubclass(error, httpx.TransportError)
    found = traces(site, OWN_WORDS)
    assert "messages.content" in found, "the search finds what is there"
    assert any(place.startswith(str(site.postgres.data)) for place in found)
    assert traces(site, MARK) == []

    sent.server.start()
    sent.server.wait_ready()
    for number, name in enumerate(names[:2]):
        path, bearer = sent.attachment(number, name)
        again = httpx.get(sent.server.url + path, headers={"Authorization": bearer}, timeout=60)
        assert again.status_code == 200, again.text
        assert hashlib.sha256(again.content).hexdigest() == DIGEST


async def download_until_killed(sent: Sent, names: list[str]) -> list[tuple[int, type[Exception]]]:
    """How many bytes came of each, and which error said that there were more."""
    begun, killed = asyncio.Semaphore(0), asyncio.Event()
    window = [(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)]
    transport = httpx.AsyncHTTPTransport(socket_options=window)

    async def download(number: int, name: str) -> tuple[int, type[Exception]]:
        got = 0
        path, bearer = sent.attachment(number, name)
        headers = {"Authorization": bearer}
        async with client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            assert ("content-length" in answer.headers) is (name == "large")
            try:
                async for piece in answer.aiter_raw():
                    got += len(piece)
                    if not killed.is_set():
                        begun.release()
                        await killed.wait()
            except httpx.HTTPError as error:
                return got, type(error)
        raise AssertionError(f"{got} of {LARGE} bytes look like the whole file")

    async with httpx.AsyncClient(
        base_url=sent.server.url, timeout=30, transport=transport
    ) as client:
        async with asyncio.TaskGroup() as group:
            downloads = [
                group.create_task(download(number, name)) for number, name in enumerate(names)
            ]
            for _ in names:
                await begun.acquire()
            sent.server.kill()
            killed.set()
        return [one.result() for one in downloads]


def traces(site: Site, words: bytes) -> list[str]:
    """Where these words are written down: tables, and files of the data folder."""
    tables = site.rows(
        "SELECT table_schema AS room, table_name AS name FROM information_schema.tables "
        "WHERE table_type = 'BASE TABLE' "
        "AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    found = []
    for table in tables:
        name = f'"{table["room"]}"."{table["name"]}"'
        # Bytes are shown in hexadecimal.
        asked = f"SELECT count(*) FROM {name} AS t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0"
        if site.value(asked, words.decode(), words.hex()):
            found.append(f"{table['room']}.{table['name']}")
    site.execute("CHECKPOINT")
    for folder in {site.folder, site.postgres.data}:
        found += [str(path) for path in files_with(folder, words)]
    return found


def files_with(folder: Path, words: bytes) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and re.search(re.escape(words), path.read_bytes()):
            yield path
