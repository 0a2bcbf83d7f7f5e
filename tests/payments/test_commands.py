"""`messo payments`: events from a file, and a look at those that could not be used."""

import asyncio
import base64
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.cli import cli
from messo.commands.database import StoppedError
from messo.payments import intake
from tests.messages.mail import Mail
from tests.payments.cases import fresh, items, known, rows, send
from tests.payments.pushed import DEBTOR, broken, event, lines
from tests.world import World


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, database_url: str, secrets: Secrets) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))


async def run(*words: str) -> str:
    """What it printed; what it refused is raised."""
    told = await asyncio.to_thread(lambda: CliRunner().invoke(cli, ["payments", *words]))
    if told.exception is not None:
        raise told.exception
    return told.stdout


async def counts(path: Path) -> list[int]:
    """Paid by this, nothing new, no notice, not usable."""
    told = " ".join((await run("import", str(path))).split())
    found = re.findall(r"(\d+) (?:notices paid|told nothing|name no notice|could not)", told)
    assert len(found) == 4, told
    return [int(one) for one in found]


async def test_a_file_of_lines_is_entered_and_the_same_again_changes_nothing(
    pool: Pool, world: World, mail: Mail, tmp_path: Path
) -> None:
    carried, others = fresh(), [fresh() for _ in range(1200)]
    message = await send(mail, world.anna, carried)
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(*(event(one) for one in [*others, carried]), b"", b"   "))
    assert await counts(path) == [1201, 0, 0, 0]
    assert await items(pool, "payments.paid", [message]) == [message]
    found = await known(pool, others[-1])
    assert found is not None
    assert (found.state, found.source) == ("paid", "event")
    await mail.settle()
    assert await counts(path) == [0, 1201, 0, 0]
    assert await items(pool, "payments.paid", [message]) == []


async def test_a_list_is_entered_too(pool: Pool, tmp_path: Path) -> None:
    notices = [fresh() for _ in range(600)]
    path = tmp_path / "events.json"
    sent = [*(event(one) for one in notices), {}, 7]
    path.write_text(" \n" + json.dumps(sent, indent=1))
    assert await counts(path) == [600, 0, 1, 1]
    assert await counts(path) == [0, 600, 1, 1]
    assert all([await known(pool, one) for one in notices[::100]])


async def test_lines_of_garbage_are_dead_letters_and_hold_up_nothing(
    pool: Pool, secrets: Secrets, tmp_path: Path
) -> None:
    first, second = fresh(), fresh()
    garbage = [b'{"half": ', b"\x00\xff\xfe", "caffè".encode("latin-1"), b"[" * 5000]
    path = tmp_path / "events.jsonl"
    odd = b'{"debtorPosition": 1, "creditor": "half a pair \\ud83d", "n": 1e999}'
    path.write_bytes(lines(event(first), *garbage, odd, broken("z"), event(second), b"null", b"[]"))
    assert await counts(path) == [2, 0, 0, len(garbage) + 4]
    letters = len(await rows(pool, "SELECT FROM payments.dead_letter"))
    assert await counts(path) == [0, 2, 0, len(garbage) + 4]
    assert len(await rows(pool, "SELECT FROM payments.dead_letter")) == letters
    async with pool.connection() as conn:
        ids = [row["id"] for row in await intake.dead_letters(conn, 1000)]
        kept = [await intake.dead_letter(conn, secrets, one) for one in ids]
    for line in garbage:
        assert line + b"\n" in kept or line in kept


async def test_an_empty_file_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    for text in (b"", b"\n \n"):
        path.write_bytes(text)
        assert await counts(path) == [0, 0, 0, 0]


@pytest.mark.parametrize("text", [b"[{}", b"[\xff]", b"[" * 5000])
async def test_a_list_that_is_none_is_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_bytes(text)
    with pytest.raises(StoppedError):
        await run("import", str(path))


async def test_dead_letters_are_listed_and_shown(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(broken("shown"), broken("shown")))
    assert "dead-letters" in await run("import", str(path))
    (newest, *_) = await rows(pool, "SELECT id FROM payments.dead_letter ORDER BY at DESC, id")
    listed = await run("dead-letters")
    assert listed.count(newest["id"]) == 1
    assert "noticeNumber" in listed
    assert DEBTOR not in listed
    assert newest["id"] in await run("dead-letters", "--limit", "1")
    assert json.loads(await run("dead-letters", "--show", newest["id"])) == broken("shown")
    with pytest.raises(StoppedError):
        await run("dead-letters", "--show", "0" * 16)
