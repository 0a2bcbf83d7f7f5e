"""`messo service describe`: each option reaches the member it names, and nothing else changes."""

import asyncio

import pytest
from typer.testing import CliRunner, Result

from messo.base.db import Pool
from messo.cli import cli
from messo.commands.database import StoppedError
from messo.services import catalog
from messo.services.services import NotAcceptedError
from tests.world import World

OPTIONS = {
    "email": ("email", "a@example.org"),
    "pec": ("pec", "b@pec.example.org"),
    "phone": ("phone", "+39 000 111"),
    "address": ("address", "Via Roma 1"),
    "web": ("web_url", "https://example.org/w"),
    "support": ("support_url", "https://example.org/s"),
    "privacy": ("privacy_url", "https://example.org/p"),
    "tos": ("tos_url", "https://example.org/t"),
    "scope": ("scope", "NATIONAL"),
}


async def describe(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(cli, ["service", "describe", *words]))


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)


async def test_every_option_is_told_and_the_command_is_audited(pool: Pool, world: World) -> None:
    async def now() -> catalog.Service:
        async with pool.connection() as conn:
            found = await catalog.read_service(conn, world.anna.id)
        assert found
        return found

    given = [word for name, (_, value) in OPTIONS.items() for word in (f"--{name}", value)]
    told = await describe(world.anna.id, "--description", "**Ciao**", *given)
    assert (told.exit_code, told.stdout) == (0, "Done.\n"), told.exception
    first = await now()
    assert first.description == "**Ciao**"
    assert {name: value for name, value in first.metadata.items() if value} == dict(
        OPTIONS.values()
    )
    assert first.topic.id == 0
    assert (await describe(world.anna.id, "--phone", "", "--topic", "17")).exit_code == 0
    second = await now()
    assert (second.description, second.version) == ("**Ciao**", first.version + 1)
    assert second.topic.english == "Health"
    assert second.metadata == {**first.metadata, "phone": ""}
    async with pool.connection() as conn:
        actors = await conn.raw.fetch(
            "SELECT actor FROM operations.audit WHERE action = 'service.describe' AND subject = $1",
            world.anna.id,
        )
    assert len(actors) == 2
    assert all(row["actor"].startswith("cli:") for row in actors)


async def test_what_cannot_be_done_is_one_sentence(pool: Pool, world: World) -> None:
    for words, error in (
        ((world.bruno.id,), StoppedError),
        ((world.bruno.id, "--email", "nobody"), NotAcceptedError),
        ((world.bruno.id, "--scope", "GLOBAL"), NotAcceptedError),
        ((world.bruno.id, "--topic", "18"), NotAcceptedError),
        ((world.bruno.id, "--address", "Via \udcff"), NotAcceptedError),
        (("01J00000000000000000000000", "--phone", "+39 000"), NotAcceptedError),
    ):
        told = await describe(*words)
        assert told.exit_code == 1
        assert isinstance(told.exception, error), words
        assert str(told.exception)
    async with pool.connection() as conn:
        untouched = await catalog.read_service(conn, world.bruno.id)
    assert untouched
    assert untouched.version == 0
