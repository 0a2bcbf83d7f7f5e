"""What an operator can set about payments and reminders, and what is refused with its reason."""

import dataclasses

import pytest

from messo.base.crypto import Secrets, new_secret
from messo.outside import Outside
from messo.sandbox import payment_node
from messo.serve import check
from messo.settings import RefusedError, SettingError, Settings

READY = Settings(
    database_url="postgresql://127.0.0.1/messo",
    secrets=new_secret(),
    public_url="https://messo.example.org",
)


def test_production_sends_nobody_to_a_checkout_without_encryption() -> None:
    check(dataclasses.replace(READY, checkout_url="https://paga.example.org/{rpt_id}"))
    check(READY)
    for wrong in ("http://paga.example.org", "paga.example.org", "javascript:alert(1)"):
        with pytest.raises(RefusedError, match="MESSO_CHECKOUT_URL"):
            check(dataclasses.replace(READY, checkout_url=wrong))


@pytest.mark.parametrize(
    "template",
    [
        "https://a/{rptId}",
        "https://a/{}",
        "https://a/{rpt_id",
        "https://a/{rpt_id.x}",
        "https://a/{amount[0]}",
    ],
)
def test_a_checkout_address_with_other_braces_is_refused(template: str) -> None:
    with pytest.raises(SettingError, match="MESSO_CHECKOUT_URL"):
        Settings.read({"MESSO_CHECKOUT_URL": template})


@pytest.mark.parametrize(("since", "until"), [("7", "20"), ("8", "21"), ("12", "12"), ("13", "9")])
def test_reminders_stay_within_the_hours_that_citizens_are_promised(since: str, until: str) -> None:
    given = {"MESSO_REMINDERS_FROM": since, "MESSO_REMINDERS_UNTIL": until}
    with pytest.raises(SettingError, match="MESSO_REMINDERS_FROM"):
        Settings.read(given)
    narrower = Settings.read({"MESSO_REMINDERS_FROM": "9", "MESSO_REMINDERS_UNTIL": "18"})
    assert (narrower.reminders_from, narrower.reminders_until) == (9, 18)


@pytest.mark.parametrize("key", ["short", "x" * 15, "chiave con lettera è"])
def test_a_key_for_events_that_can_be_guessed_or_not_sent_is_refused(key: str) -> None:
    with pytest.raises(SettingError, match="MESSO_PAYMENT_EVENTS_KEY"):
        Settings.read({"MESSO_PAYMENT_EVENTS_KEY": key})


async def test_there_is_a_node_where_one_is_set_and_in_a_sandbox() -> None:
    secrets = Secrets.parse(new_secret())
    for settings, url in (
        (READY, None),
        (dataclasses.replace(READY, payment_node_url="https://n/v1/"), "https://n/v1"),
        (Settings(sandbox=True), payment_node.base_url(Settings(sandbox=True))),
    ):
        outside = Outside.of(settings, secrets)
        assert (outside.node and outside.node._url) == url
        await outside.close()
