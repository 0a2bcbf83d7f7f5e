"""Somebody who writes messages in the console, for the tests."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count as count_up
from typing import Any
from urllib.parse import urlencode

import httpx

from messo.base.db import Pool
from messo.people.members import put_member
from messo.people.roles import Role
from tests.conftest import Running
from tests.console.colleague import Colleague, browser_at
from tests.console.forms import Form, Page
from tests.world import AUTO, World

SUBJECT = "La tua carta è pronta"
TEXT = (
    "Ciao,\n\nla tua **carta** è pronta: puoi ritirarla allo sportello quando vuoi, con calma.\n"
    * 2
)
_NUMBERS = count_up()


class Writer:
    """Somebody who writes for Anna's institution."""

    def __init__(self, one: Colleague, institution: str, login: str = "") -> None:
        self.one = one
        self.login = login
        self.at = f"/console/institutions/{institution}"

    async def get(self, path: str = "/write") -> httpx.Response:
        return await self.one.client.get(self.at + path)

    async def post(
        self, path: str, fields: list[tuple[str, str]] | dict[str, str]
    ) -> httpx.Response:
        given = list(fields.items()) if isinstance(fields, dict) else fields
        if not any(name == "csrf" for name, _ in given):
            given = [("csrf", await self.one.csrf()), *given]
        body = urlencode(given)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.one.client.post(self.at + path, content=body, headers=headers)


@asynccontextmanager
async def writing(
    running: Running, pool: Pool, world: World, role: Role = "sender", language: str = "en"
) -> AsyncIterator[Writer]:
    login = f"writes-{role}-{next(_NUMBERS)}"  # logins are limited: nobody uses up another's
    async with pool.transaction() as conn:
        await put_member(conn, "tests", world.anna.institution, login, role, "s@b.it", role)
    async with browser_at(running.url) as one:
        one.client.headers["Accept-Language"] = language
        await one.log_in(login)
        yield Writer(one, world.anna.institution, login)


def typed(world: World, **more: str) -> dict[str, str]:
    """What somebody types."""
    return {
        "as": "form",
        "service": world.anna.id,
        "fiscal_code": AUTO,
        "subject": SUBJECT,
        "markdown": TEXT.replace("\n", "\r\n"),  # as browsers send it
        **more,
    }


def as_json(world: World, body: Any, **more: str) -> dict[str, str]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"as": "json", "service": world.anna.id, "json": text, **more}


def forms_of(answer: httpx.Response) -> tuple[Form, Form]:
    """Of the page that checks: to oneself, and the one that sends."""
    assert answer.status_code == 200, answer.text
    found = [
        form
        for form in Page(str(answer.url), answer.text).forms
        if form.action.endswith("/write/send")
    ]
    assert len(found) == 2
    return found[0], found[1]


def button(form: Form, value: str, **changed: str) -> list[tuple[str, str]]:
    fields = [(name, changed.get(name, old)) for name, old in form.fields]
    return [*fields, ("go", value)]


async def sent(pool: Pool, message_id: str) -> dict[str, Any]:
    """What the database has."""
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT m.fiscal_code, m.subject, c.markdown, c.parts::text AS parts, "
            "m.reference, m.service_id, m.feature_level_type FROM messages.message AS m "
            "JOIN messages.content AS c ON c.id = m.id AND c.bucket = m.bucket "
            "WHERE m.id = $1",
            message_id,
        )
    assert row
    return dict(row)


async def count(pool: Pool) -> int:
    async with pool.connection() as conn:
        return int(await conn.raw.fetchval("SELECT count(*) FROM messages.message"))


def id_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    found = re.search(r"/messages/([0-9A-Z]{26})\?done=sent\Z", answer.headers["location"])
    assert found
    return found[1]
