"""Keys in the console: masked, shown, renewed, and when they were used last; groups."""

import re
from datetime import timedelta

import asyncpg
import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.services.directory import Directory
from messo.services.key_uses import KeyUses, list_keys
from tests.conftest import Running
from tests.console.clerk import Clerk, clerk_at
from tests.console.colleague import Colleague
from tests.services import managing
from tests.world import World

pytestmark = pytest.mark.anyio

_SECRET = re.compile(r'<code class="secret">([A-Za-z0-9_-]{43})</code>')
_MADE = re.compile(r'name="made" value="([^"]+)"')
_USED = re.compile(r"<dt>Last used</dt><dd>([^<]*)</dd>")
_GROUP = re.compile(r"/keys/groups/([0-9A-Z]{26})")


async def works(running: Running, key: str) -> bool:
    """Whether requests with this key are taken."""
    answer = await running.client.get(
        "/api/v1/manage/services/topics", headers={"Ocp-Apim-Subscription-Key": key}
    )
    return answer.status_code == 200


async def audited(pool: Pool, subject: str) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT action FROM operations.audit WHERE subject = $1 AND actor LIKE 'member:%' "
            "ORDER BY id",
            subject,
        )
    return [row["action"] for row in rows]


async def make_group(clerk: Clerk, name: str, networks: str = "") -> str:
    answer = await clerk.post("/keys/groups/new", name=name, networks=networks)
    found = _GROUP.search(answer.headers["location"])
    assert found
    return found[1]


async def test_keys_are_shown_when_asked_and_somebody_notes_it(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    for path, known, owner in (
        ("/keys", world.manage_key, world.anna.institution),
        (f"/services/{world.anna.id}/keys", world.anna.key, world.anna.id),
    ):
        page = await clerk.get(path)
        assert not _SECRET.findall(page)
        assert known not in page
        shown = (await clerk.post(f"{path}/show", 200)).text
        assert _SECRET.findall(shown)[0] == known
        assert len(_SECRET.findall(shown)) == 2
        assert (await audited(pool, owner))[-1] == "key.read"
    assert "no-store" in (await clerk.post("/keys/show", 200)).headers["cache-control"]


async def test_a_renewed_key_is_shown_once_and_the_old_one_ends(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    service = world.secure
    path = f"/services/{service.id}/keys"
    shown = (await clerk.post(f"{path}/show", 200)).text
    first, second = _SECRET.findall(shown)
    question = await clerk.get(f"{path}/renew?slot=primary")
    assert "It stays as it is." in question
    (made,) = _MADE.findall(question)
    unsure = (await clerk.post(f"{path}/renew", 400, slot="primary")).text
    assert "Tick the box first" in unsure
    answer = (await clerk.post(f"{path}/renew", 200, slot="primary", sure="1", made=made)).text
    (fresh,) = _SECRET.findall(answer)
    assert f'data-copy="{fresh}"' in answer
    await running.started.directory.refresh(0)
    assert [await works(running, key) for key in (first, second, fresh)] == [False, True, True]
    assert (await audited(pool, service.id))[-1] == "key.rotate"
    assert fresh not in await clerk.get(path)
    # Who asked before that must not take away what somebody was just given.
    late = (await clerk.post(f"{path}/renew", 400, slot="primary", sure="1", made=made)).text
    assert "Somebody renewed this key a moment ago" in late
    assert await works(running, fresh)
    await clerk.get(f"{path}/renew?slot=third", 404)
    await clerk.post(f"{path}/renew", 404, slot="third", sure="1")


async def test_the_last_use_of_a_key_is_seen_and_a_renewed_one_begins_anew(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.bruno.institution)
    path, uses = f"/services/{world.bruno.id}/keys", running.started.directory.uses
    assert _USED.findall(await clerk.get(path)) == ["not used yet", "not used yet"]
    assert await works(running, world.bruno.key)
    assert not await works(running, "no key at all")
    await uses.write()
    assert _USED.findall(await clerk.get(path)) == ["in the last hour", "not used yet"]
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE services.key_use SET used_at = '2026-03-03T13:00:00Z' WHERE digest IN "
            "(SELECT digest FROM services.key WHERE service_id = $1)",
            world.bruno.id,
        )
    assert _USED.findall(await clerk.get(path))[0] == "on 3 March 2026 after 14:00"
    (made,) = _MADE.findall(await clerk.get(f"{path}/renew?slot=primary"))
    await clerk.post(f"{path}/renew", 200, slot="primary", sure="1", made=made)
    assert _USED.findall(await clerk.get(path)) == ["not used yet", "not used yet"]
    async with pool.connection() as conn:
        orphans = await conn.raw.fetchval(
            "SELECT count(*) FROM services.key_use WHERE digest NOT IN "
            "(SELECT digest FROM services.key)"
        )
    assert orphans == 0


async def test_a_database_that_takes_no_note_stops_no_key(
    database_url: str, pool: Pool, world: World
) -> None:
    hasty = await Pool.open(database_url, 2, impatient=True)
    directory = Directory(hasty)
    try:
        async with pool.transaction() as conn:
            await conn.raw.execute("LOCK TABLE services.key_use IN ACCESS EXCLUSIVE MODE")
            assert await directory.find(world.special.key) is not None
            with pytest.raises(asyncpg.LockNotAvailableError):
                await directory.uses.write()
        assert await noted(pool, world.special.id) == 0
        await directory.uses.write()
        assert await noted(pool, world.special.id) == 1
    finally:
        await hasty.close()


async def test_a_key_in_steady_use_is_written_once_an_hour(pool: Pool, world: World) -> None:
    directory = Directory(pool)
    await directory.find(world.limited.key)
    await directory.uses.write()
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM services.key_use")
    await directory.find(world.limited.key)
    await directory.uses.write()
    assert await noted(pool, world.limited.id) == 0
    anew = KeyUses(pool)
    anew.note(b"of no key that there is")
    await anew.write()
    assert await noted(pool, world.limited.id) == 0


async def test_the_last_use_only_ever_moves_forward(
    pool: Pool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, late = Directory(pool), Directory(pool)
    now = clock.now()
    times = []
    for hours, one in ((0, directory), (2, directory), (1, late)):
        monkeypatch.setattr(clock, "now", lambda hours=hours: now + timedelta(hours=hours))
        assert await one.find(world.draft.key) is not None  # from its cache, the second time
        await one.uses.write()
        async with pool.connection() as conn:
            (pair,) = (await list_keys(conn, [world.draft.id])).values()
        times.append(next(row["used_at"] for row in pair if row["used_at"]))
    assert times[1] - times[0] == timedelta(hours=2)
    assert times[2] == times[1]


async def noted(pool: Pool, service: str) -> int:
    """How many of a service's keys have a last use."""
    async with pool.connection() as conn:
        count = await conn.raw.fetchval(
            "SELECT count(*) FROM services.key_use AS u "
            "INNER JOIN services.key AS k ON k.digest = u.digest WHERE k.service_id = $1",
            service,
        )
    return int(count)


async def test_groups_are_made_changed_filled_and_deleted(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    service = await managing.of(running, world).make(name="Di un fornitore")
    group = await make_group(clerk, "Fornitore <b>uno</b>", "192.0.2.0/24")
    page = await clerk.get(f"/keys/groups/{group}")
    assert "Fornitore &lt;b&gt;uno&lt;/b&gt;" in page
    assert "0 services are in it" in page
    wrong = await clerk.post(f"/keys/groups/{group}", 400, name="Altro", networks="192.0.2.300")
    assert 'value="Altro"' in wrong.text
    assert "192.0.2.300" in wrong.text
    taken = await clerk.post("/keys/groups/new", 409, name="fornitore <B>UNO</b>", networks="")
    assert "has a group of this name already" in taken.text
    done = await clerk.follow(f"/keys/groups/{group}", name="Uno", networks="192.0.2.7\r\n")
    assert "in force within a second" in done
    moved = await clerk.follow(f"/services/{service}/group", group=group)
    assert "it is in the group that you chose" in moved
    inside = await clerk.get(f"/services?group={group}")
    assert "Di un fornitore" in inside
    assert "Anagrafe" not in inside
    assert "1 service is in this group" in await clerk.get(f"/keys/groups/{group}/delete")
    full = await clerk.post(f"/keys/groups/{group}/delete", 409, sure="1")
    assert "Move them out of it first" in full.text
    shown = (await clerk.post(f"/keys/groups/{group}/show", 200)).text
    assert len(_SECRET.findall(shown)) == 2
    await clerk.post(f"/services/{service}/group", group="")
    await clerk.post(f"/keys/groups/{group}/delete", 400)
    listed = await clerk.follow(f"/keys/groups/{group}/delete", sure="1")
    assert "the group is deleted" in listed
    await clerk.get(f"/keys/groups/{group}", 404)
    await clerk.post(f"/services/{service}/group", 404, group=group)
    await clerk.get("/keys/groups/%00", 404)


async def test_the_list_of_addresses_and_the_file_of_keys(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    wrong = await clerk.post("/keys/networks", 400, networks="everywhere")
    assert "everywhere" in wrong.text
    assert "one IPv4 address or network on each line" in wrong.text
    done = await clerk.follow("/keys/networks", networks="127.0.0.1\r\n192.0.2.0/24")
    assert "127.0.0.1\n192.0.2.0/24" in done
    await clerk.follow("/keys/networks", networks="")
    group = await make_group(clerk, "=1+1")
    saved = await clerk.get("/keys?format=csv")
    assert '"Comune di Anna","Primary key"' in saved
    assert '"\'=1+1","Secondary key"' in saved
    assert world.manage_key not in saved
    await clerk.post(f"/keys/groups/{group}/delete", sure="1")


async def test_keys_are_for_admins_alone(colleague: Colleague, pool: Pool, world: World) -> None:
    group = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    for role in ("editor", "sender", "reader"):
        clerk = await clerk_at(colleague, pool, world.anna.institution, role)
        assert f'{clerk.home}/keys"' not in await clerk.get("")
        for path in ("/keys", "/keys/groups/new", f"/services/{world.anna.id}/keys"):
            await clerk.get(path, 403)
        for path in (
            *("/keys/show", "/keys/renew", "/keys/networks", "/keys/groups/new"),
            *(f"/keys/groups/{group}", f"/keys/groups/{group}/show"),
            *(f"/keys/groups/{group}/renew", f"/keys/groups/{group}/delete"),
            *(f"/services/{world.anna.id}/keys/show", f"/services/{world.anna.id}/keys/renew"),
        ):
            await clerk.post(path, 403, slot="primary", sure="1", name="x", networks="")


async def test_the_pages_of_keys_speak_italian(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    clerk.client.headers["Accept-Language"] = "it"
    assert "Chiavi di gestione dell&#39;ente" in await clerk.get("/keys")
    question = await clerk.get(f"/services/{world.anna.id}/keys/renew?slot=primary")
    assert "Rinnova la chiave" in question
