"""Services of older releases: each gets its working version and its history, whoever made it when."""

import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pytest

from messo.base import db, migrate
from messo.base.db import Connection
from messo.services import payload

STATES = ("draft", "approved", "published", "deleted")
STATUS = {"draft": "draft", "approved": "approved", "published": "approved", "deleted": "deleted"}
PUBLICATION = {"approved": ["unpublished"], "published": ["published"]}
# As the release before 0009 writes it.
OLD_INSERT = (
    "INSERT INTO services.service (id, institution_id, name, department, category, state, "
    "require_secure_channels, authorized_recipients, authorized_cidrs, "
    "max_allowed_payment_amount, created_at, description, metadata) "
    "VALUES ($1, $2, 'Servizio ' || $1, '-', 'STANDARD', $3, true, '{AAAAAA00A00A000A}', "
    "'{192.0.2.0/24}', 500, '2026-01-02 03:04:05+00', $4, $5::text::jsonb)"
)
OLD_DESCRIBE = (
    "UPDATE services.service SET description = $2, metadata = $3::text::jsonb WHERE id = $1"
)
OLD_SET_STATE = "UPDATE services.service SET state = $2 WHERE id = $1"
TOLD = '{"email": "a@example.org", "scope": "NATIONAL"}'
TOLD_MORE = '{"email": "b@example.org", "scope": "NATIONAL", "phone": "06 12345"}'


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[Connection]:
    """A database of the release before, with an institution that has services in every state."""
    name = f"t_{os.getpid()}_old_services"
    admin = await db.connect(postgres_url)
    await admin.script(f'DROP DATABASE IF EXISTS "{name}"')
    await admin.script(f'CREATE DATABASE "{name}"')
    conn = await db.connect(urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")))
    await up_to(conn, "0009")
    for institution in ("I1", "I2"):
        await conn.raw.execute(
            "INSERT INTO services.institution (id, fiscal_code, name, email, permissions, "
            "created_at) VALUES ($1, lpad($1, 11, '0'), $1, 'a@example.org', '{}', now())",
            institution,
        )
        for number, state in enumerate(STATES):
            await insert(conn, f"{institution}-{number}-{state}", institution, state)
    yield conn
    await conn.close()
    await admin.script(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def up_to(conn: Connection, number: str) -> None:
    """Apply the migrations below this one."""
    everything = migrate.known()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "known", lambda: [one for one in everything if one.name < number])
        await migrate.migrate(conn, 1, lambda _: None)


async def insert(conn: Connection, service: str, institution: str, state: str) -> None:
    described = state != "approved"
    told = ("Che cosa fa.", TOLD) if described else ("", "{}")
    await conn.raw.execute(OLD_INSERT, service, institution, state, *told)


async def rows(conn: Connection) -> dict[str, dict[str, Any]]:
    """Each service with its working version, which every service has."""
    found = await conn.raw.fetch(
        "SELECT s.*, l.institution_id AS whose, l.position, l.status, l.waits, l.auto_publish, "
        "l.version AS number, l.data "
        "FROM services.service AS s LEFT JOIN services.lifecycle AS l ON l.service_id = s.id"
    )
    assert all(row["data"] is not None for row in found)
    return {row["id"]: dict(row) for row in found}


async def history(conn: Connection, service: str) -> list[tuple[int, str, str]]:
    found = await conn.raw.fetch(
        "SELECT number, kind, value, data FROM services.history "
        "WHERE service_id = $1 ORDER BY number",
        service,
    )
    assert all(payload.read(row["data"]).name == f"Servizio {service}" for row in found)
    return [(row["number"], row["kind"], row["value"]) for row in found]


def expected_history(state: str) -> list[tuple[int, str, str]]:
    """Of a service that was always in this state."""
    entries = [("lifecycle", STATUS[state])]
    entries += [("publication", value) for value in PUBLICATION.get(state, [])]
    return [(number, *entry) for number, entry in enumerate(entries, 1)]


def assert_whole(found: dict[str, dict[str, Any]]) -> None:
    """Both versions of each are one and the same."""
    for service, row in found.items():
        assert payload.read(row["data"]) == payload.of_live(row), service
        assert row["whose"] == row["institution_id"]
        assert (row["status"], row["waits"], row["auto_publish"]) == (
            STATUS[row["state"]],
            False,
            False,
        ), service


def assert_positions(found: dict[str, dict[str, Any]]) -> None:
    """They have no gaps within each institution."""
    for institution in ("I1", "I2"):
        places = [one["position"] for one in found.values() if one["whose"] == institution]
        assert sorted(places) == list(range(len(places)))


async def test_services_of_every_state_get_a_working_version_and_a_history(
    old: Connection,
) -> None:
    await up_to(old, "0010")
    found = await rows(old)
    assert len(found) == 2 * len(STATES)
    assert_whole(found)
    assert_positions(found)
    for service, row in found.items():
        assert await history(old, service) == expected_history(row["state"])
        assert row["number"] == 1
    bare = payload.read(found["I1-1-approved"]["data"])
    assert (bare.description, bare.metadata, bare.topic_id) == ("", {}, None)
    draft = payload.read(found["I1-0-draft"]["data"])
    assert (draft.description, draft.metadata) == ("Che cosa fa.", msgspec.json.decode(TOLD))
    assert (draft.require_secure_channel, draft.max_allowed_payment_amount) == (True, 500)


async def test_what_an_old_release_did_meanwhile_is_made_good(old: Connection) -> None:
    """Between the two files it still serves, and its commands know no working versions."""
    await up_to(old, "0010")
    made = {f"I1-{number}-{state}": state for number, state in enumerate(STATES, 4)}
    for service, state in made.items():
        await insert(old, service, "I1", state)
    deleted = "I1-2-published"
    described = {"I2-2-published": '{"phone": "06 12345"}', "I2-0-draft": TOLD_MORE}
    await old.raw.execute(OLD_SET_STATE, deleted, "deleted")
    for service, metadata in described.items():
        await old.raw.execute(OLD_DESCRIBE, service, "Altro.", metadata)
    # The new release does, and what it is at stays.
    edited, waiting = "I2-1-approved", "I1-1-approved"
    for service, status, waits in ((edited, "draft", False), (waiting, "approved", True)):
        await old.raw.execute(
            "UPDATE services.lifecycle SET status = $2, waits = $3, "
            'data = data || \'{"description": "La seconda."}\' WHERE service_id = $1',
            service,
            status,
            waits,
        )
    unchecked = "I1-0-draft"  # whose live version has only what a review would take
    await old.raw.execute(
        "UPDATE services.lifecycle SET data = jsonb_set(data, '{metadata,web_url}', '\"x\"') "
        "WHERE service_id = $1",
        unchecked,
    )
    await up_to(old, "0011")
    found = await rows(old)
    assert_positions(found)
    for service, status, waits in ((edited, "draft", False), (waiting, "approved", True)):
        row = found.pop(service)
        assert payload.read(row["data"]).description == "La seconda."
        assert (row["status"], row["waits"], row["number"]) == (status, waits, 1)
    assert payload.read(found.pop(unchecked)["data"]).metadata["web_url"] == "x"
    assert_whole(found)
    assert found[deleted]["status"] == "deleted"
    for service in (deleted, *described):
        assert found[service]["number"] == 2  # so that no one overwrites it unseen
    for service, state in made.items():
        assert await history(old, service) == expected_history(state)
