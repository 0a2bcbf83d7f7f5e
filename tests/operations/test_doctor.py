"""What the doctor finds in a database, besides what the tests of the command see."""

from pathlib import Path

from messo.base.db import Pool
from messo.operations.doctor import Finding, examine
from tests.world import World


async def test_services_that_wait_for_a_decision_are_counted(
    database_url: str, pool: Pool, world: World, tmp_path: Path
) -> None:
    async def found() -> Finding:
        findings = await examine(database_url, tmp_path, "", "a@example.org", "")
        return next(one for one in findings if one.what == "reviews")

    assert await found() == Finding("ok", "reviews", "none waits")
    for service, says in (
        (world.anna, "1 service waits for a decision: `messo service review`"),
        (world.bruno, "2 services wait for a decision: `messo service review`"),
    ):
        async with pool.transaction() as conn:
            await conn.raw.execute(
                "UPDATE services.lifecycle SET status = 'submitted' WHERE service_id = $1",
                service.id,
            )
        assert await found() == Finding("warn", "reviews", says)
