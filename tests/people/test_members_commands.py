"""`messo institution people | invite | remove-person`: what an operator does at the terminal."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.commands import people
from messo.commands.database import StoppedError, settings_of
from messo.people.members import lock_people
from tests.people.acting import URL, Acting, acting
from tests.world import World


@pytest.fixture
async def staff(
    pool: Pool, secrets: Secrets, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Acting]:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    monkeypatch.setenv("MESSO_PUBLIC_URL", URL)
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))
    async with acting(pool, secrets) as made:
        yield made


async def run(*words: str) -> str:
    """What it printed; what it refused is raised."""
    commands = typer.Typer()
    people.add_to(commands)
    told = await asyncio.to_thread(
        lambda: CliRunner().invoke(commands, words, env={"COLUMNS": "200"})
    )
    if told.exception is not None:
        raise told.exception
    return told.stdout


async def test_an_operator_invites_the_first_admin_and_takes_them_off(
    staff: Acting, world: World
) -> None:
    home = world.bruno.institution
    assert "Nobody yet" in await run("people", home)
    told = await run("invite", home, "prima@example.org", "--role", "admin")
    link = f"{URL}/console/invitation?token="
    assert link in told
    assert "invited: prima@example.org as admin" in await run("people", home)
    chief = await staff.person()
    token = told.split(link)[1].strip()
    accepted = await staff.ask(chief, "POST", "/invitations/acceptance", {"token": token})
    member = accepted.json()["member_id"]
    assert chief.email in (listed := await run("people", home))
    assert "invited" not in listed
    assert "Taken off" in await run("remove-person", home, member)
    assert (await staff.ask(chief, "GET", f"/institutions/{home}")).status_code == 404
    entries = await staff.audit(member)
    assert [action for action, _, _ in entries] == ["member.add", "member.remove"]
    assert entries[1][1].startswith("cli:")


async def test_with_a_mail_server_the_link_is_in_the_mail_only(
    staff: Acting, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSO_MAIL_SERVER", "smtp+plain://127.0.0.1:25")
    told = await run("invite", world.bruno.institution, "due@example.org")
    assert "sends the mail" in told
    assert "token" not in told


async def test_beside_a_sandbox_its_mail_server_and_its_address_are_used(
    staff: Acting, world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sandbox.json").write_text('{"base_url": "http://127.0.0.1:9480"}')
    monkeypatch.setenv("MESSO_DATA", str(tmp_path))
    letters, mark = "notifications.letter", "UPDATE base.database SET sandbox = $1"
    async with pool.connection() as conn:
        await conn.raw.execute(f"DELETE FROM {letters}")
        await conn.raw.execute(mark, True)
        try:
            assert (await settings_of(conn)).public_url == "http://127.0.0.1:9480"
            told = await run("invite", world.bruno.institution, "tre@example.org")
        finally:
            await conn.raw.execute(mark, False)
        assert (await settings_of(conn)).public_url == URL
        assert await conn.raw.fetchval(f"SELECT count(*) FROM {letters}") == 1
    assert "sends the mail" in told


async def test_a_look_waits_for_nobody(staff: Acting, world: World, pool: Pool) -> None:
    home = world.bruno.institution
    async with pool.transaction() as conn:
        await lock_people(conn, home)
        assert (await run("people", home)).startswith(("Nobody yet.", "Id "))


async def test_wrong_words_are_told(staff: Acting, world: World) -> None:
    home = world.bruno.institution
    for words, said in (
        (("invite", home, "x@example.org", "--role", "owner"), "admin, editor, sender, reader"),
        (("invite", home, "nobody"), "not an e-mail address"),
        (("invite", new_id(), "x@example.org"), "There is no institution"),
        (("people", new_id()), "There is no institution"),
        (("remove-person", home, new_id()), "nobody with this id"),
        (("remove-person", world.anna.institution, "x"), "nobody with this id"),
    ):
        with pytest.raises((StoppedError, Problem)) as refused:
            await run(*words)
        assert said in str(vars(refused.value).get("detail", refused.value)), words
