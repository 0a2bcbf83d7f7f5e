"""A sandbox, and fresh browsers at its console."""

from collections.abc import AsyncIterator

import pytest

from messo.settings import Settings
from tests.conftest import Running
from tests.console.colleague import Colleague, browser_at


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(rate_limit=100_000, rate_burst=100_000, sandbox=True)


@pytest.fixture
async def colleague(running: Running) -> AsyncIterator[Colleague]:
    """A browser without cookies."""
    async with browser_at(running.url) as opened:
        yield opened


@pytest.fixture
async def other(running: Running) -> AsyncIterator[Colleague]:
    """Another browser without cookies."""
    async with browser_at(running.url) as opened:
        yield opened
