"""An institution that has something of everything, so that each of its pages has its forms."""

import re

import msgspec
from starlette.routing import Route

from messo.base import clock
from messo.base.db import Connection, Pool
from messo.console import site
from messo.events import wire as events_wire
from messo.events.webhooks import Webhooks
from messo.messages import guard
from messo.operations import record
from messo.people.invitations import Inviter, invite
from messo.people.members import put_member
from messo.people.roles import Role
from messo.services import groups, manage, review
from messo.services.payload import parse
from tests.conftest import Running
from tests.events.told import publish_all
from tests.services.managing import MOST, manager_of, payload
from tests.sso.accesses import add_client
from tests.world import ACTOR, AUTO, SANDBOX, STRANGER, World, add_configuration, message

Ids = dict[str, str]
AT, OPERATE = "/console/institutions/{institution}", "/console/operate"
# What is needed below these addresses, to look and to post; the longest that fits counts.
NEEDS: dict[str, tuple[str, str]] = {
    AT: ("read", "read"),
    f"{AT}/services": ("read", "edit"),
    f"{AT}/services/{{id}}/keys": ("administer", "administer"),
    f"{AT}/services/{{id}}/group": ("administer", "administer"),
    f"{AT}/services/{{id}}/edit": ("edit", "edit"),
    f"{AT}/services/{{id}}/delete": ("edit", "edit"),
    f"{AT}/services/new": ("edit", "edit"),
    f"{AT}/leave": ("read", "read"),
    f"{AT}/figures": ("read", "read"),
    f"{AT}/limits": ("read", "read"),
    f"{AT}/messages": ("send", "send"),
    f"{AT}/write": ("send", "send"),
    f"{AT}/reports": ("send", "send"),
    f"{AT}/people": ("administer", "administer"),
    f"{AT}/keys": ("administer", "administer"),
    f"{AT}/configurations": ("administer", "administer"),
    f"{AT}/webhooks": ("administer", "administer"),
    f"{AT}/clients": ("administer", "administer"),
    OPERATE: ("operate", "operate"),
}
_PARAMETER = re.compile(r"([\w-]+)/\{(\w+)(?::\w+)?\}")
_DEAD = """
INSERT INTO events.webhook_retry (
    bucket, webhook_id, position, message_id, attempts, since, due_at, last_error, dead_at
)
SELECT p.bucket, $1, p.position, p.message_id, 3, now(), now(), 'status 500', $3::timestamptz
FROM events.published AS p WHERE p.service_id = $2
"""
# The newest event of a service, given up.
DEAD_LATEST = """
INSERT INTO events.webhook_retry (
    bucket, webhook_id, position, message_id, attempts, since, due_at, last_error, dead_at
)
SELECT p.bucket, $1, p.position, p.message_id, 9, now(), now(), 'status 400', now()
FROM events.published AS p WHERE p.service_id = $2 ORDER BY p.position DESC LIMIT 1
"""
_FAILED = "UPDATE messages.message SET status = 'FAILED', decided_at = NULL WHERE id = $1"
_PROCESSED = "UPDATE messages.message SET status = 'PROCESSED', decided_at = now() WHERE id = $1"
_REPORT = """
INSERT INTO messages.report (bucket, message_id, service_id, reported_at)
SELECT m.bucket, m.id, m.service_id, now() FROM messages.message AS m WHERE m.id = $1
"""
_HOLD = """
INSERT INTO messages.guard_hold (
    bucket, institution_id, fingerprint, service_id, recipients, held_at
) VALUES (0, $1, 7, $2, 1200, now())
"""
_LETTER = "INSERT INTO payments.dead_letter VALUES ('letter', now(), 'unknown', '\\x00')"


async def employ(conn: Connection, world: World, login: str, role: Role = "admin") -> None:
    """Somebody at Anna's town."""
    await put_member(conn, ACTOR, world.anna.institution, login, "Anna", "a@b.it", role)


def pages(method: str = "GET") -> list[Route]:
    """All that the console serves."""
    return [
        route
        for route in site.routes()
        if isinstance(route, Route) and method in (route.methods or ())
    ]


def need_of(route: Route, method: str) -> str:
    """What the table says of a page; "" for those of nobody in particular."""
    plain = re.sub(r"\{(?!institution\})\w+(:\w+)?\}", "{id}", route.path)
    fitting = [one for one in NEEDS if plain == one or plain.startswith(f"{one}/")]
    if not fitting:
        return ""
    look, post = NEEDS[max(fitting, key=len)]
    return post if method == "POST" else look


async def furnish(pool: Pool, world: World, running: Running) -> Ids:
    """Fill Anna's town; ids for the addresses of pages, by the part before them."""
    town, service = world.anna.institution, world.anna.id
    sent = [await _send(running, world, code) for code in (AUTO, STRANGER, AUTO, AUTO)]
    await publish_all(pool)
    async with pool.transaction() as conn:
        ids: Ids = {"services": service, "messages": sent[0], "institutions": town, "held": town}
        await conn.raw.execute(_FAILED, sent[2])
        await conn.raw.execute(_PROCESSED, sent[3])
        await conn.raw.execute(_REPORT, sent[3])
        await conn.raw.execute(_HOLD, town, service)
        await conn.raw.execute(_LETTER)
        await guard.allow(conn, ACTOR, town, 1, "prova")
        ids["configurations"] = await add_configuration(
            conn, world.secrets, town, "https://example.org"
        )
        ids["webhooks"] = await _webhook(conn, world)
        ids["groups"] = await _group(conn, world)
        ids["reviews"] = await _in_review(conn, world)
        asked = Inviter(ACTOR, "Anna")
        made = await invite(conn, world.secrets, asked, town, "x@example.org", "reader", None)
        ids["invitations"] = made.invitation.id
        ids["people"] = str(
            await conn.raw.fetchval(
                "SELECT id FROM people.member WHERE institution_id = $1 AND role = 'reader'", town
            )
        )
        await record(conn, ACTOR, "tests.done", town)
    await add_client(pool, world.anna)
    ids["clients"] = f"{service}/live"
    return ids


def address(path: str, ids: Ids) -> str:
    """The address of a page: its parameters filled in from the part before each."""
    path = path.replace("{service}/{environment}", "{service}")
    return _PARAMETER.sub(lambda found: f"{found[1]}/{ids[found[1]]}", path)


async def _send(running: Running, world: World, fiscal_code: str) -> str:
    answer = await running.client.post(
        "/api/v1/messages",
        json=message(fiscal_code),
        headers={**world.anna.headers, "X-Messo-Reference": "pratica-1"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _webhook(conn: Connection, world: World) -> str:
    webhooks = Webhooks(world.secrets, record)
    new = events_wire.NewWebhook(url="https://example.org/hook", service_id=world.anna.id)
    made = await webhooks.create(conn, ACTOR, world.anna.institution, new)
    await conn.raw.execute(_DEAD, made.id, world.anna.id, clock.now())
    return str(made.id)


async def _group(conn: Connection, world: World) -> str:
    manager = manager_of(world.anna.institution)
    return str((await groups.create(conn, world.secrets, manager, "Scuola", []))["id"])


async def _in_review(conn: Connection, world: World) -> str:
    manager = manager_of(world.anna.institution)
    given = msgspec.json.encode(payload(name="Da rivedere"))
    data = parse(given, "Bad request", SANDBOX)
    made = await manage.create(conn, world.secrets, manager, data)
    await review.submit(conn, manager, made["id"], auto_publish=True, most=MOST)
    return str(made["id"])
