"""Institutions with something to offer, for tests."""

from messo.base.db import Pool
from messo.services.services import NewService, create_institution, create_service
from tests.world import ACTOR, SANDBOX

NUMBERS = iter(range(200, 900))


async def institution(pool: Pool, name: str, *services: NewService) -> tuple[str, str, list[str]]:
    """A new institution with services: its id, its fiscal code, theirs."""
    fiscal_code = f"{next(NUMBERS):011d}"
    async with pool.transaction() as conn:
        made = await create_institution(conn, ACTOR, fiscal_code, name, "a@example.org")
        ids = [await create_service(conn, ACTOR, made, one, SANDBOX) for one in services]
    return made, fiscal_code, ids
