"""People of institutions: what each role may, whom nobody sees, and that an admin always remains."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.base.limits import RateLimit
from messo.operations import operators
from messo.people import members
from messo.people.roles import MAY
from messo.people.sessions import close_all
from messo.services import Permission
from messo.services.services import revoke, suspend_institution
from tests.people.acting import ROLES, Acting, Actor, acting, at_once, request
from tests.world import ACTOR, World

# Every route with an institution in its path: a body that would be good, who may, what is then said.
WRITE = Permission.SERVICE_WRITE
OF_INSTITUTION: list[tuple[str, str, Any, str, int]] = [
    ("GET", "", None, "read", 200),
    ("GET", "/people", None, "read", 200),
    ("PUT", "/people/{someone}", {"role": "reader"}, "administer", 200),
    ("DELETE", "/people/{someone}", None, "administer", 204),
    ("GET", "/invitations", None, "administer", 200),
    ("POST", "/invitations", {"email": "{new}@example.org", "role": "reader"}, "administer", 201),
    ("DELETE", "/invitations/{invitation}", None, "administer", 204),
    ("PUT", "/permissions", {"permissions": ["ApiServiceWrite"]}, "operator", 200),
    ("PUT", "/suspension", {"reason": "prova"}, "operator", 200),
    ("DELETE", "/suspension", None, "operator", 200),
]


@pytest.fixture
async def staff(pool: Pool, secrets: Secrets) -> AsyncIterator[Acting]:
    async with acting(pool, secrets) as made:
        yield made


@pytest.fixture
async def home(pool: Pool, world: World) -> str:
    """Bruno's institution without people or invitations."""
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM people.member")
        await conn.raw.execute("DELETE FROM people.invitation")
    return world.bruno.institution


async def filled(staff: Acting, home: str, path: str, body: Any) -> tuple[str, Any]:
    """The path with a member and an invitation that there are, and the body with a new address."""
    new = new_id().lower()
    if "{someone}" in path:
        path = path.replace("{someone}", (await staff.person(home, "editor")).id)
    if "{invitation}" in path:
        chief = await staff.person(home)
        body_of = {"email": f"{new}@example.org", "role": "reader"}
        made = await staff.ask(chief, "POST", f"/institutions/{home}/invitations", body_of)
        path = path.replace("{invitation}", made.json()["id"])
    if body and "email" in body:
        body = {**body, "email": f"{new}@example.org"}
    return path, body


def expected(who: str, needed: str, status: int) -> int:
    if who == "operator":
        return status
    may = needed != "operator" and needed in MAY[who]  # type: ignore[index]
    return status if may else 403


@pytest.mark.parametrize(("method", "path", "body", "needed", "status"), OF_INSTITUTION)
async def test_every_role_may_what_the_table_says_and_no_more(
    staff: Acting, home: str, method: str, path: str, body: Any, needed: str, status: int
) -> None:
    people = {role: await staff.person(home, role) for role in ROLES}
    people["operator"] = await staff.person(operator=True)  # type: ignore[index]
    for who, person in people.items():
        place, sent = await filled(staff, home, path, body)
        answer = await staff.ask(person, method, f"/institutions/{home}{place}", sent)
        assert answer.status_code == expected(who, needed, status), (who, answer.text)
        if answer.status_code == 403 and needed != "operator":
            assert answer.json()["title"] == "You are not allowed here"
            assert f"the role admin; yours is {who}" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path", "body", "needed", "status"), OF_INSTITUTION)
async def test_another_institution_is_as_if_it_were_not_there(
    staff: Acting,
    home: str,
    world: World,
    method: str,
    path: str,
    body: Any,
    needed: str,
    status: int,
) -> None:
    stranger = await staff.person(world.anna.institution)
    before = await everything(staff.pool)
    place, sent = await filled(staff, home, path, body)
    between = await everything(staff.pool)
    answers = [
        await staff.ask(stranger, method, f"/institutions/{which}{place}", sent)
        for which in (home, new_id(), "x", "%00", "è")
    ]
    assert {(one.status_code, one.text) for one in answers} == {
        (answers[0].status_code, answers[0].text)
    }
    assert answers[0].status_code == (403 if needed == "operator" else 404)
    assert await everything(staff.pool) == between
    assert before[0] <= between[0]


async def everything(pool: Pool) -> tuple[set[Any], list[Any]]:
    async with pool.connection() as conn:
        found = await conn.raw.fetch("SELECT id, role FROM people.member ORDER BY id")
        open_ = await conn.raw.fetch("SELECT id, expires_at FROM people.invitation ORDER BY id")
        rights = await conn.raw.fetch(
            "SELECT id, permissions, suspended_at FROM services.institution ORDER BY id"
        )
    return {row["id"] for row in found}, [list(map(tuple, one)) for one in (found, open_, rights)]


async def test_a_member_of_another_institution_has_no_id_here(
    staff: Acting, home: str, world: World
) -> None:
    chief, far = await staff.person(home), await staff.person(world.anna.institution)
    for method, body in (("PUT", {"role": "reader"}), ("DELETE", None)):
        told = {
            (answer.status_code, answer.text)
            for which in (far.id, new_id(), "%00")
            for answer in [
                await staff.ask(chief, method, f"/institutions/{home}/people/{which}", body)
            ]
        }
        assert len(told) == 1
        assert next(iter(told))[0] == 404
    assert (await staff.ask(far, "GET", "/me")).json()["memberships"][0]["role"] == "admin"


async def test_who_is_not_logged_in_is_told_so_by_every_route(staff: Acting, home: str) -> None:
    gone = await staff.person(home)
    async with staff.pool.transaction() as conn:
        await close_all(conn, gone.login)
    fake = Actor("", "", "", {"Cookie": f"{staff.web.session_cookie}=x"})
    for route in staff.routes:
        path = route.path.removeprefix("/messo/v1").format(
            institution_id=home, member_id=gone.id, invitation_id=new_id(), service_id=new_id()
        )
        for who in (None, gone, fake):
            answer = await staff.ask(who, route.method, path, None)
            assert answer.status_code == 401, route.path
            assert answer.json()["title"] == "Not logged in"


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),  # a script
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "none"}, True),
        ({"Origin": "https://messo.example.org"}, True),
        ({"Origin": "https://messo.example.org:443"}, True),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "https://messo.example.org"}, False),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Sec_Fetch_Site": ""}, False),
        ({"Origin": "https://evil.example.org"}, False),
        ({"Origin": "http://messo.example.org"}, False),
        ({"Origin": "https://messo.example.org:8443"}, False),
        ({"Origin": "https://messo.example.org.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "https://[x"}, False),
    ],
)
async def test_another_site_cannot_make_a_browser_change_anything(
    staff: Acting, home: str, headers: dict[str, str], taken: bool
) -> None:
    chief, other = await staff.person(home), await staff.person(home, "editor")
    path = f"/institutions/{home}/people/{other.id}"
    answer = await staff.ask(chief, "PUT", path, {"role": "reader"}, **headers)
    assert answer.status_code == (200 if taken else 403), answer.text
    assert (await staff.ask(chief, "GET", "/me", **headers)).status_code == 200
    role = (await staff.ask(other, "GET", "/me")).json()["memberships"][0]["role"]
    assert role == ("reader" if taken else "editor")


async def test_me_says_who_i_am_and_where(staff: Acting, home: str, world: World) -> None:
    someone = await staff.person(home, "sender", operator=True)
    async with staff.pool.transaction() as conn:
        told = (someone.login, someone.name, someone.email)
        await members.put_member(conn, ACTOR, world.anna.institution, *told, "reader")
        mine = await members.memberships_of(conn, someone.login)
    me = (await staff.ask(someone, "GET", "/me")).json()
    assert (me["login"], me["name"], me["email"], me["operator"]) == (*told, True)
    assert [(one["institution_name"], one["role"]) for one in me["memberships"]] == [
        ("Comune di Anna", "reader"),
        ("Comune di Bruno", "sender"),
    ]
    assert [one.member_id for one in mine] == [one["member_id"] for one in me["memberships"]]
    async with staff.pool.transaction() as conn:
        await operators.remove(conn, ACTOR, someone.login)
    assert (await staff.ask(someone, "GET", "/me")).json()["operator"] is False


async def test_a_role_taken_or_changed_holds_for_the_next_request(staff: Acting, home: str) -> None:
    chief, other = await staff.person(home), await staff.person(home, "admin")
    one = f"/institutions/{home}/people/{other.id}"
    assert (await staff.ask(other, "GET", f"/institutions/{home}/invitations")).status_code == 200
    answer = await staff.ask(chief, "PUT", one, {"role": "reader"})
    assert answer.json() == {"id": other.id, "role": "reader", "changed": True}
    assert (await staff.ask(other, "GET", f"/institutions/{home}/invitations")).status_code == 403
    again = await staff.ask(chief, "PUT", one, {"role": "reader"})
    assert again.json()["changed"] is False
    for role in ("owner", "", None, 3):
        wrong = await staff.ask(chief, "PUT", one, {"role": role})
        assert (wrong.status_code, wrong.json()["field"]) == (400, "role")
    assert (await staff.ask(chief, "DELETE", one)).status_code == 204
    assert (await staff.ask(other, "GET", f"/institutions/{home}")).status_code == 404
    assert (await staff.ask(chief, "DELETE", one)).status_code == 404

    entries = await staff.audit(other.id)
    assert [(action, actor) for action, actor, _ in entries] == [
        ("member.add", ACTOR),
        ("member.role", f"member:{chief.id}"),
        ("member.remove", f"member:{chief.id}"),
    ]
    for secret in (other.login, other.email, other.name, chief.login, chief.email):
        assert secret not in str(entries)


async def test_everybody_may_leave_but_the_last_admin(staff: Acting, home: str) -> None:
    chief, reader = await staff.person(home), await staff.person(home, "reader")
    one = f"/institutions/{home}/people"
    for method, body in (("DELETE", None), ("PUT", {"role": "editor"})):
        kept = await staff.ask(chief, method, f"{one}/{chief.id}", body)
        assert (kept.status_code, kept.json()["title"]) == (409, "Last admin")
        assert "Make somebody else an admin first" in kept.json()["detail"]
    assert (await staff.ask(reader, "DELETE", f"{one}/{chief.id}")).status_code == 403
    assert (await staff.ask(reader, "DELETE", f"{one}/{reader.id}")).status_code == 204
    second = await staff.person(home)
    assert (await staff.ask(chief, "DELETE", f"{one}/{chief.id}")).status_code == 204
    listed = (await staff.ask(second, "GET", one)).json()["items"]
    assert [(who["id"], who["you"]) for who in listed] == [(second.id, True)]


@pytest.mark.parametrize(("method", "body"), [("PUT", {"role": "reader"}), ("DELETE", None)])
@pytest.mark.parametrize("others", [0, 1])
async def test_admins_who_take_each_other_off_at_once_do_not_both_succeed(
    staff: Acting, home: str, method: str, body: Any, others: int
) -> None:
    first, second, *_ = [await staff.person(home) for _ in range(2 + others)]
    one = f"/institutions/{home}/people"
    answers = await at_once(
        staff.pool,
        home,
        staff.ask(first, method, f"{one}/{second.id}", body),
        staff.ask(second, method, f"{one}/{first.id}", body),
    )
    # Who was quicker has taken the role that the other's request needs.
    refused = 404 if method == "DELETE" else 403
    done = 204 if method == "DELETE" else 200
    assert sorted(answer.status_code for answer in answers) == [done, refused]
    assert await admins(staff, home) == 1 + others


async def test_admins_who_leave_at_once_leave_one(staff: Acting, home: str) -> None:
    people = [await staff.person(home) for _ in range(3)]
    one = f"/institutions/{home}/people"
    answers = await at_once(
        staff.pool, home, *(staff.ask(who, "DELETE", f"{one}/{who.id}") for who in people)
    )
    assert sorted(answer.status_code for answer in answers) == [204, 204, 409]
    assert await admins(staff, home) == 1


async def admins(staff: Acting, home: str) -> int:
    async with staff.pool.connection() as conn:
        return sum(row["role"] == "admin" for row in await members.list_members(conn, home))


async def test_people_of_a_suspended_institution_look_and_change_nothing(
    staff: Acting, home: str
) -> None:
    chief, other = await staff.person(home), await staff.person(home, "editor")
    operator = await staff.person(operator=True)
    async with staff.pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, home, suspend=True, reason="prova")
    seen = await staff.ask(chief, "GET", f"/institutions/{home}")
    assert (seen.status_code, seen.json()["suspended"]) == (200, True)
    assert (await staff.ask(chief, "GET", "/me")).json()["memberships"][0]["suspended"] is True
    invited = {"email": "x@example.org", "role": "admin"}
    for method, path, body in (
        ("PUT", f"/people/{other.id}", {"role": "reader"}),
        ("DELETE", f"/people/{other.id}", None),
        ("POST", "/invitations", invited),
    ):
        refused = await staff.ask(chief, method, f"/institutions/{home}{path}", body)
        assert refused.status_code == 403
        assert "suspended" in refused.json()["detail"]
    helped = await staff.ask(operator, "POST", f"/institutions/{home}/invitations", invited)
    assert helped.status_code == 201
    left = await staff.ask(other, "DELETE", f"/institutions/{home}/people/{other.id}")
    assert left.status_code == 204
    async with staff.pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, home, suspend=False, reason="prova")


async def test_a_login_manages_services_for_the_institution_it_names(
    staff: Acting, home: str, world: World
) -> None:
    editor = await staff.person(home, "editor")
    for named in (home, "00000000002"):
        cookie = {**editor.cookie, "Messo-Institution": named}
        found = await staff.authenticate.manager(request(cookie, "POST"), "edit", WRITE)
        assert (found.institution_id, found.actor) == (home, f"member:{editor.id}")
        assert (found.group_id, found.networks) == (None, ())
        assert "ApiServiceWrite" in found.permissions

    async def refused(cookie: dict[str, str], need: Any) -> tuple[int, str]:
        with pytest.raises(Problem) as problem:
            await staff.authenticate.manager(request(cookie), need, WRITE)
        return problem.value.status, problem.value.detail

    assert (await refused(cookie, "administer"))[0] == 403
    assert (await refused(editor.cookie, "read"))[0] == 400
    away = {
        await refused({**editor.cookie, "Messo-Institution": named}, "read")
        for named in (world.anna.institution, "00000000001", new_id(), "\x00", "x")
    }
    assert away == {(404, "There is no such institution.")}
    async with staff.pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, home, suspend=True, reason="prova")
    assert "suspended" in (await refused(cookie, "read"))[1]
    async with staff.pool.transaction() as conn:
        await suspend_institution(conn, ACTOR, home, suspend=False, reason="prova")
        await revoke(conn, ACTOR, home, ["ApiServiceWrite"])
    assert "has no permission yet" in (await refused(cookie, "read"))[1]


async def test_whoever_asks_too_fast_waits(staff: Acting, home: str) -> None:
    fast, slow = await staff.person(home), await staff.person(home, "reader")
    staff.authenticate._limit = RateLimit(1, 3)
    told = [await staff.ask(fast, "GET", "/me") for _ in range(20)]
    assert [answer.status_code for answer in told[:3]] == [200, 200, 200]
    assert told[-1].status_code == 429
    assert told[-1].headers["retry-after"] == "1"
    assert (await staff.ask(slow, "GET", "/me")).status_code == 200
