"""Neighbours on loopback, a worker that may call them, and an institution that writes."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from messo.base.work import Worker
from messo.settings import Settings
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.notifications.push_service import PushService


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        rate_limit=100_000,
        rate_burst=100_000,
        outbound_networks=(ip_network("127.0.0.0/8"),),
        contact="gestore@example.org",
    )


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    """A push service; what it found wrong with what it was sent fails the test."""
    started = PushService()
    await started.start()
    yield started
    await started.stop()
    assert started.wrong == []


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)
