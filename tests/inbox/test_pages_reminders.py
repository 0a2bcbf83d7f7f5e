"""Reminders on a citizen's pages: what is planned, what was sent, why not, and the choice itself."""

from datetime import UTC, date, datetime, timedelta

import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.recipients import read_profile
from messo.reminders.rules import day_of
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, citizen
from tests.messages.mail import Mail
from tests.world import World

_numbers = iter(range(1, 1000))


@pytest.fixture(autouse=True)
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in the evening has lost its third day: here it is always eleven o'clock or twelve."""
    real = clock.now
    ahead = real().replace(hour=10, minute=0) - real()
    monkeypatch.setattr(clock, "now", lambda: real() + ahead)


@pytest.fixture
async def reminded(pool: Pool, browse: LogIn) -> Browser:
    """A citizen who wants reminders."""
    number = next(_numbers)
    return await browse(await citizen(pool, "RMD", number, reminder_status="ENABLED"))


async def profile_of(pool: Pool, browser: Browser) -> tuple[str | None, int | None, int | None]:
    async with pool.connection() as conn:
        found = await read_profile(conn, browser.fiscal_code)
    assert found
    return found.reminder_status, found.quiet_from, found.quiet_until


async def put(
    pool: Pool,
    browser: Browser,
    message_id: str,
    day: date,
    state: str,
    reason: str | None = None,
) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute(
            "INSERT INTO reminders.reminder (bucket, fiscal_code, subject, day, kind, state, due_at,"
            " reason, message_id) VALUES ($1, $2, $3, $4, 'unread', $5, $6, $7, $3)",
            conn.bucket(browser.fiscal_code),
            browser.fiscal_code,
            message_id,
            day,
            state,
            datetime(day.year, day.month, day.day, 9, 19, tzinfo=UTC),
            reason,
        )


async def tell(pool: Pool, browser: Browser, message_id: str, day: date, state: str) -> None:
    """A delivery of this reminder to a device."""
    async with pool.connection() as conn:
        await conn.raw.execute(
            "INSERT INTO notifications.delivery (bucket, id, message_id, occasion, channel, address,"
            " wording, language, state, state_at, expires_at) VALUES ($1, $2, $3, $4, 'web_push',"
            " 'A', 'FULL', 'it', $5, $6, $6)",
            conn.bucket(browser.fiscal_code),
            new_id(),
            message_id,
            f"unread:{day}",
            state,
            datetime(day.year, day.month, day.day, 9, 20, tzinfo=UTC),
        )


async def test_what_is_planned_is_shown_with_its_days(
    mail: Mail, world: World, reminded: Browser
) -> None:
    sent = await mail.send(world.anna, reminded.fiscal_code)
    page = await reminded.page(f"/messages/{sent}/reminders")
    assert page.text.count("Previsto verso le") == 3
    assert "se non l'hai letto" in page.text
    assert f"/messages/{sent}/reminders" in (await reminded.page(f"/messages/{sent}")).links


async def test_reading_the_message_ends_them(mail: Mail, world: World, reminded: Browser) -> None:
    sent = await mail.send(world.anna, reminded.fiscal_code)
    await reminded.page(f"/messages/{sent}")
    await mail.settle()
    page = await reminded.page(f"/messages/{sent}/reminders")
    assert "Hai letto il messaggio: non c'è niente da ricordarti." in page.text
    assert "Previsto" not in page.text


async def test_without_consent_there_are_none_and_the_page_says_so(
    mail: Mail, world: World, giulia: Browser
) -> None:
    sent = await mail.send(world.anna, giulia.fiscal_code)
    page = await giulia.page(f"/messages/{sent}/reminders")
    assert "non ce l'hai chiesto" in page.text
    assert "/preferences#reminders-title" in page.links


@pytest.mark.parametrize(
    ("state", "delivered", "reason", "words"),
    [
        ("handed", "SENT", None, "Inviato alle 1"),
        ("handed", "QUEUED", None, "In arrivo sui tuoi dispositivi."),
        ("handed", "EXPIRED", None, "il tuo dispositivo non era raggiungibile"),
        ("handed", None, None, "nessun tuo dispositivo riceve le notifiche"),
        ("dropped", None, "consent", "non avevi chiesto i promemoria"),
        ("dropped", None, "service_off", "avevi spento queste notifiche"),
        ("dropped", None, "archived", "avevi archiviato il messaggio"),
        ("dropped", None, "read", "avevi letto il messaggio"),
        ("dropped", None, "quiet_hours", "ore di silenzio"),
        ("dropped", None, "paid", "era già pagato"),
        ("dropped", None, "in_progress", "qualcuno lo stava pagando"),
        ("dropped", None, "not_checked", "non siamo riusciti a sapere"),
        ("dropped", None, "too_late", "eravamo in ritardo"),
        ("dropped", None, "cancelled", "non c'era più niente da pagare"),
    ],
)
async def test_what_became_of_a_past_one_is_said(
    pool: Pool,
    mail: Mail,
    world: World,
    reminded: Browser,
    state: str,
    delivered: str | None,
    reason: str | None,
    words: str,
) -> None:
    sent = await mail.send(world.anna, reminded.fiscal_code)
    day = day_of(clock.now() - timedelta(days=1))
    await put(pool, reminded, sent, day, state, reason)
    if delivered:
        await tell(pool, reminded, sent, day, delivered)
    assert words in (await reminded.page(f"/messages/{sent}/reminders")).text


async def test_anothers_message_tells_nothing(
    mail: Mail, world: World, reminded: Browser, giulia: Browser
) -> None:
    sent = await mail.send(world.anna, reminded.fiscal_code)
    assert (await giulia.get(f"/messages/{sent}/reminders")).status_code == 404


@pytest.mark.parametrize(
    ("hours", "stored"),
    [
        (("22", "7"), (22 * 60, 7 * 60)),
        (("0", "23"), (0, 23 * 60)),
        (("", "7"), (None, None)),
        (("8", "8"), (None, None)),
        (("24", "7"), (None, None)),
        (("-1", "7"), (None, None)),
        (("²", "7"), (None, None)),
        (("9" * 5000, "7"), (None, None)),
    ],
)
async def test_the_choice_is_stored_whatever_a_form_says(
    pool: Pool, giulia: Browser, hours: tuple[str, str], stored: tuple[int | None, int | None]
) -> None:
    form = (await giulia.page("/preferences")).form("/preferences/reminders")
    answer = await giulia.send(form, reminders="1", quiet_from=hours[0], quiet_until=hours[1])
    assert answer.status_code == 303
    assert await profile_of(pool, giulia) == ("ENABLED", *stored)
    again = (await giulia.page("/preferences")).form("/preferences/reminders")
    assert (await giulia.send(again, reminders=None)).status_code == 303
    assert (await profile_of(pool, giulia))[0] == "DISABLED"
    changes = (await giulia.page("/data/changes")).text
    assert "promemoria" in changes


async def test_consent_given_late_plans_what_is_still_to_come(
    mail: Mail, world: World, giulia: Browser
) -> None:
    sent = await mail.send(world.anna, giulia.fiscal_code)
    form = (await giulia.page("/preferences")).form("/preferences/reminders")
    await giulia.send(form, reminders="1")
    await mail.settle()
    assert (await giulia.page(f"/messages/{sent}/reminders")).text.count("Previsto verso") == 3
    await giulia.send(form, reminders=None)
    await mail.settle()
    assert "Previsto" not in (await giulia.page(f"/messages/{sent}/reminders")).text
