"""Citizens' browsers, institutions' sites, and the provider between them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from messo.base.db import Pool
from tests.conftest import Running
from tests.inbox.conftest import browse, client, giulia, mail, site
from tests.sso.party import Party, register
from tests.world import World

__all__ = ["browse", "client", "giulia", "mail", "site"]

Register = Callable[..., Awaitable[Party]]


@pytest.fixture
def party(pool: Pool, running: Running, world: World) -> Register:
    """`await party(id_token_signed_response_alg="ES256")`: a site of Anna's service, or another's.

    Registering it anew changes it.
    """

    async def make(service: str = world.anna.id, environment: str = "live", **more: Any) -> Party:
        return await register(pool, running, service, environment, **more)

    return make
