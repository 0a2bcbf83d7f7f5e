"""Operators look after institutions: what they may do, their people, and stopping them."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from messo.base.db import Pool
from messo.messages.report_shares import shares
from messo.operations import operators
from messo.people.institution_list import list_institutions
from messo.people.members import put_member
from messo.services import keys
from messo.services.services import create_institution
from tests.conftest import Running
from tests.console.colleague import Colleague, browser_at
from tests.console.forms import Form, Page
from tests.world import Caller, World, message

pytestmark = pytest.mark.anyio

LIST = "/console/operate/institutions"
OPERATORS = "/console/operate/operators"


@pytest.fixture
async def operator(colleague: Colleague, pool: Pool) -> Colleague:
    """An operator who has logged in."""
    await colleague.log_in("olga")
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", "olga")
    return colleague


@pytest.fixture
async def member(running: Running, pool: Pool, world: World) -> AsyncIterator[Colleague]:
    """An admin of Anna's institution."""
    async with pool.transaction() as conn:
        await put_member(conn, "tests", world.anna.institution, "ada", "Ada", "a@b.it", "admin")
    async with browser_at(running.url) as opened:
        await opened.log_in("ada")
        yield opened


async def shown(one: Colleague, address: str) -> str:
    answer = await one.client.get(address)
    assert answer.status_code == 200, (address, answer.text)
    return answer.text


async def form_at(one: Colleague, address: str, end: str) -> Form:
    """The form of this page that posts to an address that ends like this."""
    forms = Page(address, await shown(one, address)).forms
    return next(form for form in forms if form.action.endswith(end))


async def send(one: Colleague, form: Form, **changed: str | list[str]) -> Any:
    """Send it, with some of its fields changed."""
    fields: dict[str, Any] = {name: [] for name, _ in form.fields}
    for name, value in form.fields:
        fields[name].append(value)
    return await one.client.post(form.action, data={**fields, **changed})


async def audited(pool: Pool, action: str, subject: str) -> list[tuple[str, str]]:
    """Actor and detail of what was done to this."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT actor, detail::text FROM operations.audit WHERE action = $1 AND subject = $2"
            " ORDER BY id",
            action,
            subject,
        )
    return [tuple(row) for row in rows]


async def write(running: Running, caller: Caller, **more: Any) -> int:
    """Which status a message gets that this service sends."""
    await running.started.directory.refresh(0)
    answer = await running.client.post(
        "/api/v1/messages", json={**message(), **more}, headers=caller.headers
    )
    return answer.status_code


async def test_institutions_are_found_by_name_and_fiscal_code(
    operator: Colleague, world: World
) -> None:
    everything = await shown(operator, LIST)
    names = ["Comune di Anna", "Comune di Bruno", "Consorzio di Carla"]
    assert sorted(names, key=everything.index) == names
    for search, found in (("di bruno", names[1]), ("00000000003", names[2])):
        text = await shown(operator, f"{LIST}?search={search}")
        assert [name for name in names if name in text] == [found]
    assert "None found" in await shown(operator, f"{LIST}?search=Nessuno")
    assert "None found" in await shown(operator, f"{LIST}?state=suspended")
    file = await operator.client.get(LIST, params={"format": "csv"})
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [row[1] for row in rows[1:]] == names
    assert rows[1][2] == "00000000001"
    assert rows[1][4] == "4"


async def test_pages_of_institutions_follow_each_other(pool: Pool, world: World) -> None:
    async with pool.connection() as conn:
        seen: list[str] = []
        after = ""
        for _ in range(4):
            rows = await list_institutions(conn, "", suspended=False, after=after, limit=1)
            seen += [row["name"] for row in rows]
            after = rows[-1]["id"] if rows else after
        assert seen == ["Comune di Anna", "Comune di Bruno", "Consorzio di Carla"]
        for wrong in ("x", "\x00", "\ud800"):
            assert not await list_institutions(conn, "", suspended=False, after=wrong, limit=1)
        assert not await list_institutions(conn, "%", suspended=False, after="", limit=1)


async def test_a_new_institution_has_its_permissions_and_an_invited_admin(
    operator: Colleague, pool: Pool
) -> None:
    form = await form_at(operator, f"{LIST}/new", "/new")
    assert "ApiMessageWrite" in [value for name, value in form.fields if name == "permission"]
    wrong = await send(
        operator, form, name=" ", fiscal_code="123", email="x", admin="y", permission="Nothing"
    )
    assert wrong.status_code == 400
    for text in ("11 digits", "A name is one line", "This is not an e-mail address."):
        assert text in wrong.text
    given = {"name": "Scuola <b>Verdi</b>", "fiscal_code": "000 0000 0077"}
    given |= {"email": "s@example.org", "admin": "preside@example.org"}
    permissions = ["ApiMessageWrite", "ApiInfoRead", "Nothing"]
    made = await send(operator, form, permission=permissions, **given)
    assert made.status_code == 303, made.text
    text = await shown(operator, made.headers["location"])
    assert "its first admin is invited by mail" in text
    assert "preside@example.org" in text
    assert "<b>Verdi</b>" not in text
    assert "Nobody looks after this institution" in text
    taken = await send(operator, form, permission=permissions, **given)
    assert taken.status_code == 400
    assert "is here already" in taken.text
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT i.id, i.permissions, count(k.*) AS keys FROM services.institution AS i"
            " LEFT JOIN services.key AS k ON k.institution_id = i.id"
            " WHERE i.fiscal_code = '00000000077' GROUP BY i.id"
        )
    assert row["permissions"] == ["ApiInfoRead", "ApiMessageWrite"]
    assert row["keys"] == 2


async def test_its_keys_are_on_no_page(
    operator: Colleague, world: World, pool: Pool, running: Running
) -> None:
    town = f"{LIST}/{world.anna.institution}"
    addresses = (town, f"{town}/services", f"{town}/services/{world.anna.id}")
    text = "".join([await shown(operator, address) for address in addresses])
    async with pool.connection() as conn:
        for owner in (world.anna.institution, world.anna.id):
            pair = await keys.read_pair(conn, world.secrets, owner)
            assert pair
            assert not [key for key in pair.values() if key in text]


async def test_a_permission_that_is_taken_away_is_missed_by_its_keys(
    operator: Colleague, pool: Pool, world: World, running: Running
) -> None:
    caller, town = world.bruno, f"{LIST}/{world.bruno.institution}"
    assert await write(running, caller) == 201
    form = await form_at(operator, town, "/permissions")
    given = [value for name, value in form.fields if name == "permission"]
    assert "ApiMessageWrite" in given
    less = [one for one in given if one != "ApiMessageWrite"]
    answer = await send(operator, form, permission=less)
    assert answer.headers["location"] == f"{town}?done=permissions"
    assert await write(running, caller) == 403
    stale = await send(operator, form, permission=given)
    assert stale.status_code == 409
    assert "Somebody changed the permissions meanwhile." in stale.text
    assert await write(running, caller) == 403
    again = await form_at(operator, town, "/permissions")
    assert (await send(operator, again, permission=given)).status_code == 303
    assert await write(running, caller) == 201
    entries = await audited(pool, "institution.permissions", world.bruno.institution)
    assert len(entries) == 2
    assert all(actor.startswith("operator:") for actor, _ in entries)


async def test_suspending_stops_all_keys_and_needs_a_reason(
    operator: Colleague, pool: Pool, world: World, running: Running
) -> None:
    caller, town = world.bruno, f"{LIST}/{world.bruno.institution}"
    form = await form_at(operator, town, "/suspension")
    for reason in ("", "  ", "x" * 501):
        refused = await send(operator, form, reason=reason)
        assert refused.status_code == 400
        assert "Say why" in refused.text
    assert await write(running, caller) == 201
    assert (await send(operator, form, reason="Abuso")).headers["location"].endswith("=suspended")
    assert await write(running, caller) == 401
    assert "Comune di Bruno" in await shown(operator, f"{LIST}?state=suspended")
    twice = await send(operator, form, reason="Ancora")
    assert twice.headers["location"].endswith("?done=same")
    back = await form_at(operator, town, "/suspension")
    assert (await send(operator, back, reason="Chiarito")).headers["location"].endswith("=restored")
    assert await write(running, caller) == 201
    suspended = await audited(pool, "institution.suspend", world.bruno.institution)
    assert [detail for _, detail in suspended] == ['{"reason": "Abuso"}']


async def test_one_service_is_suspended_and_the_others_go_on(
    operator: Colleague, world: World, running: Running
) -> None:
    town = f"{LIST}/{world.anna.institution}"
    address = f"{town}/services/{world.secure.id}"
    form = await form_at(operator, address, "/suspension")
    assert (await send(operator, form, reason="")).status_code == 400
    assert (await send(operator, form, reason="Prova")).status_code == 303
    assert await write(running, world.secure) == 401
    assert await write(running, world.anna) == 201
    assert "Referti" in await shown(operator, f"{town}/services?state=suspended")
    assert "Suspended: " in " ".join((await shown(operator, town)).split())
    back = await form_at(operator, address, "/suspension")
    assert (await send(operator, back, reason="Finita")).status_code == 303
    assert await write(running, world.secure) == 201
    elsewhere = f"{LIST}/{world.bruno.institution}/services/{world.secure.id}"
    assert (await operator.client.get(elsewhere)).status_code == 404
    there = await operator.client.post(f"{elsewhere}/suspension", data=dict(back.fields))
    assert there.status_code == 404


async def test_services_are_listed_and_saved(operator: Colleague, world: World) -> None:
    services = f"{LIST}/{world.anna.institution}/services"
    text = await shown(operator, services)
    assert text.index("Anagrafe") < text.index("Bozza") < text.index("Referti")
    assert "Anagrafe" not in await shown(operator, f"{services}?search=bozza")
    file = await operator.client.get(services, params={"format": "csv"})
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [row[1] for row in rows[1:]] == ["Anagrafe", "Bozza", "Carta giovani", "Referti"]


async def test_operators_help_an_institution_with_its_people(
    operator: Colleague, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(conn, "tests", "00000000055", "Unione", "u@example.org")
        only = await put_member(conn, "tests", town, "ugo", "Ugo <i>", "ugo@b.it", "admin")
        await put_member(conn, "tests", town, "rita", "Rita", "rita@b.it", "reader")
    address = f"{LIST}/{town}"
    person = f"{address}/people/{only.member_id}"
    assert "Ugo <i>" not in await shown(operator, address)
    kept = await send(operator, await form_at(operator, person, "/role"), role="reader")
    assert kept.status_code == 409
    assert "This is the only admin" in kept.text
    removal = await form_at(operator, person, "/removal")
    assert (await send(operator, removal)).status_code == 400
    assert (await send(operator, removal, sure="1")).status_code == 409
    assert (await send(operator, removal, sure="1", last="1")).status_code == 303
    assert (await operator.client.get(person)).status_code == 404
    invite = await form_at(operator, address, "/invitations")
    for wrong in ({"email": "x"}, {"email": "a@example.org", "role": "king"}):
        assert (await send(operator, invite, **wrong)).status_code == 400
    sent = await send(operator, invite, email="nuova@example.org", role="admin")
    assert sent.headers["location"] == f"{address}?done=invited"
    again = await send(operator, invite, email="nuova@example.org", role="admin")
    assert again.status_code == 429
    assert "nuova@example.org" in again.text
    withdrawal = await form_at(operator, address, "/withdrawal")
    assert (await send(operator, withdrawal)).status_code == 303
    assert "nuova@example.org" not in await shown(operator, address)
    file = await operator.client.get(f"{address}/people", params={"format": "csv"})
    assert file.text.count("rita@b.it") == 1


async def test_it_is_for_operators_alone(
    member: Colleague, pool: Pool, world: World, running: Running
) -> None:
    town = f"{LIST}/{world.anna.institution}"
    for path in (LIST, f"{LIST}/new", town, f"{town}/services", f"{town}/people", OPERATORS):
        assert (await member.client.get(path)).status_code == 404, path
    data = {"csrf": await member.csrf(), "reason": "x", "login": "ada", "role": "admin"}
    data |= {"email": "x@example.org", "do": "suspend", "who": "olga", "whose": "olga"}
    for path in (
        f"{LIST}/new",
        f"{town}/permissions",
        f"{town}/suspension",
        f"{town}/invitations",
        f"{town}/services/{world.anna.id}/suspension",
        f"{OPERATORS}/new",
        f"{OPERATORS}/removal",
        f"{OPERATORS}/logout",
    ):
        assert (await member.client.post(path, data=data)).status_code == 404, path
    assert await write(running, world.anna) == 201


async def test_it_speaks_italian(operator: Colleague, world: World) -> None:
    town = f"{LIST}/{world.anna.institution}"
    for path, words in (
        (LIST, "Aggiungi un ente"),
        (town, "Sospendi questo ente"),
        (f"{LIST}/new", "E-mail del primo amministratore"),
        (f"{town}/services/{world.anna.id}", "Sospendi questo servizio"),
        (OPERATORS, "Aggiungi un operatore"),
    ):
        page = await operator.client.get(path, headers={"Accept-Language": "it"})
        assert words in page.text


async def test_no_institution_is_no_page(operator: Colleague) -> None:
    token = await operator.csrf()
    for wrong in ("x", "0" * 26, "%00"):
        assert (await operator.client.get(f"{LIST}/{wrong}")).status_code == 404
        for form in ("permissions", "suspension", "invitations"):
            data = {"csrf": token, "reason": "x", "role": "admin", "email": "a@example.org"}
            answer = await operator.client.post(f"{LIST}/{wrong}/{form}", data=data)
            assert answer.status_code == 404, (wrong, form)


async def test_shares_are_of_what_was_received_in_the_same_days(pool: Pool, world: World) -> None:
    async with pool.transaction() as conn:
        for service, day, number in ((world.anna.id, 3, 40), (world.anna.id, 40, 1000)):
            await conn.raw.execute(
                "INSERT INTO events.figure (bucket, service_id, day, kind, number)"
                " VALUES ($1, $2, current_date - $3::int, 'processed', $4)",
                conn.bucket(service),
                service,
                day,
                number,
            )
        for number, (service, days) in enumerate(
            ((world.anna.id, 1), (world.anna.id, 2), (world.anna.id, 35), (world.bruno.id, 1))
        ):
            await conn.raw.execute(
                "INSERT INTO messages.report (bucket, message_id, service_id, reported_at)"
                " VALUES (0, $1, $2, now() - make_interval(days => $3))",
                f"report-{number}",
                service,
                days,
            )
    async with pool.connection() as conn:
        nothing, found = await shares(conn)
        assert (nothing.service_id, nothing.reports, nothing.received) == (world.bruno.id, 1, 0)
        assert nothing.share == 1
        assert (found.service_id, found.reports, found.received) == (world.anna.id, 2, 40)
        assert found.share == pytest.approx(0.05)
        assert await shares(conn, world.anna.institution) == [found]
        assert await shares(conn, world.bruno.institution) == [nothing]
