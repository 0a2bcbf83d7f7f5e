"""A sandbox with client applications registered, and fresh browsers that visit it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from messo.settings import Settings
from tests.conftest import Running
from tests.login.browser import APP, LOOPBACK, Visitor


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000, rate_burst=100_000, sandbox=True, client_redirects=(APP, LOOPBACK)
    )


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[Visitor]:
    """A browser without cookies."""
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
        yield Visitor(client)


@pytest.fixture
async def other(running: Running) -> AsyncIterator[Visitor]:
    """Another browser without cookies."""
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
        yield Visitor(client)
