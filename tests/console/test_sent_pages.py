"""What became of the messages: the list with its search, the life of each, and the reports."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from messo.base import clock
from messo.base.db import Pool
from messo.base.work import Worker
from messo.console import sent_pages
from messo.messages import mailbox, sent
from messo.people.members import put_member
from messo.people.roles import Role
from messo.services.services import NewService, create_institution, create_service
from tests.conftest import Running
from tests.console.colleague import Colleague, browser_at
from tests.messages.mail import PAYMENT, Mail
from tests.world import ACTOR, AUTO, BLOCKING, LEGACY, SANDBOX, STRANGER, Caller, World

pytestmark = pytest.mark.anyio

HOSTILE = "=cmd|' /C calc'!A0 <b>grassetto</b>"


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


async def join(pool: Pool, institution: str, login: str, role: Role) -> None:
    async with pool.transaction() as conn:
        await put_member(conn, ACTOR, institution, login, login, f"{login}@example.org", role)


@pytest.fixture
async def clerk(running: Running, pool: Pool, world: World) -> AsyncIterator[Colleague]:
    """Somebody of Anna's institution who may send, logged in."""
    await join(pool, world.anna.institution, "clerk", "sender")
    async with browser_at(running.url) as opened:
        await opened.log_in("clerk")
        yield opened


def at(caller: Caller, end: str = "/messages") -> str:
    return f"/console/institutions/{caller.institution}{end}"


async def search(clerk: Colleague, caller: Caller, **typed: str) -> httpx.Response:
    """The answer to the form; a redirect is followed by hand."""
    form = {"csrf": await clerk.csrf(), **typed}
    answer = await clerk.client.post(at(caller), data=form)
    if answer.status_code != 303:
        return answer
    for value in typed.values():
        assert value not in unquote(answer.headers["location"])
    return await clerk.client.get(answer.headers["location"])


def listed(page: httpx.Response) -> list[str]:
    """Ids of the messages of a list."""
    assert page.status_code == 200, page.text
    return re.findall(r'<td><a href="[^"]*/messages/([0-9A-Z]{26})"', page.text)


async def shown(clerk: Colleague, caller: Caller, message_id: str) -> str:
    page = await clerk.client.get(at(caller, f"/messages/{message_id}"))
    assert page.status_code == 200, page.text
    return page.text


async def test_a_message_is_followed_from_accepted_to_read(
    clerk: Colleague, mail: Mail, pool: Pool, world: World
) -> None:
    message_id = await mail.post(world.anna, SANDBOX, "ADVANCED", subject="Il tuo passaporto")
    first = await shown(clerk, world.anna, message_id)
    assert "Accepted" in first
    assert "Not decided yet" in first
    part = f"{at(world.anna)}/{message_id}/timeline"
    assert f'hx-get="{part}" hx-trigger="load delay:1s, every 5s"' in first
    await mail.settle()
    fresh = await clerk.client.get(part, headers={"HX-Request": "true"})
    assert fresh.text.lstrip().startswith("<section")
    assert f'hx-get="{part}" hx-trigger="every 5s"' in fresh.text  # an e-mail may go out now
    assert "in the person" in fresh.text
    assert "Not read yet" in fresh.text
    async with pool.transaction() as conn:
        assert await mailbox.mark(conn, SANDBOX, [message_id], read=True)
        await conn.raw.execute(
            "UPDATE messages.message SET decided_at = decided_at - interval '1 minute' WHERE id = $1",
            message_id,
        )
    last = await shown(clerk, world.anna, message_id)
    assert "hx-get" not in last
    assert "The person has opened the message." in last
    assert "Not read yet" not in last


async def test_a_notice_that_went_out_stands_with_its_channel_and_state(
    clerk: Colleague, mail: Mail, pool: Pool, world: World
) -> None:
    message_id = await mail.send(world.anna)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "DELETE FROM notifications.delivery WHERE message_id = $1", message_id
        )
        await conn.raw.execute(
            "INSERT INTO events.log (bucket, message_id, kind, about, service_id, at) "
            "VALUES ($1, $2, 'notified', 'email', $3, now())",
            conn.bucket(AUTO),
            message_id,
            world.anna.id,
        )
    page = await shown(clerk, world.anna, message_id)
    assert "E-mail: Delivered" in page
    assert "Not notified" not in page


async def test_a_refusal_is_explained_and_says_what_to_do(
    clerk: Colleague, mail: Mail, world: World
) -> None:
    unknown = await shown(clerk, world.anna, await mail.send(world.anna, STRANGER))
    assert "Not delivered: Not enrolled" in unknown
    assert "We took it, to see whether" in unknown
    assert "kept here" not in unknown
    assert "Check the fiscal code" in unknown
    assert "Subject deleted" in unknown
    assert "<iframe" not in unknown
    unwanted = await shown(clerk, world.anna, await mail.send(world.anna, BLOCKING))
    assert "Not delivered: Refused by the person" in unwanted
    assert "Only they can change that" in unwanted


async def test_what_cannot_be_known_is_said_to_be_so(
    clerk: Colleague, mail: Mail, world: World
) -> None:
    payment: dict[str, Any] = {**PAYMENT, "invalid_after_due_date": False}
    standard = await shown(
        clerk, world.anna, await mail.send(world.anna, AUTO, payment_data=payment)
    )
    assert "Read: not known" in standard
    assert "Paid: not known" in standard
    assert str(PAYMENT["notice_number"]) in standard
    assert "€123.45" in standard
    assert "<dd>a payment notice</dd>" in standard
    hidden = await shown(clerk, world.anna, await mail.send(world.anna, LEGACY, "ADVANCED"))
    assert "does not let you know whether they read" in hidden
    due = await shown(
        clerk,
        world.anna,
        await mail.send(
            world.anna, AUTO, "ADVANCED", payment_data=payment, due_date="2031-05-06T10:00:00Z"
        ),
    )
    assert "6 May 2031" in due
    assert "Not known" not in due.split("Not read yet")[0]


async def test_its_text_is_shown_as_the_person_sees_it_and_closed_off(
    clerk: Colleague, mail: Mail, world: World
) -> None:
    page = await shown(clerk, world.anna, await mail.send(world.anna, subject=HOSTILE))
    assert "<b>grassetto</b>" not in page
    assert '<iframe sandbox="allow-same-origin"' in page
    assert "srcdoc=" in page


async def test_each_field_finds_and_nothing_of_it_is_in_an_address(
    clerk: Colleague, running: Running, mail: Mail, world: World
) -> None:
    found = await mail.send(world.secure, SANDBOX, subject="Referto 100%_pronto")
    body = {"fiscal_code": SANDBOX, "content": {"subject": "Con riferimento", "markdown": "x" * 90}}
    headers = {**world.anna.headers, "X-Messo-Reference": "PRATICA-77"}
    sent = await running.client.post("/api/v1/messages", json=body, headers=headers)
    referred = sent.json()["id"]
    refused = await mail.send(world.anna, STRANGER)
    today = clock.day_in_rome(clock.now())
    later = (today + timedelta(days=1)).isoformat()

    assert listed(await search(clerk, world.anna, words="100%_ REFERTO")) == [found]
    assert listed(await search(clerk, world.anna, words="100x")) == []
    assert listed(await search(clerk, world.anna, reference="PRATICA-77")) == [referred]
    assert listed(await search(clerk, world.anna, reference="PRATICA")) == []
    mine = listed(await search(clerk, world.anna, fiscal_code=" aaaaaa00a00a000a "))
    assert {found, referred} <= set(mine)
    assert refused not in mine
    assert found in listed(await search(clerk, world.anna, service_id=world.secure.id))
    assert referred not in listed(await search(clerk, world.anna, service_id=world.secure.id))
    rejected = listed(await search(clerk, world.anna, status="REJECTED"))
    assert refused in rejected
    assert found not in rejected
    assert found in listed(await search(clerk, world.anna, since=today.isoformat()))
    assert listed(await search(clerk, world.anna, since=later)) == []
    assert found in listed(await search(clerk, world.anna, until=f"{today:%d/%m/%Y}"))
    everything = await search(clerk, world.anna)
    assert found in listed(everything)
    assert "q=" not in str(everything.url)


async def test_wrong_input_comes_back_at_its_field(clerk: Colleague, world: World) -> None:
    page = await search(
        clerk, world.anna, fiscal_code="ROSSI", since="31/02/2026", words="rate <i>"
    )
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert 'href="#fiscal_code"' in page.text
    assert 'href="#since"' in page.text
    assert 'value="ROSSI"' in page.text
    assert 'value="rate &lt;i&gt;"' in page.text
    page = await search(clerk, world.anna, since="2026-05-02", until="2026-05-01")
    assert page.status_code == 400
    assert 'id="until-error"' in page.text


async def test_pages_follow_each_other_and_a_search_goes_with_them(
    clerk: Colleague, mail: Mail, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [await mail.post(world.anna, SANDBOX, subject=f"Pagina numero {n}") for n in range(5)]
    monkeypatch.setattr(sent_pages, "_PAGE", 2)
    seen, page = [], await search(clerk, world.anna, words="pagina numero")
    for _ in range(3):
        seen += listed(page)
        following = re.search(r'<a href="([^"]*)" rel="next"', page.text)
        if not following:
            break
        assert "pagina" not in following[1]
        assert "q=" in following[1]
        page = await clerk.client.get(following[1].replace("&amp;", "&"))
    assert seen == sorted(sent, reverse=True)
    assert 'rel="first"' in page.text


async def test_the_file_has_all_pages_of_the_search_and_no_formula(
    clerk: Colleague, mail: Mail, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await mail.post(world.anna, SANDBOX, subject=f"{HOSTILE} zeta") for _ in range(3)]
    monkeypatch.setattr(sent_pages, "_PAGE", 2)
    monkeypatch.setattr(sent_pages, "_STEP", 2)
    page = await search(clerk, world.anna, words="zeta")
    link = re.search(r'<a href="([^"]*format=csv[^"]*)" download', page.text)
    assert link
    file = await clerk.client.get(link[1].replace("&amp;", "&"))
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [row["Message"] for row in rows] == sorted(ids, reverse=True)
    assert all(row["Subject"].startswith("'=cmd|") for row in rows)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows[0]["Sent"])
    assert rows[0]["Recipient"] == SANDBOX
    # As many steps as it takes and not more, however long the list.
    monkeypatch.setattr(sent_pages, "_STEPS", 1)
    file = await clerk.client.get(link[1].replace("&amp;", "&"))
    assert len(list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))) == 2


async def test_a_search_sealed_for_another_is_nothing_to_me(
    clerk: Colleague, other: Colleague, pool: Pool, world: World
) -> None:
    await join(pool, world.anna.institution, "second", "sender")
    await other.log_in("second")
    page = await search(clerk, world.anna, fiscal_code=STRANGER)
    assert STRANGER in page.text
    stolen = await other.client.get(str(page.url))
    assert stolen.status_code == 200
    assert f'value="{STRANGER}"' not in stolen.text


async def test_another_institutions_message_is_not_there(
    clerk: Colleague, mail: Mail, world: World
) -> None:
    message_id = await mail.send(world.bruno, SANDBOX)
    for end in (f"/messages/{message_id}", f"/messages/{message_id}/timeline", "/messages/x%00"):
        assert (await clerk.client.get(at(world.anna, end))).status_code == 404, end
    assert (await clerk.client.get(at(world.bruno))).status_code == 404
    assert message_id not in listed(await clerk.client.get(at(world.anna)))
    stolen = await clerk.client.get(at(world.anna, f"/messages?service={world.bruno.id}"))
    assert stolen.status_code == 404


@pytest.mark.parametrize("role", ["reader", "editor"])
async def test_who_may_not_send_sees_nothing_of_it(
    role: Role, other: Colleague, mail: Mail, pool: Pool, world: World
) -> None:
    await join(pool, world.anna.institution, role, role)
    await other.log_in(role)
    message_id = await mail.send(world.anna)
    for end in (
        "/messages",
        f"/messages/{message_id}",
        f"/messages/{message_id}/timeline",
        "/reports",
    ):
        assert (await other.client.get(at(world.anna, end))).status_code == 403, end


async def test_reports_are_listed_with_what_they_mean_and_as_a_file(
    clerk: Colleague, mail: Mail, pool: Pool, world: World
) -> None:
    empty = await clerk.client.get(at(world.anna, "/reports"))
    assert "No reports" in empty.text
    message_id = await mail.send(world.anna, SANDBOX, subject="Un <b>altro</b> Mario")
    async with pool.transaction() as conn:
        assert await mailbox.report_not_for_me(conn, SANDBOX, message_id)
    page = await clerk.client.get(at(world.anna, "/reports"))
    link = re.search(rf'<a href="[^"]*/{message_id}">(.*?)</a> <span[^>]*>(\w+)<', page.text)
    assert link
    assert link.groups() == ("Un &lt;b&gt;altro&lt;/b&gt; Mario", SANDBOX)
    assert "correct it there" in page.text
    file = await clerk.client.get(at(world.anna, "/reports?format=csv"))
    (row,) = csv.DictReader(io.StringIO(file.content.decode("utf-8-sig")))
    assert (row["Message"], row["Recipient"]) == (message_id, SANDBOX)
    assert row["Subject"] == "Un <b>altro</b> Mario"
    life = await shown(clerk, world.anna, message_id)
    assert "was not meant for them" in life
    only = await clerk.client.get(at(world.anna, f"/reports?service={world.secure.id}"))
    assert message_id not in only.text


async def test_with_very_many_services_one_is_picked_first(
    other: Colleague, mail: Mail, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        for number in range(201):
            await create_service(
                conn, ACTOR, world.bruno.institution, NewService(f"Sportello {number:03d}"), SANDBOX
            )
    await join(pool, world.bruno.institution, "bruno", "sender")
    await other.log_in("bruno")
    message_id = await mail.send(world.bruno, SANDBOX)
    for end in ("/messages", "/reports", "/figures"):
        page = await other.client.get(at(world.bruno, end))
        assert page.status_code == 200
        assert "Choose a service" in page.text
        form = {"csrf": await other.csrf(), "find": "SPORTELLO 1_0"}
        none = await other.client.post(at(world.bruno, end), data=form)
        assert "No service has this id" in none.text
        form["find"] = "biblio"
        found = await other.client.post(at(world.bruno, end), data=form)
        assert f"{at(world.bruno, end)}?service={world.bruno.id}" in found.text
        form["find"] = world.bruno.id
        assert world.bruno.id in (await other.client.post(at(world.bruno, end), data=form)).text
    page = await other.client.get(at(world.bruno, f"/messages?service={world.bruno.id}"))
    assert message_id in listed(page)
    assert "Choose another" in page.text
    form = {"csrf": await other.csrf(), "words": "tessera"}
    answer = await other.client.post(
        at(world.bruno, f"/messages?service={world.bruno.id}"), data=form
    )
    found = await other.client.get(answer.headers["location"])
    assert message_id in listed(found)
    overview = await other.client.get(at(world.bruno, ""))
    assert overview.status_code == 200
    assert "very many services" in overview.text


async def test_in_italian(clerk: Colleague, mail: Mail, world: World) -> None:
    message_id = await mail.send(world.anna, SANDBOX, "ADVANCED")
    clerk.client.headers["Accept-Language"] = "it"
    assert "Cerca" in (await clerk.client.get(at(world.anna))).text
    page = await shown(clerk, world.anna, message_id)
    assert "A che punto è" in page
    assert "Non ancora letto" in page
    assert "Non è per me" in (await clerk.client.get(at(world.anna, "/reports"))).text


async def test_a_search_says_how_far_it_looked_and_goes_on(
    clerk: Colleague, mail: Mail, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await mail.send(world.anna, STRANGER)
    for _ in range(5):
        await mail.send(world.anna, SANDBOX)
    monkeypatch.setattr(sent, "WINDOW", 4)
    page = await search(clerk, world.anna, status="REJECTED")
    assert listed(page) == []
    assert "We have looked back to" in page.text
    further = re.search(r'<a href="([^"]*)" rel="next">Look further back', page.text)
    assert further
    page = await clerk.client.get(further[1].replace("&amp;", "&"))
    assert listed(page)[:1] == [refused]


async def test_a_file_goes_on_until_it_is_full_and_says_where_it_ends(
    clerk: Colleague, mail: Mail, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a search whose hits lie behind many windows, and of one that is too long to finish."""
    wanted = await mail.send(world.anna, STRANGER)
    for _ in range(9):
        await mail.send(world.anna, SANDBOX)
    monkeypatch.setattr(sent, "WINDOW", 2)
    page = await search(clerk, world.anna, status="REJECTED")
    address = f"{page.url}&format=csv"
    rows = list(
        csv.DictReader(io.StringIO((await clerk.client.get(address)).text.lstrip("\ufeff")))
    )
    assert wanted in {row["Message"] for row in rows}
    monkeypatch.setattr(sent_pages, "_STEPS", 2)
    rows = list(
        csv.DictReader(io.StringIO((await clerk.client.get(address)).text.lstrip("\ufeff")))
    )
    assert wanted not in {row["Message"] for row in rows}
    assert rows[-1]["Sent"].startswith("We have looked back to")


async def test_one_institution_makes_one_file_at_a_time(
    clerk: Colleague, running: Running, world: World
) -> None:
    address = at(world.anna, "/messages?format=csv")
    turns = running.started.app.pages.state.console.turns
    async with turns.one(f"file:{world.anna.institution}", 1, 0):
        busy = await clerk.client.get(address)
    assert busy.status_code == 503
    assert "One moment, please" in busy.text
    assert (await clerk.client.get(address)).status_code == 200


async def test_where_nothing_was_sent_there_is_nothing_to_search(
    other: Colleague, pool: Pool
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(conn, ACTOR, "00000000066", "Comune vuoto", "v@b.it")
        await create_service(conn, ACTOR, town, NewService("Anagrafe"), SANDBOX)
    await join(pool, town, "empty", "sender")
    await other.log_in("empty")
    page = (await other.client.get(f"/console/institutions/{town}/messages")).text
    assert "No message yet" in page
    assert "data-search" not in page
