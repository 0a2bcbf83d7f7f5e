"""One citizen never sees or counts what is another's: it answers exactly as what does not exist."""

import re
from typing import Any

import httpx
import pytest

from messo.base.db import Pool
from messo.base.http import Route
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.inbox.visit import Site
from messo.messages import mailbox
from messo.sandbox.fiscal_codes import make
from tests.conftest import Running
from tests.inbox.pages import citizen
from tests.inbox.pages import log_in as open_browser
from tests.messages.mail import Mail
from tests.messages.test_openapi import routes_of_both
from tests.recipients import asked
from tests.recipients.asked import until_idle
from tests.recipients.person import Person, enter, feed_of
from tests.sso.accesses import add_access, add_consent
from tests.world import World, add_configuration

MINE, THEIRS, QUIET = (make(f"TSTSLT80A01Y00{number}") for number in (1, 2, 3))
# What differs from answer to answer whoever asks.
_VARIES = {"date", "x-request-id", "ratelimit", "content-length"}
ROUTES: list[Route] = [route for route in routes_of_both()[1] if not route.public]
PHONE = {"platform": "apns", "pushChannel": "x"}


async def fill(running: Running, worker: Worker, world: World, them: Person) -> dict[str, Any]:
    """Let a citizen have everything that has an id."""
    mail = Mail(running, worker)
    sent = await mail.send(world.anna, them.code, due_date="2100-01-02T10:00:00.000Z")
    async with running.started.pool.transaction() as conn:
        configuration = await add_configuration(conn, world.secrets, world.anna.institution)
    third = {"id": "1", "configuration_id": configuration, "has_remote_content": True}
    remote = await mail.send(world.anna, them.code, third_party_data=third)
    await them.request("PUT", "/api/communication/v1/installations/their-phone", json=PHONE)
    await them.post("/api/identity/v1/user-data-processing", {"choice": "DOWNLOAD"})
    await until_idle(running.started.pool, asked.worker(world.secrets))
    archive = "/api/identity/v1/user-data-processing/DOWNLOAD/archive"
    assert (await them.get(archive)).status_code == 200
    off = {
        "is_inbox_enabled": False,
        "is_email_enabled": False,
        "is_webhook_enabled": False,
        "can_access_message_read_status": False,
        "settings_version": 0,
    }
    path = f"/api/identity/v1/services/{world.bruno.id}/preferences"
    assert (await them.post(path, off)).status_code == 200
    await add_access(running.started.pool, them.code, world.anna)
    await add_consent(running.started.pool, them.code, world.anna.id)
    sessions = (await them.get("/api/auth/v1/sessions")).json()
    return {
        "message": sent,
        "remote": remote,
        "session": re.findall(r'"id":"(\w+)"', httpx.Response(200, json=sessions).text)[0],
        "site": world.anna.id,
        "person": them,
    }


@pytest.fixture(scope="module")
async def theirs(pool: Pool, running: Running, world: World, worker: Worker) -> dict[str, Any]:
    """Another citizen, with everything that has an id."""
    return await fill(running, worker, world, await enter(pool, running.client, THEIRS))


def seen(answer: httpx.Response, given: str = "") -> tuple[int, dict[str, str], str]:
    """All that tells one answer from another, the asked id apart."""
    headers = {name: value for name, value in answer.headers.items() if name not in _VARIES}
    text = answer.text.replace(given, "ID") if given else answer.text
    return answer.status_code, headers, text


async def everything(me: Person, world: World) -> dict[str, Any]:
    """What every route that only reads answers a citizen."""
    found = {}
    for route in ROUTES:
        if route.method != "GET":
            continue
        for choice in ("DOWNLOAD", "DELETE"):
            path = (
                route.path.replace("{id}", "01J00000000000000000000000")
                .replace("{choice}", choice)
                .replace("{service_id}", world.bruno.id)
                .replace("{institution_id}", "00000000002")
            )
            found[path] = seen(await me.get(path))
    assert all(status < 500 for status, _, _ in found.values())
    return found


def test_the_walk_knows_every_parameter() -> None:
    """A route with another kind of id has to be added to these tests."""
    named = {name for route in ROUTES for name in re.findall(r"{(\w+)}", route.path)}
    assert named == {
        *("id", "choice", "service_id", "institution_id", "installation_id", "attachment_url"),
        "rptId",  # of any notice, whoever has it: tests/payments
    }
    kinds = {route.path.split("/")[4] for route in ROUTES if "{id}" in route.path}
    assert kinds == set(KINDS)


KINDS = {"messages": "message", "third-party-messages": "remote", "sessions": "session"}
BODIES: dict[str, list[Any]] = {
    "PUT": [
        {"change_type": "bulk", "is_archived": True, "is_read": True},
        {"change_type": "reading", "is_read": True},
        {"change_type": "archiving", "is_archived": False},
        {"change_type": "nonsense"},
    ],
}


async def test_every_route_with_an_id_hides_what_is_anothers(
    pool: Pool, running: Running, theirs: dict[str, Any]
) -> None:
    me = await enter(pool, running.client, MINE)
    walked = 0
    for route in ROUTES:
        if "{id}" not in route.path:
            continue
        kind = KINDS[route.path.split("/")[4]]
        for body in BODIES.get(route.method, [None]):
            for query in ("", "?public_message=true", "?public_message=x"):
                walked += 1
                answers = [
                    seen(
                        await me.request(
                            route.method, route.path.replace("{id}", one) + query, json=body
                        ),
                        one,
                    )
                    for one in (theirs[kind], new_id())
                ]
                assert answers[0] == answers[1], route.path
                assert answers[0][0] in {400, 404}, route.path
    assert walked >= 15
    them: Person = theirs["person"]
    still = await them.get(
        f"/api/communication/v1/messages/{theirs['message']}?public_message=true"
    )
    assert (still.json()["is_read"], still.json()["is_archived"]) == (False, False)
    assert (await them.get("/api/auth/v1/session?fields=(spidLevel)")).status_code == 200


async def test_what_another_has_changes_no_answer_of_mine(
    pool: Pool, running: Running, world: World, worker: Worker
) -> None:
    me = await enter(pool, running.client, QUIET)
    before = await everything(me, world)
    assert len(before) > 12
    await fill(running, worker, world, await enter(pool, running.client, make("TSTSLT80A01Y004")))
    assert await everything(me, world) == before


async def test_whatever_i_do_another_keeps_what_is_theirs(
    pool: Pool, running: Running, world: World, theirs: dict[str, Any]
) -> None:
    them: Person = theirs["person"]
    before, their_feed = await everything(them, world), await feed_of(pool, THEIRS)
    me = await enter(
        pool,
        running.client,
        make("TSTSLT80A01Y005"),
        email="mine@example.org",
        is_email_validated=False,
    )
    bodies: dict[str, Any] = {
        "/profile": {
            "version": 0,
            "service_preferences_settings": {"mode": "MANUAL"},
            "preferred_languages": ["en_GB"],
        },
        "/preferences": {
            "is_inbox_enabled": True,
            "is_email_enabled": True,
            "is_webhook_enabled": True,
            "settings_version": 1,
        },
        "/user-data-processing": {"choice": "DELETE"},
        "/their-phone": {**PHONE, "platform": "gcm"},
        "/status": BODIES["PUT"][0],
    }
    done = {}
    for route in ROUTES:
        if route.method == "GET":
            continue
        # Logged in anew: one of the routes before may have ended the session.
        now = await enter(pool, running.client, me.code, profile=False)
        path = (
            route.path.replace("{id}", theirs["message"])
            .replace("{choice}", "DELETE")
            .replace("{service_id}", world.bruno.id)
            .replace("{installation_id}", "their-phone")
        )
        body = next((one for end, one in bodies.items() if path.endswith(end)), None)
        answer = await now.request(route.method, path, json=body)
        done[f"{route.method} {route.path.split('/v1')[1]}"] = answer.status_code
    assert done == {
        "POST /logout": 200,
        "DELETE /sessions/{id}": 404,
        "DELETE /sessions": 200,
        "PUT /messages/{id}/status": 404,
        "POST /profile": 200,
        "POST /email-validation-process": 202,
        "POST /services/{service_id}/preferences": 200,
        "POST /user-data-processing": 200,
        "DELETE /user-data-processing/{choice}": 202,
        "PUT /installations/{installation_id}": 200,
        "POST /export-requests": 202,
        "POST /fims/export-requests": 409,  # asked for just before
    }
    assert await everything(them, world) == before
    assert await feed_of(pool, THEIRS) == their_feed
    async with pool.connection() as conn:
        phones = await conn.raw.fetch(
            "SELECT fiscal_code, platform FROM recipients.installation WHERE id = 'their-phone' "
            "AND fiscal_code = ANY($1)",
            [THEIRS, me.code],
        )
    assert {row[0]: row[1] for row in phones} == {THEIRS: "apns", me.code: "gcm"}


async def test_a_token_that_is_not_ones_own_opens_nothing(
    pool: Pool, running: Running, world: World, site: Site
) -> None:
    """One that has ended, or is of a browser, is on every route as one that never was."""
    fiscal_code = await citizen(pool, "SLT", 6)
    ended = await enter(pool, running.client, fiscal_code, profile=False)
    assert (await ended.post("/api/auth/v1/logout")).status_code == 200
    old = await enter(pool, running.client, fiscal_code, profile=False)
    browser = await open_browser(pool, site, running.client, fiscal_code)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE login.session SET expires_at = now() - interval '1 second' "
            "WHERE fiscal_code = $1 AND kind = 'client'",
            fiscal_code,
        )
    tokens = [ended.token, old.token, *browser.cookies.values()]
    for route in ROUTES:
        path = re.sub(r"{\w+}", "01J00000000000000000000000", route.path)
        never = seen(
            await Person("", "x" * len(tokens[0]), running.client).request(route.method, path)
        )
        assert never[0] == 401, path
        for token in tokens:
            known = Person("", token, running.client)
            assert seen(await known.request(route.method, path)) == never, path


async def test_lists_and_searches_show_only_ones_own(
    pool: Pool, running: Running, theirs: dict[str, Any]
) -> None:
    me = await enter(pool, running.client, MINE, profile=False)
    for query in ("", "?q=tessera", f"?minimum_id={'0' * 26}", f"?maximum_id={'7' + 'Z' * 25}"):
        listed = await me.get(f"/api/communication/v1/messages{query}")
        assert listed.json()["items"] == []
    assert theirs["session"] not in (await me.get("/api/auth/v1/sessions")).text
    wish = await me.get("/api/identity/v1/user-data-processing/DOWNLOAD")
    assert wish.status_code == 404
    async with pool.transaction() as conn:
        assert await mailbox.count_unread(conn, MINE) == 0
        assert await mailbox.mark(conn, MINE, [theirs["message"]], read=True) == []
        assert not await mailbox.report_not_for_me(conn, MINE, theirs["message"])


@pytest.fixture(scope="module")
def site(running: Running) -> Site:
    found: Site = running.started.app.pages.state.site
    return found


async def test_a_page_of_anothers_is_as_one_that_does_not_exist(
    pool: Pool, running: Running, site: Site, theirs: dict[str, Any]
) -> None:
    fiscal_code = await citizen(pool, "SLT", 7)
    browser = await open_browser(pool, site, running.client, fiscal_code)
    csrf = (await browser.page("/sessions")).form("/sessions").fields["csrf"]
    asked: list[tuple[str, dict[str, str] | None, int]] = [
        ("/messages/{}", None, 404),
        ("/messages/{}/due.ics", None, 404),
        ("/messages/{}/not-for-me", None, 404),
        ("/messages/{}/not-for-me", {}, 404),
        ("/sessions", {"id": "{}"}, 404),
        ("/messages", {"action": "archive", "id": "{}"}, 303),
        ("/messages", {"action": "read", "id": "{}"}, 303),
        ("/?at={}", None, 200),
        ("/?before={}", None, 200),
        ("/?after={}", None, 200),
        ("/?q={}", None, 200),
        ("/messages/new?after={}", None, 204),
        ("/data/changes?before={}", None, 200),
        ("/data/access?before={}", None, 200),
        ("/data/access/withdraw?client={}", None, 404),
        ("/data/access/withdraw", {"client": "{}"}, 404),
    ]
    for path, fields, status in asked:
        kind = {"/sessions": "session", "/data/access/withdraw": "site"}.get(
            path.partition("?")[0], "message"
        )
        answers = []
        for one in (theirs[kind], new_id()):
            if fields is None:
                answer = await browser.get(path.format(one))
            else:
                given = {name: value.format(one) for name, value in fields.items()}
                answer = await browser.post(path.format(one), {"csrf": csrf, **given})
            answers.append(seen(answer, one))
        assert answers[0] == answers[1], path
        assert answers[0][0] == status, path
    async with pool.transaction() as conn:
        still = await mailbox.read_message(conn, THEIRS, theirs["message"])
        reports = await conn.raw.fetchval("SELECT count(*) FROM messages.report")
    assert still is not None
    assert still.line.due_date is not None
    assert (still.line.is_read, still.line.is_archived, reports) == (False, False, 0)
    them: Person = theirs["person"]
    assert (await them.get("/api/auth/v1/session")).status_code == 200


async def test_a_page_of_mine_shows_nothing_of_anothers(
    pool: Pool, running: Running, site: Site, world: World, theirs: dict[str, Any]
) -> None:
    fiscal_code = await citizen(pool, "SLT", 8)
    browser = await open_browser(pool, site, running.client, fiscal_code)
    for path in (
        *("/", "/?q=tessera", "/?archived=1", "/services", "/data", "/sessions"),
        *("/data/access.json", "/data/access.csv"),
    ):
        answer = await browser.get(path)
        assert answer.status_code == 200
        for hidden in (
            THEIRS,
            theirs["message"],
            theirs["session"],
            "La tua tessera",
            "rp.example",
        ):
            assert hidden not in answer.text, path
    page = await browser.page(f"/services/{world.bruno.id}")
    assert page.form(f"/services/{world.bruno.id}").fields["inbox"] == "1"
    assert (await browser.get("/data/archive.zip")).status_code == 404
