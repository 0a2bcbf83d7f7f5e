"""The last look at a message in the console, sending it to oneself, and sending it once."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
from prometheus_client import generate_latest

from messo.base import metrics
from messo.base.coalesce import QueueFullError
from messo.base.db import Pool
from messo.people.roles import Role
from messo.sandbox.fiscal_codes import make
from messo.services.oversight import restore, suspend
from tests.conftest import Running
from tests.console.forms import Page
from tests.console.writing import (
    SUBJECT,
    TEXT,
    Writer,
    button,
    count,
    forms_of,
    id_of,
    sent,
    typed,
    writing,
)
from tests.world import AUTO, BLOCKING, SANDBOX, STRANGER, World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def writer(running: Running, pool: Pool, world: World) -> AsyncIterator[Writer]:
    async with writing(running, pool, world) as made:
        yield made


async def test_what_was_typed_is_what_is_kept(writer: Writer, pool: Pool, world: World) -> None:
    checked = await writer.post(
        "/write/check",
        typed(
            world,
            fiscal_code=AUTO.lower(),
            due_day="2031-07-31",
            notice_number="3010 0000 0000 0000 43",
            amount="120,50",
            invalid_after="1",
            secure="1",
            reference="pratica-7",
        ),
    )
    _, form = forms_of(checked)
    assert "Can be reached" in checked.text
    assert AUTO in checked.text
    assert "31 July 2031, 23:59" in checked.text
    kept = await sent(pool, id_of(await writer.post("/write/send", button(form, "send"))))
    assert kept["fiscal_code"] == AUTO
    assert (kept["subject"], kept["markdown"]) == (SUBJECT, TEXT)
    assert kept["reference"] == "pratica-7"
    assert kept["feature_level_type"] == "ADVANCED"
    assert json.loads(kept["parts"]) == {
        "require_secure_channels": True,
        "due_date": "2031-07-31T21:59:00.000Z",
        "payment_data": {
            "amount": 12050,
            "notice_number": "301000000000000043",
            "invalid_after_due_date": True,
        },
    }


async def test_pressed_twice_or_checked_again_it_is_sent_once(
    writer: Writer, pool: Pool, world: World
) -> None:
    _, form = forms_of(await writer.post("/write/check", typed(world)))
    before = await count(pool)
    pressed = [writer.post("/write/send", button(form, "send")) for _ in range(3)]
    answers = await asyncio.gather(*pressed)
    assert len({id_of(answer) for answer in answers}) == 1
    async with pool.connection() as conn:
        entries = await conn.raw.fetchval(
            "SELECT count(*) FROM operations.audit WHERE subject = $1", id_of(answers[0])
        )
    assert entries == 1
    nonce = dict(form.fields)["nonce"]
    _, again = forms_of(await writer.post("/write/check", typed(world, nonce=nonce)))
    assert id_of(await writer.post("/write/send", button(again, "send"))) == id_of(answers[0])
    assert await count(pool) == before + 1
    # Changed after that it is another message.
    _, other = forms_of(await writer.post("/write/check", typed(world, nonce=nonce, secure="1")))
    assert id_of(await writer.post("/write/send", button(other, "send"))) != id_of(answers[0])


async def test_it_comes_to_oneself_first_and_the_browser_remembers_the_code_for_this_login(
    writer: Writer, pool: Pool, world: World
) -> None:
    me, form = forms_of(await writer.post("/write/check", typed(world)))
    refused = await writer.post("/write/send", button(me, "me", mine="ROSSI"))
    assert refused.status_code == 400
    assert "Write your own fiscal code" in refused.text
    before = await count(pool)
    answer = await writer.post("/write/send", button(me, "me", mine=SANDBOX.lower()))
    assert answer.status_code == 200
    found = re.search(r"/messages/([0-9A-Z]{26})\"", answer.text)
    assert found
    assert (await sent(pool, found[1]))["fiscal_code"] == SANDBOX
    assert await count(pool) == before + 1
    await writer.post("/write/send", button(me, "me", mine=SANDBOX))
    assert await count(pool) == before + 1
    cookie = writer.one.client.cookies["messo-staff-write"]
    assert SANDBOX not in cookie
    again, _ = forms_of(await writer.post("/write/check", typed(world)))
    assert ("mine", SANDBOX) in again.fields
    assert f'value="{world.anna.id}" selected' in (await writer.get()).text
    to_them = id_of(await writer.post("/write/send", button(form, "send")))
    assert (await sent(pool, to_them))["fiscal_code"] == AUTO
    await writer.one.log_in(writer.login)  # anew: nothing is remembered
    fresh, _ = forms_of(await writer.post("/write/check", typed(world)))
    assert ("mine", "") in fresh.fields


async def test_who_sent_it_is_recorded_without_its_recipient(
    writer: Writer, pool: Pool, world: World
) -> None:
    _, form = forms_of(await writer.post("/write/check", typed(world)))
    message_id = id_of(await writer.post("/write/send", button(form, "send")))
    async with pool.connection() as conn:
        (entry,) = await conn.raw.fetch(
            "SELECT actor, action, detail::text FROM operations.audit WHERE subject = $1",
            message_id,
        )
    assert entry["action"] == "message.send"
    assert entry["actor"].startswith("member:")
    assert json.loads(entry["detail"]) == {"service": world.anna.id, "to_oneself": False}


@pytest.mark.parametrize(
    ("recipient", "said"),
    [(STRANGER, "Nobody with this fiscal code"), (BLOCKING, "has not let this service write")],
)
async def test_it_says_beforehand_who_cannot_be_reached(
    writer: Writer, world: World, recipient: str, said: str
) -> None:
    checked = await writer.post("/write/check", typed(world, fiscal_code=recipient))
    assert said in checked.text
    assert checked.text.count("represents it") == 1
    sending = checked.text.rsplit("<form", 1)[1]
    assert re.findall(
        r'<button class="btn btn-(primary|outline-primary)".*>([\w ]+)</', sending
    ) == [
        ("primary", "Change"),
        ("outline-primary", "Send all the same"),
    ]


async def test_the_longest_text_that_the_api_takes(
    writer: Writer, pool: Pool, world: World
) -> None:
    longest = ("però 👍\n" * 1250)[:-1] + "!"
    assert len(longest.encode("utf-16-le")) // 2 == 10_000
    _, form = forms_of(await writer.post("/write/check", typed(world, markdown=longest)))
    kept = await sent(pool, id_of(await writer.post("/write/send", button(form, "send"))))
    assert kept["markdown"] == longest
    answer = await writer.post("/write/check", typed(world, markdown=longest + "a"))
    assert "it has 10001" in answer.text


async def test_it_says_whether_anything_was_sent(
    writer: Writer, pool: Pool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, form = forms_of(await writer.post("/write/check", typed(world)))

    async def full(*_: object, **__: object) -> str:
        raise QueueFullError

    before = await count(pool)
    with monkeypatch.context() as patched:
        patched.setattr("messo.messages.submit.Accept.keep", full)
        answer = await writer.post("/write/send", button(form, "send"))
    assert answer.status_code == 503
    assert "We do not know whether it was sent" in answer.text
    assert await count(pool) == before
    _, again = (
        one
        for one in Page(str(answer.url), answer.text).forms
        if one.action.endswith("/write/send")
    )
    assert again.fields[1:] == form.fields[1:]
    id_of(await writer.post("/write/send", button(again, "send")))


async def test_a_suspended_institution_writes_to_nobody(
    writer: Writer, pool: Pool, world: World
) -> None:
    _, form = forms_of(await writer.post("/write/check", typed(world)))
    async with pool.transaction() as conn:
        await suspend(conn, "tests", "institution", world.anna.institution, "why")
    before = await count(pool)
    assert (await writer.get()).status_code == 403
    assert (await writer.post("/write/send", button(form, "send"))).status_code == 403
    assert await count(pool) == before
    async with pool.transaction() as conn:
        await restore(conn, "tests", "institution", world.anna.institution)


@pytest.mark.parametrize("role", ["reader", "editor"])
async def test_other_roles_do_not_write(
    running: Running, pool: Pool, world: World, role: Role
) -> None:
    async with writing(running, pool, world, role) as one:
        before = await count(pool)
        assert (await one.get()).status_code == 403
        for path in ("/write", "/write/preview", "/write/check", "/write/send"):
            answer = await one.post(path, {**typed(world), "go": "send"})
            assert answer.status_code == 403
        assert await count(pool) == before


async def test_nothing_of_a_message_is_in_an_address_a_log_or_a_metric(
    writer: Writer, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = make("TSTSCR80A01Y777")
    given = typed(world, fiscal_code=secret, subject="Zibaldone segreto", reference="r9")
    answers = [await writer.post("/write/preview", given)]
    answers.append(await writer.post("/write/check", given))
    me, form = forms_of(answers[-1])
    answers.append(await writer.post("/write/send", button(me, "me", mine=secret)))
    answers.append(await writer.post("/write/send", button(form, "send")))
    seen = " ".join(
        [str(one.url) + one.headers.get("location", "") for one in answers]
        + [str(one.headers) for one in answers]
    )
    said = caplog.text + generate_latest(metrics.registry).decode()
    for text in (secret, "Zibaldone", "la tua **carta**"):
        assert text not in seen
        assert text not in said


async def test_logins_are_limited(
    writer: Writer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messo.base.limits.RateLimit.take", lambda *_: (-1, 0.5))
    assert (await writer.get()).status_code == 429
    for path in ("/write", "/write/preview", "/write/check", "/write/send"):
        assert (await writer.post(path, typed(world))).status_code == 429


async def test_previews_have_a_limit_of_their_own(writer: Writer, world: World) -> None:
    given = {"csrf": await writer.one.csrf(), **typed(world, service="")}
    asked = [writer.post("/write", given) for _ in range(60)]
    answers = [answer.status_code for answer in await asyncio.gather(*asked)]
    assert answers.count(200) >= 30
    assert 429 in answers
