"""Citizens: profiles, modes, settings versions, preferences, activations, the census."""

from dataclasses import replace
from typing import Any

import pytest

from messo.base.db import Pool
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import (
    Mode,
    Profile,
    count_enrolled,
    create_profiles,
    enrolled,
    read_profile,
)
from messo.recipients.update import change_mode
from messo.sandbox.fiscal_codes import make, many

CODES = iter(many(200))
SERVICE = "01JSERVICE"


async def citizen(pool: Pool, mode: Mode = "AUTO", **more: Any) -> str:
    code = next(CODES)
    version = -1 if mode == "LEGACY" else 0
    async with pool.transaction() as conn:
        made = Profile(code, **{"mode": mode, "settings_version": version, **more})
        assert await create_profiles(conn, [made]) == 1
    return code


async def stored(pool: Pool, code: str) -> list[tuple[int, bool]]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT settings_version, is_inbox_enabled FROM recipients.preference "
            "WHERE fiscal_code = $1 ORDER BY 1",
            code,
        )
    return [(row[0], row[1]) for row in rows]


async def test_a_profile_is_read_as_it_was_written(pool: Pool) -> None:
    whole = Profile(
        next(CODES),
        mode="LEGACY",
        settings_version=-1,
        version=3,
        is_inbox_enabled=True,
        is_webhook_enabled=True,
        is_email_enabled=True,
        is_email_validated=True,
        email="è@example.org",
        is_test_profile=True,
        accepted_tos_version=4.1,
        blocked={SERVICE: ["INBOX", "EMAIL"]},
        preferred_languages=["it_IT", "de_DE"],
        last_app_version="2.14.0",
        push_notifications_content_type="FULL",
        reminder_status="DISABLED",
    )
    least = Profile(next(CODES))
    async with pool.transaction() as conn:
        assert await create_profiles(conn, [whole, least]) == 2
        assert await read_profile(conn, whole.fiscal_code) == whole
        assert await read_profile(conn, least.fiscal_code) == least
        assert await read_profile(conn, next(CODES)) is None


async def test_who_is_enrolled_already_is_left_as_they_are(pool: Pool) -> None:
    code, new = await citizen(pool, is_inbox_enabled=True), next(CODES)
    async with pool.transaction() as conn:
        assert await create_profiles(conn, [Profile(code), Profile(new)]) == 1
        kept = await read_profile(conn, code)
    assert kept is not None
    assert (kept.mode, kept.is_inbox_enabled) == ("AUTO", True)


async def test_each_change_of_mode_starts_a_settings_version(pool: Pool) -> None:
    code = await citizen(pool, "LEGACY", blocked={SERVICE: ["INBOX"]})
    steps: list[tuple[Mode, int]] = [
        ("LEGACY", -1),
        ("AUTO", 0),
        ("AUTO", 0),
        ("MANUAL", 1),
        ("AUTO", 2),
    ]
    async with pool.transaction() as conn:
        for number, (mode, version) in enumerate(steps):
            assert await change_mode(conn, code, mode) == version, (number, mode)
            found = await read_profile(conn, code)
            assert found is not None
            assert (found.mode, found.settings_version) == (mode, version)
            assert found.version == number + 1
            assert found.blocked == ({SERVICE: ["INBOX"]} if mode == "LEGACY" else {})


async def test_there_is_no_way_back_to_legacy(pool: Pool) -> None:
    code = await citizen(pool)
    async with pool.transaction() as conn:
        assert await change_mode(conn, code, "LEGACY") is None
        found = await read_profile(conn, code)
        assert await change_mode(conn, next(CODES), "AUTO") is None
    assert found is not None
    assert (found.mode, found.version) == ("AUTO", 0)


async def test_a_choice_made_before_a_change_of_mode_is_not_written_after_it(pool: Pool) -> None:
    code = await citizen(pool)
    async with pool.transaction() as conn:
        assert await put_preferences(conn, [Preference(code, SERVICE, 0, False)]) == 1
        await change_mode(conn, code, "MANUAL")
        assert await put_preferences(conn, [Preference(code, SERVICE, 0)]) == 0
        assert await put_preferences(conn, [Preference(code, SERVICE, 2)]) == 0
        assert await put_preferences(conn, [Preference(code, SERVICE, 1)]) == 1
    assert await stored(pool, code) == [(0, False), (1, True)]


async def test_the_last_choice_wins_and_others_of_the_set_are_written(pool: Pool) -> None:
    code, legacy = await citizen(pool), await citizen(pool, "LEGACY")
    async with pool.transaction() as conn:
        choices = [
            Preference(code, SERVICE, 0),
            Preference(legacy, SERVICE, 0),
            Preference(next(CODES), SERVICE, 0),  # not enrolled
            Preference(code, "01JANOTHER", 0),
        ]
        assert await put_preferences(conn, choices) == 2
        assert await put_preferences(conn, [Preference(code, SERVICE, 0, False)]) == 1
    assert sorted(await stored(pool, code)) == [(0, False), (0, True)]
    assert await stored(pool, legacy) == []


async def test_a_closed_inbox_cannot_share_what_is_read(pool: Pool) -> None:
    code = await citizen(pool)
    with pytest.raises(Exception, match="violates check constraint"):
        async with pool.transaction() as conn:
            await put_preferences(
                conn,
                [
                    Preference(
                        code,
                        SERVICE,
                        0,
                        is_inbox_enabled=False,
                        access_read_message_status="ALLOW",
                    )
                ],
            )


async def test_an_activation_counts_its_writes_and_needs_no_profile(pool: Pool) -> None:
    code = next(CODES)
    async with pool.transaction() as conn:
        pending = Activation(code, SERVICE, "PENDING")
        for version, new in enumerate((pending, replace(pending, status="ACTIVE"))):
            assert await put_activations(conn, [new]) == [version]
        row = await conn.raw.fetchrow(
            "SELECT status, version, bucket FROM recipients.activation WHERE fiscal_code = $1", code
        )
    assert (row["status"], row["version"], row["bucket"]) == ("ACTIVE", 1, pool.bucket(code))


async def test_the_census_counts_open_inboxes(pool: Pool) -> None:
    async with pool.transaction() as conn:
        await count_enrolled(conn)
        before = await enrolled(conn)
    await citizen(pool, is_inbox_enabled=True)
    await citizen(pool, is_inbox_enabled=False)
    async with pool.transaction() as conn:
        assert await enrolled(conn) == before
        await count_enrolled(conn)
        assert await enrolled(conn) == before + 1


async def test_before_the_first_census_nobody_is_counted(pool: Pool) -> None:
    async with pool.connection() as conn:
        transaction = conn.raw.transaction()
        await transaction.start()
        await conn.raw.execute("DELETE FROM recipients.census")
        assert await enrolled(conn) == 0
        await transaction.rollback()


async def test_what_was_blocked_in_legacy_mode_stays_blocked_in_auto(pool: Pool) -> None:
    code = make("TSTLGX80A01Y077")
    async with pool.transaction() as conn:
        blocked = {"one": ["INBOX", "EMAIL", "WEBHOOK"], "two": ["EMAIL"]}
        await create_profiles(conn, [Profile(code, is_inbox_enabled=True, blocked=blocked)])
        assert await change_mode(conn, code, "AUTO") == 0
        rows = await conn.raw.fetch(
            "SELECT service_id, settings_version, is_inbox_enabled, is_email_enabled, "
            "is_webhook_enabled FROM recipients.preference WHERE fiscal_code = $1 "
            "ORDER BY service_id",
            code,
        )
    assert [tuple(row) for row in rows] == [
        ("one", 0, False, False, False),
        ("two", 0, True, False, True),
    ]
