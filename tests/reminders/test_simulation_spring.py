"""Day by day over the change to summer time, with a payment node that is down, and one that hangs."""

from tests.reminders.conftest import Start
from tests.reminders.promised import live
from tests.reminders.scenarios_of_notices import SPRING, SPRING_NODE


async def test_the_node_down_and_the_change_to_summer_time_move_nothing(start: Start) -> None:
    """With the change on Sunday 28 March 2027, and a node that is down for everybody."""
    assert len({scenario.name for scenario in SPRING}) == len(SPRING)
    sim = await start(2027, "03-08 00:00")
    sim.node.of_all = [(sim.moment(since), answer) for since, answer in SPRING_NODE.items()]
    await live(sim, SPRING, until="04-10 00:00")
