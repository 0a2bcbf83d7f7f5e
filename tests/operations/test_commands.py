"""What operators are shown at a terminal, whatever strangers call themselves; and what they end."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.cli import cli
from messo.login import web_limits
from messo.payments import intake
from messo.people.members import put_member
from messo.people.sessions import find_session, open_session
from messo.services.services import NewService, create_institution
from messo.settings import Settings
from tests.world import ACTOR, AUTO, World, add_service

MARKUP = "[/x]"


@pytest.fixture(autouse=True)
def here(
    monkeypatch: pytest.MonkeyPatch, database_url: str, secrets: Secrets, tmp_path: Path
) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    monkeypatch.setenv("MESSO_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))


async def ask(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(cli, words))


async def run(*words: str) -> str:
    """What it printed, which was no refusal."""
    told = await ask(*words)
    assert told.exit_code == 0, (words, told.exception)
    return told.stdout


async def entries(pool: Pool, subject: str) -> list[tuple[str, dict[str, Any]]]:
    """Action and detail of the commands' entries about it, in order."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT action, detail::text AS detail FROM operations.audit "
            "WHERE subject = $1 AND actor LIKE 'cli:%' ORDER BY id",
            subject,
        )
    return [(row["action"], json.loads(row["detail"])) for row in rows]


async def test_every_list_shows_any_name_and_whole_ids(
    pool: Pool, secrets: Secrets, world: World
) -> None:
    now, message = clock.now(), new_id()
    async with pool.transaction() as conn:
        home = await create_institution(
            conn, ACTOR, "00000000009", f"Ente {MARKUP}", f"{MARKUP}@example.org"
        )
        service = (await add_service(conn, secrets, home, NewService(MARKUP))).id
        put = await put_member(conn, ACTOR, home, "x", MARKUP, f"{MARKUP}@example.org", "admin")
        await intake.take(conn, secrets, [b"[/x]"])
        held = "INSERT INTO messages.guard_hold VALUES (0, $1, 1, $2, 100000, $3)"
        await conn.raw.execute(held, home, service, now)
        reported = "INSERT INTO messages.report VALUES (0, $1, $2, $3)"
        await conn.raw.execute(reported, message, service, now)
    group = (await run("institution", "group", "create", home, MARKUP)).split()[1]
    hook = await run("service", "webhook", "create", service, f"https://example.org/?a={MARKUP}")
    webhook = hook.split()[1]
    at = "https://example.org/cb"
    await run("service", "sso", "register", service, "--redirect", at, "--name", MARKUP)
    await run("institution", "suspend", home, "--reason", "[/]")
    await run("guard", "allow", home, "--reason", "[/]")
    await run("operator", "add", MARKUP)
    for words, ids, text in (
        ("institution list", [home], f"Ente {MARKUP}"),
        (f"institution people {home}", [put.member_id], MARKUP),
        (f"institution group list {home}", [group], MARKUP),
        ("service list", [service], MARKUP),
        (f"service list {home}", [service], MARKUP),
        (f"service webhook list {service}", [webhook], MARKUP),
        (f"service webhook dead-letters {webhook}", [], "Event"),
        (f"service sso show {service}", [service], MARKUP),
        ("service review", [], "Nothing waits"),
        ("guard list", [home, service], "[/]"),
        ("guard reports", [service], MARKUP),
        ("operator list", [], MARKUP),
        ("operator audit", [home, service, group, webhook], "[/]"),
        ("citizen requests", [], "Choice"),
        (f"citizen show {AUTO}", [AUTO], "it_IT"),
        ("payments dead-letters", [], "Why"),
        ("sso keys", [], "Key"),
        ("reminders schedule", [], "unread"),
    ):
        told = await run(*words.split())
        assert text in told, (words, told)
        assert "UNSET" not in told
        for one in ids:
            assert one in told, (words, told)


async def test_suspending_twice_is_recorded_once(pool: Pool, world: World) -> None:
    for kind, wanted in (("institution", world.bruno.institution), ("service", world.bruno.id)):
        assert "in force" in await run(kind, "suspend", wanted, "--reason", "debts")
        assert await run(kind, "suspend", wanted, "--reason", "more") == "Suspended already.\n"
        assert "in force" in await run(kind, "restore", wanted, "--reason", "paid")
        assert await run(kind, "restore", wanted, "--reason", "x") == "It is not suspended.\n"
        assert await entries(pool, wanted) == [
            (f"{kind}.suspend", {"reason": "debts"}),
            (f"{kind}.restore", {"reason": "paid"}),
        ]


async def test_whom_there_is_not_is_one_sentence(world: World) -> None:
    reason = ("--reason", "x")
    for words in (
        ("institution", "keys", "nope"),
        ("institution", "networks", "nope"),
        ("institution", "people", "nope"),
        ("institution", "invite", "nope", "x@example.org"),
        ("institution", "remove-person", "nope", "x"),
        ("institution", "group", "list", "nope"),
        ("institution", "suspend", "nope", *reason),
        ("institution", "restore", "nope", *reason),
        ("institution", "grant", "nope", "ApiInfoRead"),
        ("institution", "revoke", "nope", "ApiInfoRead"),
        ("service", "create", "nope", "Mensa"),
        ("service", "list", "nope"),
        ("guard", "allow", "nope", *reason),
    ):
        told = await ask(*words)
        said = (told.exit_code, str(told.exception))
        assert said == (1, "There is no institution nope."), words
    told = await ask("service", "keys", "\udcff")
    assert str(told.exception) == "There is no service \udcff."
    for word in ("suspend", "restore"):
        told = await ask("service", word, "nope", *reason)
        assert str(told.exception) == "There is no service nope."


async def test_a_login_that_nobody_can_have_is_no_operator(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for login in ("", "anna rossi", "anna\u200b", "\ufb01lippo", "\udcff"):
        told = await ask("operator", "add", login)
        assert (told.exit_code, "nobody can log in as that" in str(told.exception)) == (1, True)
    monkeypatch.setenv("MESSO_STAFF_CLAIM", "email")
    told = await ask("operator", "add", "Anna@example.org")
    assert "lower case: anna@example.org" in str(told.exception)
    assert "nna" not in await run("operator", "list")


async def test_all_logins_of_somebody_are_ended(pool: Pool, secrets: Secrets, world: World) -> None:
    limits = web_limits(Settings())
    async with pool.transaction() as conn:
        tokens = [await open_session(conn, who, "P", "", limits) for who in ("p", "p", "q")]
    assert await run("operator", "logout", "p") == "2 logins ended.\n"
    async with pool.connection() as conn:
        found = [await find_session(conn, token, limits) is not None for token in tokens]
    assert found == [False, False, True]
    assert "Nobody is logged in" in await run("operator", "logout", "p")
    hashed = secrets.keyed_hash("people.login:p")
    assert await entries(pool, hashed) == [("people.logout", {"logins": 2})]
