"""How citizens are told: switched, changed and looked after by them alone."""

from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.login import Identity, client_limits, open_session
from messo.notifications.channels.web_push.devices import device_id, list_devices
from messo.recipients import Profile, read_choice, read_profile
from messo.recipients.installations import put_installation
from messo.settings import Settings
from tests.inbox.conftest import LogIn
from tests.inbox.pages import LEVEL, Browser, check, citizen
from tests.notifications.push_service import Device
from tests.world import World

ENDPOINT = "https://push.example.org/secret-1"


@pytest.fixture(scope="module")
def settings() -> Settings:
    """With a mail server that nobody calls here: the worker would."""
    return replace(
        Settings(rate_limit=100_000, rate_burst=100_000),
        mail_server="smtp+plain://127.0.0.1:9",
        outbound_networks=(ip_network("127.0.0.0/8"),),
    )


async def profile_of(pool: Pool, fiscal_code: str) -> Profile:
    async with pool.connection() as conn:
        found = await read_profile(conn, fiscal_code)
    assert found is not None
    return found


async def devices_of(pool: Pool, fiscal_code: str) -> list[str]:
    async with pool.connection() as conn:
        return [device.id for device in await list_devices(conn, fiscal_code)]


def fields(device: Device) -> dict[str, str]:
    made = device.subscription
    return {"endpoint": made.endpoint, "p256dh": made.p256dh, "auth": made.auth}


async def csrf(browser: Browser) -> dict[str, str]:
    page = await browser.page("/preferences")
    return {"csrf": page.form("/preferences/notices").fields["csrf"]}


async def subscribed(pool: Pool, browser: Browser, device: Device) -> dict[str, str]:
    token = await csrf(browser)
    answer = await browser.post("/preferences/devices", token | fields(device))
    assert answer.status_code == 303
    return token


async def test_a_browser_is_added_listed_and_turned_off(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "NTC", 1)
    browser = await browse(fiscal_code)
    device = Device(ENDPOINT)
    await subscribed(pool, browser, device)
    page = await browser.page("/preferences")
    assert "Dove ti avvisiamo" not in page.text, "that is for those who cannot see the list"
    form = page.form("/preferences/devices/gone")
    assert form.fields["id"] == device_id(ENDPOINT)
    assert ENDPOINT not in (await browser.get("/preferences")).text
    assert (await browser.send(form)).status_code == 303
    assert await devices_of(pool, fiscal_code) == []
    assert (await browser.send(form)).status_code == 404


async def test_asking_in_a_browser_switches_notices_on(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "NTC", 2, is_webhook_enabled=False)
    browser = await browse(fiscal_code)
    await subscribed(pool, browser, Device("https://push.example.org/2"))
    assert (await profile_of(pool, fiscal_code)).is_webhook_enabled


@pytest.mark.parametrize("token", [None, "", "wrong"])
@pytest.mark.parametrize(
    "path", ["/preferences/devices", "/preferences/devices/gone", "/preferences/mail"]
)
async def test_without_the_token_nothing_changes(
    pool: Pool, browse: LogIn, world: World, path: str, token: str | None
) -> None:
    fiscal_code = await citizen(pool, "NTC", 3)
    browser = await browse(fiscal_code)
    given = fields(Device("https://push.example.org/3")) | {"email": "a@example.org", "copies": "1"}
    if token is not None:
        given["csrf"] = token
    assert (await browser.post(path, given)).status_code == 403
    assert await devices_of(pool, fiscal_code) == []
    assert (await profile_of(pool, fiscal_code)).email is None


async def test_nobody_turns_off_anothers_browser(pool: Pool, browse: LogIn, world: World) -> None:
    owner, other = await citizen(pool, "NTC", 4), await citizen(pool, "NTC", 5)
    await subscribed(pool, await browse(owner), Device("https://push.example.org/4"))
    stranger = await browse(other)
    token = await csrf(stranger)
    answer = await stranger.post(
        "/preferences/devices/gone", token | {"id": device_id("https://push.example.org/4")}
    )
    assert answer.status_code == 404
    assert len(await devices_of(pool, owner)) == 1


async def test_what_is_no_subscription_is_refused(pool: Pool, browse: LogIn, world: World) -> None:
    browser = await browse(await citizen(pool, "NTC", 6))
    token = await csrf(browser)
    for wrong in ({}, {"endpoint": "x"}, {"endpoint": ENDPOINT, "p256dh": "é", "auth": "x"}):
        answer = await browser.post("/preferences/devices", token | wrong)
        assert answer.status_code == 400
        check(answer.text, "it")


async def test_a_page_says_whether_the_browser_is_still_known(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "NTC", 7)
    browser = await browse(fiscal_code)
    token = await subscribed(pool, browser, Device("https://push.example.org/7"))
    for endpoint, known in (("https://push.example.org/7", True), ("https://x.example", False)):
        answer = await browser.post("/preferences/devices/here", token | {"endpoint": endpoint})
        assert answer.json() == {"known": known}
    other = await browse(await citizen(pool, "NTC", 8))
    answer = await other.post(
        "/preferences/devices/here", await csrf(other) | {"endpoint": "https://push.example.org/7"}
    )
    assert answer.json() == {"known": False}
    assert await devices_of(pool, fiscal_code) == [], "somebody else uses this browser now"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"old_endpoint": 1}', 400),
        (b'{"old_endpoint": "\\u0000", "old_auth": "x", "subscription": {}}', 400),
        (b"x" * 9000, 413),
    ],
)
async def test_a_renewal_that_is_none_is_refused(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    assert (await client.post("/push/renew", content=body)).status_code == status


async def test_a_renewal_needs_the_old_secret(
    pool: Pool, browse: LogIn, client: httpx.AsyncClient, world: World
) -> None:
    fiscal_code = await citizen(pool, "NTC", 9)
    old = Device("https://push.example.org/9")
    await subscribed(pool, await browse(fiscal_code), old)
    new = fields(Device("https://push.example.org/9b"))
    proof = {"old_endpoint": old.endpoint, "old_auth": old.subscription.auth}
    for wrong, status in (
        ({"old_endpoint": "https://push.example.org/8"}, 404),
        ({"old_auth": "AAAAAAAAAAAAAAAAAAAAAA"}, 404),  # a push service knows the endpoint only
        ({"old_auth": "ù"}, 404),
        ({}, 204),
        ({}, 404),  # once
    ):
        answer = await client.post("/push/renew", json=proof | wrong | {"subscription": new})
        assert answer.status_code == status
    assert await devices_of(pool, fiscal_code) == [device_id(new["endpoint"])]


async def test_what_a_notice_shows_is_chosen(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "NTC", 10)
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences")).form("/preferences/notices")
    assert form.fields["content"] == "ANONYMOUS", "nothing is shown that nobody asked for"
    assert (await browser.send(form, content="FULL")).headers["location"].endswith("saved-1")
    assert (await profile_of(pool, fiscal_code)).push_notifications_content_type == "FULL"
    again = (await browser.page("/preferences")).form("/preferences/notices")
    assert again.fields["content"] == "FULL"
    await browser.send(again, notices=None)
    assert not (await profile_of(pool, fiscal_code)).is_webhook_enabled
    assert (await browser.send(again, content="LOUD")).status_code == 400


async def test_an_address_is_set_asked_for_and_taken_away(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "NTC", 11)
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences")).form("/preferences/mail")
    answer = await browser.send(form, email="ada@example.org", copies="1")
    assert answer.headers["location"] == "/preferences?done=asked-1"
    after = await profile_of(pool, fiscal_code)
    assert (after.email, after.is_email_validated, after.is_email_enabled) == (
        "ada@example.org",
        False,
        True,
    )
    async with pool.connection() as conn:
        letters = await conn.raw.fetchval(
            "SELECT count(*) FROM notifications.letter WHERE fiscal_code = $1", fiscal_code
        )
    assert letters == 1
    page = await browser.page("/preferences?done=asked-1")
    assert "non è ancora confermato" in page.text
    assert "Ti abbiamo mandato un'e-mail" in page.text
    form = page.form("/preferences/mail", email="ada@example.org")
    await browser.send(form, email="")
    assert (await profile_of(pool, fiscal_code)).email is None


@pytest.mark.parametrize(
    "typed", ["no address", "a@b", "a@@example.org", "à@example.org", "x" * 300]
)
async def test_what_is_no_address_is_said_beside_the_field_and_not_lost(
    pool: Pool, browse: LogIn, world: World, typed: str
) -> None:
    fiscal_code = await citizen(pool, "NTC", 12)
    browser = await browse(fiscal_code)
    form = (await browser.page("/preferences")).form("/preferences/mail")
    answer = await browser.send(form, email=typed)
    assert answer.status_code == 400
    page = check(answer.text, "it")
    assert "Questo non è un indirizzo e-mail" in page.text
    assert page.form("/preferences/mail", email=typed)
    assert (await profile_of(pool, fiscal_code)).email is None


async def test_an_address_of_somebody_else_is_refused_beside_the_field(
    pool: Pool, browse: LogIn, world: World
) -> None:
    await citizen(pool, "NTC", 13, email="mia@example.org", is_email_validated=True)
    browser = await browse(await citizen(pool, "NTC", 14))
    form = (await browser.page("/preferences")).form("/preferences/mail")
    answer = await browser.send(form, email="Mia@example.org")
    assert answer.status_code == 412
    assert "Qualcun altro ha confermato" in check(answer.text, "it").text


async def test_a_dead_address_is_said_and_can_be_tried_again(
    pool: Pool, browse: LogIn, world: World, secrets: Secrets
) -> None:
    fiscal_code = await citizen(
        pool, "NTC", 15, email="dead@example.org", is_email_validated=True, is_email_enabled=True
    )
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO notifications.suppression VALUES ($1, $2, 'email', $3, '5.1.1', now())",
            conn.bucket(fiscal_code),
            fiscal_code,
            secrets.keyed_hash("email:dead@example.org"),
        )
    browser = await browse(fiscal_code)
    page = await browser.page("/preferences")
    assert "sono tornate indietro" in page.text
    await browser.send(page.form("/preferences/mail", action="again"))
    assert "sono tornate indietro" not in (await browser.page("/preferences")).text


async def test_devices_of_applications_are_listed(
    pool: Pool, browse: LogIn, world: World, secrets: Secrets
) -> None:
    fiscal_code = await citizen(pool, "NTC", 16)
    async with pool.transaction() as conn:
        await put_installation(conn, secrets, fiscal_code, "one", "apns", "token")
        await put_installation(conn, secrets, fiscal_code, "two", "fcmv1", "token")
    text = (await (await browse(fiscal_code)).page("/preferences")).text
    assert "iPhone, iPad" in text
    assert "Android" in text


async def test_a_service_is_told_apart(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "NTC", 17)
    browser = await browse(fiscal_code)
    path = f"/services/{world.anna.id}"
    await browser.send((await browser.page(path)).form(path), webhook=None)
    async with pool.connection() as conn:
        choice = await read_choice(conn, fiscal_code, world.anna.id)
    assert (choice.is_email_enabled, choice.is_webhook_enabled) == (True, False)


@pytest.mark.parametrize("language", ["it", "en"])
async def test_both_languages(pool: Pool, browse: LogIn, world: World, language: str) -> None:
    browser = await browse(await citizen(pool, "NTC", 18, email="a1@example.org"))
    browser.cookies["messo-language"] = language
    await browser.page("/preferences", language)


async def test_the_service_worker_is_served_at_the_top(client: httpx.AsyncClient) -> None:
    answer = await client.get("/service-worker.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache", "a new one must be seen at once"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.fixture
async def without_mail(
    database_url: str, secrets: Secrets, world: World
) -> AsyncIterator[httpx.AsyncClient]:
    """A server of the same installation where no mail server is configured."""
    from messo import app

    async with app.start(Settings(), database_url, secrets) as started:
        transport = httpx.ASGITransport(app=started.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
            yield client


async def test_without_a_mail_server_the_page_says_so(
    pool: Pool, browse: LogIn, world: World, without_mail: httpx.AsyncClient
) -> None:
    browser = await browse(await citizen(pool, "NTC", 19, email="b1@example.org"))
    there = Browser(without_mail, browser.cookies, browser.fiscal_code, browser.session_id)
    assert "non partono ancora" in (await there.page("/preferences")).text


@pytest.mark.parametrize("everywhere", [True, False])
async def test_a_session_ended_from_elsewhere_shows_no_content_any_more(
    pool: Pool, browse: LogIn, world: World, everywhere: bool
) -> None:
    """A lost phone: its owner ends its session on another device."""
    fiscal_code = await citizen(pool, "NTC", 20 + everywhere)
    phone, desk = await browse(fiscal_code), await browse(fiscal_code)
    await subscribed(pool, phone, Device(f"https://push.example.org/lost-{everywhere}"))
    form = (await desk.page("/sessions")).form("/sessions", id=phone.session_id)
    await desk.send(form, **({"action": "everywhere"} if everywhere else {}))
    async with pool.connection() as conn:
        assert await conn.raw.fetchval(
            "SELECT is_logged_out FROM notifications.web_push_device WHERE fiscal_code = $1",
            fiscal_code,
        )


@pytest.mark.parametrize("path", ["/sessions", "/sessions/{id}"])
async def test_a_browser_whose_login_an_application_ends_shows_no_content(
    pool: Pool, browse: LogIn, settings: Settings, path: str
) -> None:
    browser = await browse(await citizen(pool, "NTC", 31 + len(path)))
    await subscribed(pool, browser, Device(f"https://push.example.org/{len(path)}"))
    who = Identity(browser.fiscal_code, "Ada", "Prova", LEVEL)
    async with pool.transaction() as conn:
        token = await open_session(conn, who, "client", "App", client_limits(settings))
    answer = await browser.client.delete(
        "/api/auth/v1" + path.format(id=browser.session_id),
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200
    async with pool.connection() as conn:
        assert await conn.raw.fetchval(
            "SELECT is_logged_out FROM notifications.web_push_device WHERE fiscal_code = $1",
            browser.fiscal_code,
        )
