"""The audit log is read and narrowed, and whoever changed it past Messo is found out."""

import re
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.console import audit_verification
from messo.console.audit_words import ACTIONS
from messo.operations import audit, audit_list, record
from messo.operations.audit import Place
from messo.people.members import put_member
from tests.console.colleague import Colleague
from tests.console.operating import HOME, Operator, not_for_others, operating
from tests.world import AUTO, World

pytestmark = pytest.mark.anyio

_PROGRESS = re.compile(r'name="progress" value="([^"]+)"')


async def sealed(pool: Pool, *, turns: int = 3) -> None:
    """A log of its own: some seals of five entries each."""
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM operations.seal")
        await conn.raw.execute("DELETE FROM operations.audit")
    for turn in range(turns):
        async with pool.transaction() as conn:
            for number in range(5):
                await record(conn, "cli:root", "key.create", f"key-{number}", turn=turn)
            await audit.seal(conn)


async def verified(operator: Operator) -> tuple[str, int]:
    """All portions, as somebody without JavaScript goes through them; the last page."""
    page, portions = (await operator.post("/audit/verify", 200)).text, 1
    while found := _PROGRESS.search(page):
        page = (await operator.post("/audit/verify", 200, progress=found[1])).text
        portions += 1
    return page, portions


async def test_entries_are_told_in_words_newest_first(
    colleague: Colleague, pool: Pool, world: World, secrets: Secrets
) -> None:
    operator = await operating(colleague, pool)
    async with pool.transaction() as conn:
        anna = await put_member(
            conn, "tests", world.anna.institution, "anna", "Anna Rossi", "a@b.it", "admin"
        )
        for _ in range(3):
            await record(
                conn,
                f"member:{anna.member_id}",
                "service.reject",
                world.anna.id,
                reason="<b>=1</b>",
                number=2,
            )
        await record(conn, "cli:root", "citizen.create", secrets.keyed_hash(AUTO))
        await record(conn, "invitation:01HX", "member.add", anna.member_id)
        for action in ("message.send", "webhook.change", "remote_content.create"):
            await record(conn, f"member:{anna.member_id}", action, f"a-{action[:3]}")
    page = await operator.get("/audit")
    assert "Anna Rossi (Comune di Anna)" in page
    assert f'href="{HOME}/institutions/{world.anna.institution}"' in page
    assert "Asked for changes to a service" in page
    assert "<code>service.reject</code>" in page
    assert "&lt;b&gt;=1&lt;/b&gt;" in page
    assert "root, on the command line" in page
    for said in (
        "An invitation",
        "Sent a message",
        "Message a-mes",
        "Webhook a-web",
        "Remote configuration a-rem",
    ):
        assert said in page
    assert "Operator olga" not in await operator.get("/audit?action=service.reject")
    assert "Anagrafe (Comune di Anna)" in page
    lines = await operator.rows(f"/audit?about={world.anna.id}&format=csv")
    assert sum("service.reject" in line for line in lines) == 3


async def test_a_citizen_is_looked_for_by_a_hash_that_alone_is_in_the_address(
    colleague: Colleague, pool: Pool, secrets: Secrets
) -> None:
    operator = await operating(colleague, pool)
    async with pool.transaction() as conn:
        await record(conn, "cli:root", "citizen.erase", secrets.keyed_hash(AUTO))
    found = await operator.post("/audit/find", about=AUTO.lower(), action="citizen.erase")
    assert AUTO not in str(found.url).upper()
    assert secrets.keyed_hash(AUTO) in str(found.url)
    assert AUTO not in found.text
    assert "Erased a citizen" in found.text
    by_hand = await operator.client.get(f"{HOME}/audit?about={AUTO}")
    assert by_hand.status_code == 303
    assert AUTO not in by_hand.headers["location"]


async def test_it_is_narrowed_by_action_day_and_id_and_paged_by_key(
    colleague: Colleague, pool: Pool
) -> None:
    operator = await operating(colleague, pool)
    await sealed(pool, turns=12)
    async with pool.transaction() as conn:
        await record(conn, "worker", "webhook.stop", "W")
        seen: list[str] = []
        page = await audit_list.entries(conn, audit_list.Wanted(), limit=7)
        while page.next:
            seen += [one.id for one in page.rows]
            page = await audit_list.entries(conn, audit_list.Wanted(), page.next, limit=7)
        seen += [one.id for one in page.rows]
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == 61

        async def count(**wanted: Any) -> int:
            found = await audit_list.entries(conn, audit_list.Wanted(**wanted), limit=100)
            return len(found.rows)

        today = clock.day_in_rome(clock.now())
        assert await count(action="key.create") == 60
        assert await count(about="key-3") == 12
        assert await count(about="cli:root", action="key.create") == 60
        assert await count(about="worker", action="key.create") == 0
        assert await count(day=today) == 61
        assert await count(day=date(2026, 1, 1)) == 0
        assert await count(seal=Place(conn.bucket("key-3"), 12)) in {1, 2, 3, 4, 5}
        assert await audit_list.actions(conn) == ["key.create", "webhook.stop"]
    first = await operator.get("/audit")
    assert first.count("<time ") == 50
    link = re.search(r'href="([^"]+)" rel="next"', first)
    assert link
    rest = await operator.client.get(link[1].replace("&amp;", "&"))
    assert rest.text.count("<time ") == 11
    one = await operator.post("/audit/find", action="webhook.stop", day=today.isoformat())
    assert one.text.count("<time ") == 1
    assert "Sealed soon" in one.text
    wrong = await operator.post("/audit/find", 400, day="31.12.2026")
    assert "This is no day" in wrong.text
    for odd in (
        "day=9999-12-31",
        "day=0001-01-01",
        "seal=x",
        "seal=9999-1",
        "about=%00",
        "before=x",
    ):
        await operator.get(f"/audit?{odd}")
    assert "Nothing found" in await operator.get("/audit?about=nobody")


async def test_an_entry_changed_past_us_is_found_and_named(
    colleague: Colleague, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await operating(colleague, pool)
    await sealed(pool)
    begin = await operator.get("/audit/verify")
    assert "Verify" in begin
    async with pool.transaction() as conn:
        await record(conn, "cli:root", "key.create", "not sealed yet")
    page, _ = await verified(operator)
    assert "Every seal holds." in page

    async def few(conn: Any, after: Place) -> audit.Portion:
        return await audit.verify_portion(conn, after, seals=1)

    monkeypatch.setattr(audit_verification, "verify_portion", few)
    step = await operator.post("/audit/verify", 200)
    assert "Seals 1 to 1 of" in step.text
    async with pool.transaction() as conn:
        entry = await conn.raw.fetchrow(
            "UPDATE operations.audit SET actor = 'cli:nobody' WHERE id = "
            "(SELECT id FROM operations.audit WHERE seal = 2 LIMIT 1) RETURNING bucket, id"
        )
        seals = await audit.count_seals(conn)
    page, portions = await verified(operator)
    assert portions >= seals
    assert "1 seal does not hold." in page
    assert f"Seal 2 of chain {entry['bucket']} does not match its entries." in page
    its = await operator.get(f"/audit?seal={entry['bucket']}-2")
    assert "nobody, on the command line" in its
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "DELETE FROM operations.seal WHERE number = 3 AND bucket = $1", entry["bucket"]
        )
    page, _ = await verified(operator)
    assert f"Seal 3 of chain {entry['bucket']} is missing." in page
    # What is no progress of ours begins anew.
    assert "Seals 1 to 1" in (await operator.post("/audit/verify", 200, progress="x")).text


@pytest.mark.parametrize("seals", [1, 2, 500])
async def test_portions_say_what_the_whole_says(pool: Pool, seals: int) -> None:
    await sealed(pool, turns=5)
    async with pool.transaction() as conn:
        await conn.raw.execute("UPDATE operations.seal SET digest = '\\x00' WHERE number = 2")
        await conn.raw.execute("DELETE FROM operations.seal WHERE number = 4")
        whole = await audit.verify(conn)
        assert whole
        found, checked, place = [], 0, Place()
        while True:
            portion = await audit.verify_portion(conn, place, seals=seals, entries=7)
            found += [one.sentence for one in portion.broken]
            checked += portion.seals
            if portion.next is None:
                break
            place = portion.next
        assert sorted(found) == sorted(whole)
        assert checked == await audit.count_seals(conn)


async def test_nobody_else_sees_it_and_it_speaks_italian(
    colleague: Colleague, other: Colleague, pool: Pool
) -> None:
    await not_for_others(other, ["/audit", "/audit/verify"], ["/audit/find", "/audit/verify"])
    operator = await operating(colleague, pool)
    assert "Verifica i sigilli" in await operator.get("/audit", language="it")
    assert list(ACTIONS) == sorted(ACTIONS)


_CODE = AUTO.lower()


@pytest.mark.parametrize(
    "typed", [AUTO, f" {_CODE} ", f"{AUTO[:6]} {_CODE[6:11]} {AUTO[11:]}", f"{AUTO} x"], ids=repr
)
async def test_no_fiscal_code_gets_into_an_address_however_it_is_typed(
    colleague: Colleague, pool: Pool, secrets: Secrets, typed: str
) -> None:
    operator = await operating(colleague, pool)
    form = {"csrf": operator.csrf, "about": typed}
    sent = await operator.client.post(f"{HOME}/audit/find", data=form)
    asked = await operator.client.get(f"{HOME}/audit", params={"about": typed})
    for answer in (sent, asked):
        assert answer.status_code == 303
        assert secrets.keyed_hash(AUTO) in answer.headers["location"]
        assert AUTO[:6] not in answer.headers["location"].upper()


_RECORDED = re.compile(r'record\(\s*(?:visit\.)?conn,\s*[\w.()]+,\s*"([a-z_.]+)"')


def test_every_action_that_is_recorded_has_words() -> None:
    sources = Path(str(files("messo"))).rglob("*.py")
    found = {name for path in sources for name in _RECORDED.findall(path.read_text())}
    assert len(found) > 40
    assert found - ACTIONS.keys() == set()
