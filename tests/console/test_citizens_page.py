"""A citizen is erased after two pages, and their fiscal code is on neither."""

import re

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.work import Worker
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.console.operating import not_for_others, operating
from tests.messages.mail import Mail
from tests.world import AUTO, BLOCKING, MANUAL, STRANGER, World

pytestmark = pytest.mark.anyio

_CHOSEN = re.compile(r'name="chosen" value="([^"]+)"')


def chosen(page: httpx.Response) -> str:
    found = _CHOSEN.search(page.text)
    assert found
    return found[1]


async def traces(pool: Pool, fiscal_code: str) -> int:
    async with pool.connection() as conn:
        count = await conn.raw.fetchval(
            "SELECT (SELECT count(*) FROM messages.message WHERE fiscal_code = $1)"
            " + (SELECT count(*) FROM recipients.profile WHERE fiscal_code = $1)",
            fiscal_code,
        )
    return int(count)


async def test_whatever_there_is_goes_after_the_code_was_typed_twice(
    colleague: Colleague,
    pool: Pool,
    world: World,
    running: Running,
    worker: Worker,
    secrets: Secrets,
) -> None:
    operator = await operating(colleague, pool)
    await Mail(running, worker).send(world.bruno, AUTO)
    assert await traces(pool, AUTO) == 2
    for wrong in ("", "x", "A" * 5000, AUTO[:-1]):
        page = await operator.post("/citizens", 400, fiscal_code=wrong)
        assert "16 letters and digits" in page.text
    asked = await operator.post("/citizens", 200, fiscal_code=f" {AUTO[:6]} {AUTO[6:].lower()} ")
    assert "What goes" in asked.text
    assert "What stays" in asked.text
    other_code = await operator.post("/citizens/erase", 400, chosen=chosen(asked), again=MANUAL)
    assert "Nothing was erased" in other_code.text
    assert await traces(pool, AUTO) == 2
    done = await operator.post("/citizens/erase", chosen=chosen(other_code), again=AUTO.lower())
    assert "is erased" in done.text
    assert await traces(pool, AUTO) == 0
    again = await operator.post("/citizens/erase", 409, chosen=chosen(asked), again=AUTO)
    assert "being erased right now" in again.text
    for page in (asked, other_code, done, again):
        assert AUTO not in page.text.upper()
        assert AUTO not in str(page.url).upper()
    async with pool.connection() as conn:
        actor = await conn.raw.fetchval(
            "SELECT actor FROM operations.audit WHERE action = 'citizen.erase' AND subject = $1",
            secrets.keyed_hash(AUTO),
        )
    assert actor.startswith("operator:")


async def test_a_stranger_is_erased_with_the_same_words(colleague: Colleague, pool: Pool) -> None:
    operator = await operating(colleague, pool)
    pages = []
    for code in (STRANGER, BLOCKING):
        asked = await operator.post("/citizens", 200, fiscal_code=code)
        done = await operator.post("/citizens/erase", chosen=chosen(asked), again=code)
        pages.append((_CHOSEN.sub("", asked.text), str(done.url)))
    assert pages[0] == pages[1]


async def test_what_was_chosen_is_good_for_the_one_who_chose(
    colleague: Colleague, other: Colleague, pool: Pool
) -> None:
    first, second = await operating(colleague, pool), await operating(other, pool, "oscar")
    asked = await first.post("/citizens", 200, fiscal_code=MANUAL)
    for given in (chosen(asked), "x", ""):
        answer = await second.post("/citizens/erase", chosen=given, again=MANUAL)
        assert "That took too long" in answer.text
    assert await traces(pool, MANUAL) == 1


async def test_wishes_are_counted(colleague: Colleague, pool: Pool) -> None:
    operator = await operating(colleague, pool)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO recipients.data_request (bucket, fiscal_code, choice, status, version,"
            " due_at, created_at, updated_at)"
            " VALUES ($1, $2, 'DOWNLOAD', 'FAILED', 0, now(), now(), now())",
            conn.bucket(MANUAL),
            MANUAL,
        )
    page = await operator.get("/citizens")
    assert "Copy of the data" in page
    assert "Given up" in page
    assert MANUAL not in page
    assert any('"Given up","1"' in line for line in await operator.rows("/citizens?format=csv"))


async def test_nobody_else_may_and_it_speaks_italian(
    colleague: Colleague, other: Colleague, pool: Pool
) -> None:
    await not_for_others(other, ["/citizens"], ["/citizens", "/citizens/erase"])
    operator = await operating(colleague, pool)
    assert "Cancella un cittadino" in await operator.get("/citizens", language="it")
