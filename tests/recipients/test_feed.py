"""The subscriptions feed: what each change writes (contract §8.2), and what a service reads (§8.4)."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.db import Connection, Pool
from messo.base.http import Problem
from messo.recipients import (
    Activation,
    ProfileUpdate,
    ServiceChoice,
    change_mode,
    enrol_at_login,
    put_activations,
    put_choice,
    read_profile,
    update_profile,
)
from messo.recipients.feed import citizen_digest, read_feed
from messo.recipients.feed_routes import _only_if_over
from messo.recipients.profile import Profile, create_profiles
from tests.conftest import Running
from tests.recipients.person import code, feed_of
from tests.world import World

NUMBERS = itertools.count(1)


def next_code() -> str:
    number = next(NUMBERS)
    return code(number % 1000, "FE" + "ABCDEFGH"[number // 1000])


async def create(conn: Connection, mode: str = "AUTO", **more: Any) -> str:
    fiscal_code = next_code()
    version = -1 if mode == "LEGACY" else 0
    values = {"mode": mode, "settings_version": version, "is_inbox_enabled": True, **more}
    await create_profiles(conn, [Profile(fiscal_code, **values)])
    return fiscal_code


async def update(conn: Connection, fiscal_code: str, **wishes: Any) -> None:
    profile = await read_profile(conn, fiscal_code)
    assert profile is not None
    wishes.setdefault("mode", profile.mode)
    await update_profile(conn, fiscal_code, ProfileUpdate(version=profile.version, **wishes))


async def choose(conn: Connection, fiscal_code: str, service_id: str, *, inbox: bool) -> None:
    profile = await read_profile(conn, fiscal_code)
    assert profile is not None
    choice = ServiceChoice(inbox, True, True, False, profile.settings_version)
    await put_choice(conn, fiscal_code, service_id, choice)


async def block(conn: Connection, fiscal_code: str, **channels: list[str]) -> None:
    await update(conn, fiscal_code, blocked=channels)


async def entries(conn: Connection, fiscal_code: str) -> dict[str, bool]:
    rows = await conn.raw.fetch(
        "SELECT service_id, subscribed, day FROM recipients.subscription_change WHERE citizen = $1",
        citizen_digest(fiscal_code),
    )
    assert all(row["day"] == clock.now().date() for row in rows)
    return {row["service_id"]: row["subscribed"] for row in rows}


async def test_a_new_profile_is_a_subscription(pool: Pool) -> None:
    fiscal_code = next_code()
    async with pool.transaction() as conn:
        await enrol_at_login(conn, fiscal_code, None)
    assert await feed_of(pool, fiscal_code) == {"": True}


async def test_in_legacy_mode_what_is_newly_blocked_counts(pool: Pool) -> None:
    async with pool.transaction() as conn:
        citizen = await create(conn, "LEGACY", blocked={"old": ["INBOX"], "mail": ["EMAIL"]})
        await block(conn, citizen, old=["INBOX"], new=["INBOX", "EMAIL"], mail=["EMAIL"])
        assert await entries(conn, citizen) == {"new": False}
        await block(conn, citizen, mail=["INBOX"])
        # "new" is as it was in the morning; the two others are not.
        assert await entries(conn, citizen) == {"old": True, "mail": False}
        await update(conn, citizen, is_email_enabled=True)
        assert await entries(conn, citizen) == {"old": True, "mail": False}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("LEGACY", "AUTO", {"single": False}),
        ("LEGACY", "MANUAL", {"single": False, "": False}),
        ("AUTO", "MANUAL", {"": False}),
        ("MANUAL", "AUTO", {"": True}),
        ("AUTO", "AUTO", {"single": False}),
        ("MANUAL", "MANUAL", {"single": True}),
    ],
)
async def test_a_change_of_mode_speaks_for_all_services(
    pool: Pool, world: World, before: str, after: Any, expected: dict[str, bool]
) -> None:
    async with pool.transaction() as conn:
        citizen = await create(conn, before)
        if before == "LEGACY":
            await update(conn, citizen, blocked={world.anna.id: ["INBOX"]})
        else:
            await choose(conn, citizen, world.anna.id, inbox=before == "MANUAL")
        await change_mode(conn, citizen, after)
        named = {world.anna.id if k == "single" else k: v for k, v in expected.items()}
        assert await entries(conn, citizen) == named


async def test_of_opposites_in_a_day_the_last_profile_entry_stays(pool: Pool) -> None:
    async with pool.transaction() as conn:
        citizen = next_code()
        await enrol_at_login(conn, citizen, None)
        for mode, subscribed in (("MANUAL", False), ("AUTO", True), ("MANUAL", False)):
            await change_mode(conn, citizen, mode)  # type: ignore[arg-type]
            assert await entries(conn, citizen) == {"": subscribed}


async def test_of_opposites_in_a_day_no_service_entry_stays(pool: Pool, world: World) -> None:
    async with pool.transaction() as conn:
        citizen = await create(conn)
        await choose(conn, citizen, world.anna.id, inbox=False)
        await choose(conn, citizen, world.bruno.id, inbox=False)
        assert await entries(conn, citizen) == {world.anna.id: False, world.bruno.id: False}
        await choose(conn, citizen, world.anna.id, inbox=False)  # unchanged: nothing
        await choose(conn, citizen, world.anna.id, inbox=True)
        assert await entries(conn, citizen) == {world.bruno.id: False}
        await choose(conn, citizen, world.anna.id, inbox=True)
        assert await entries(conn, citizen) == {world.bruno.id: False}


async def test_a_special_service_and_its_activation_write_nothing(pool: Pool, world: World) -> None:
    async with pool.transaction() as conn:
        citizen = await create(conn)
        await put_activations(conn, [Activation(citizen, world.special.id, "ACTIVE")])
        await choose(conn, citizen, world.special.id, inbox=True)
        assert await entries(conn, citizen) == {}


async def test_what_is_rolled_back_is_not_in_the_feed(pool: Pool) -> None:
    async with pool.transaction() as conn:
        citizen = await create(conn)

    async def interrupted() -> None:
        async with pool.transaction() as conn:
            await change_mode(conn, citizen, "MANUAL")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await interrupted()
    assert await feed_of(pool, citizen) == {}


STEPS = ("manual", "auto", "open", "close", "open other", "close other")


@pytest.mark.parametrize("mode", ["LEGACY", "AUTO", "MANUAL"])
async def test_every_sequence_of_producers_leaves_what_the_contract_says(
    pool: Pool, world: World, mode: str
) -> None:
    """All sequences of three changes, against the contract's algorithm written down naively."""
    services = {"": world.anna.id, " other": world.bruno.id}
    async with pool.transaction() as conn:
        for steps in itertools.product(STEPS, repeat=3):
            citizen = await create(conn, mode)
            expected, current = Naive(), mode
            for step in steps:
                if step in {"manual", "auto"}:
                    wanted: Any = step.upper()
                    await change_mode(conn, citizen, wanted)
                    expected.change_mode(current, wanted)
                    current = wanted
                    continue
                word, _, other = step.partition(" ")
                service = services[" other" if other else ""]
                if current == "LEGACY":
                    profile = await read_profile(conn, citizen)
                    assert profile is not None
                    blocked = {s: c for s, c in profile.blocked.items() if s != service}
                    if word == "close":
                        blocked[service] = ["INBOX"]
                    await update(conn, citizen, blocked=blocked)
                    expected.block(set(profile.blocked), set(blocked))
                else:
                    await choose(conn, citizen, service, inbox=word == "open")
                    expected.choose(service, inbox=word == "open")
            assert await entries(conn, citizen) == expected.entries, (mode, steps)


class Naive:
    """§8.2 and §8.3 as a reader would play them on paper."""

    def __init__(self) -> None:
        self.entries: dict[str, bool] = {}
        self.chosen: dict[str, bool] = {}

    def service(self, service: str, *, subscribed: bool) -> None:
        if self.entries.get(service, subscribed) is not subscribed:
            del self.entries[service]
        else:
            self.entries[service] = subscribed

    def block(self, before: set[str], after: set[str]) -> None:
        for service in after - before:
            self.service(service, subscribed=False)
        for service in before - after:
            self.service(service, subscribed=True)
        self.blocked = after

    def choose(self, service: str, *, inbox: bool) -> None:
        if self.chosen.get(service) is not inbox:
            self.service(service, subscribed=inbox)
        self.chosen[service] = inbox

    def change_mode(self, old: str, new: str) -> None:
        if old == new:
            return
        if old == "LEGACY" and new == "AUTO":
            # What was blocked is a choice from now on.
            self.chosen = dict.fromkeys(getattr(self, "blocked", ()), False)
            return
        self.chosen = {}
        if old != "LEGACY":
            self.entries = {}
        self.entries[""] = new == "AUTO"


YESTERDAY = (clock.now() - timedelta(days=1)).date()


async def put(conn: Connection, day: date, service: str, name: str, *, subscribed: bool) -> str:
    digest = citizen_digest(name)
    await conn.raw.execute(
        "INSERT INTO recipients.subscription_change VALUES ($1, $2, $3, $4, $5)",
        conn.bucket(name),
        day,
        service,
        digest,
        subscribed,
    )
    return digest.hex()


async def test_a_service_reads_the_contracts_formulas(
    pool: Pool, world: World, running: Running
) -> None:
    """Every combination of the profile's and the service's entry, over all buckets."""
    subscriptions, unsubscriptions = set(), set()
    async with pool.transaction() as conn:
        kinds: list[bool | None] = [True, False, None]
        for number, (whole, single) in enumerate(itertools.product(kinds, repeat=2)):
            for copy in range(3):
                name, digest = f"CITIZEN{number}-{copy}", ""
                if whole is not None:
                    digest = await put(conn, YESTERDAY, "", name, subscribed=whole)
                if single is not None:
                    digest = await put(conn, YESTERDAY, world.anna.id, name, subscribed=single)
                await put(conn, YESTERDAY, world.bruno.id, name, subscribed=False)
                ps, pu, ss, su = whole is True, whole is False, single is True, single is False
                if (ps and not su) or (ss and not ps and not pu):
                    subscriptions.add(digest)
                if (pu and not ss) or (su and not ps and not pu):
                    unsubscriptions.add(digest)
    answer = await running.client.get(
        f"/api/v1/subscriptions-feed/{YESTERDAY}", headers=world.anna.headers
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["dateUTC"] == YESTERDAY.isoformat()
    assert (len(body["subscriptions"]), len(body["unsubscriptions"])) == (9, 9)
    assert set(body["subscriptions"]) == subscriptions
    assert set(body["unsubscriptions"]) == unsubscriptions


async def test_a_service_id_with_hyphens_reads_its_entries(pool: Pool) -> None:
    day = date(2021, 5, 5)
    async with pool.transaction() as conn:
        digest = await put(conn, day, "old-service-7", "SOMEBODY", subscribed=False)
        feed = await read_feed(conn, "old-service-7", day)
        assert (feed.subscriptions, feed.unsubscriptions) == ([], [digest])
        assert (await read_feed(conn, "old", day)).unsubscriptions == []


async def test_a_day_without_changes_is_empty(running: Running, world: World) -> None:
    for day in ("2020-03-24", "1970-01-01", "0001-01-01", "2024-02-29"):
        answer = await running.client.get(
            f"/api/v1/subscriptions-feed/{day}", headers=world.anna.headers
        )
        assert answer.json() == {"dateUTC": day, "subscriptions": [], "unsubscriptions": []}


@pytest.mark.parametrize(
    "day",
    [
        *("2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "0000-01-01"),
        *("24-01-01", "2024-1-1", "20240101", "2024-W01-1", "2024-01-01T00:00:00Z", "yesterday"),
        *("2024-01-01%0A", "%202024-01-01", "２０２４-01-01", "2024-01-01x", "-2024-01-01"),
    ],
)
async def test_what_is_no_day_is_400(running: Running, world: World, day: str) -> None:
    answer = await running.client.get(
        f"/api/v1/subscriptions-feed/{day}", headers=world.anna.headers
    )
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid ShortDateString")


async def test_a_day_that_is_not_over_is_404(running: Running, world: World) -> None:
    today = clock.now().date()
    for day in (today, today + timedelta(days=1), date(9999, 12, 31)):
        answer = await running.client.get(
            f"/api/v1/subscriptions-feed/{day}", headers=world.anna.headers
        )
        assert (answer.status_code, answer.json()["title"]) == (404, "Data not available yet")


def test_a_day_opens_when_the_next_has_begun_and_is_settled() -> None:
    day, midnight = date(2024, 1, 1), datetime.combine(date(2024, 1, 2), time(), UTC)
    _only_if_over(day, midnight + timedelta(seconds=15))
    for early in (timedelta(seconds=14), timedelta(seconds=-1)):
        with pytest.raises(Problem) as refused:
            _only_if_over(day, midnight + early)
        assert refused.value.detail == (
            "Subscription data for 2024-01-01 will be available from Tue, 02 Jan 2024 00:00:00 GMT"
        )


async def test_only_services_with_the_permission_read_it(running: Running, world: World) -> None:
    path = f"/api/v1/subscriptions-feed/{YESTERDAY}"
    assert (await running.client.get(path)).status_code == 401
    assert (await running.client.get(path, headers=world.bruno.headers)).status_code == 403
    manage = {"Ocp-Apim-Subscription-Key": world.manage_key}
    assert (await running.client.get(path, headers=manage)).status_code == 403


async def test_the_digest_is_of_the_code_in_upper_case() -> None:
    assert citizen_digest("aaaaaa00a00a000a") == citizen_digest("AAAAAA00A00A000A")
