"""GET and POST /api/identity/v1/profile: every condition in the contract's order."""

import asyncio
from itertools import count
from typing import Any

import pytest

from messo.base.db import Pool
from messo.base.http import Problem
from messo.recipients import (
    Wishes,
    amend,
    choose_language,
    choose_mode,
    enrol_at_login,
    onboard,
    read_profile,
)
from tests.conftest import Running
from tests.recipients.person import PROFILE, Person, code, enter, feed_of, kinds_of

NUMBERS = count(1)
AUTO = {"service_preferences_settings": {"mode": "AUTO"}}
MANUAL = {"service_preferences_settings": {"mode": "MANUAL"}}


async def person(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, code(next(NUMBERS), "PFL"), **more)


async def test_the_first_login_makes_a_profile_that_nobody_reaches(
    pool: Pool, running: Running
) -> None:
    someone = await person(pool, running, profile=False)
    assert (await someone.get(PROFILE)).status_code == 404
    async with pool.transaction() as conn:
        await enrol_at_login(conn, someone.code, "ada@example.org")
    first = await someone.get(PROFILE)
    assert first.json() == {
        "has_profile": True,
        "fiscal_code": someone.code,
        "name": "Ada",
        "family_name": "Prova",
        "is_inbox_enabled": False,
        "is_webhook_enabled": False,
        "is_email_enabled": False,
        "is_email_validated": False,
        "is_email_already_taken": False,
        "service_preferences_settings": {"mode": "LEGACY"},
        "version": 0,
        "email": "ada@example.org",
        "spid_email": "ada@login.example.org",
        "date_of_birth": "1980-01-01T00:00:00.000Z",
    }
    assert first.headers["cache-control"] == "no-store"
    assert await feed_of(pool, someone.code) == {"": True}
    async with pool.transaction() as conn:
        await enrol_at_login(conn, someone.code, "other@example.org")
    assert (await someone.get(PROFILE)).json() == first.json()
    assert await kinds_of(pool, someone.code) == ["enrolled"]


@pytest.mark.parametrize("email", [None, "", "no address", "a" * 250 + "@example.org", "a@b\n"])
async def test_a_login_without_a_usable_address_enrols_without_one(
    pool: Pool, email: str | None
) -> None:
    fiscal_code = code(next(NUMBERS), "PFL")
    async with pool.transaction() as conn:
        await enrol_at_login(conn, fiscal_code, email)
        found = await read_profile(conn, fiscal_code)
    assert found is not None
    assert found.email is None


async def test_without_a_session_there_is_nothing(running: Running) -> None:
    for method in ("GET", "POST"):
        answer = await running.client.request(method, PROFILE, json={"version": 0})
        assert answer.status_code == 401
    assert (
        await running.client.get(PROFILE, headers={"Authorization": "Bearer nonsense"})
    ).status_code == 401


async def test_what_is_left_out_stays_except_what_is_reset(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)
    whole = {
        "version": 0,
        "preferred_languages": ["en_GB", "it_IT", "en_GB"],
        "is_email_enabled": True,
        "is_inbox_enabled": True,
        "is_webhook_enabled": False,
        "accepted_tos_version": 2,
        "reminder_status": "ENABLED",
        "push_notifications_content_type": "FULL",
        "last_app_version": "2.14.0.1",
        "unknown_member": {"is": "dropped"},
        **AUTO,
    }
    first = (await someone.post(PROFILE, whole)).json()
    assert first["version"] == 1
    assert first["preferred_languages"] == ["en_GB", "it_IT"]
    assert (first["reminder_status"], first["last_app_version"]) == ("ENABLED", "2.14.0.1")
    assert first["accepted_tos_version"] == 2
    # The first acceptance opens both, whatever else is asked.
    assert first["is_webhook_enabled"] is True
    second = (await someone.post(PROFILE, {"version": 1, **AUTO})).json()
    gone = {"reminder_status", "push_notifications_content_type", "last_app_version"}
    assert first.keys() - second.keys() == gone
    kept = first.keys() - gone - {"version"}
    assert {k: second[k] for k in kept} == {k: first[k] for k in kept}
    closed = await someone.post(
        PROFILE, {"version": 2, "is_webhook_enabled": False, "accepted_tos_version": 3, **AUTO}
    )
    assert closed.json()["is_webhook_enabled"] is False
    assert (await someone.get(PROFILE)).json() == closed.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ([], None),
        ({"version": "0"}, "version"),
        ({"version": None}, "version"),
        ({"version": True}, "version"),
        ({"version": 0.5}, "version"),
        ({"version": 0, "email": "nobody"}, "email"),
        ({"version": 0, "email": None}, "email"),
        ({"version": 0, "email": "a@example.org\n"}, "email"),
        ({"version": 0, "preferred_languages": ["it"]}, "preferred_languages[0]"),
        ({"version": 0, "preferred_languages": "it_IT"}, "preferred_languages"),
        ({"version": 0, "is_inbox_enabled": "yes"}, "is_inbox_enabled"),
        ({"version": 0, "accepted_tos_version": 0.9}, "accepted_tos_version"),
        ({"version": 0, "accepted_tos_version": 1e300}, "accepted_tos_version"),
        ({"version": 0, "reminder_status": "UNSET"}, "reminder_status"),
        ({"version": 0, "last_app_version": "2.14"}, "last_app_version"),
        ({"version": 0, "last_app_version": "2.14.00"}, "last_app_version"),
        ({"version": 0, "last_app_version": "2.14.0\n"}, "last_app_version"),
        ({"version": 0, "push_notifications_content_type": "SOME"}, None),
        ({"version": 0, "service_preferences_settings": {"mode": "OTHER"}}, None),
        ({"version": 0, "service_preferences_settings": {}}, None),
        ({"version": 0, "blocked_inbox_or_channels": {"s": ["SMS"]}}, None),
        ({"version": 0, "blocked_inbox_or_channels": {"s": "INBOX"}}, None),
        # Ids are keys of tables, and the empty one stands for the whole profile in the feed.
        ({"version": 0, "blocked_inbox_or_channels": {"": ["INBOX"]}}, None),
        ({"version": 0, "blocked_inbox_or_channels": {"s" * 201: ["INBOX"]}}, None),
        ({"version": 0, "blocked_inbox_or_channels": {"a b": ["INBOX"]}}, None),
    ],
)
async def test_a_body_that_breaks_the_rules_is_400(
    pool: Pool, running: Running, body: Any, field: str | None
) -> None:
    someone = await person(pool, running)
    answer = await someone.post(PROFILE, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if field:
        assert answer.json()["field"] == field
    assert (await someone.get(PROFILE)).json()["version"] == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"version": 0, "email": "a\\u0000@example.org"}', 400),
        (b'{"version": 0, "blocked_inbox_or_channels": {"\\ud800": []}}', 400),
        (b"[" * 50_000, 400),
        (b'{"version": ' + b"9" * 5000 + b"}", 400),
        (b'{"version": 99999999999999999999, "service_preferences_settings":{"mode":"AUTO"}}', 409),
        (b'{"version": 0, "x": "' + b"a" * 110_000 + b'"}', 413),
    ],
)
async def test_hostile_bytes_are_never_500(
    pool: Pool, running: Running, content: bytes, status: int
) -> None:
    someone = await person(pool, running)
    answer = await someone.request(
        "POST", PROFILE, content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    wrong = await someone.request(
        "POST", PROFILE, content=b"{}", headers={"content-type": "text/plain"}
    )
    assert wrong.status_code == 415


async def test_the_order_of_refusals(pool: Pool, running: Running) -> None:
    """404, then the version, then the address, then LEGACY."""
    taken = await person(pool, running, email="Mia@Example.org", is_email_validated=True)
    nobody = await person(pool, running, profile=False)
    everything_wrong = {"version": 7, "email": "mia@example.ORG"}
    assert (await nobody.post(PROFILE, everything_wrong)).status_code == 404
    someone = await person(pool, running, email="ada@example.org")
    answer = await someone.post(PROFILE, everything_wrong)
    assert (answer.status_code, answer.json()["title"], answer.json()["field"]) == (
        409,
        "Conflict",
        "version",
    )
    answer = await someone.post(PROFILE, {**everything_wrong, "version": 0})
    assert answer.status_code == 412
    assert answer.json()["type"] == "https://ioapp.it/problems/email-already-taken"
    answer = await someone.post(PROFILE, {"version": 0})
    assert (answer.status_code, answer.json()["field"]) == (
        409,
        "service_preferences_settings.mode",
    )
    explicit = {"version": 0, "service_preferences_settings": {"mode": "LEGACY"}}
    assert (await someone.post(PROFILE, explicit)).status_code == 409
    assert (await someone.get(PROFILE)).json()["version"] == 0
    # One's own, in other letters, is nobody else's.
    own = await taken.post(PROFILE, {"version": 0, "email": "mia@example.org", **AUTO})
    assert own.status_code == 200


async def test_an_address_that_is_taken_may_stay(pool: Pool, running: Running) -> None:
    await person(pool, running, email="una@example.org", is_email_validated=True)
    someone = await person(pool, running, email="UNA@example.org")
    assert (await someone.get(PROFILE)).json()["is_email_already_taken"] is True
    answer = await someone.post(PROFILE, {"version": 0, "email": "UNA@example.org", **AUTO})
    assert (answer.status_code, answer.json()["is_email_already_taken"]) == (200, True)


async def test_another_address_is_not_proven_and_frees_the_old_one(
    pool: Pool, running: Running
) -> None:
    first = await person(pool, running, email="vecchia@example.org", is_email_validated=True)
    changed = await first.post(PROFILE, {"version": 0, "email": "nuova@example.org", **AUTO})
    assert changed.json()["is_email_validated"] is False
    second = await person(pool, running)
    answer = await second.post(PROFILE, {"version": 0, "email": "vecchia@example.org", **AUTO})
    assert answer.status_code == 200


async def test_each_change_of_mode_starts_anew(pool: Pool, running: Running) -> None:
    someone = await person(pool, running, mode="LEGACY", blocked={"one": ["INBOX", "EMAIL"]})
    kept = await someone.post(
        PROFILE, {"version": 0, "blocked_inbox_or_channels": {"two": ["INBOX", "INBOX"]}}
    )
    assert kept.json()["blocked_inbox_or_channels"] == {"two": ["INBOX"]}
    auto = await someone.post(PROFILE, {"version": 1, **AUTO})
    assert auto.json()["service_preferences_settings"] == {"mode": "AUTO"}
    assert "blocked_inbox_or_channels" not in auto.json()
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT service_id, settings_version, is_inbox_enabled FROM recipients.preference "
            "WHERE fiscal_code = $1",
            someone.code,
        )
        assert [tuple(row) for row in rows] == [("two", 0, False)]
    await someone.post(PROFILE, {"version": 2, **MANUAL})
    ignored = await someone.post(
        PROFILE, {"version": 3, "blocked_inbox_or_channels": {"x": ["INBOX"]}, **MANUAL}
    )
    assert "blocked_inbox_or_channels" not in ignored.json()
    async with pool.connection() as conn:
        found = await read_profile(conn, someone.code)
    assert found is not None
    assert (found.settings_version, found.version) == (1, 4)


async def test_the_history_tells_what_was_and_what_is(pool: Pool, running: Running) -> None:
    from messo.recipients import history

    someone = await person(pool, running)
    await someone.post(PROFILE, {"version": 0, "last_app_version": "1.2.3", **MANUAL})
    await someone.post(PROFILE, {"version": 1, "preferred_languages": ["it_IT"], **MANUAL})
    async with pool.connection() as conn:
        rows = await history(conn, someone.code)
        assert [(row["kind"], row["detail"]) for row in rows] == [
            ("preferred_languages", {"preferred_languages": [None, ["it_IT"]]}),
            ("mode", {"mode": ["AUTO", "MANUAL"]}),
        ]
        assert [row["id"] for row in await history(conn, someone.code, before=rows[0]["id"])] == [
            rows[1]["id"]
        ]
        assert len(await history(conn, someone.code, 1)) == 1
        assert await history(conn, code(999, "PFL")) == []


async def test_of_many_devices_that_write_one_version_one_wins(
    pool: Pool, running: Running
) -> None:
    someone = await person(pool, running)
    answers = await asyncio.gather(
        *(
            someone.post(PROFILE, {"version": 0, "email": f"a{i}@example.org", **AUTO})
            for i in range(12)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    won = next(answer for answer in answers if answer.status_code == 200)
    assert (await someone.get(PROFILE)).json() == won.json()


async def test_the_first_steps_end_with_an_open_inbox(pool: Pool, running: Running) -> None:
    someone = await person(pool, running, profile=False)
    async with pool.transaction() as conn:
        with pytest.raises(Problem) as refused:
            await onboard(conn, someone.code, terms_version=1, mode="AUTO", language="it")
        assert refused.value.status == 404
        await enrol_at_login(conn, someone.code, None)
        done = await onboard(conn, someone.code, terms_version=1, mode="MANUAL", language="en")
        assert (done.is_inbox_enabled, done.is_webhook_enabled, done.mode) == (True, True, "MANUAL")
        assert (done.settings_version, done.accepted_tos_version) == (0, 1)
        assert done.preferred_languages == ["en_GB"]
        again = await onboard(conn, someone.code, terms_version=1, mode="MANUAL", language="en_GB")
        assert again == done
        closed = await amend(conn, someone.code, Wishes(is_inbox_enabled=False))
        newer = await onboard(conn, someone.code, terms_version=2, mode="MANUAL", language="it_IT")
        assert (closed.is_inbox_enabled, newer.is_inbox_enabled) == (False, False)
        assert newer.preferred_languages == ["it_IT", "en_GB"]
        with pytest.raises(Problem) as refused:
            await onboard(conn, someone.code, terms_version=1, mode="AUTO", language="xx")
        assert refused.value.status == 400
    assert await feed_of(pool, someone.code) == {"": False}


async def test_pages_change_only_what_they_show(pool: Pool, running: Running) -> None:
    someone = await person(pool, running, reminder_status="ENABLED", last_app_version="3.0.0")
    async with pool.transaction() as conn:
        before = await read_profile(conn, someone.code)
        assert await choose_mode(conn, someone.code, "AUTO") == before
        changed = await choose_mode(conn, someone.code, "MANUAL")
        assert (changed.mode, changed.settings_version, changed.version) == ("MANUAL", 1, 1)
        spoken = await choose_language(conn, someone.code, "de")
        assert spoken.preferred_languages == ["de_DE"]
        assert await choose_language(conn, someone.code, "de_DE") == spoken
        done = await amend(conn, someone.code, Wishes(push_notifications_content_type="FULL"))
        assert (done.reminder_status, done.last_app_version) == ("ENABLED", "3.0.0")
        with pytest.raises(Problem) as refused:
            await amend(conn, someone.code, Wishes(email="nobody"))
        assert refused.value.status == 400
        removed = await amend(conn, someone.code, Wishes(email=None))
        assert removed.email is None


async def test_pages_and_clients_at_once_lose_nothing(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)

    async def page(wishes: Wishes) -> None:
        async with pool.transaction(30) as conn:
            await amend(conn, someone.code, wishes)

    await asyncio.gather(
        page(Wishes(is_email_enabled=True)),
        page(Wishes(email="b@example.org")),
        page(Wishes(preferred_languages=["fr_FR"])),
        page(Wishes(reminder_status="ENABLED")),
        page(Wishes(push_notifications_content_type="ANONYMOUS")),
    )
    found = (await someone.get(PROFILE)).json()
    assert (found["version"], found["is_email_enabled"], found["email"]) == (
        5,
        True,
        "b@example.org",
    )
    assert (found["preferred_languages"], found["reminder_status"]) == (["fr_FR"], "ENABLED")
    assert found["push_notifications_content_type"] == "ANONYMOUS"


async def test_another_citizens_profile_is_never_seen(pool: Pool, running: Running) -> None:
    one, other = await person(pool, running), await person(pool, running)
    before = (await other.get(PROFILE)).json()
    await one.post(PROFILE, {"version": 0, "fiscal_code": other.code, **MANUAL})
    await one.request("GET", f"{PROFILE}?fiscal_code={other.code}")
    assert (await other.get(PROFILE)).json() == before
    assert (await one.get(PROFILE)).json()["fiscal_code"] == one.code
