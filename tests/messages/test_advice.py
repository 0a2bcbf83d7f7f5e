"""What a sender is told about a button with single sign-on that will sign nobody on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from messo.base.db import Connection, Pool
from messo.base.ids import new_id
from messo.messages.advice import Advise, sso_unknown_relying_party
from messo.sso.known_sites import KnownSites
from tests.conftest import Running
from tests.sso.test_launch import register
from tests.world import AUTO, STRANGER, Caller, World, message

pytestmark = pytest.mark.anyio

SITE = "https://accesso.anna.example"
RULE = "sso-unknown-relying-party"
BODY = "Ciao! La tua pratica è pronta: aprila con il pulsante qui sotto, ci vuole un minuto. " * 2


def text(*actions: str, english: str = "") -> str:
    """Italian buttons with these actions, and perhaps an English one."""
    front = "it:\n" + "".join(
        f"  cta_{n}:\n    text: Apri\n    action: '{action}'\n"
        for n, action in enumerate(actions, 1)
    )
    if english:
        front += f"en:\n  cta_1:\n    text: Open\n    action: '{english}'\n"
    return f"---\n{front}---\n{BODY}"


async def post(
    running: Running, caller: Caller, markdown: str, path: str = "", **headers: str
) -> httpx.Response:
    answer = await running.client.post(
        f"/api/v1/messages{path}",
        json=message(None if path else AUTO, markdown=markdown),
        headers=caller.headers | headers,
    )
    assert answer.status_code == 201, answer.text
    return answer


async def advice(
    running: Running, caller: Caller, markdown: str, **more: Any
) -> list[tuple[str, str]]:
    """Rule and place of each."""
    found = (await post(running, caller, markdown, **more)).json().get("advice", [])
    assert all(one["reason"].endswith(".") for one in found)
    return [(one["rule"], one["place"]) for one in found]


async def settled(running: Running) -> None:
    """Until the server knows of a change of clients."""
    await running.started.directory.refresh(0)


@pytest.fixture(autouse=True)
async def anna_site(pool: Pool, world: World, running: Running) -> None:
    await register(pool, world.anna, f"{SITE}/callback")
    await settled(running)


async def test_a_button_to_a_registered_site_gets_the_answer_there_always_was(
    running: Running, world: World
) -> None:
    for markdown in (text(f"iosso://{SITE}/x"), BODY, text("ioit://MESSAGES_HOME")):
        answer = await post(running, world.anna, markdown)
        assert answer.content == b'{"id":"%s"}' % answer.json()["id"].encode()


async def test_a_button_to_an_unknown_site_is_advised_about(running: Running, world: World) -> None:
    answer = await post(running, world.anna, text("iosso://https://evil.example/x"))
    (found,) = answer.json()["advice"]
    assert (found["rule"], found["place"]) == (RULE, "content.markdown.it.cta_1.action")
    assert "https://evil.example" in found["reason"]
    assert answer.headers["location"] == f"/api/v1/messages/{AUTO}/{answer.json()['id']}"


async def test_each_button_of_each_language_has_its_place(running: Running, world: World) -> None:
    markdown = text(
        "iosso://https://uno.example", "IOSSO://http://due.example", english=f"iosso://{SITE}.it"
    )
    places = [f"content.markdown.{name}.action" for name in ("it.cta_1", "it.cta_2", "en.cta_1")]
    assert await advice(running, world.anna, markdown) == [(RULE, place) for place in places]


async def test_the_recipient_in_the_path_makes_no_difference(
    running: Running, world: World
) -> None:
    markdown = text("iosso://https://evil.example")
    assert len(await advice(running, world.anna, markdown, path=f"/{AUTO}")) == 1


async def test_a_service_may_lead_to_a_site_of_its_institution_only(
    running: Running, world: World
) -> None:
    markdown = text(f"iosso://{SITE}/x")
    assert await advice(running, world.secure, markdown) == []
    assert len(await advice(running, world.bruno, markdown)) == 1


async def test_it_says_nothing_about_the_recipient(running: Running, world: World) -> None:
    """Whoever is not enrolled is answered the same."""
    markdown = text("iosso://https://evil.example")
    bodies = []
    for fiscal_code in (AUTO, STRANGER):
        answer = (await post(running, world.anna, markdown, path=f"/{fiscal_code}")).json()
        bodies.append(answer["advice"])
    assert bodies[0] == bodies[1]


async def test_a_new_client_is_known_within_a_second(
    pool: Pool, running: Running, world: World
) -> None:
    markdown = text("iosso://https://nuovo.example/x")
    assert len(await advice(running, world.anna, markdown)) == 1
    await register(pool, world.secure, "https://nuovo.example/cb")
    began = time.monotonic()
    while await advice(running, world.anna, markdown):
        assert time.monotonic() - began < 3


async def test_a_repeated_request_is_advised_as_the_first(running: Running, world: World) -> None:
    markdown, key = text("iosso://https://evil.example"), new_id()
    first, second = [
        await post(running, world.anna, markdown, **{"Idempotency-Key": key}) for _ in range(2)
    ]
    assert "advice" in first.json()
    assert first.content == second.content


@pytest.mark.parametrize(
    "markdown",
    [
        f"{BODY} iosso://https://evil.example",
        f"[x](iosso://https://evil.example) {BODY}",
        text("iohandledlink://https://evil.example/?iosso://"),
        text("iosso://https://evil.example").replace("cta_1", "cta_3"),
        text("iosso://https://evil.example").replace("it:", "it: &a"),
        text("iosso://https://evil.example").replace("it:", "fr:"),
        "---\n" + "iosso://:" * 900 + "\n---\n",
    ],
)
async def test_what_is_no_button_is_not_advised_about(
    running: Running, world: World, markdown: str
) -> None:
    assert await advice(running, world.anna, markdown) == []


@pytest.mark.parametrize(
    "address",
    [
        *("https://accesso.anna.example.evil.example", "http://accesso.anna.example", ""),
        *("https://accesso.anna.example@evil.example", "https://accesso.anna.example:8443", "x"),
        *("javascript:alert(1)", "https://[::1", "http://127.0.0.1:8480", "https://evil.example/"),
    ],
)
async def test_hostile_addresses_are_advised_about(address: str) -> None:
    (found,) = sso_unknown_relying_party(text(f"iosso://{address}"), frozenset({SITE}))
    assert found.reason.isascii()


async def test_a_sandbox_has_its_sites_on_loopback() -> None:
    markdown = text("iosso://http://127.0.0.1:8480/rp")
    sites = frozenset({"http://127.0.0.1:8480"})
    assert sso_unknown_relying_party(markdown, sites, on_loopback=True) == []
    assert len(sso_unknown_relying_party(markdown, sites)) == 1
    assert len(sso_unknown_relying_party(markdown, frozenset(), on_loopback=True)) == 1


class Broken(Pool):
    """A database that is not there, or that hangs."""

    def __init__(self, wait: float) -> None:
        super().__init__(None)
        self.wait = wait
        self.asked = 0

    @asynccontextmanager
    async def connection(self, wait_seconds: float = 5) -> AsyncIterator[Connection]:  # noqa: ARG002
        self.asked += 1
        await asyncio.sleep(self.wait)
        raise ConnectionRefusedError
        yield


@pytest.mark.parametrize("wait", [0.0, 30.0])
async def test_a_database_that_cannot_be_asked_costs_the_advice_and_nothing_else(
    wait: float,
) -> None:
    broken = Broken(wait)
    advise = Advise(KnownSites(broken, lambda: 1))
    began = time.monotonic()
    assert await advise("institution", text("iosso://https://evil.example")) == ()
    assert time.monotonic() - began < 5
    assert broken.asked == 1


async def test_a_text_without_such_a_button_asks_nobody() -> None:
    broken = Broken(0)
    advise = Advise(KnownSites(broken, lambda: 1))
    for markdown in (BODY, text("iohandledlink://https://a.it"), f"iosso://x {BODY}"):
        assert await advise("institution", markdown) == ()
    assert broken.asked == 0
