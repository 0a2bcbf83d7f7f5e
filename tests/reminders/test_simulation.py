"""Day by day, with a clock that the test moves: exactly the reminders that are promised are shown."""

from tests.reminders.conftest import Start
from tests.reminders.promised import live
from tests.reminders.scenarios import AUTUMN


async def test_sixty_days_of_autumn_bring_exactly_what_is_promised(start: Start) -> None:
    """With the change to winter time, on Sunday 25 October 2026."""
    assert len({scenario.name for scenario in AUTUMN}) == len(AUTUMN) >= 40
    sim = await start(2026, "09-28 00:00")
    await live(sim, AUTUMN, until="11-27 00:00")
