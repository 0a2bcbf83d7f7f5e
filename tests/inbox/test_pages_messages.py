"""What institutions wrote, where pages show it outside the body."""

import pytest

from messo.base.db import Pool
from messo.base.work import Worker
from messo.messages import mailbox
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import citizen
from tests.messages.mail import Mail
from tests.world import World

pytestmark = pytest.mark.anyio


async def test_a_subject_cannot_turn_the_direction_of_the_page(
    pool: Pool, running: Running, worker: Worker, world: World, browse: LogIn
) -> None:
    fiscal_code = await citizen(pool, "MSG", 1)
    subject = "Avviso \u202eetnatropmi\u2066 per te"
    sent = await Mail(running, worker).send(world.anna, fiscal_code, subject=subject)
    browser = await browse(fiscal_code)
    for path in ("/", f"/messages/{sent}", f"/messages/{sent}/not-for-me"):
        page = (await browser.get(path)).text
        assert "Avviso etnatropmi per te" in page
        assert "\u202e" not in page
        assert "\u2066" not in page


async def test_asking_for_the_headers_of_a_message_does_not_mark_it_read(
    pool: Pool, running: Running, worker: Worker, world: World, browse: LogIn
) -> None:
    fiscal_code = await citizen(pool, "MSG", 2)
    sent = await Mail(running, worker).send(world.anna, fiscal_code)
    browser = await browse(fiscal_code)

    async def is_read() -> bool:
        async with pool.connection() as conn:
            message = await mailbox.read_message(conn, fiscal_code, sent)
        assert message
        return message.line.is_read

    assert (await browser.head(f"/messages/{sent}")).status_code == 200
    assert not await is_read()
    await browser.get(f"/messages/{sent}")
    assert await is_read()
