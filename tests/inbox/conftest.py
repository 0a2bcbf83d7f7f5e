"""Citizens' browsers at a real server."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from messo.base.db import Pool
from messo.base.work import Worker
from messo.inbox.visit import Site
from tests.conftest import Running
from tests.inbox.institution import Institution, institution
from tests.inbox.pages import Browser, citizen, log_in
from tests.messages.mail import Mail
from tests.world import World

LogIn = Callable[[str], Awaitable[Browser]]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def site(running: Running) -> Site:
    found: Site = running.started.app.pages.state.site
    return found


@pytest.fixture(scope="module")
def client(running: Running) -> httpx.AsyncClient:
    """Somebody who is not logged in."""
    return running.client


@pytest.fixture
def browse(pool: Pool, site: Site, client: httpx.AsyncClient) -> LogIn:
    """`await browse(fiscal_code)`: a new session of this citizen."""

    async def begin(fiscal_code: str) -> Browser:
        return await log_in(pool, site, client, fiscal_code)

    return begin


@pytest.fixture
def mail(running: Running, worker: Worker) -> Mail:
    """Institutions write."""
    return Mail(running, worker)


@pytest.fixture
async def hospital(pool: Pool, world: World) -> AsyncIterator[Institution]:
    """A server of Anna's institution, for one test."""
    async with institution(pool, world, world.anna) as opened:
        yield opened


@pytest.fixture
async def giulia(pool: Pool, browse: LogIn) -> Browser:
    """A new citizen, with no preference for a language."""
    return await browse(await citizen(pool, "GLA", next(_numbers)))
