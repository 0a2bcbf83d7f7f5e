"""A server that may call loopback, and citizens whose messages are served from there."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from messo.base.work import Worker
from messo.sandbox.fiscal_codes import many
from messo.settings import Settings
from tests.conftest import Running
from tests.content.institution import Institution, Reader, institution, reader
from tests.world import World

MakeReader = Callable[..., Awaitable[Reader]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000, rate_burst=100_000, outbound_networks=(ip_network("127.0.0.0/8"),)
    )


@pytest.fixture(scope="module")
def citizens() -> Iterator[str]:
    return iter(many(2000)[1000:])


@pytest.fixture
async def town() -> AsyncIterator[Institution]:
    """A server of its own for each test, so that no circuit is open from before."""
    async with institution() as made:
        yield made


@pytest.fixture
def make_reader(
    running: Running, worker: Worker, world: World, citizens: Iterator[str], town: Institution
) -> MakeReader:
    """`await make_reader(**third_party_data)`: a new citizen with a new configuration."""

    async def make(base_url: str = "", **more: Any) -> Reader:
        return await reader(
            running, worker, world, next(citizens), base_url or town.base_url, **more
        )

    return make
