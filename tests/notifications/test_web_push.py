"""A message is told to its recipient's browsers: once, in the right words, and to nobody else."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.work import Worker
from messo.notifications.channels.channel import Again, Failed, Gone, Sent
from messo.notifications.channels.web_push.channel import outcome, topic
from messo.notifications.channels.web_push.devices import (
    MOST,
    Subscription,
    list_devices,
    log_out_device,
    meet_device,
    put_device,
    renew_device,
)
from messo.notifications.channels.web_push.keys import public_key
from messo.recipients import (
    Preference,
    Profile,
    Wishes,
    amend,
    choose_mode,
    create_profiles,
    put_preferences,
    read_profile,
)
from messo.sandbox.fiscal_codes import many
from tests.messages.mail import Mail
from tests.notifications.push_service import Device, PushService, subscribe
from tests.world import World

CITIZENS = iter(many(700)[500:])


async def enrol(pool: Pool, **more: Any) -> str:
    """A new citizen, who lets devices be told."""
    fiscal_code = next(CITIZENS)
    values: dict[str, Any] = {
        "mode": "AUTO",
        "settings_version": 0,
        "is_inbox_enabled": True,
        "is_webhook_enabled": True,
        **more,
    }
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, **values)])
    return fiscal_code


async def states(pool: Pool, message_id: str) -> list[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT state FROM notifications.delivery WHERE message_id = $1 ORDER BY id", message_id
        )
    return [row["state"] for row in rows]


async def until_sent(worker: Worker) -> None:
    """Everything that is due now."""
    while await worker.send_once():
        pass


async def make_due(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE work.item SET due_at = now() - interval '1 second' "
            "WHERE step LIKE 'notifications.%'"
        )


async def told(mail: Mail, world: World, fiscal_code: str, message_id: str) -> Any:
    """`notification`, as the sender sees it."""
    answer = await mail.running.client.get(
        f"/api/v1/messages/{fiscal_code}/{message_id}", headers=world.anna.headers
    )
    assert answer.status_code == 200
    return answer.json().get("notification")


async def test_every_browser_is_told_once(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    devices = [service.device() for _ in range(3)]
    for device in devices:
        await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    assert await told(mail, world, fiscal_code, message) is None, "nothing has come of it yet"
    await until_sent(worker)
    for device in devices:
        assert device.shown == [
            {
                "title": "Hai un nuovo messaggio",
                "body": "Entra nella tua casella per leggerlo.",
                "lang": "it",
                "message_id": message,
            }
        ]
        assert device.topics == [topic(message)]
        assert 86_000 < device.lives[0] <= 86_400, "a day, although the wire's default is an hour"
    assert await states(pool, message) == ["SENT"] * 3
    assert await told(mail, world, fiscal_code, message) == {"webhook": "SENT"}


async def test_dispatching_again_tells_nobody_twice(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    for _ in range(2):
        async with pool.transaction() as conn:
            await conn.raw.execute(
                "INSERT INTO work.item (bucket, step, due_at, reference, lane) "
                "VALUES ($1, 'notifications.dispatch', now(), $2, 0)",
                conn.bucket(fiscal_code),
                message,
            )
        await mail.settle()
        await until_sent(worker)
    assert len(device.shown) == 1


@pytest.mark.parametrize(
    ("profile", "secure", "full"),
    [
        ({"push_notifications_content_type": "FULL"}, None, True),
        ({"push_notifications_content_type": "ANONYMOUS"}, None, False),
        ({}, None, False),
        ({"push_notifications_content_type": "FULL"}, True, False),
    ],
)
async def test_content_is_shown_only_where_it_was_asked_for(
    pool: Pool,
    world: World,
    mail: Mail,
    worker: Worker,
    service: PushService,
    secrets: Secrets,
    profile: dict[str, Any],
    secure: bool | None,
    full: bool,
) -> None:
    fiscal_code = await enrol(pool, **profile)
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    more: dict[str, Any] = {} if secure is None else {"require_secure_channels": secure}
    await mail.send(world.anna, fiscal_code, **more)
    await until_sent(worker)
    shown = device.shown[0]
    assert (shown["title"] == "Comune di Anna") is full
    assert (shown["body"] == "La tua tessera è pronta") is full


async def test_a_message_cannot_loosen_what_its_service_requires(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool, push_notifications_content_type="FULL")
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    await mail.send(world.secure, fiscal_code, require_secure_channels=False)
    await until_sent(worker)
    assert device.shown[0]["title"] == "Hai un nuovo messaggio"


async def test_a_citizen_is_told_in_their_language(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool, preferred_languages=["de_DE", "en_GB", "it_IT"])
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert (device.shown[0]["lang"], device.shown[0]["title"]) == ("en", "You have a new message")


async def test_long_words_are_cut_between_graphemes(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool, push_notifications_content_type="FULL")
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    await mail.send(world.anna, fiscal_code, subject="👨‍👩‍👧‍👦🇮🇹e\u0301" * 7)
    await until_sent(worker)
    assert device.shown[0]["body"] == "👨‍👩‍👧‍👦🇮🇹e\u0301" * 7
    from messo.messages.characters import on_one_line

    for most in range(8, 60):
        cut = on_one_line("👨‍👩‍👧‍👦🇮🇹e\u0301" * 10, most)
        assert len(cut) <= most
        rest = cut.removesuffix("…")
        for whole in ("👨‍👩‍👧‍👦", "🇮🇹", "e\u0301"):
            rest = rest.replace(whole, "")
        assert rest == "", f"{most}: half a grapheme in {cut!r}"


@pytest.mark.parametrize("how", ["profile", "service", "device", "inbox reader"])
async def test_opting_out_after_dispatch_stops_the_notice(
    pool: Pool,
    world: World,
    mail: Mail,
    worker: Worker,
    service: PushService,
    secrets: Secrets,
    how: str,
) -> None:
    fiscal_code = await enrol(pool)
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    async with pool.transaction() as conn:
        if how == "profile":
            await amend(conn, fiscal_code, Wishes(is_webhook_enabled=False))
        elif how == "service":
            choice = Preference(fiscal_code, world.anna.id, 0, is_webhook_enabled=False)
            await put_preferences(conn, [choice])
        elif how == "device":
            found = await list_devices(conn, fiscal_code)
            await conn.raw.execute(
                "DELETE FROM notifications.web_push_device WHERE id = $1", found[0].id
            )
        else:  # somebody else logs in at this browser
            await meet_device(conn, await enrol(pool), device.endpoint, "T")
    await until_sent(worker)
    assert device.shown == []
    assert await states(pool, message) == ["STOPPED"]
    assert await told(mail, world, fiscal_code, message) is None, "their choice is not told"


async def test_who_closed_the_service_or_push_is_not_told(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    closed = await enrol(pool, is_webhook_enabled=False)
    chosen = await enrol(pool)
    legacy = await enrol(
        pool, mode="LEGACY", settings_version=-1, blocked={world.anna.id: ["WEBHOOK"]}
    )
    async with pool.transaction() as conn:
        choice = Preference(chosen, world.anna.id, 0, is_webhook_enabled=False)
        await put_preferences(conn, [choice])
    for fiscal_code in (closed, chosen, legacy):
        device = service.device()
        await subscribe(pool, secrets, fiscal_code, device)
        message = await mail.send(world.anna, fiscal_code)
        await until_sent(worker)
        assert device.shown == []
        assert await states(pool, message) == []


async def test_a_browser_that_is_gone_is_forgotten(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    gone, lost, here = service.device("410"), service.device("404"), service.device()
    for device in (gone, lost, here):
        await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert sorted(await states(pool, message)) == ["FAILED", "FAILED", "SENT"]
    assert await told(mail, world, fiscal_code, message) == {"webhook": "SENT"}
    async with pool.connection() as conn:
        assert len(await list_devices(conn, fiscal_code)) == 1


@pytest.mark.parametrize("behaviour", ["429", "500", "403", "400", "reset"])
async def test_a_refusal_of_us_is_tried_again_and_keeps_the_browser(
    pool: Pool,
    world: World,
    mail: Mail,
    worker: Worker,
    service: PushService,
    secrets: Secrets,
    behaviour: str,
) -> None:
    fiscal_code = await enrol(pool)
    device = service.device(behaviour)
    await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert await told(mail, world, fiscal_code, message) == {"webhook": "THROTTLED"}
    async with pool.connection() as conn:
        item = await conn.raw.fetchrow(
            "SELECT i.attempts, extract(epoch FROM i.due_at - now()) AS wait FROM work.item AS i "
            "INNER JOIN notifications.delivery AS d ON d.id = split_part(i.reference, ' ', 1) WHERE d.message_id = $1",
            message,
        )
        assert len(await list_devices(conn, fiscal_code)) == 1
    assert item["attempts"] == 1
    assert (115 < item["wait"] <= 150) if behaviour == "429" else (2 < item["wait"] <= 7)
    service.behaviour[device.endpoint.removeprefix(service.origin)] = "ok"
    await make_due(pool)
    await until_sent(worker)
    assert len(device.shown) == 1
    assert await told(mail, world, fiscal_code, message) == {"webhook": "SENT"}


async def test_a_notice_too_large_is_failed_and_the_browser_stays(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    await subscribe(pool, secrets, fiscal_code, service.device("413"))
    message = await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert await told(mail, world, fiscal_code, message) == {"webhook": "FAILED"}
    async with pool.connection() as conn:
        assert len(await list_devices(conn, fiscal_code)) == 1


async def test_what_expired_in_the_queue_is_not_sent_and_says_so(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE notifications.delivery SET expires_at = now() WHERE message_id = $1", message
        )
    await until_sent(worker)
    assert device.shown == []
    assert await told(mail, world, fiscal_code, message) == {"webhook": "EXPIRED"}


async def test_what_waits_for_a_host_that_is_down_is_throttled_and_expires_unsent(
    pool: Pool, world: World, mail: Mail, worker: Worker, secrets: Secrets
) -> None:
    """Behind an open circuit nobody is asked, and the sender still hears how it stands."""
    gone = PushService()  # never started: nobody listens there
    fiscal_code = await enrol(pool)
    for _ in range(6):  # one more than failures in a row that open the circuit
        await subscribe(pool, secrets, fiscal_code, gone.device())
    await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    message = await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert await states(pool, message) == ["THROTTLED"] * 6
    assert await told(mail, world, fiscal_code, message) == {"webhook": "THROTTLED"}
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE notifications.delivery SET expires_at = now() WHERE message_id = $1", message
        )
    await make_due(pool)
    await until_sent(worker)
    assert await states(pool, message) == ["EXPIRED"] * 6
    assert await told(mail, world, fiscal_code, message) == {"webhook": "EXPIRED"}


@pytest.mark.parametrize(
    ("time_to_live", "hours"), [(3600, 24), (86_400, 24), (172_800, 48), (604_800, 168)]
)
async def test_telling_makes_sense_for_a_day_at_least(
    pool: Pool,
    world: World,
    mail: Mail,
    service: PushService,
    secrets: Secrets,
    time_to_live: int,
    hours: int,
) -> None:
    fiscal_code = await enrol(pool)
    await subscribe(pool, secrets, fiscal_code, service.device())
    message = await mail.send(world.anna, fiscal_code)
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM notifications.delivery WHERE message_id = $1", message)
        await conn.raw.execute(
            "UPDATE messages.message SET time_to_live = $2 WHERE id = $1", message, time_to_live
        )
        await conn.raw.execute(
            "INSERT INTO work.item (bucket, step, due_at, reference, lane) "
            "VALUES ($1, 'notifications.dispatch', now(), $2, 0)",
            conn.bucket(fiscal_code),
            message,
        )
    await mail.settle()
    async with pool.connection() as conn:
        lives = await conn.raw.fetchval(
            "SELECT d.expires_at - m.created_at FROM notifications.delivery AS d "
            "INNER JOIN messages.message AS m ON m.id = d.message_id WHERE m.id = $1",
            message,
        )
    assert lives == timedelta(hours=hours)


async def test_the_sender_hears_once_that_the_citizen_was_told(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    for _ in range(2):
        await subscribe(pool, secrets, fiscal_code, service.device())
    message = await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    life = await mail.running.client.get(
        f"/messo/v1/messages/{message}", headers=world.anna.headers
    )
    told_by = [e["channel"] for e in life.json()["events"] if e["kind"] == "notified"]
    assert told_by == ["webhook"], "once, although there are two devices"


async def test_a_hanging_service_holds_up_no_other(
    pool: Pool, world: World, mail: Mail, worker: Worker, secrets: Secrets
) -> None:
    """What hangs is still under way while everything for another host has been sent."""
    slow, quick = PushService(), PushService()
    await slow.start()
    await quick.start()
    try:
        fiscal_codes = [await enrol(pool) for _ in range(10)]
        hanging, answering = [], []
        for fiscal_code in fiscal_codes:
            hanging.append(slow.device("hang"))
            answering.append(quick.device())
            await subscribe(pool, secrets, fiscal_code, hanging[-1])
            await subscribe(pool, secrets, fiscal_code, answering[-1])
        for fiscal_code in fiscal_codes:
            await mail.post(world.anna, fiscal_code)
        await mail.settle()
        sending = asyncio.create_task(worker.send_once())
        async with asyncio.timeout(9):  # well before a hanging request is given up
            while sum(len(device.shown) for device in answering) < len(answering):
                await asyncio.sleep(0.01)
        assert slow.hanging.is_set()
        assert not sending.done()
        for path in list(slow.asked):
            slow.behaviour[path] = "ok"
        slow.let_go.set()
        await sending
        assert all(len(device.shown) == 1 for device in answering)
    finally:
        await slow.stop()
        await quick.stop()


async def test_what_waits_for_a_host_that_hangs_is_put_off_unread(
    pool: Pool, world: World, mail: Mail, worker: Worker, secrets: Secrets
) -> None:
    """Only so many are under way there; the others are neither tried nor counted, and others go."""
    slow, quick = PushService(), PushService()
    await slow.start()
    await quick.start()
    try:
        fiscal_code = await enrol(pool)
        for _ in range(MOST - 1):
            await subscribe(pool, secrets, fiscal_code, slow.device("hang"))
        answering = quick.device()
        await subscribe(pool, secrets, fiscal_code, answering)
        messages = [await mail.post(world.anna, fiscal_code) for _ in range(5)]
        await mail.settle()
        stopping = asyncio.Event()
        sending = [asyncio.create_task(one.run(stopping)) for one in worker.sendings]
        async with asyncio.timeout(9):
            while len(answering.shown) < len(messages):
                await asyncio.sleep(0.01)
            waiting: list[Any] = []
            while not (waiting and all(row["later"] for row in waiting)):
                async with pool.connection() as conn:
                    waiting = await conn.raw.fetch(
                        "SELECT attempts, due_at > now() AS later FROM work.item "
                        "WHERE reference LIKE '% ' || $1",
                        slow.origin,
                    )
        assert sum(slow.asked.values()) <= 32, "places at one host"
        assert len(waiting) == 5 * (MOST - 1)
        assert all(row["attempts"] == 0 for row in waiting)
        stopping.set()
        slow.let_go.set()
        await asyncio.gather(*sending)
    finally:
        await slow.stop()
        await quick.stop()


async def test_a_browser_belongs_to_whoever_asked_last(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    first, second = await enrol(pool), await enrol(pool)
    device = service.device()
    await subscribe(pool, secrets, first, device)
    await subscribe(pool, secrets, second, device)
    await mail.send(world.anna, first)
    await until_sent(worker)
    assert device.shown == []
    message = await mail.send(world.anna, second)
    await until_sent(worker)
    assert [shown["message_id"] for shown in device.shown] == [message]


async def test_a_browser_that_was_logged_out_shows_no_content_until_its_citizen_is_back(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool, push_notifications_content_type="FULL")
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device, "S1")
    async with pool.transaction() as conn:
        await log_out_device(conn, fiscal_code, "S1")
    await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert device.shown[-1]["title"] == "Hai un nuovo messaggio"
    async with pool.transaction() as conn:
        assert await meet_device(conn, fiscal_code, device.endpoint, "S2")
    await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert device.shown[-1]["title"] == "Comune di Anna"


async def test_a_replaced_subscription_takes_the_place_of_the_old_one(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    old, new = service.device(), service.device()
    await subscribe(pool, secrets, fiscal_code, old)
    async with pool.transaction() as conn:
        proof = (old.endpoint, old.subscription.auth)
        assert await renew_device(conn, secrets, *proof, new.subscription)
        assert not await renew_device(conn, secrets, *proof, new.subscription)
    await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert (len(old.shown), len(new.shown)) == (0, 1)


async def test_a_citizen_has_any_number_of_browsers_up_to_a_bound(
    pool: Pool, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    for _ in range(MOST + 3):
        await subscribe(pool, secrets, fiscal_code, service.device())
    async with pool.connection() as conn:
        assert len(await list_devices(conn, fiscal_code)) == MOST


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoint", ""),
        ("endpoint", "ftp://push.example.org/1"),
        ("endpoint", "javascript:alert(1)"),
        ("endpoint", "https://"),
        ("endpoint", "https://[::1"),
        ("endpoint", "https://push.example.org/" + "x" * 2000),
        ("endpoint", "https://push.example.org/à"),
        ("p256dh", ""),
        ("p256dh", "not base64!"),
        ("p256dh", "BA" * 40),
        ("p256dh", "A" * 87),
        ("auth", "AAAA"),
        ("auth", "####"),
        ("auth", "à" * 22),
    ],
)
async def test_what_is_no_subscription_is_refused_by_name(
    pool: Pool, service: PushService, secrets: Secrets, field: str, value: str
) -> None:
    good = service.device().subscription
    given = {"endpoint": good.endpoint, "p256dh": good.p256dh, "auth": good.auth, field: value}
    fiscal_code = await enrol(pool)
    with pytest.raises(Problem) as refused:
        async with pool.transaction() as conn:
            await put_device(
                conn, secrets, fiscal_code, Subscription(**given), label="x", session_id="S"
            )
    assert (refused.value.status, refused.value.field) == (400, field)


async def test_an_endpoint_that_points_inside_is_never_called(
    pool: Pool, world: World, mail: Mail, worker: Worker, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    device = Device("https://169.254.169.254/latest/meta-data")
    await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    await until_sent(worker)
    assert await states(pool, message) == ["THROTTLED"], "names may lead elsewhere tomorrow"
    async with pool.connection() as conn:
        assert len(await list_devices(conn, fiscal_code)) == 1, "nobody said that it is gone"


async def test_a_device_that_cannot_be_opened_keeps_no_other_waiting(
    pool: Pool, world: World, mail: Mail, worker: Worker, service: PushService, secrets: Secrets
) -> None:
    broken, other = await enrol(pool), await enrol(pool)
    await subscribe(pool, secrets, broken, service.device())
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE notifications.web_push_device SET sealed = 'gone.AAAA' WHERE fiscal_code = $1",
            broken,
        )
    device = service.device()
    await subscribe(pool, secrets, other, device)
    lost = await mail.post(world.anna, broken)
    await mail.send(world.anna, other)
    await until_sent(worker)
    assert len(device.shown) == 1
    assert await states(pool, lost) == ["FAILED"]


async def test_the_key_of_the_installation_is_made_once(pool: Pool, secrets: Secrets) -> None:
    async def ask() -> str:
        async with pool.transaction() as conn:
            return await public_key(conn, secrets)

    assert len(set(await asyncio.gather(*(ask() for _ in range(4))))) == 1
    async with pool.connection() as conn:
        stored = await conn.raw.fetchval("SELECT sealed FROM notifications.web_push_key")
    assert "PRIVATE" not in stored


async def test_no_table_holds_an_endpoint_in_clear(
    pool: Pool, service: PushService, secrets: Secrets
) -> None:
    fiscal_code = await enrol(pool)
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT d::text AS text FROM notifications.web_push_device AS d"
        )
        profile = await read_profile(conn, fiscal_code)
    assert profile is not None
    assert not any(device.endpoint in row["text"] for row in rows)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Sent()),
        (201, Sent()),
        (202, Sent()),
        (204, Sent()),
        (301, Again("301")),
        (400, Again("400")),
        (401, Again("401")),
        (404, Gone("404")),
        (410, Gone("410")),
        (413, Failed("413")),
        (500, Again("500")),
    ],
)
def test_only_not_here_any_more_is_about_the_address(status: int, expected: object) -> None:
    from messo.base.outbound import Reply

    assert outcome(Reply(status, {}, b""), clock.now()) == expected


@pytest.mark.parametrize(
    ("how", "shown"), [("profile", 0), ("service", 0), ("mode", 0), ("special", 1)]
)
async def test_closing_the_inbox_after_dispatch_stops_the_notice(
    pool: Pool,
    world: World,
    mail: Mail,
    worker: Worker,
    service: PushService,
    secrets: Secrets,
    how: str,
    shown: int,
) -> None:
    """But the row of a special service says nothing: it opens and closes the inbox itself."""
    fiscal_code = await enrol(pool)
    device = service.device()
    await subscribe(pool, secrets, fiscal_code, device)
    message = await mail.send(world.anna, fiscal_code)
    async with pool.transaction() as conn:
        if how == "profile":
            await amend(conn, fiscal_code, Wishes(is_inbox_enabled=False))
        elif how == "mode":
            await choose_mode(conn, fiscal_code, "MANUAL")
        else:
            choice = Preference(fiscal_code, world.anna.id, 0, is_inbox_enabled=False)
            await put_preferences(conn, [choice])
    special = (
        "UPDATE messages.sender SET category = $2 WHERE id = (SELECT m.sender_id "
        "FROM messages.message AS m WHERE m.bucket = ANY($3::smallint[]) AND m.id = $1)"
    )
    async with pool.connection() as conn:
        before = "SPECIAL" if how == "special" else "STANDARD"
        await conn.raw.execute(special, message, before, list(range(pool.buckets)))
        await until_sent(worker)
        await conn.raw.execute(special, message, "STANDARD", list(range(pool.buckets)))
    assert len(device.shown) == shown
    assert await states(pool, message) == ["SENT" if shown else "STOPPED"]
