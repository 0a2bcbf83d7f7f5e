"""Who may have an attachment in memory, and for how long: nobody takes the places of all."""

import asyncio
from collections.abc import Awaitable

import httpx
import pytest

from messo.base.db import Pool
from messo.settings import Settings
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.institution import (
    FILE,
    PDF,
    SETTINGS,
    Answer,
    Institution,
    Write,
    another,
    attachment,
    attachments_of,
    detail,
    dripping,
    institution,
    is_read,
    sent_with,
)
from tests.inbox.pages import Browser, check, citizen
from tests.messages.mail import Mail
from tests.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def settings() -> Settings:
    return SETTINGS


class Held:
    """A file that begins to come and then waits to be let go."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.release = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        writer.write(FILE[:-4])
        await writer.drain()
        self.begun.put_nowait(None)
        await self.release.wait()
        writer.write(FILE[-4:])

    async def until_begun(self) -> None:
        async with asyncio.timeout(20):
            await self.begun.get()


async def test_nobody_takes_all_the_places(
    pool: Pool, world: World, running: Running, hospital: Institution, mail: Mail, browse: LogIn
) -> None:
    """One of one citizen, two of one institution, four in all: who comes after waits five seconds."""
    held = Held()
    async with (
        institution(pool, world, await another(pool, world, 11)) as second,
        institution(pool, world, await another(pool, world, 12)) as third,
    ):
        await running.started.directory.refresh(0)
        pending: list[asyncio.Task[httpx.Response]] = []

        async def address(browser: Browser, where: Institution, name: str, given: Answer) -> str:
            where.answers |= {name: detail(attachment()), f"{name}/attachments/referto": given}
            sent = await where.send(mail, browser.fiscal_code, name)
            return attachments_of(await browser.page(f"/messages/{sent}"))[0]

        def begin(opening: Awaitable[httpx.Response]) -> asyncio.Task[httpx.Response]:
            pending.append(asyncio.ensure_future(opening))
            return pending[-1]

        people = [await browse(await citizen(pool, "PLC", number)) for number in range(6)]
        anna, bruno, carla, dario, elena, fabio = people
        firsts = [
            (anna, await address(anna, hospital, "a", held)),
            (bruno, await address(bruno, hospital, "b", held)),
        ]
        annas_second = await address(anna, second, "a2", FILE)
        carlas = await address(carla, hospital, "c", FILE)
        quick = await address(dario, second, "d", FILE)
        more = [
            (dario, await address(dario, second, "d2", held)),
            (elena, await address(elena, second, "e", held)),
        ]
        fabios = await address(fabio, third, "f", FILE)
        for one in (hospital, second, third):
            one.asked.clear()

        for browser, there in firsts:
            begin(browser.get(there))
            await held.until_begun()
        own_second = begin(anna.get(annas_second))
        turned_away = [begin(carla.get(carlas))]
        assert (await dario.get(quick)).content == PDF  # nothing of it is another institution's
        for browser, there in more:
            begin(browser.get(there))
            await held.until_begun()
        turned_away.append(begin(fabio.get(fabios)))
        for told in await asyncio.gather(*turned_away):
            assert told.status_code == 503
            assert told.headers["retry-after"] == "5"
            assert "tante persone aprono allegati" in check(told.text, "it").text
        # Who had no turn was not asked for; who only had no place had begun to come.
        assert "c" not in hospital.asked
        assert "a2" not in second.asked
        assert third.asked == ["f", "f/attachments/referto"]
        assert not own_second.done()  # who opens two waits for themselves, and longer
        held.release.set()
        for given in await asyncio.gather(*(one for one in pending if one not in turned_away)):
            assert given.content == PDF
        for browser, there in ((carla, carlas), (fabio, fabios)):
            assert (await browser.get(there)).content == PDF


async def test_one_citizen_has_one_attachment_at_a_time(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    """The others wait, and come when their turn has come."""
    held, order = Held(), []

    def noted(name: str) -> Write:
        async def write(writer: asyncio.StreamWriter) -> None:
            order.append(name)
            await (held(writer) if name == "first" else _written(writer))

        return write

    names = ("first", "second", "third")
    hospital.answers["uno"] = detail(*(attachment(name) for name in names))
    hospital.answers |= {f"uno/attachments/{name}": noted(name) for name in names}
    sent = await hospital.send(mail, giulia.fiscal_code)
    first, *others = attachments_of(await giulia.page(f"/messages/{sent}"))
    asking = [asyncio.ensure_future(giulia.get(first))]
    await held.until_begun()
    asking += [asyncio.ensure_future(giulia.get(one)) for one in others]
    # What is asked after them is answered before them.
    assert (await giulia.get("/preferences")).status_code == 200
    assert order == ["first"]
    held.release.set()
    assert [given.content for given in await asyncio.gather(*asking)] == [PDF] * 3
    assert order[0] == "first"


async def _written(writer: asyncio.StreamWriter) -> None:
    writer.write(FILE)
    await writer.drain()


async def test_a_file_that_stops_coming_is_left_after_its_time(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    """Ten seconds, and what 100 kB/s take of what has come: a drip buys next to no time."""

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n%PDF-1.7"
    address = await sent_with(hospital, mail, giulia, dripping(head, b" "))
    began = asyncio.get_running_loop().time()
    page = await giulia.page(address, status=504)
    assert 9 < asyncio.get_running_loop().time() - began < 14
    assert "ci sta mettendo troppo" in page.text
    assert await is_read(pool, giulia.fiscal_code, address.split("/")[2])
