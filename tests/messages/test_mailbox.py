"""What citizens see of their messages and do with them: lists, windows, marks, erasure."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.messages import mailbox, search
from messo.messages.citizen_view import SEND
from messo.messages.mailbox import Filters
from messo.recipients.preferences import Preference, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from tests.conftest import Running
from tests.events.told import FACTS
from tests.messages.mail import PAYMENT, Mail, fill
from tests.world import AUTO, STRANGER, World, add_configuration

CITIZENS = iter(many(200))


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


async def enrol(pool: Pool, mode: Any = "AUTO") -> str:
    """A new citizen; their fiscal code."""
    fiscal_code = next(CITIZENS)
    profile = Profile(fiscal_code, mode, -1 if mode == "LEGACY" else 0, is_inbox_enabled=True)
    async with pool.transaction() as conn:
        await create_profiles(conn, [profile])
    return fiscal_code


async def listed(pool: Pool, citizen: str, filters: Filters = Filters(), **more: Any) -> list[str]:  # noqa: B008
    async with pool.connection() as conn:
        page = await mailbox.list_messages(conn, citizen, filters, **{"limit": 100, **more})
    return [line.id for line in page.items]


async def events_of(pool: Pool, message_id: str) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            f"SELECT kind FROM {FACTS} WHERE message_id = $1 ORDER BY at, kind", message_id
        )
    return [row["kind"] for row in rows]


# What is seen -----------------------------------------------------------------------------------


async def test_a_message_is_seen_once_it_is_processed_and_only_by_its_recipient(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen, other = await enrol(pool), await enrol(pool)
    message_id = await mail.post(world.anna, citizen)
    async with pool.connection() as conn:
        assert await mailbox.read_message(conn, citizen, message_id) is None
        assert await mailbox.count_unread(conn, citizen) == 0
        assert not await mailbox.report_not_for_me(conn, citizen, message_id)
        assert await mailbox.mark(conn, citizen, [message_id], read=True) == []
    assert await listed(pool, citizen) == []
    await mail.settle()
    assert await listed(pool, citizen) == [message_id]
    assert await listed(pool, other) == []
    async with pool.connection() as conn:
        assert await mailbox.count_unread(conn, citizen) == 1
        assert await mailbox.read_message(conn, other, message_id) is None
        assert await mailbox.mark(conn, other, [message_id], read=True) == []
        assert not await mailbox.report_not_for_me(conn, other, message_id)


async def test_a_rejected_message_is_not_there(pool: Pool, mail: Mail, world: World) -> None:
    message_id = await mail.send(world.anna, STRANGER)
    async with pool.connection() as conn:
        assert await mailbox.read_message(conn, STRANGER, message_id) is None
        assert await mailbox.export(conn, STRANGER, "", 10) == []
    assert await listed(pool, STRANGER) == []


async def test_a_line_says_who_what_and_what_it_carries(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(
        world.anna, citizen, due_date="2030-01-31T22:59:59Z", payment_data=PAYMENT
    )
    async with pool.connection() as conn:
        (line,) = (await mailbox.list_messages(conn, citizen, Filters(), limit=10)).items
        message = await mailbox.read_message(conn, citizen, message_id)
    assert (line.id, line.fiscal_code, line.service_id) == (message_id, citizen, world.anna.id)
    assert (line.service_name, line.organization_name) == ("Anagrafe", "Comune di Anna")
    assert line.organization_fiscal_code == "00000000001"
    assert line.subject == "La tua tessera è pronta"
    assert line.due_date is not None
    assert line.due_date.isoformat() == "2030-01-31T22:59:59+00:00"
    assert line.payment == mailbox.Payment(12_345, "0" * 18, "00000000001", False)
    assert (line.category.tag, line.category.rptId) == ("PAYMENT", "00000000001" + "0" * 18)
    flags = (line.is_read, line.is_archived, line.has_attachments, line.has_precondition)
    assert flags == (False,) * 4
    assert message is not None
    assert message.line == line
    assert message.content.payment_data.payee.fiscal_code == "00000000001"  # type: ignore[union-attr]
    assert message.content.markdown.startswith("Ciao! La tua tessera")
    assert message.read_at is None
    assert message.reported_at is None


async def test_the_payee_of_a_payment_is_whoever_was_named(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    payee = {"payee": {"fiscal_code": "00000000099"}}
    await mail.send(world.anna, citizen, payment_data=PAYMENT | payee)
    async with pool.connection() as conn:
        (line,) = (await mailbox.list_messages(conn, citizen, Filters(), limit=10)).items
    assert line.payment is not None
    assert line.payment.payee_fiscal_code == "00000000099"
    assert line.category.rptId == "00000000099" + "0" * 18


async def rewrite(pool: Pool, message_id: str, text: str) -> None:
    """Damage what is stored, as no code of ours does."""
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.content SET parts = $2::jsonb WHERE id = $1", message_id, text
        )


@pytest.mark.parametrize(
    ("stored", "tag", "precondition"),
    [
        ('{"eu_covid_cert": {"auth_code": "x"}, "payment_data": %P}', "EU_COVID_CERT", False),
        ('{"third_party_data": {"id": "1"}, "payment_data": %P}', "GENERIC", False),
        ('{"legal_data": {"sender_mail_from": "a", "message_unique_id": "b"}}', "GENERIC", False),
        ("{}", "GENERIC", False),
        ('{"third_party_data": {"id": "1", "has_precondition": "ALWAYS"}}', "GENERIC", True),
        ('{"third_party_data": {"id": "1", "has_precondition": "ONCE"}}', "GENERIC", True),
        ('{"third_party_data": {"id": "1", "has_precondition": "NEVER"}}', "GENERIC", False),
        # Broken in part, or altogether: what is known is shown.
        ('{"payment_data": %P, "third_party_data": 7}', "PAYMENT", False),
        ('{"payment_data": {"amount": "much"}, "due_date": 3}', "GENERIC", False),
        ('[1, "x"]', "GENERIC", False),
        ('{"due_date": "soon"}', "GENERIC", False),
        ('{"third_party_data": {"id": "1", "configuration_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}}',
         "GENERIC", False),
    ],
)  # fmt: skip
async def test_the_category_is_the_first_that_fits_and_nothing_broken_ends_the_page(
    pool: Pool, mail: Mail, world: World, stored: str, tag: str, precondition: bool
) -> None:
    citizen = await enrol(pool)
    sound, message_id = [await mail.send(world.anna, citizen) for _ in range(2)]
    await rewrite(
        pool, message_id, stored.replace("%P", '{"amount": 1, "notice_number": "' + "0" * 18 + '"}')
    )
    async with pool.connection() as conn:
        lines = (await mailbox.list_messages(conn, citizen, Filters(), limit=10)).items
        message = await mailbox.read_message(conn, citizen, message_id)
    assert [line.id for line in lines] == [message_id, sound]
    assert (lines[0].category.tag, lines[0].has_precondition) == (tag, precondition)
    assert message is not None
    assert message.line == lines[0]


async def test_without_sender_or_body_the_rest_is_shown(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(world.bruno, citizen)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.message SET sender_id = -5, service_id = 'gone' WHERE id = $1",
            message_id,
        )
        await conn.raw.execute("DELETE FROM messages.content WHERE id = $1", message_id)
        (line,) = (await mailbox.list_messages(conn, citizen, Filters(), limit=10)).items
        message = await mailbox.read_message(conn, citizen, message_id)
        await conn.raw.execute(
            "UPDATE messages.message SET service_id = $2 WHERE id = $1", message_id, world.bruno.id
        )
        (named,) = (await mailbox.list_messages(conn, citizen, Filters(), limit=10)).items
    assert (line.subject, line.service_name, line.category.tag) == (
        "La tua tessera è pronta",
        "",
        "GENERIC",
    )
    assert message is not None
    assert message.content.markdown == ""
    # Its snapshot is gone, but the service is known today.
    assert (named.service_name, named.organization_name) == ("Biblioteca", "Comune di Bruno")


async def test_a_message_of_send_has_its_own_category(pool: Pool) -> None:
    citizen = await enrol(pool)
    (message_id,) = await fill(pool, citizen, 1, service=SEND)
    await rewrite(
        pool,
        message_id,
        '{"third_party_data": {"id": "iun", "summary": "s", "has_attachments": true}}',
    )
    async with pool.connection() as conn:
        (line,) = (await mailbox.list_messages(conn, citizen, Filters(), limit=1)).items
    assert (line.category.tag, line.category.id, line.category.summary) == ("PN", "iun", "s")
    assert line.has_precondition
    assert line.has_attachments
    await wipe(pool, citizen)


@pytest.mark.parametrize(
    ("configured", "unread", "read"),
    [("ALWAYS", True, True), ("ONCE", True, False), ("NEVER", False, False)],
)
async def test_a_precondition_the_message_does_not_say_is_the_configuration_s_when_it_is_sent(
    pool: Pool,
    mail: Mail,
    world: World,
    secrets: Secrets,
    configured: str,
    unread: bool,
    read: bool,
) -> None:
    citizen = await enrol(pool)
    async with pool.transaction() as conn:
        configuration = await add_configuration(
            conn, secrets, world.anna.institution, has_precondition=configured
        )
    third = {"id": "1", "configuration_id": configuration.lower()}
    message_id = await mail.send(world.anna, citizen, third_party_data=third)
    async with pool.transaction() as conn:
        # What the configuration says later is of later messages.
        await conn.raw.execute(
            "UPDATE content.configuration SET has_precondition = $1",
            "NEVER" if configured == "ALWAYS" else "ALWAYS",
        )
        before = await mailbox.read_message(conn, citizen, message_id)
        await mailbox.mark(conn, citizen, [message_id], read=True)
        after = await mailbox.read_message(conn, citizen, message_id)
    assert before is not None
    assert after is not None
    assert (before.line.has_precondition, after.line.has_precondition) == (unread, read)


# Pages ------------------------------------------------------------------------------------------


async def wipe(pool: Pool, citizen: str) -> None:
    async with pool.transaction() as conn:
        await mailbox.erase(conn, citizen, clock.now() + timedelta(hours=1))


async def test_pages_meet_without_gap_or_repetition_in_both_directions(pool: Pool) -> None:
    citizen = await enrol(pool)
    ids = (await fill(pool, citizen, 25))[::-1]
    async with pool.connection() as conn:
        down, before = [], None
        while True:
            page = await mailbox.list_messages(conn, citizen, Filters(), limit=10, before=before)
            assert page.has_newer == (before is not None)
            down.append([line.id for line in page.items])
            if not page.has_older:
                break
            before = page.items[-1].id
        assert down == [ids[:10], ids[10:20], ids[20:]]
        page = await mailbox.list_messages(
            conn, citizen, Filters(), limit=10, after=ids[20], nearest=True
        )
        assert [line.id for line in page.items] == ids[10:20]
        assert (page.has_newer, page.has_older) == (True, True)
        page = await mailbox.list_messages(
            conn, citizen, Filters(), limit=10, after=ids[10], nearest=True
        )
        assert [line.id for line in page.items] == ids[:10]
        assert (page.has_newer, page.has_older) == (False, True)
        # Without `nearest` the newest of the window, the gap being the caller's to fill.
        page = await mailbox.list_messages(conn, citizen, Filters(), limit=10, after=ids[20])
        assert [line.id for line in page.items] == ids[:10]
        assert page.has_older
        page = await mailbox.list_messages(
            conn, citizen, Filters(), limit=10, after=ids[20], before=ids[14]
        )
        assert [line.id for line in page.items] == ids[15:20]
        assert (page.has_newer, page.has_older) == (True, False)
        page = await mailbox.list_messages(
            conn, citizen, Filters(), limit=3, before=ids[5] + "~", nearest=True
        )
        assert [line.id for line in page.items] == ids[5:8]
        # Beyond either end there is nothing, and the way back is known.
        page = await mailbox.list_messages(conn, citizen, Filters(), limit=3, before=ids[-1])
        assert (page.items, page.has_newer, page.has_older) == ([], True, False)
        page = await mailbox.list_messages(
            conn, citizen, Filters(), limit=3, after=ids[0], nearest=True
        )
        assert (page.items, page.has_newer, page.has_older) == ([], False, True)
    await wipe(pool, citizen)


@settings(max_examples=80, suppress_health_check=list(HealthCheck), deadline=None)
@given(cursor=st.text(max_size=40), words=st.text(max_size=300), service=st.text(max_size=30))
async def test_whatever_is_typed_into_an_address_there_is_a_page(
    pool: Pool, world: World, cursor: str, words: str, service: str
) -> None:
    async with pool.connection() as conn:
        filters = Filters(words=words, service_id=service or None)
        await mailbox.list_messages(
            conn, AUTO, filters, limit=2, before=cursor, after=cursor[::-1], nearest=True
        )
        assert await mailbox.mark(conn, AUTO, [cursor, words], read=True) == []
        assert await mailbox.read_message(conn, AUTO, cursor) is None
        assert not await mailbox.report_not_for_me(conn, AUTO, words)


async def test_a_list_is_narrowed_by_state_kind_service_and_words(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    plain = await mail.send(world.bruno, citizen)
    paying = await mail.send(world.anna, citizen, payment_data=PAYMENT)
    due = await mail.send(world.anna, citizen, due_date="2030-01-31T22:59:59Z")
    await rewrite(pool, plain, '{"third_party_data": {"id": "1", "has_attachments": true}}')
    assert await listed(pool, citizen) == [due, paying, plain]
    assert await listed(pool, citizen, Filters(kind="payment")) == [paying]
    assert await listed(pool, citizen, Filters(kind="due_date")) == [due]
    assert await listed(pool, citizen, Filters(kind="attachments")) == [plain]
    assert await listed(pool, citizen, Filters(service_id=world.bruno.id)) == [plain]
    assert await listed(pool, citizen, Filters(service_id="nobody")) == []
    assert await listed(pool, citizen, Filters(words="Bruno")) == [plain]
    assert await listed(pool, citizen, Filters(words="  ")) == [due, paying, plain]
    async with pool.transaction() as conn:
        await mailbox.mark(conn, citizen, [due], read=True)
        await mailbox.mark(conn, citizen, [plain], archived=True)
        assert await mailbox.count_unread(conn, citizen) == 1
        senders = await mailbox.senders_of(conn, citizen)
    assert await listed(pool, citizen, Filters(unread=True)) == [paying]
    assert await listed(pool, citizen) == [due, paying]
    assert await listed(pool, citizen, Filters(archived=True)) == [plain]
    assert [(row["service_id"], row["service_name"]) for row in senders] == [
        (world.anna.id, "Anagrafe"),
        (world.bruno.id, "Biblioteca"),
    ]


async def test_counting_the_unread_stops_at_a_hundred(pool: Pool) -> None:
    citizen = await enrol(pool)
    await fill(pool, citizen, 130)
    async with pool.connection() as conn:
        assert await mailbox.count_unread(conn, citizen) == 100
    await wipe(pool, citizen)


# Marks ------------------------------------------------------------------------------------------


async def test_reading_is_for_good_and_archiving_leaves_it(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(world.anna, citizen, "ADVANCED")
    async with pool.transaction() as conn:
        (marked,) = await mailbox.mark(conn, citizen, [message_id], read=True)
        assert (marked.id, marked.is_read, marked.is_archived) == (message_id, True, False)
    async with pool.transaction() as conn:
        first = await mailbox.read_message(conn, citizen, message_id)
        (marked,) = await mailbox.mark(conn, citizen, [message_id], archived=True)
        assert (marked.is_read, marked.is_archived) == (True, True)
        (marked,) = await mailbox.mark(conn, citizen, [message_id], read=True)
        assert (marked.is_read, marked.is_archived) == (True, True)
        (marked,) = await mailbox.mark(conn, citizen, [message_id], archived=False)
        assert (marked.is_read, marked.is_archived) == (True, False)
        again = await mailbox.read_message(conn, citizen, message_id)
    assert first is not None
    assert again is not None
    assert first.read_at == again.read_at
    assert (await events_of(pool, message_id)).count("read") == 1


async def test_what_is_no_id_is_absent(pool: Pool, mail: Mail, world: World) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(world.anna, citizen)
    wrong = ["\x00", "x" * 5000, message_id.lower(), message_id + "\n", new_id(), "\ud800"]
    async with pool.transaction() as conn:
        assert await mailbox.mark(conn, citizen, wrong, read=True) == []
        marked = await mailbox.mark(conn, citizen, [*wrong, message_id, message_id], read=True)
    assert [one.id for one in marked] == [message_id]


@pytest.mark.parametrize(
    ("mode", "access", "told"),
    [
        ("AUTO", None, True),
        ("AUTO", "DENY", False),
        ("AUTO", "ALLOW", True),
        ("MANUAL", "UNKNOWN", True),
        ("MANUAL", "DENY", False),
        ("LEGACY", None, False),
    ],
)
async def test_the_sender_learns_of_reading_only_where_the_citizen_lets_them(
    pool: Pool, mail: Mail, world: World, mode: str, access: Any, told: bool
) -> None:
    citizen = await enrol(pool, mode)
    if access is not None:
        preference = Preference(citizen, world.anna.id, 0, access_read_message_status=access)
        async with pool.transaction() as conn:
            await put_preferences(conn, [preference])
    message_id = await mail.send(world.anna, citizen, "ADVANCED")
    async with pool.transaction() as conn:
        await mailbox.mark(conn, citizen, [message_id], read=True)
        await mailbox.mark(conn, citizen, [message_id], read=True, archived=True)
    kinds = await events_of(pool, message_id)
    assert kinds == ["accepted", "processed"] + ["read"] * told


async def life(mail: Mail, caller: Any, message_id: str) -> list[str]:
    answer = await mail.running.client.get(
        f"/messo/v1/messages/{message_id}", headers=caller.headers
    )
    assert answer.status_code == 200, answer.text
    return [event["kind"] for event in answer.json()["events"]]


async def test_a_reading_once_shared_is_shown_only_while_it_is(
    pool: Pool, mail: Mail, world: World
) -> None:
    """The same rule as for `read_status`, permission and level included."""
    citizen = await enrol(pool)
    message_id = await mail.send(world.anna, citizen, "ADVANCED")
    standard = await mail.send(world.anna, citizen)
    async with pool.transaction() as conn:
        await mailbox.mark(conn, citizen, [message_id, standard], read=True)
    assert await life(mail, world.anna, message_id) == ["accepted", "processed", "read"]
    assert await life(mail, world.anna, standard) == ["accepted", "processed"]
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(citizen, world.anna.id, 0, access_read_message_status="DENY")]
        )
    assert await life(mail, world.anna, message_id) == ["accepted", "processed"]
    async with pool.transaction() as conn:
        await put_preferences(
            conn, [Preference(citizen, world.anna.id, 0, access_read_message_status="ALLOW")]
        )
    assert await life(mail, world.anna, message_id) == ["accepted", "processed", "read"]
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.profile SET mode = 'MANUAL', settings_version = 1 "
            "WHERE fiscal_code = $1",
            citizen,
        )
    assert await life(mail, world.anna, message_id) == ["accepted", "processed"]


async def test_a_sender_without_the_permission_does_not_see_reading(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(world.bruno, citizen)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.message SET feature_level_type = 'ADVANCED' WHERE id = $1", message_id
        )
        await mailbox.mark(conn, citizen, [message_id], read=True)
    assert "read" in await events_of(pool, message_id)
    assert await life(mail, world.bruno, message_id) == ["accepted", "processed"]


async def test_two_devices_at_once_lose_nothing(pool: Pool, mail: Mail, world: World) -> None:
    citizen = await enrol(pool)
    ids = [await mail.post(world.anna, citizen, "ADVANCED") for _ in range(20)]
    await mail.settle()

    async def device(order: list[str], **flags: Any) -> int:
        async with pool.transaction() as conn:
            return len(await mailbox.mark(conn, citizen, order, **flags))

    done = await asyncio.gather(
        *(device(ids, read=True) for _ in range(3)),
        *(device(ids[::-1], archived=True) for _ in range(3)),
    )
    assert done == [20] * 6
    async with pool.connection() as conn:
        found = [await mailbox.read_message(conn, citizen, one) for one in ids]
        counted = await conn.raw.fetchval(
            f"SELECT count(*) FROM {FACTS} WHERE kind = 'read' AND message_id = ANY($1)", ids
        )
    assert all(one is not None and one.line.is_read and one.line.is_archived for one in found)
    assert counted == 20


async def test_a_mark_that_is_rolled_back_leaves_no_event(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen = await enrol(pool)
    message_id = await mail.send(world.anna, citizen, "ADVANCED")

    async def break_off() -> None:
        async with pool.transaction() as conn:
            await mailbox.mark(conn, citizen, [message_id], read=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    assert await events_of(pool, message_id) == ["accepted", "processed"]


# Erasure and copies -----------------------------------------------------------------------------


async def rows_about(conn: Connection, ids: list[str], citizen: str) -> dict[str, int]:
    statements = {
        "message": "SELECT count(*) FROM messages.message WHERE id = ANY($1) OR fiscal_code = $2",
        "words": "SELECT count(*) FROM messages.words WHERE id = ANY($1) OR fiscal_code = $2",
        "keys": "SELECT count(*) FROM messages.idempotency "
        "WHERE message_id = ANY($1) OR fiscal_code = $2",
        "content": "SELECT count(*) FROM messages.content WHERE id = ANY($1) OR id = $2",
        "report": "SELECT count(*) FROM messages.report "
        "WHERE message_id = ANY($1) OR message_id = $2",
        "events": f"SELECT count(*) FROM {FACTS} WHERE message_id = ANY($1) OR message_id = $2",
    }
    return {name: await conn.raw.fetchval(sql, ids, citizen) for name, sql in statements.items()}


async def test_erasing_leaves_nothing_and_spares_everybody_else(
    pool: Pool, mail: Mail, world: World
) -> None:
    citizen, other = await enrol(pool), await enrol(pool)
    kept = await mail.send(world.anna, other)
    body = {"content": {"subject": "Una scadenza", "markdown": "x" * 100}, "fiscal_code": citizen}
    sent = await mail.running.client.post(
        "/api/v1/messages", json=body, headers=world.anna.headers | {"Idempotency-Key": "k"}
    )
    ids = [sent.json()["id"], await mail.send(world.bruno, citizen)]
    waiting = await mail.post(world.bruno, citizen)
    async with pool.transaction() as conn:
        await mailbox.mark(conn, citizen, ids, read=True)
        await mailbox.report_not_for_me(conn, citizen, ids[0])
        await search.index_new(conn, citizen)
        assert 0 not in (await rows_about(conn, ids, citizen)).values()
        await mailbox.erase(conn, citizen, clock.now())
        left = await rows_about(conn, [*ids, waiting], citizen)
    assert set(left.values()) == {0}
    assert await listed(pool, other) == [kept]
    await mail.settle()  # what waited for a decision finds nothing, and nothing fails
    assert await listed(pool, citizen) == []


async def test_erasing_spares_what_came_later(pool: Pool, mail: Mail, world: World) -> None:
    citizen = await enrol(pool)
    await mail.send(world.anna, citizen)
    before = clock.now()
    later = await mail.send(world.anna, citizen)
    async with pool.transaction() as conn:
        await mailbox.erase(conn, citizen, before)
        await mailbox.erase(conn, citizen, before)
    assert await listed(pool, citizen) == [later]


async def test_a_copy_has_every_message_once_oldest_first(pool: Pool) -> None:
    citizen = await enrol(pool)
    ids = await fill(pool, citizen, 7)
    async with pool.transaction() as conn:
        await mailbox.mark(conn, citizen, ids[:2], archived=True)
        found: list[str] = []
        while chunk := await mailbox.export(conn, citizen, found[-1] if found else "", 3):
            assert all(one.content.markdown for one in chunk)
            found += [one.line.id for one in chunk]
    assert found == ids
    await wipe(pool, citizen)
