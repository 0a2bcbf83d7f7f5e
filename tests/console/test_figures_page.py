"""Figures of each day as plots and a table, and the limits in force."""

import csv
import io
import re
from datetime import date, timedelta

import httpx
import pytest
from babel.numbers import format_decimal

from messo.base import clock
from messo.base.db import Pool
from messo.console import institution_permissions
from messo.events import feed, webhooks
from messo.messages import checks, guard
from messo.people.members import put_member
from messo.people.roles import Role
from messo.services import Permission, groups
from tests.conftest import Running
from tests.console.colleague import Colleague
from tests.world import ACTOR, Caller, World

pytestmark = pytest.mark.anyio


async def enter(colleague: Colleague, pool: Pool, caller: Caller, role: Role = "reader") -> None:
    login = f"figures-{role}"
    async with pool.transaction() as conn:
        await put_member(conn, ACTOR, caller.institution, login, login, "f@example.org", role)
    await colleague.log_in(login)


async def get(colleague: Colleague, caller: Caller, end: str) -> httpx.Response:
    page = await colleague.client.get(f"/console/institutions/{caller.institution}{end}")
    assert page.status_code == 200, page.text
    return page


async def count(
    pool: Pool, caller: Caller, day: date, kind: str, number: int, about: str = ""
) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO events.figure VALUES ($1, $2, $3, $4, $5, $6)",
            conn.bucket(caller.id),
            caller.id,
            day,
            kind,
            about,
            number,
        )


def rows(file: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))


def cells(page: httpx.Response, label: str) -> list[int]:
    """A column of the table, the sum of it first."""
    return [int(text) for text in re.findall(rf'data-label="{label}">([0-9]+)</td>', page.text)]


async def test_nothing_yet_teaches(colleague: Colleague, pool: Pool, world: World) -> None:
    await enter(colleague, pool, world.bruno)
    page = await get(colleague, world.bruno, "/figures")
    assert "Nothing happened on these days" in page.text
    assert "<svg class=" not in page.text.split("<main")[1].replace('class="icon', "")


async def test_each_day_is_in_plots_table_and_file(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    today = clock.day_in_rome(clock.now())
    await count(pool, world.anna, today, "accepted", 7)
    await count(pool, world.anna, today - timedelta(days=1), "accepted", 5)
    await count(pool, world.secure, today, "accepted", 2)
    await count(pool, world.bruno, today, "accepted", 1000)
    await count(pool, world.anna, today - timedelta(days=40), "accepted", 90)
    await count(pool, world.anna, today, "rejected", 3, "USER_NOT_FOUND")
    await count(pool, world.anna, today, "rejected", 1, "")
    await count(pool, world.anna, today, "failed", 1)
    await count(pool, world.anna, today, "read", 4)
    await count(pool, world.anna, today, "paid", 2)
    await enter(colleague, pool, world.anna)
    page = await get(colleague, world.anna, "/figures")
    assert page.text.count('<svg class="plot"') == 3
    assert "only of people who let you know" in page.text
    assert cells(page, "Sent messages")[:3] == [14, 9, 5]
    assert len(cells(page, "Sent messages")) == 31
    assert cells(page, "Not enrolled")[:2] == [3, 3]
    assert cells(page, "Other reasons")[0] == 1
    assert cells(page, "Messages that failed")[0] == 1
    assert cells(page, "Read messages")[0] == 4
    assert cells(page, "Paid notices")[0] == 2
    assert cells(await get(colleague, world.anna, "/figures?days=90"), "Sent messages")[0] == 104
    one = await get(colleague, world.anna, f"/figures?days=7&service={world.secure.id}")
    assert cells(one, "Sent messages")[:2] == [2, 2]
    assert len(cells(one, "Sent messages")) == 8
    file = rows(await get(colleague, world.anna, "/figures?days=7&format=csv"))
    assert len(file) == 7
    assert (file[-1]["Day"], file[-1]["Sent messages"], file[-1]["Read messages"]) == (
        today.isoformat(),
        "9",
        "4",
    )
    odd = await get(colleague, world.anna, "/figures?days=5000000")
    assert len(cells(odd, "Sent messages")) == 31


async def test_whether_they_were_read_is_told_with_the_permission_only(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    today = clock.day_in_rome(clock.now())
    await count(pool, world.bruno, today, "read", 12345)
    await enter(colleague, pool, world.bruno)
    page = await get(colleague, world.bruno, "/figures")
    assert "lacks the permission ApiMessageReadAdvanced" in page.text
    assert "12345" not in page.text
    assert "12345" not in (await get(colleague, world.bruno, "/figures?format=csv")).text


async def test_every_permission_has_words() -> None:
    assert set(institution_permissions.WORDS) == set(Permission)


@pytest.mark.parametrize("language", ["en", "it"])
async def test_limits_are_those_that_the_code_goes_by(
    language: str, colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    await enter(colleague, pool, world.anna)
    colleague.client.headers["Accept-Language"] = language
    text = (await get(colleague, world.anna, "/limits")).text
    settings = running.settings
    async with pool.connection() as conn:
        most = await guard.threshold(conn, settings.guard_recipients, settings.guard_share)
    expected = {
        settings.rate_limit: "rate",
        settings.rate_burst: "burst",
        settings.body_limit // 1024: "body",
        most.in_force: "guard",
        groups.MOST: "groups",
        webhooks.MOST_OF_A_SERVICE: "webhooks",
        feed.KEPT.days: "events",
        settings.keep_idempotency_hours // 24: "keys",
        **dict.fromkeys((*checks.SUBJECT, *checks.MARKDOWN), "lengths"),
    }
    for value, about in expected.items():
        said = str(format_decimal(value, locale=language))
        assert re.search(rf"(?<![0-9.,]){re.escape(said)}(?![0-9])", text), (about, said)
    euro = "€10,000.00" if language == "en" else "10.000,00\xa0€"
    assert settings.service_max_amount == 1_000_000
    assert euro in text
    assert settings.sandbox_fiscal_code in text


async def test_an_allowance_and_what_is_not_granted_are_said(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    await enter(colleague, pool, world.bruno)
    before = (await get(colleague, world.bruno, "/limits")).text
    assert "past this until" not in before
    async with pool.transaction() as conn:
        await guard.allow(conn, ACTOR, world.bruno.institution, 5, "a reason")
    after = (await get(colleague, world.bruno, "/limits")).text
    assert "past this until" in after
    granted = dict(
        re.findall(r'<span class="hint mono">(Api\w+)</span></td><td[^>]*><span[^>]*>(\w+)', after)
    )
    assert granted[Permission.MESSAGE_WRITE] == "Yes"
    assert granted[Permission.MESSAGE_READ_ADVANCED] == "No"
    assert len(granted) == len(Permission)
