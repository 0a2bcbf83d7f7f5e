"""An institution's list of what it sent: what is found, in bounds, and each message once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import lowest_id, moment_of, new_id
from messo.base.work import Worker
from messo.messages import sent
from messo.messages.sent import Page, SentRow, Wanted
from messo.recipients.preferences import Preference, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from messo.services.permissions import DEFAULT
from messo.services.services import NewService, create_institution
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.world import ACTOR, AUTO, STRANGER, World, add_service

PEOPLE = many(600)[400:]
INSTITUTIONS = count(500)
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Town:
    """An institution of its own, so that no test finds another's messages."""

    id: str
    services: list[str]


@pytest.fixture
async def town(pool: Pool, secrets: Secrets, world: World) -> Town:
    async with pool.transaction() as conn:
        made = await create_institution(
            conn, ACTOR, f"{next(INSTITUTIONS):011d}", "Comune", "c@example.org", DEFAULT
        )
        callers = [await add_service(conn, secrets, made, NewService(name)) for name in "ABC"]
    return Town(made, [caller.id for caller in callers])


async def put(
    pool: Pool,
    service_id: str,
    at: Sequence[datetime],
    *,
    to: Sequence[str] = PEOPLE,
    subject: str = "Avviso di scadenza",
    reference: str | None = None,
    status: str = "PROCESSED",
) -> list[str]:
    """Messages of those moments, as if they had been accepted then; their ids in the same order."""
    ids = [lowest_id(moment)[:10] + new_id()[10:] for moment in at]
    recipients = [to[number % len(to)] for number in range(len(at))]
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, subject,"
            " status, feature_level_type, require_secure_channels, time_to_live, reference,"
            " created_at) SELECT u.bucket, u.id, u.code, $4, 1, $5, $6, 'STANDARD', false, 3600,"
            " $7, u.at FROM unnest($1::smallint[], $2::text[], $3::text[], $8::timestamptz[])"
            " AS u (bucket, id, code, at)",
            [conn.bucket(code) for code in recipients],
            ids,
            recipients,
            service_id,
            subject,
            status,
            reference,
            list(at),
        )
    return ids


def moments(number: int, step: timedelta = timedelta(seconds=7)) -> list[datetime]:
    return [BEGIN + step * position for position in range(number)]


async def look(
    pool: Pool, services: Sequence[str], before: str | None = None, **wanted: Any
) -> Page:
    limit = wanted.pop("limit", 50)
    async with pool.connection() as conn:
        return await sent.page(conn, services, Wanted(**wanted), before, limit)


async def walk(
    pool: Pool, services: Sequence[str], limit: int = 50, **wanted: Any
) -> tuple[list[str], list[Page]]:
    """All pages from the first to the last: the ids as they come, and the pages."""
    pages = [await look(pool, services, limit=limit, **wanted)]
    while (following := pages[-1].next) is not None:
        assert len(pages) < 500, "it never ends"
        pages.append(await look(pool, services, following, limit=limit, **wanted))
    return [row.id for page in pages for row in page.rows], pages


def ids_of(page: Page) -> list[str]:
    return [row.id for row in page.rows]


async def test_all_services_together_newest_first_each_message_once(pool: Pool, town: Town) -> None:
    at = moments(300)
    ids: list[str] = []
    for number, service in enumerate(town.services):
        ids += await put(pool, service, at[number::3])
    found, pages = await walk(pool, town.services, limit=40)
    assert found == sorted(ids, reverse=True)
    assert [len(page.rows) for page in pages] == [40] * 7 + [20]
    assert {page.searched_back_to for page in pages} == {None}
    only, _ = await walk(pool, town.services, service_id=town.services[1])
    assert only == sorted(ids[100:200], reverse=True)
    assert pages[0].rows[0].service_name in "ABC"


async def test_the_window_ends_and_the_next_page_goes_on(
    pool: Pool, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One service with nearly all messages, two with few; what is looked for is rare and old."""
    monkeypatch.setattr(sent, "WINDOW", 200)
    await put(pool, town.services[0], moments(900))
    rare = await put(pool, town.services[0], moments(30), subject="Rimborso della mensa")
    rare += await put(
        pool, town.services[1], moments(12, timedelta(minutes=9)), subject="RIMBORSO per la Mensa"
    )
    await put(pool, town.services[2], moments(12, timedelta(minutes=8)))
    found, pages = await walk(pool, town.services, limit=20, words="mensa rimborso")
    assert found == sorted(rare, reverse=True)
    short = [page for page in pages if page.searched_back_to is not None]
    assert len(short) >= 3
    for page in short:
        assert len(page.rows) < 20
        assert page.next is not None
        assert page.searched_back_to == moment_of(page.next)
    # Below the bound, nothing; above it, everything.
    first = pages[0]
    assert first.searched_back_to is not None
    assert set(ids_of(first)) == {one for one in rare if moment_of(one) >= first.searched_back_to}


async def test_many_services_share_the_window(
    pool: Pool, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many services and buckets that a full page of each would be beyond all bounds."""
    monkeypatch.setattr(sent, "WINDOW", 60)
    ids = [
        one
        for number, service in enumerate(town.services)
        for one in await put(pool, service, moments(120, timedelta(seconds=5 + number)))
    ]
    found, _ = await walk(pool, town.services, limit=50)
    assert found == sorted(ids, reverse=True)
    found, _ = await walk(pool, town.services, limit=50, status="PROCESSED")
    assert found == sorted(ids, reverse=True)
    assert await walk(pool, town.services, status="FAILED", limit=50) != ([], [])


async def test_words_stand_anywhere_and_wildcards_are_themselves(pool: Pool, town: Town) -> None:
    service = town.services[0]
    (percent,) = await put(pool, service, [BEGIN], subject="Sconto del 50% sulla retta")
    (plain,) = await put(pool, service, [BEGIN], subject="Sconto del 50 euro sulla retta")
    (score,) = await put(pool, service, [BEGIN], subject="Modulo iscrizione_2026 pronto")
    (slash,) = await put(pool, service, [BEGIN], subject="Cartella C:\\moduli")
    await put(pool, service, [BEGIN], subject="Modulo iscrizione-2026 pronto", status="ACCEPTED")
    for words, ids in (
        ("50%", {percent}),
        ("RETTA sconto", {percent, plain}),
        ("iscrizione_2026", {score}),
        ("c:\\mod", {slash}),
        ("%", {percent}),
        ("\\", {slash}),
        ("sconto \x00 retta", {percent, plain}),
        ("sconto modulo", set()),
    ):
        assert set(ids_of(await look(pool, town.services, words=words))) == ids, words
    assert len(ids_of(await look(pool, town.services, words="  "))) == 5


async def test_a_day_is_a_day_in_rome(pool: Pool, town: Town) -> None:
    """Midnight is at 23:00 UTC in winter and at 22:00 in summer; one day has 23 hours, one 25."""
    edges = [
        (date(2026, 1, 15), datetime(2026, 1, 14, 23, tzinfo=UTC), 24),
        (date(2026, 7, 15), datetime(2026, 7, 14, 22, tzinfo=UTC), 24),
        (date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        (date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    ]
    instant = timedelta(milliseconds=1)
    assert moment_of(lowest_id(BEGIN - instant)) == BEGIN - instant
    for day, begins, hours in edges:
        ends = begins + timedelta(hours=hours)
        assert clock.day_begins(day) == begins
        ids = await put(pool, town.services[0], [begins - instant, begins, ends - instant, ends])
        page = await look(pool, town.services, since=day, until=day)
        assert ids_of(page) == sorted(ids[1:3], reverse=True), day
    from_then = await look(pool, town.services, since=date(2026, 10, 25))
    assert len(from_then.rows) == 3
    assert len((await look(pool, town.services, until=date(2026, 1, 14))).rows) == 1


@pytest.mark.parametrize(
    ("since", "until", "all_of_them"),
    [(date.min, date.max, True), (date.max, None, False), (None, date(1969, 5, 1), False)],
)
async def test_days_that_no_message_has(
    pool: Pool, town: Town, since: date | None, until: date | None, all_of_them: bool
) -> None:
    ids = await put(pool, town.services[0], [BEGIN])
    page = await look(pool, town.services, since=since, until=until)
    assert ids_of(page) == (ids if all_of_them else [])


async def test_one_citizen_s_messages_and_only_this_institution_s(
    pool: Pool, town: Town, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = PEOPLE[0], PEOPLE[1]
    ids = await put(pool, town.services[0], moments(70), to=[one], reference="R1")
    ids += await put(pool, town.services[1], moments(30), to=[one])
    await put(pool, town.services[0], moments(10), to=[other])
    await put(pool, world.anna.id, moments(60), to=[one])
    found, _ = await walk(pool, town.services, fiscal_code=one)
    assert found == sorted(ids, reverse=True)
    found, _ = await walk(pool, town.services, fiscal_code=one, reference="R1")
    assert found == sorted(ids[:70], reverse=True)
    monkeypatch.setattr(sent, "WINDOW", 25)
    found, _ = await walk(pool, town.services, fiscal_code=one, limit=10)
    assert found == sorted(ids, reverse=True)
    assert not (await look(pool, town.services, fiscal_code="\x00")).rows


async def test_a_reference_is_found_however_many_carry_it(
    pool: Pool, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = await put(pool, town.services[0], moments(3), reference="P-1")
    await put(pool, town.services[1], moments(40), reference="P-2")
    campaign = await put(pool, town.services[1], moments(120), reference="campagna")
    assert ids_of(await look(pool, town.services, reference="P-1")) == sorted(few, reverse=True)
    assert not (await look(pool, town.services, reference="P-")).rows
    monkeypatch.setattr(sent, "WINDOW", 60)
    found, _ = await walk(pool, town.services, reference="campagna")
    assert found == sorted(campaign, reverse=True)
    page = await look(pool, town.services, reference="P-1", status="FAILED")
    assert (page.rows, page.next) == ([], None)


async def test_what_is_not_asked_for_is_not_looked_for(pool: Pool, town: Town) -> None:
    await put(pool, town.services[0], [BEGIN])
    empty = Page((), None, None)
    assert await look(pool, []) == empty
    assert await look(pool, town.services[1:], service_id=town.services[0]) == empty
    assert len((await look(pool, town.services, "x'--\x00")).rows) == 1  # no id: from the newest
    with pytest.raises(ValueError, match="200"):
        await look(pool, ["S"] * 201)


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


async def test_reading_is_shown_as_far_as_the_citizen_shares_it(
    pool: Pool, mail: Mail, world: World
) -> None:
    async with pool.transaction() as conn:
        shy = PEOPLE[-1]
        await create_profiles(conn, [Profile(shy, "AUTO", 0, is_inbox_enabled=True)])
        hidden = Preference(shy, world.anna.id, 0, access_read_message_status="DENY")
        await put_preferences(conn, [hidden])
    shown = {
        await mail.send(world.anna, AUTO, "ADVANCED"): "UNREAD",
        await mail.send(world.anna, shy, "ADVANCED"): "UNAVAILABLE",
        await mail.send(world.anna, AUTO): None,
        await mail.send(world.anna, STRANGER, "ADVANCED"): None,
    }
    rows = {row.id: row for row in (await look(pool, [world.anna.id])).rows}
    assert {one: rows[one].read_status for one in shown} == shown
    rejected = rows[list(shown)[-1]]
    assert (rejected.status, rejected.rejection_reason, rejected.subject) == (
        "REJECTED",
        "USER_NOT_FOUND",
        None,
    )
    assert rejected.fiscal_code == STRANGER
    async with pool.transaction() as conn:
        await conn.raw.execute("UPDATE messages.message SET read_at = now()")
    rows = {row.id: row for row in (await look(pool, [world.anna.id])).rows}
    assert [rows[one].read_status for one in shown] == ["READ", "UNAVAILABLE", None, None]


async def test_one_message_is_found_by_its_institution_alone(
    pool: Pool, mail: Mail, world: World
) -> None:
    data: dict[str, Any] = {
        "payment_data": {"amount": 500, "notice_number": "000000000000000000"},
        "due_date": "2030-01-31T10:00:00.000Z",
    }
    whole = await mail.send(world.anna, AUTO, **data)
    waiting = await mail.post(world.anna, AUTO)
    async with pool.connection() as conn:
        found = await sent.find(conn, whole.lower(), world.anna.institution)
        early = await sent.find(conn, waiting, world.anna.institution)
        for message_id, institution in (
            (whole, world.bruno.institution),
            ("\x00", world.anna.institution),
            (new_id(), world.anna.institution),
        ):
            assert await sent.find(conn, message_id, institution) is None
    await mail.settle()
    assert isinstance(found, SentRow)
    assert found.content is not None
    assert found.content.due_date == data["due_date"]
    paid = found.content.payment_data
    assert (paid.amount, paid.payee.fiscal_code) == (500, "00000000001")  # type: ignore[union-attr]
    assert (found.require_secure_channels, found.time_to_live) == (False, 3600)
    assert found.decided_at is not None
    assert early is not None
    assert (early.status, early.content is not None, early.decided_at) == ("ACCEPTED", True, None)
    refused = await mail.send(world.anna, STRANGER)
    async with pool.connection() as conn:
        gone = await sent.find(conn, refused, world.anna.institution)
    assert gone is not None
    assert (gone.content, gone.subject) == (None, None)
