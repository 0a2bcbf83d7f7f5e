"""`?test=true` in a sandbox asks its second node, and what that says is no fact."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from messo.base.db import Pool
from messo.settings import Settings
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.payments.asking import PATHS, client_of
from tests.payments.cases import fresh, known, send
from tests.payments.node import KEY, PAID, FakeNode, Mood, Said, payable
from tests.world import World


@pytest.fixture(scope="module")
async def started_test_node() -> AsyncIterator[FakeNode]:
    started = FakeNode()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def uat(started_test_node: FakeNode) -> AsyncIterator[FakeNode]:
    """The second node, fine again after each test."""
    yield started_test_node
    started_test_node.recover()
    assert started_test_node.wrong == []


@pytest.fixture(scope="module")
def settings(settings: Settings, started_test_node: FakeNode) -> Settings:
    return replace(
        settings,
        sandbox=True,
        payment_node_test_url=started_test_node.url,
        payment_node_test_key=KEY,
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", ["true", "TRUE", "True"])
async def test_the_test_node_is_asked_and_the_ledger_is_not_touched(
    pool: Pool,
    world: World,
    mail: Mail,
    running: Running,
    node: FakeNode,
    uat: FakeNode,
    value: str,
    path: str,
) -> None:
    notice = fresh()
    await send(mail, world.anna, notice)
    before = await known(pool, notice)
    assert before is not None
    node.says[notice.rpt_id] = payable(notice.rpt_id, 1)
    uat.says[notice.rpt_id] = PAID
    client = await client_of(running, 1)
    answer = await client.ask(notice.rpt_id, path, test=value)
    assert (answer.status_code, answer.json()["faultCodeCategory"]) == (409, "PAYMENT_DUPLICATED")
    assert (node.asked[notice.rpt_id], uat.asked[notice.rpt_id]) == (0, 1)
    assert await known(pool, notice) == before


@pytest.mark.parametrize("value", ["false", "", "1", "yes", " true"])
async def test_anything_else_asks_the_node(
    running: Running, node: FakeNode, uat: FakeNode, value: str
) -> None:
    notice = fresh()
    node.says[notice.rpt_id] = payable(notice.rpt_id, 1)
    client = await client_of(running, 2)
    assert (await client.ask(notice.rpt_id, test=value)).status_code == 200
    assert (node.asked[notice.rpt_id], uat.asked[notice.rpt_id]) == (1, 0)


async def test_a_test_node_that_is_not_well_is_a_bad_gateway_too(
    running: Running, node: FakeNode, uat: FakeNode
) -> None:
    client = await client_of(running, 3)
    refused, unusable = fresh(), fresh()
    uat.says[refused.rpt_id] = Said(400)
    uat.says[unusable.rpt_id] = Said(401)
    assert (await client.ask(refused.rpt_id, test="true")).status_code == 400
    assert (await client.ask(unusable.rpt_id, test="true")).status_code == 502
    uat.mood = Mood.GARBAGE
    assert (await client.ask(fresh().rpt_id, test="true")).status_code == 502
    assert node.asked[refused.rpt_id] == node.asked[unusable.rpt_id] == 0
