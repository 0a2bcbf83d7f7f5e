"""A payment node on loopback, and an installation that asks it."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from messo.base.work import Worker
from messo.settings import Settings
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.payments.node import KEY, FakeNode

EVENTS_KEY = "the key of the payment events"


@pytest.fixture(scope="module")
async def payment_node() -> AsyncIterator[FakeNode]:
    """For the whole file, as the server's settings name it; `node` is the same, fine again."""
    started = FakeNode()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def node(payment_node: FakeNode) -> AsyncIterator[FakeNode]:
    """What was wrong with the questions it was asked fails the test."""
    yield payment_node
    payment_node.recover()
    assert payment_node.wrong == []


@pytest.fixture(scope="module")
def settings(payment_node: FakeNode) -> Settings:
    return Settings(
        rate_limit=100_000,
        rate_burst=100_000,
        outbound_networks=(ip_network("127.0.0.0/8"),),
        payment_node_url=payment_node.url,
        payment_node_key=KEY,
        payment_events_key=EVENTS_KEY,
    )


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)
