"""Citizens' browsers at a real server."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from messo.base.db import Pool
from messo.inbox.visit import Site
from tests.conftest import Running
from tests.inbox.pages import Browser, log_in

LogIn = Callable[[str], Awaitable[Browser]]


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
