"""`messo service review`: what an operator sees and decides at a terminal."""

import asyncio
import base64

import pytest
from typer.testing import CliRunner

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.cli import cli
from messo.commands.database import StoppedError
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import Managing, approve, payload, version_of
from tests.world import World


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, database_url: str, secrets: Secrets) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "300")
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def run(*words: str) -> str:
    """What it printed; what it refused is raised."""
    told = await asyncio.to_thread(lambda: CliRunner().invoke(cli, ["service", "review", *words]))
    if told.exception is not None:
        raise told.exception
    return told.stdout


async def test_a_queue_a_look_and_a_decision(anna: Managing, pool: Pool) -> None:
    assert await run() == "Nothing waits for a decision.\n"
    # Text of strangers moves no cursor and paints nothing.
    asked = payload(name="Sportello [red]unico[/red]", description="Orari.\u001b[2J")
    service = (await anna.ask("POST", "", asked, 201))["id"]
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    queue = await run()
    assert service in queue
    assert "Sportello [red]unico[/red]" in queue
    seen = await run(service)
    assert "first review" in seen
    assert "\u001b[2J" not in seen
    version = await version_of(pool, service)
    assert f"--version {version}" in seen
    with pytest.raises(StoppedError, match="look at it first"):
        await run(service, "--approve")
    with pytest.raises(StoppedError, match="another version"):
        await run(service, "--approve", "--version", str(version + 1))
    assert "Approved" in await run(service, "--approve", "--version", str(version))
    assert (await anna.ask("GET", f"/{service}/release"))["status"] == "published"
    with pytest.raises(StoppedError, match="not in review"):
        await run(service, "--reject", "Tardi", "--version", str(version + 1))


async def test_what_would_change_is_shown_against_what_is(anna: Managing, pool: Pool) -> None:
    service = await anna.make(name="Tributi")
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    await approve(pool, service)
    await anna.ask("PUT", f"/{service}", payload(name="Tributi e imposte"))
    await anna.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    seen = await run(service)
    assert "- Tributi\n+ Tributi e imposte\n" in seen
    assert "description" not in seen
    version = str(await version_of(pool, service))
    with pytest.raises(StoppedError, match="words"):
        await run(service, "--reject", " ", "--version", version)
    with pytest.raises(StoppedError, match="either"):
        await run(service, "--reject", "No", "--approve", "--version", version)
    assert await run(service, "--reject", " Troppo lungo. ", "--version", version) == "Rejected.\n"
    said = {"value": "rejected", "reason": "Troppo lungo."}
    assert await anna.status(service) == said
    with pytest.raises(StoppedError, match="not found"):
        await run("01J00000000000000000000000")
