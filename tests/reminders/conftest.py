"""Neighbours on loopback may be called, and a world whose clock the test moves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_network

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.payments import node
from messo.settings import Settings
from tests.conftest import Running
from tests.notifications.push_service import PushService
from tests.reminders.simulated import Simulated
from tests.world import World

Start = Callable[[int, str], Awaitable[Simulated]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000,
        rate_burst=100_000,
        outbound_networks=(ip_network("127.0.0.0/8"),),
        contact="gestore@example.org",
    )


@pytest.fixture
async def start(
    pool: Pool,
    running: Running,
    world: World,
    secrets: Secrets,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Start]:
    """`await start(2026, "09-28 00:00")`: the world at that moment."""
    # A node that hangs takes its whole bound each time, in the test's own time.
    monkeypatch.setattr(node, "_LIMITS", replace(node._LIMITS, total_s=0.25))
    async with AsyncExitStack() as stack:

        async def started(year: int, since: str) -> Simulated:
            push = PushService()
            await push.start()
            stack.push_async_callback(push.stop)
            sim = Simulated(year, pool, running, world, secrets, push)
            await sim.open(settings, since, monkeypatch)
            stack.push_async_callback(sim.close)
            return sim

        yield started
