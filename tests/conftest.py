"""A real PostgreSQL for the whole run, a fresh database for each test file, a real server on it."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
import uvicorn

from messo import app
from messo.base import db, log, migrate, server
from messo.base.crypto import Secrets, new_secret
from messo.base.db import Pool
from messo.base.postgres import EmbeddedPostgres
from messo.base.work import Worker
from messo.outside import Outside
from messo.settings import Settings
from messo.sso.keys import Keys
from messo.worker import outward, periodics, steps
from tests.world import World, build

BUCKETS = int(os.environ.get("MESSO_TEST_BUCKETS", "1"))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", autouse=True)
def logs(tmp_path_factory: pytest.TempPathFactory) -> None:
    log.configure("warning", "tests")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own, or the one that MESSO_TEST_DATABASE_URL names."""
    given = os.environ.get("MESSO_TEST_DATABASE_URL")
    if given:
        yield given
        return
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), port=0)
    yield postgres.start()
    postgres.stop()
    for home in postgres.homes:  # where root keeps data that lie under a private folder
        shutil.rmtree(home / postgres.digest, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """A migrated database that every test file copies."""
    name = f"template_{os.getpid()}"
    _admin(postgres_url, f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')

    async def fill() -> None:
        conn = await db.connect(_named(postgres_url, name))
        await migrate.migrate(conn, BUCKETS, lambda _: None)
        await conn.close()

    asyncio.run(fill())
    return name


@pytest.fixture(scope="module")
def database_url(postgres_url: str, template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database for this test file."""
    name = f"t_{os.getpid()}_{Path(str(request.node.path)).stem}"[:60]
    _admin(
        postgres_url,
        f'DROP DATABASE IF EXISTS "{name}"',
        f'CREATE DATABASE "{name}" TEMPLATE "{template}"',
    )
    yield _named(postgres_url, name)
    _admin(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def secrets() -> Secrets:
    return Secrets.parse(new_secret())


@pytest.fixture(scope="module")
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await Pool.open(database_url, 6)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def world(pool: Pool, secrets: Secrets) -> World:
    """The cast: two institutions with their services and keys, citizens of every kind."""
    return await build(pool, secrets)


@dataclass
class Running:
    """A server on a free loopback port, and a client that speaks to it."""

    url: str
    client: httpx.AsyncClient
    started: app.Server
    settings: Settings


@pytest.fixture(scope="module")
def settings() -> Settings:
    """What the server of this test file is started with; a file may define its own."""
    return Settings(rate_limit=100_000, rate_burst=100_000)


@pytest.fixture(scope="module")
async def running(
    settings: Settings, database_url: str, secrets: Secrets, world: World
) -> AsyncIterator[Running]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Under its own address, so that a login comes back to it.
    settings = replace(settings, public_url=url, port=port, sandbox_mail_port=free_port())
    async with app.start(settings, database_url, secrets) as started:
        public = server.beside_server(started.app, "127.0.0.1", port)
        task = asyncio.create_task(public.serve())
        await until_started(public)
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield Running(url, client, started, settings)
        public.should_exit = True
        # A test that failed may have left a request under way: that is not waited for.
        asyncio.get_running_loop().call_later(10, setattr, public, "force_exit", True)
        await task


@pytest.fixture(scope="module")
async def worker(pool: Pool, settings: Settings, secrets: Secrets) -> AsyncIterator[Worker]:
    """The worker, one round at a time: `await worker.work_once()`, `await worker.send_once()`."""
    outside = Outside.of(settings, secrets)
    yield Worker(
        pool,
        pool.buckets,
        steps(settings, outside.channels),
        periodics(settings, secrets, outside),
        1000,
        outward(settings, secrets, outside, Keys(pool, secrets)),
    )
    await outside.close()


async def until_started(public: uvicorn.Server) -> None:
    """Wait until it listens; a server that cannot bind is an error, not a hang."""
    async with asyncio.timeout(20):
        while not public.started:
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _admin(url: str, *statements: str) -> None:
    async def run() -> None:
        conn = await db.connect(url)
        for statement in statements:
            await conn.script(statement)
        await conn.close()

    asyncio.run(run())
