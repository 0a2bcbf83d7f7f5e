"""No institution sees or touches another's anything, with whatever key or login it asks.

Every route of institutions, people and operators is asked for what is Anna's by Bruno's town: the
answer is the one for what does not exist.
"""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from messo.base.db import Pool
from messo.base.http import Route
from messo.base.ids import new_id
from messo.login import web_limits
from messo.people import members
from messo.people.sessions import open_session
from messo.people.staff_web import StaffWeb
from messo.services import Permission, keys
from messo.services.logos import put_logo
from messo.services.services import grant
from tests.conftest import Running
from tests.messages.test_isolation import seen
from tests.messages.test_openapi import routes_of_both, routes_of_people
from tests.services.managing import payload
from tests.services.png_files import in_base64, solid
from tests.world import AUTO, World, add_configuration, message

ROUTES: list[Route] = [*routes_of_both()[0], *routes_of_people()]
UNKNOWN_INSTITUTION = "00000000099"
WEBHOOK = {"url": "https://hooks.example.org/bruno"}
LOGO = {"logo": in_base64(solid(1, 1))}
SITE = {
    "redirect_uris": [{"uri": "https://site.example.org/b", "display_name": {"it": "Sito"}}],
}
# What is sent where an empty object would be refused before anybody looks whose it is.
BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/api/v1/manage/services/{service_id}"): payload(name="Rubato"),
    ("PUT", "/api/v1/manage/services/{service_id}/review"): {"auto_publish": True},
    ("PUT", "/api/v1/manage/services/{service_id}/logo"): LOGO,
    ("PUT", "/api/v1/organizations/{organization_fiscal_code}/logo"): LOGO,
    ("PUT", "/messo/v1/services/{service_id}/group"): {"group_id": None},
    ("PUT", "/messo/v1/groups/{group_id}"): {"name": "Rubato", "authorized_cidrs": []},
    ("PATCH", "/messo/v1/webhooks/{id}"): WEBHOOK,
    ("POST", "/messo/v1/webhooks/{id}/replay"): {"from": "2026-01-01T00:00:00Z"},
    ("PUT", "/messo/v1/services/{id}/sso/{environment}"): SITE,
    ("PUT", "/api/v1/messages-sending/remote-contents/configurations/{id}"): {
        "name": "Rubato",
        "description": "Rubato",
        "has_precondition": "NEVER",
        "disable_lollipop_for": [],
        "is_lollipop_enabled": False,
    },
    ("POST", "/messo/v1/remote-contents/configurations/{id}/check"): {
        "id": "1",
        "fiscal_code": AUTO,
    },
    ("PUT", "/messo/v1/institutions/{institution_id}/people/{member_id}"): {"role": "reader"},
    ("POST", "/messo/v1/institutions/{institution_id}/invitations"): {
        "email": "bruno@example.org",
        "role": "admin",
    },
    ("PUT", "/messo/v1/institutions/{institution_id}/permissions"): {"permissions": []},
    ("PUT", "/messo/v1/institutions/{institution_id}/suspension"): {"reason": "No"},
    ("PUT", "/messo/v1/services/{service_id}/suspension"): {"reason": "No"},
    ("POST", "/messo/v1/reviews/{service_id}/approval"): {"version": 1},
    ("POST", "/messo/v1/reviews/{service_id}/rejection"): {"version": 1, "reason": "No"},
}
PLAIN = {"environment": "live", "key_type": "primary", "fiscal_code": AUTO, "date": "2026-11-30"}
TABLES = (
    *("services.institution", "services.service", "services.lifecycle", "services.history"),
    *("services.key", "services.service_group", "services.logo", "people.member"),
    *("people.invitation", "events.webhook", "content.configuration", "sso.client"),
)


@dataclass
class Theirs:
    """What is Anna's, by the names that paths have for it."""

    ids: dict[str, str]

    def of(self, route: Route) -> dict[str, str]:
        """The ids in this route's path."""
        given = {}
        for name in re.findall(r"{(\w+)}", route.path):
            if name not in PLAIN:
                kind = route.path.split("/{")[0].rsplit("/", 1)[1] if name == "id" else name
                given[name] = self.ids[kind]
        return given


@pytest.fixture(scope="module")
async def theirs(running: Running, world: World) -> Theirs:
    """Anna's town with everything that has an id."""
    manage = {"Ocp-Apim-Subscription-Key": world.manage_key}

    async def ask(method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        answer = await running.client.request(method, path, json=body, headers=headers)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    group = await ask(
        "POST", "/messo/v1/groups", {"name": "Scuola", "authorized_cidrs": []}, manage
    )
    hook = {**WEBHOOK, "service_id": world.anna.id}
    webhook = await ask("POST", "/messo/v1/webhooks", hook, manage)
    await ask("PUT", f"/messo/v1/services/{world.anna.id}/sso/live", SITE, manage)
    sent = await ask("POST", "/api/v1/messages", message(), world.anna.headers)
    async with running.started.pool.transaction() as conn:
        configuration = await add_configuration(conn, world.secrets, world.anna.institution)
        await put_logo(conn, world.anna.id, b"png")
    anna, admin = await login(running, world, world.anna.institution, "anna")
    invited = await ask(
        "POST",
        f"/messo/v1/institutions/{world.anna.institution}/invitations",
        {"email": "carla@example.org", "role": "reader"},
        anna,
    )
    return Theirs(
        {
            "messages": sent["id"],
            "webhooks": webhook["id"],
            "configurations": configuration,
            "services": world.anna.id,
            "service_id": world.anna.id,
            "group_id": group["id"],
            "institution_id": world.anna.institution,
            "member_id": admin,
            "invitation_id": invited["id"],
            "organization_fiscal_code": "00000000001",
        }
    )


async def login(
    running: Running, world: World, institution: str, name: str
) -> tuple[dict[str, str], str]:
    """An admin of an institution: the cookie, and the id of the membership."""
    web = StaffWeb(world.secrets, running.url, web_limits(running.settings))
    async with running.started.pool.transaction() as conn:
        token = await open_session(conn, name, name, f"{name}@example.org", web.limits)
        put = await members.put_member(
            conn, "tests", institution, name, name, f"{name}@example.org", "admin"
        )
    return {"Cookie": f"{web.session_cookie}={token}"}, put.member_id


@pytest.fixture(scope="module")
async def bruno(running: Running, world: World, theirs: Theirs) -> dict[str, dict[str, str]]:
    """All that Bruno's town can ask with: headers by what they are."""
    town = world.bruno.institution
    async with running.started.pool.transaction() as conn:
        master = await keys.create_pair(conn, world.secrets, "tests", town, None)
    header = "Ocp-Apim-Subscription-Key"
    answer = await running.client.post(
        "/messo/v1/groups",
        json={"name": "Bruno", "authorized_cidrs": []},
        headers={header: master["primary"]},
    )
    async with running.started.pool.connection() as conn:
        group = await keys.read_pair(conn, world.secrets, answer.json()["id"])
    cookie, _ = await login(running, world, town, "bruno")
    return {
        "use key": world.bruno.headers,
        "master key": {header: master["primary"]},
        "group key": {header: group["primary"]},
        "login": {**cookie, "Messo-Institution": town},
    }


async def anothers(pool: Pool, theirs: Theirs) -> dict[str, list[str]]:
    """Every row that names something of Anna's, as text."""
    found = {}
    pattern = "|".join(theirs.ids.values())
    async with pool.connection() as conn:
        for table in TABLES:
            rows = await conn.raw.fetch(
                f"SELECT t::text FROM {table} AS t WHERE t::text ~ $1 ORDER BY 1", pattern
            )
            found[table] = [row[0] for row in rows]
    return found


async def test_the_walk_knows_every_parameter_and_every_body(theirs: Theirs) -> None:
    """A route with another kind of id, or a body, has to be added to these tests."""
    for route in ROUTES:
        if theirs.of(route) and route.body is not None:
            assert (route.method, route.path) in BODIES, f"no body for {route.method} {route.path}"


async def test_what_is_anothers_is_as_what_does_not_exist(
    running: Running, world: World, theirs: Theirs, bruno: dict[str, dict[str, str]]
) -> None:
    before = await anothers(running.started.pool, theirs)
    assert all(before.values()), "Anna has something of everything"
    refused: dict[str, set[int]] = {}
    for route in ROUTES:
        ids = theirs.of(route)
        if not ids:
            continue
        body = BODIES.get((route.method, route.path))
        for kind, headers in bruno.items():
            for own_town in {False, "institution_id" in ids and len(ids) > 1}:
                answers = []
                for unknown in (False, True):
                    given = dict(ids)
                    if unknown:
                        given = dict.fromkeys(ids, new_id())
                        if "organization_fiscal_code" in given:
                            given["organization_fiscal_code"] = UNKNOWN_INSTITUTION
                    if own_town:
                        given["institution_id"] = world.bruno.institution
                    path = route.path.format(**PLAIN, **given)
                    answer = await running.client.request(
                        route.method, path, json=body, headers=headers
                    )
                    text = seen(answer)
                    for one in given.values():
                        text = (*text[:2], text[2].replace(one, "ID"))
                    answers.append(text)
                assert answers[0] == answers[1], (kind, route.method, route.path)
                refused.setdefault(kind, set()).add(answers[0][0])
                assert answers[0][0] in {401, 403, 404}, (kind, route.path, answers[0])
    # Each of them gets as far as the question whose it is, where it may ask at all.
    assert all(404 in statuses for statuses in refused.values()), refused
    assert await anothers(running.started.pool, theirs) == before


async def test_another_town_cannot_be_named_in_the_header(
    running: Running, theirs: Theirs, bruno: dict[str, dict[str, str]]
) -> None:
    for route in ROUTES:
        if "manage/services" not in route.path and "/groups" not in route.path:
            continue
        path = route.path.format(**PLAIN, **theirs.of(route))
        body = BODIES.get((route.method, route.path))
        answers = []
        for town in (theirs.ids["institution_id"], new_id(), "00000000001", UNKNOWN_INSTITUTION):
            headers = {**bruno["login"], "Messo-Institution": town}
            answer = await running.client.request(route.method, path, json=body, headers=headers)
            answers.append(seen(answer))
        if route.path.endswith("/topics"):
            continue
        assert answers.count(answers[0]) == len(answers), route.path
        assert answers[0][0] == 404, (route.path, answers[0])


async def test_lists_hold_only_ones_own(
    running: Running, theirs: Theirs, bruno: dict[str, dict[str, str]]
) -> None:
    for route in ROUTES:
        if route.method != "GET" or theirs.of(route):
            continue
        for kind, headers in bruno.items():
            answer = await running.client.get(route.path.format(**PLAIN), headers=headers)
            assert answer.status_code < 500
            for name, one in theirs.ids.items():
                assert one not in answer.text, (kind, route.path, name)


@pytest.mark.parametrize(
    ("method", "path", "body", "name"),
    [
        ("POST", "/messo/v1/webhooks", {**WEBHOOK, "service_id": "{}"}, "service_id"),
        ("PUT", "/messo/v1/services/{own}/group", {"group_id": "{}"}, "group_id"),
        (
            "POST",
            "/api/v1/messages",
            {**message(third_party_data={"id": "1", "configuration_id": "{}"})},
            "configurations",
        ),
    ],
)
async def test_what_is_anothers_cannot_be_named_in_a_body(
    running: Running,
    world: World,
    theirs: Theirs,
    bruno: dict[str, dict[str, str]],
    method: str,
    path: str,
    body: dict[str, Any],
    name: str,
) -> None:
    headers = bruno["use key" if "messages" in path else "master key"]
    async with running.started.pool.transaction() as conn:  # so that the id is what is refused
        permission = Permission.THIRD_PARTY_MESSAGE_WRITE
        await grant(conn, "tests", world.bruno.institution, [permission])
    await running.started.directory.refresh(0)
    answers: list[tuple[int, dict[str, str], str]] = []
    for one in (theirs.ids[name], new_id()):
        sent = httpx.Request("POST", "http://x", json=body).content.decode().replace("{}", one)
        answer = await running.client.request(
            method,
            path.replace("{own}", world.bruno.id),
            content=sent,
            headers={**headers, "Content-Type": "application/json"},
        )
        answers.append(seen(answer, one))
    assert answers[0] == answers[1]
    assert answers[0][0] >= 400
