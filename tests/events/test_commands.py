"""`messo service webhook`: what an operator does for an institution, audited as the operator's."""

import asyncio
import base64
import re
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.cli import cli
from messo.commands.database import StoppedError
from tests.events.receiver import OK, Receiver, status
from tests.events.told import Post, rows, tell
from tests.world import World


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, database_url: str, secrets: Secrets) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))
    monkeypatch.setenv("MESSO_OUTBOUND_NETWORKS", "127.0.0.0/8")


async def run(*words: str) -> str:
    """What it printed; what it refused is raised."""
    told = await asyncio.to_thread(lambda: CliRunner().invoke(cli, ["service", "webhook", *words]))
    if told.exception is not None:
        raise told.exception
    return told.stdout


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match.group(1)


async def test_an_operator_makes_one_and_looks_after_it(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    told = await run("create", world.anna.id, receiver.url, "--kind", "accepted")
    webhook = found(r"Webhook (\S+)", told)
    receiver.secrets = [found(r"secret +(\S+)", told)]
    began = clock.now()
    (message,) = await tell(pool, world.anna.id, "accepted", "processed")
    receiver.answer = lambda _: status(400)
    await post.settle()
    listed = await run("list", world.anna.id)
    assert webhook[:10] in listed
    receiver.answer = lambda _: OK
    await run("off", webhook)
    await post.later(minutes=1)
    await post.settle()
    assert len(receiver.seen) == 1
    await run("on", webhook)
    receiver.secrets.append(found(r"secret +(\S+)", await run("secret", webhook)))
    await post.settle()
    assert [(one.message, one.kind) for one in receiver.seen] == [(message, "accepted")] * 2
    assert receiver.seen[-1].signers == [0, 1]
    await run("secret", webhook, "--drop-old")
    stretch = ["--from", (began - timedelta(minutes=2)).isoformat(), "--to"]
    stretch.append((began + timedelta(minutes=5)).isoformat())
    assert "1 events are sent again" in await run("replay", webhook, *stretch)
    await post.settle()
    assert receiver.seen[-1].signers == [1]
    assert "1 events" in await run("replay", webhook, "--event", receiver.seen[-1].id)
    await run("change", webhook, "--url", receiver.url, "--kind", "paid", "--kind", "read")
    assert "status 204" in await run("test", webhook)
    assert (receiver.seen[-1].type, receiver.seen[-1].signers) == ("test", [1])
    await run("delete", webhook)
    audit: list[dict[str, Any]] = await rows(
        pool, "SELECT actor, action FROM operations.audit WHERE subject = $1 ORDER BY id", webhook
    )
    assert [row["action"].removeprefix("webhook.") for row in audit] == [
        "create",
        "change",
        "change",
        "secret.replace",
        "secret.drop",
        "replay",
        "replay",
        "change",
        "delete",
    ]
    assert all(row["actor"].startswith("cli:") for row in audit)


async def test_an_operator_sees_what_was_given_up(
    pool: Pool, world: World, post: Post, receiver: Receiver
) -> None:
    made = await post.create(world.anna)
    receiver.answer = lambda seen: status(400) if seen.message in bad else OK
    bad = await tell(pool, world.anna.id, "accepted", messages=2)
    await post.settle()
    await post.later(days=3, hours=1)
    await post.settle()
    page = await run("dead-letters", made.id, "--limit", "1")
    assert sum(message[:8] in page for message in bad) >= 1
    assert "400" in page
    rest = await run("dead-letters", made.id, "--after", found(r"--after\s+(\S+)", page))
    assert "There are more" not in rest
    receiver.answer = lambda _: status(418)
    with pytest.raises(StoppedError) as stopped:
        await run("test", made.id)
    assert str(stopped.value) == "not taken: status 418"


async def test_what_cannot_be_done_is_said(world: World, post: Post) -> None:
    for words, said in [
        (("create", new_id(), "https://example.org/"), "no service"),
        (("create", world.anna.id, "ftp://example.org/"), "https://"),
        (("create", world.anna.id, "https://example.org/", "--kind", "reported"), "reported"),
        (("list", new_id()), "no service"),
        (("on", new_id()), "no webhook"),
        (("replay", new_id(), "--event", new_id()), "no webhook"),
        (("replay", new_id(), "--event", "x"), "event_id"),
        (("delete", new_id()), "no webhook"),
        (("test", new_id()), "no webhook"),
        (("dead-letters", new_id()), "no webhook"),
        (("change", new_id(), "--kind", "paid"), "no webhook"),
        (("change", new_id(), "--kind", "reported"), "reported"),
    ]:
        with pytest.raises(StoppedError) as stopped:
            await run(*words)
        assert said in str(stopped.value), words
