"""A citizen turns notices on in a real browser, is told, and lands on the message.

Only the browser maker's push service is another one: ours, on loopback, which opens what it gets
with the browser's keys and hands it to the page's service worker by the DevTools protocol.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page

from messo.base.db import Pool
from messo.base.work import Worker
from messo.notifications.channels.web_push.devices import list_devices
from tests.notifications.push_service import Device, PushService
from tests.pages.conftest import Citizen, Open, Send
from tests.world import World

pytestmark = pytest.mark.acceptance

# What a browser would answer, were its maker's push service this one.
SHIM = """
(() => {
  const made = %s;
  let current = null;
  const subscription = () => ({
    endpoint: made.endpoint,
    toJSON: () => ({ endpoint: made.endpoint, keys: { p256dh: made.p256dh, auth: made.auth } }),
    unsubscribe: async () => { current = null; sessionStorage.removeItem("asked"); return true; },
  });
  if (globalThis.sessionStorage && sessionStorage.getItem("asked")) current = subscription();
  PushManager.prototype.subscribe = async (options) => {
    if (!options.userVisibleOnly || !options.applicationServerKey) throw new Error("bad options");
    if (globalThis.sessionStorage) sessionStorage.setItem("asked", "1");
    return current = subscription();
  };
  PushManager.prototype.getSubscription = async () => current;
})();
"""


def shim(device: Device) -> str:
    made = device.subscription
    return SHIM % json.dumps({"endpoint": made.endpoint, "p256dh": made.p256dh, "auth": made.auth})


@pytest.fixture
async def push_service() -> AsyncIterator[PushService]:
    started = PushService()
    await started.start()
    yield started
    await started.stop()
    assert started.wrong == []


async def turn_on(anna: Citizen, device: Device) -> Page:
    await anna.context.grant_permissions(["notifications"], origin=anna.base)
    await anna.page.add_init_script(shim(device))
    page = await anna.goto("/preferences")
    await page.locator("#this-browser [data-when=off] button").click()
    await page.wait_for_url("**/preferences?done=saved-1*")
    await page.locator("#this-browser [data-when=on]").wait_for()
    return page


async def deliver(page: Page, base: str, payload: Any) -> None:
    """As the browser's maker would: the opened payload, to the service worker of our pages."""
    session = await page.context.new_cdp_session(page)
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def look(event: dict[str, Any]) -> None:
        for registration in event["registrations"]:
            if registration["scopeURL"] == f"{base}/" and not found.done():
                found.set_result(registration["registrationId"])

    session.on("ServiceWorker.workerRegistrationUpdated", look)
    await session.send("ServiceWorker.enable")
    registration = await asyncio.wait_for(found, 10)
    await session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": base, "registrationId": registration, "data": json.dumps(payload)},
    )


SHOWN = """
navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) =>
  all.map((one) => ({ title: one.title, body: one.body, tag: one.tag, lang: one.lang })))
"""


async def shown(page: Page, count: int) -> list[dict[str, str]]:
    async with asyncio.timeout(10):
        while len(found := await page.evaluate(SHOWN)) < count:
            await asyncio.sleep(0.05)
    return list(found)


async def test_a_notice_is_asked_for_shown_and_leads_to_its_message(
    world: World,
    citizen: Open,
    send: Send,
    pool: Pool,
    worker: Worker,
    push_service: PushService,
) -> None:
    async with citizen(360) as anna:
        await anna.welcome()
        device = push_service.device()
        page = await turn_on(anna, device)
        assert "Chrome" in await page.locator(".devices").inner_text()
        async with pool.connection() as conn:
            assert len(await list_devices(conn, anna.fiscal_code)) == 1

        message = await send(world.anna, anna.fiscal_code)
        await worker.work_once()
        while await worker.send_once():
            pass
        payload = device.shown[0]
        await deliver(page, anna.base, payload)
        await deliver(page, anna.base, payload)  # once more: the tag lets it replace itself
        assert await shown(page, 1) == [
            {
                "title": "Hai un nuovo messaggio",
                "body": "Entra nella tua casella per leggerlo.",
                "tag": message,
                "lang": "it",
            }
        ]
        await anna.context.service_workers[0].evaluate(
            "async () => { const [notification] = await self.registration.getNotifications();"
            " self.dispatchEvent(new NotificationEvent('notificationclick', { notification })); }"
        )
        await page.wait_for_url(f"{anna.base}/messages/{message}")
        assert "La tua tessera è pronta" in await page.locator("h1").inner_text()
        assert anna.said == []


async def test_a_hostile_payload_leads_nowhere_else(
    citizen: Open, push_service: PushService
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        page = await turn_on(anna, push_service.device())
        payloads: list[Any] = [None, 5, [], {"title": "<b>x</b>", "message_id": "../../evil"}]
        for payload in payloads:
            await deliver(page, anna.base, payload)
        found = await shown(page, 4)
        assert [one["title"] for one in found] == ["Messo", "Messo", "Messo", "<b>x</b>"]
        assert {(one["body"], one["tag"], one["lang"]) for one in found} == {("", "", "it")}
        await anna.context.service_workers[0].evaluate(
            "async () => { const [notification] = await self.registration.getNotifications();"
            " self.dispatchEvent(new NotificationEvent('notificationclick', { notification })); }"
        )
        await page.wait_for_url(f"{anna.base}/")


async def test_a_subscription_the_browser_drops_is_asked_for_anew(
    citizen: Open, pool: Pool, push_service: PushService
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        old, new = push_service.device(), push_service.device()
        await turn_on(anna, old)
        async with pool.connection() as conn:
            before = [device.id for device in await list_devices(conn, anna.fiscal_code)]
        await anna.context.clear_cookies()  # nobody need be logged in
        background = anna.context.service_workers[0]
        await background.evaluate(shim(new))
        await background.evaluate("self.dispatchEvent(new Event('pushsubscriptionchange'))")
        async with asyncio.timeout(10):
            while True:
                async with pool.connection() as conn:
                    after = [device.id for device in await list_devices(conn, anna.fiscal_code)]
                if after and after != before:
                    break
                await asyncio.sleep(0.05)
        assert len(after) == 1


async def test_a_browser_that_refuses_is_told_how_to_change_its_mind(citizen: Open) -> None:
    async with citizen() as anna:
        await anna.welcome()
        page = await anna.goto("/preferences")
        await page.locator("#this-browser [data-when=off] button").click()  # and it says no
        await page.locator("#this-browser [data-when=refused]").wait_for()
        assert await anna.axe() == []


async def test_another_citizen_at_the_same_browser_ends_the_notices_of_the_first(
    citizen: Open, pool: Pool, push_service: PushService
) -> None:
    async with citizen() as anna:
        await anna.welcome()
        await turn_on(anna, push_service.device())
        await anna.page.locator("details.account summary").click()
        await anna.page.locator(".account-menu form[action='/logout'] button").click()
        await anna.page.wait_for_load_state()
        first = anna.fiscal_code
        async with citizen() as other:
            anna.fiscal_code = other.fiscal_code
        async with anna.page.expect_response("**/preferences/devices/here"):
            await anna.log_in()
        async with pool.connection() as conn:
            assert await list_devices(conn, first) == []
