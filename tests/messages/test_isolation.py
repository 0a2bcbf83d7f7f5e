"""One citizen never sees or counts what is another's: it answers exactly as what does not exist."""

import re
from typing import Any

import httpx
import pytest

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.login import Identity, open_session
from messo.messages import mailbox
from messo.sandbox.fiscal_codes import make
from tests.conftest import Running
from tests.messages.test_openapi import routes_of_both
from tests.recipients.person import LIMITS, Person, enter
from tests.world import World, message

MINE, THEIRS = make("TSTSLT80A01Y001"), make("TSTSLT80A01Y002")
# What differs from answer to answer whoever asks.
_VARIES = {"date", "x-request-id", "ratelimit", "content-length"}


@pytest.fixture(scope="module")
async def theirs(pool: Pool, running: Running, world: World, worker: Worker) -> dict[str, Any]:
    """Another citizen, with everything that has an id."""
    them = await enter(pool, running.client, THEIRS)
    sent = await running.client.post(
        "/api/v1/messages", json=message(THEIRS), headers=world.anna.headers
    )
    while await worker.work_once():
        pass
    sessions = (await them.get("/api/auth/v1/sessions")).json()
    await them.request(
        "PUT",
        "/api/communication/v1/installations/their-phone",
        json={"platform": "apns", "pushChannel": "x"},
    )
    await them.post("/api/identity/v1/user-data-processing", {"choice": "DOWNLOAD"})
    return {
        "message": sent.json()["id"],
        "session": re.findall(r'"id":"(\w+)"', httpx.Response(200, json=sessions).text)[0],
        "person": them,
    }


def seen(answer: httpx.Response, given: str) -> tuple[int, dict[str, str], str]:
    """All that tells one answer from another, the asked id apart."""
    headers = {name: value for name, value in answer.headers.items() if name not in _VARIES}
    return answer.status_code, headers, answer.text.replace(given, "ID")


BODIES: dict[str, Any] = {
    "PUT": {"change_type": "bulk", "is_archived": True, "is_read": True},
}


async def test_every_route_with_an_id_hides_what_is_anothers(
    pool: Pool, running: Running, theirs: dict[str, Any]
) -> None:
    me = await enter(pool, running.client, MINE)
    walked = 0
    for route in routes_of_both()[1]:
        kind = {"messages": "message", "sessions": "session"}.get(route.path.split("/")[4:5][0])
        if "{id}" not in route.path or kind is None:
            continue
        walked += 1
        unknown = new_id()
        answers = [
            seen(
                await me.request(
                    route.method, route.path.replace("{id}", one), json=BODIES.get(route.method)
                ),
                one,
            )
            for one in (theirs[kind], unknown)
        ]
        assert answers[0] == answers[1], route.path
        assert answers[0][0] in {200, 204, 404}, route.path
    assert walked >= 3
    them: Person = theirs["person"]
    still = await them.get(
        f"/api/communication/v1/messages/{theirs['message']}?public_message=true"
    )
    assert (still.json()["is_read"], still.json()["is_archived"]) == (False, False)
    assert (await them.get("/api/auth/v1/session?fields=(spidLevel)")).status_code == 200


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


async def test_a_page_of_anothers_message_is_as_one_that_does_not_exist(
    pool: Pool, running: Running, theirs: dict[str, Any]
) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.profile SET accepted_tos_version = 1 WHERE fiscal_code = $1", MINE
        )
        identity = Identity(MINE, "Ada", "Prova", "https://www.spid.gov.it/SpidL2")
        token = await open_session(conn, identity, "web", "test", LIMITS)
    cookies = {"cookie": f"messo={token}"}
    for path in ("/messages/{}", "/messages/{}/due.ics", "/messages/{}/not-for-me"):
        answers = []
        for one in (theirs["message"], new_id()):
            answer = await running.client.get(path.format(one), headers=cookies)
            answers.append(seen(answer, one))
        assert answers[0] == answers[1], path
        assert answers[0][0] == 404, path
