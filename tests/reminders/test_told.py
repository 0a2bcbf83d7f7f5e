"""What is told of reminders: to the sender as far as it concerns them, and on citizens' devices."""

from dataclasses import replace as changed
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from messo.notifications.channels.channel import Delivery, Language
from messo.notifications.channels.web_push.text import BODY, notice
from messo.recipients.choices import put_choice, read_choice
from messo.recipients.update import Wishes
from messo.reminders import Window
from messo.reminders.hand_over import hand_over
from tests.reminders import acts
from tests.reminders.conftest import Start
from tests.reminders.simulated import Act, Citizen, Scenario, Simulated, first_message
from tests.world import Caller


async def _begun(
    start: Start, scenario: Scenario, level: str = "STANDARD"
) -> tuple[Simulated, Citizen]:
    """At 10-05 12:00, the message of this scenario has come."""
    sim = await start(2026, "10-05 12:00")
    citizen = await sim.enter(scenario)
    await sim.send(citizen, citizen.notice, level)
    await sim.settle()
    return sim, citizen


async def _ask(sim: Simulated, citizen: Citizen, caller: Caller | None = None) -> dict[str, Any]:
    service: Caller = caller or getattr(sim.world, citizen.scenario.service)
    answer = await sim.running.client.get(
        f"/messo/v1/messages/{citizen.messages[0]}/reminders", headers=service.headers
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _short(body: dict[str, Any]) -> list[str]:
    return [
        " ".join(filter(None, (one["day"][5:], one["kind"], one["state"], one.get("why_not"))))
        for one in body["items"]
    ]


async def test_the_sender_is_told_what_is_planned_and_not_the_hour(start: Start) -> None:
    sim, citizen = await _begun(start, Scenario("plain", "", due="10-19"))
    body = await _ask(sim, citizen)
    assert _short(body) == [
        "10-09 due planned",
        "10-12 due planned",
        "10-15 due planned",
        "10-18 last planned",
    ]
    assert "why_not" not in body
    # The hour would tell the citizen's quiet hours to who knows how it is chosen.
    assert {name for one in body["items"] for name in one} == {"day", "kind", "state"}


async def test_the_sender_is_told_what_was_sent(start: Start) -> None:
    sim, citizen = await _begun(start, Scenario("plain", ""))
    sim.now = sim.moment("10-08 19:30")
    await sim.round()
    sim.now = sim.moment("10-08 19:45")
    await sim.round()
    first, *others = (await _ask(sim, citizen))["items"]
    assert first == {
        "day": "2026-10-08",
        "kind": "undated",
        "state": "sent",
    }
    assert [one["state"] for one in others] == ["planned"] * 3


async def test_what_is_on_its_way_is_neither_planned_nor_sent(start: Start) -> None:
    sim, citizen = await _begun(start, Scenario("plain", "", notice=None, citizen={}), "ADVANCED")
    sim.now = sim.moment("10-08 19:30")
    await _hand_over(sim, citizen)
    await sim.worker.work_once()
    assert _short(await _ask(sim, citizen))[0] == "10-08 unread sending"


async def test_the_sender_is_told_that_a_payment_could_not_be_checked(start: Start) -> None:
    node = {"10-08 00:00": "unable", "10-09 00:00": "unpaid"}
    sim, citizen = await _begun(start, Scenario("plain", "", node=node))
    await sim.pass_until("10-09 07:00")
    assert _short(await _ask(sim, citizen))[0] == "10-08 undated not_sent not_checked"


@pytest.mark.parametrize("state", ["paid", "expired", "cancelled"])
async def test_the_sender_is_told_why_there_will_be_no_more(start: Start, state: str) -> None:
    node = {"10-06 00:00": state}
    sim, citizen = await _begun(start, Scenario("plain", "", node=node))
    sim.now = sim.moment("10-06 12:00")
    await acts.look(sim, citizen)
    await sim.settle()
    assert await _ask(sim, citizen) == {"items": [], "why_not": state}


async def test_after_the_due_date_the_sender_is_told_so(start: Start) -> None:
    sim, citizen = await _begun(start, Scenario("plain", "", due="10-08"))
    assert await _ask(sim, citizen) == {"items": []}
    sim.now = sim.moment("10-08 12:00")
    assert await _ask(sim, citizen) == {"items": [], "why_not": "past_due"}


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(acts.no_consent, id="consent"),
        pytest.param(acts.devices_off, id="devices"),
        pytest.param(acts.close_inbox, id="inbox"),
        pytest.param(acts.archive(), id="archive"),
        pytest.param(acts.service_pushes(on=False), id="service"),
    ],
)
async def test_whatever_a_citizen_chooses_is_told_as_one_word(start: Start, act: Act) -> None:
    sim, citizen = await _begun(start, Scenario("plain", ""))
    sim.now = sim.moment("10-06 12:00")
    await act(sim, citizen)
    await sim.settle()
    assert await _ask(sim, citizen) == {"items": [], "why_not": "citizen"}


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(acts.no_consent, id="consent"),
        pytest.param(acts.wish(Wishes(quiet_from=420, quiet_until=1260)), id="quiet hours"),
        pytest.param(acts.read, id="read"),
        pytest.param(acts.archive(), id="archive"),
    ],
)
async def test_a_reminder_that_the_citizen_did_not_want_is_told_as_one_word(
    start: Start, act: Act
) -> None:
    """They chose it right before the hand-over, so that it is dropped and not unplanned."""
    sim, citizen = await _begun(start, Scenario("plain", "", notice=None), "ADVANCED")
    sim.now = sim.moment("10-08 19:30")
    await act(sim, citizen)
    await _hand_over(sim, citizen)
    assert _short(await _ask(sim, citizen))[0] == "10-08 unread not_sent citizen"


async def test_a_citizen_without_a_device_is_not_told_apart_from_one_who_does_not_want(
    start: Start,
) -> None:
    sim, citizen = await _begun(start, Scenario("plain", "", notice=None), "ADVANCED")
    async with sim.pool.transaction() as conn:
        await conn.raw.execute(
            "DELETE FROM notifications.web_push_device WHERE fiscal_code = $1", citizen.fiscal_code
        )
    sim.now = sim.moment("10-08 19:30")
    await sim.round()
    sim.now = sim.moment("10-08 19:45")
    assert _short(await _ask(sim, citizen))[0] == "10-08 unread not_sent citizen"


async def test_of_an_unread_message_only_who_may_know_of_reading_is_told(start: Start) -> None:
    """For "there is no reminder any more" would say that it was read."""
    hidden = {"items": [], "why_not": "unavailable"}
    plain = Scenario("plain", "", notice=None)
    sim, standard = await _begun(start, plain)
    assert await _ask(sim, standard) == hidden
    sim, advanced = await _begun(start, plain, "ADVANCED")
    assert len((await _ask(sim, advanced))["items"]) == 3
    async with sim.pool.transaction() as conn:
        choice = await read_choice(conn, advanced.fiscal_code, sim.world.anna.id)
        denied = changed(choice, can_access_message_read_status=False)
        await put_choice(conn, advanced.fiscal_code, sim.world.anna.id, denied)
    await sim.settle()
    assert await _ask(sim, advanced) == hidden
    # Nor is a key that may not read it; the message is as if it had been allowed once.
    lesser = await sim.enter(changed(plain, service="bruno"))
    await first_message(sim, lesser)
    await sim.settle()
    async with sim.pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE messages.message SET feature_level_type = 'ADVANCED' WHERE id = $1",
            lesser.messages[0],
        )
    assert await _ask(sim, lesser) == hidden


async def test_one_citizens_reminders_of_a_notice_are_the_same_by_whichever_message(
    start: Start,
) -> None:
    sim, citizen = await _begun(start, Scenario("plain", ""))
    sim.now = sim.moment("10-07 12:00")
    await acts.same_notice_again(sim, citizen)
    await sim.settle()
    first = await _ask(sim, citizen)
    citizen.messages.reverse()
    assert await _ask(sim, citizen) == first
    assert len(first["items"]) == 4


@pytest.mark.parametrize("message_id", ["", "%00", "01JXXXXXXXXXXXXXXXXXXXXXXX", "nothing"])
async def test_another_services_message_and_one_that_is_none_are_not_there(
    start: Start, message_id: str
) -> None:
    sim, citizen = await _begun(start, Scenario("plain", ""))
    asked = message_id or citizen.messages[0]
    answer = await sim.running.client.get(
        f"/messo/v1/messages/{asked}/reminders", headers=sim.world.bruno.headers
    )
    assert answer.status_code == 404
    assert citizen.fiscal_code not in answer.text


async def test_a_message_that_was_refused_has_no_reminders(start: Start) -> None:
    closed = Scenario("plain", "", citizen={"is_inbox_enabled": False})
    sim, citizen = await _begun(start, closed)
    assert await _ask(sim, citizen) == {"items": []}


async def test_a_device_is_shown_the_reminder_in_the_citizens_language(start: Start) -> None:
    english = {
        "preferred_languages": ["en_GB"],
        "push_notifications_content_type": "FULL",
        "quiet_from": 0,
        "quiet_until": 18 * 60,
    }
    sim, citizen = await _begun(start, Scenario("plain", "", due="10-09", citizen=english))
    await sim.pass_until("10-09 07:00")
    assert [shown["title"] for shown in citizen.device.shown] == [
        "Comune di Anna",
        "A notice expires tomorrow",
    ]
    last = citizen.device.shown[-1]
    assert last["body"] == "Comune di Anna: La tua tessera è pronta"
    assert (last["lang"], last["message_id"]) == ("en", citizen.messages[0])
    assert 0 < citizen.device.lives[-1] <= 2 * 3600, "until the end of its window"


_DELIVERY = Delivery(
    id="D",
    message_id="M",
    occasion="new",
    address="A",
    wording="FULL",
    language="it",
    expires_at=datetime(2026, 10, 8, tzinfo=UTC),
    fiscal_code="AAAAAA00A00A000A",
    subject="Tassa rifiuti",
    service_id="S",
    service_name="Tributi",
    organization_name="Comune di Anna",
)
_UNREAD = {
    "it": "Non l'hai ancora letto: lo trovi in casella.",
    "en": "You have not read it yet: it is in your inbox.",
}
_READ = {"it": "Entra nella tua casella per pagarlo.", "en": "Open your inbox to pay it."}
_TITLES = [
    ("due", "it", "Hai un avviso da pagare"),
    ("due", "en", "You have a notice to pay"),
    ("undated", "it", "Hai un avviso da pagare"),
    ("undated", "en", "You have a notice to pay"),
    ("last", "it", "Un avviso scade domani"),
    ("last", "en", "A notice expires tomorrow"),
]


@pytest.mark.parametrize(("kind", "language", "title"), _TITLES)
def test_a_notice_is_reminded_of_as_one_to_pay_and_says_whether_it_was_read(
    kind: str, language: Language, title: str
) -> None:
    told = changed(_DELIVERY, occasion=f"{kind}:2026-10-08", language=language)
    assert _shown(told, "ANONYMOUS") == (title, _UNREAD[language])
    assert _shown(changed(told, is_read=True), "ANONYMOUS") == (title, _READ[language])
    assert _shown(told, "FULL") == (title, "Comune di Anna: Tassa rifiuti")


@pytest.mark.parametrize(
    ("language", "title", "body"),
    [
        (
            "it",
            "Un messaggio ti aspetta",
            "Non l'hai ancora letto: ti aspetta nella tua casella.",
        ),
        ("en", "A message waits for you", "You have not read it yet: it waits in your inbox."),
    ],
)
def test_a_message_without_a_notice_is_reminded_of_as_one_to_read(
    language: Language, title: str, body: str
) -> None:
    told = changed(_DELIVERY, occasion="unread:2026-10-08", language=language)
    assert _shown(told, "ANONYMOUS") == (title, body)
    assert _shown(told, "FULL") == (title, "Comune di Anna: Tassa rifiuti")


@pytest.mark.parametrize("kind", ["due", "undated", "last", "unread"])
@pytest.mark.parametrize("language", ["it", "en"])
def test_an_anonymous_reminder_names_nobody_and_a_full_one_is_bounded(
    kind: str, language: Language
) -> None:
    long = changed(
        _DELIVERY,
        occasion=f"{kind}:2026-10-08",
        language=language,
        subject="Segreto " * 15,
        organization_name="Ospedale " * 30,
    )
    anonymous = " ".join(_shown(long, "ANONYMOUS"))
    assert "Segreto" not in anonymous
    assert "Ospedale" not in anonymous
    assert len(_shown(long, "FULL")[1]) <= BODY


def test_a_new_message_is_told_as_one() -> None:
    assert _shown(_DELIVERY, "FULL") == ("Comune di Anna", "Tassa rifiuti")


def _shown(delivery: Delivery, wording: Any) -> tuple[str, str]:
    shown = msgspec.json.decode(notice(delivery, wording))
    assert shown["lang"] == delivery.language
    assert shown["message_id"] == delivery.message_id
    return shown["title"], shown["body"]


async def _hand_over(sim: Simulated, citizen: Citizen) -> None:
    async with sim.pool.transaction() as conn:
        bucket = conn.bucket(citizen.fiscal_code)
        assert await hand_over(conn, bucket, Window(), has_node=True) > 0
