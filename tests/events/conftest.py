"""A receiver of webhooks and what sends to it, fresh for each test."""

from collections.abc import AsyncIterator

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.outbound import Outbound
from tests.events.receiver import Receiver, receiving
from tests.events.told import LOOPBACK, Post
from tests.world import World


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest.fixture
async def post(
    pool: Pool, world: World, secrets: Secrets, receiver: Receiver
) -> AsyncIterator[Post]:
    # A host that fails is asked again at once: when it is asked is what these tests are about.
    outbound = Outbound(LOOPBACK, open_s=0.01)
    made = Post(pool, secrets, outbound, receiver)
    yield made
    await made.clear()
    await outbound.close()
