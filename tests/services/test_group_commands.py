"""`messo institution keys`, `networks` and `group`: what operators do for an institution."""

import asyncio
import base64

import pytest
import typer
from typer.testing import CliRunner

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.commands.database import StoppedError
from messo.commands.groups import add_to
from messo.services import Directory, Manager
from tests.world import World


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, database_url: str, secrets: Secrets) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))


async def run(*words: str) -> list[str]:
    """The words that it printed; what it refused is raised."""
    institution = typer.Typer()
    add_to(institution)
    told = await asyncio.to_thread(lambda: CliRunner().invoke(institution, words))
    if told.exception is not None:
        raise told.exception
    return told.stdout.split()


async def test_an_operator_splits_an_institution_among_its_vendors(
    pool: Pool, world: World
) -> None:
    anna, directory = world.anna.institution, Directory(pool)
    made = await run("group", "create", anna, "[b]Fornitore", "192.0.2.0/24")
    group, key = made[1], made[3]
    assert made[2::2] == ["primary", "secondary"]
    await run("group", "assign", world.anna.id, group)
    assert (await run("group", "list", anna))[-4:] == [group, "[b]Fornitore", "1", "192.0.2.0/24"]
    assert await run("group", "networks", anna, group, "--any") == ["any"]
    found = await directory.find(key)
    assert isinstance(found, Manager)
    assert (found.group_id, found.networks) == (group, ())
    rotated = await run("group", "keys", anna, group, "--rotate", "primary")
    assert key not in rotated
    assert rotated == await run("group", "keys", anna, group)

    assert world.manage_key in await run("keys", anna)
    assert world.manage_key not in await run("keys", anna, "--rotate", "primary")
    assert await run("networks", anna, "192.0.2.7", "10.0.0.0/8") == ["192.0.2.7", "10.0.0.0/8"]
    assert await run("networks", anna) == ["192.0.2.7", "10.0.0.0/8"]
    assert await run("networks", anna, "--any") == ["any"]

    with pytest.raises(StoppedError, match="services in this group"):
        await run("group", "delete", anna, group)
    await run("group", "assign", world.anna.id)
    await run("group", "delete", anna, group)
    async with pool.connection() as conn:
        actors = await conn.raw.fetch(
            "SELECT DISTINCT actor FROM operations.audit WHERE subject = $1", group
        )
    assert [row["actor"].partition(":")[0] for row in actors] == ["cli"]


async def test_what_cannot_be_done_is_said(world: World) -> None:
    anna, nobody = world.anna.institution, new_id()
    for words, why in (
        (("group", "create", nobody, "x"), "no institution"),
        (("group", "list", "nope"), "^There is no institution nope.$"),
        (("keys", "nope"), "^There is no institution nope.$"),
        (("group", "assign", nobody), f"^There is no service {nobody}.$"),
        (("networks", nobody), "no institution"),
        (("networks", anna, "999.1.1.1"), "999.1.1.1"),
        (("networks", anna, "192.0.2.7", "--any"), "not both"),
        (("keys", anna, "--rotate", "third"), "primary or the secondary"),
        (("keys", world.bruno.institution), "no such keys"),
        (("group", "assign", world.anna.id, nobody), "no group"),
        (("group", "keys", world.bruno.institution, nobody), "no group"),
    ):
        with pytest.raises(StoppedError, match=why):
            await run(*words)
