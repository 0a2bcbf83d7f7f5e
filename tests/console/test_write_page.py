"""Writing a message in the console: the form and its JSON, the preview, what is wrong."""

import html
import json
import re
from collections.abc import AsyncIterator

import pytest

from messo.base.db import Pool
from messo.console.write_draft import Draft, cents, due
from messo.people.members import put_member
from messo.services.services import NewService, create_institution, create_service
from tests.conftest import Running
from tests.console.colleague import browser_at
from tests.console.forms import Page
from tests.console.writing import (
    TEXT,
    Writer,
    as_json,
    button,
    forms_of,
    id_of,
    sent,
    typed,
    writing,
)
from tests.world import AUTO, SANDBOX, World, message

pytestmark = pytest.mark.anyio

EVIL = (
    '<script>alert(1)</script> <style>*{}</style> <iframe src="https://example.org"></iframe> '
    '[premi](javascript:alert(1)) [<b>](https://example.org/"onclick=x) ' + TEXT
)


@pytest.fixture
async def writer(running: Running, pool: Pool, world: World) -> AsyncIterator[Writer]:
    async with writing(running, pool, world) as made:
        yield made


async def test_each_field_says_what_is_wrong_and_nothing_typed_is_lost(
    writer: Writer, world: World
) -> None:
    wrong = typed(
        world,
        fiscal_code="RSSMRA",
        subject="Corto",
        markdown="Poco",
        due_day="2031-02-30",
        amount="dodici",
        notice_number="3",
        payee="1",
        reference="due parole",
        third_id="x",
    )
    answer = await writer.post("/write/check", wrong)
    assert answer.status_code == 400
    names = re.findall(r'<a href="#(\w+)">', answer.text)
    expected = {"fiscal_code", "subject", "markdown", "due_day", "amount", "notice_number"}
    assert {*expected, "payee", "reference", "configuration"} == set(names)
    assert "it has 5" in answer.text
    (form,) = [one for one in Page(str(answer.url), answer.text).forms if "write" in one.action][:1]
    fields = dict(form.fields)
    assert {name: fields[name] for name in wrong if name != "due_day"} == {
        name: value for name, value in wrong.items() if name != "due_day"
    }

    async def about(**more: str) -> str:
        return html.unescape((await writer.post("/write/check", typed(world, **more))).text)

    assert "This service may ask for €1,000.00" in await about(
        amount="1.000,01", notice_number="301000000000000043"
    )
    mistyped = await about(amount="5000", notice_number="301000000000000044", subject="Corto")
    for said in ("probably mistyped", "may ask for €1,000.00", "it has 5"):  # all in one round
        assert said in mistyped
    assert "Choose the service" in await about(service="")
    assert "No service that can write" in await about(service=world.bruno.id)
    assert "authorized recipients only" in await about(service=world.draft.id)


async def test_json_is_sent_as_it_is_and_its_errors_name_the_place(
    writer: Writer, pool: Pool, world: World
) -> None:
    body = message(AUTO, due_date="2031-01-01T00:00:00Z")
    body["time_to_live"] = 3600.0
    _, form = forms_of(await writer.post("/write/check", as_json(world, body, reference="r1")))
    kept = await sent(pool, id_of(await writer.post("/write/send", button(form, "send"))))
    assert kept["markdown"] == body["content"]["markdown"]
    assert kept["reference"] == "r1"
    for bad, said in (
        ({"fiscal_code": AUTO}, "This is missing in the JSON: content"),
        (message(AUTO, subject=7), "Something is wrong at: content.subject"),
        (message("X"), "Something is wrong at: fiscal_code"),
        ('{\n"content" 7}', "This is not JSON: look at line 2, column 11."),
        ('{"content": ' * 2000, "Something is wrong at: the whole text"),
    ):
        answer = await writer.post("/write/check", as_json(world, bad))
        assert answer.status_code == 400
        assert said in answer.text


async def test_form_and_json_turn_into_each_other_with_all_that_was_typed(
    writer: Writer, world: World
) -> None:
    given = typed(world, due_day="2031-07-31", amount="12", notice_number="3", reference="r-1")
    turned = await writer.post("/write", {**given, "go": "json"})
    (form,) = [one for one in Page(str(turned.url), turned.text).forms if "write" in one.action][:1]
    fields = dict(form.fields)
    body = json.loads(fields["json"])
    assert body["content"]["markdown"] == TEXT
    assert body["content"]["due_date"] == "2031-07-31T21:59:00.000Z"
    assert body["content"]["payment_data"] == {"amount": 1200, "notice_number": "3"}
    assert fields["reference"] == "r-1"
    whole = message(AUTO, due_date="2031-07-31T21:59:00Z", require_secure_channels=True)
    whole["feature_level_type"] = "ADVANCED"
    back = await writer.post("/write", {**as_json(world, whole), "go": "form"})
    (form,) = [one for one in Page(str(back.url), back.text).forms if "write" in one.action][:1]
    fields = dict(form.fields)
    assert (fields["as"], fields["due_day"], fields["due_time"]) == ("form", "2031-07-31", "23:59")
    assert fields["subject"] == whole["content"]["subject"]
    assert "secure" in fields
    whole["time_to_live"] = 7200
    stays = await writer.post("/write", {**as_json(world, whole), "go": "form"})
    assert "The form cannot say all" in stays.text
    assert "7200" in stays.text


async def test_the_preview_is_inert_and_in_both_languages(writer: Writer, world: World) -> None:
    answer = await writer.post(
        "/write/preview", typed(world, subject='<img src=x onerror="a">', markdown=EVIL)
    )
    assert answer.status_code == 200
    found = re.findall(r'<iframe sandbox="([^"]*)" srcdoc="([^"]*)"', answer.text)
    assert [sandbox for sandbox, _ in found] == ["allow-same-origin"] * 2
    for (_, srcdoc), language in zip(found, ("it", "en"), strict=True):
        page = html.unescape(srcdoc)
        assert f'<html lang="{language}">' in page
        assert not re.search(r"<(script|style|iframe|img)\b", page)
        assert not re.search(r"<a\b(?:[^>\"]|\"[^\"]*\")*href", page)
        assert not re.search(r"<(?:[^>\"]|\"[^\"]*\")*\son\w+=", page)
    assert "<script" not in answer.text


async def test_incomplete_input_is_shown_as_far_as_it_goes(writer: Writer, world: World) -> None:
    for given in (
        typed(world, subject="", markdown="", fiscal_code="R"),
        typed(world, amount="1", due_day="2031", notice_number="3"),
        as_json(world, {"content": {"subject": "Oggetto"}}),
        as_json(world, {"content": {"payment_data": {"amount": 1}, "due_date": 7}}),
    ):
        answer = await writer.post("/write/preview", given)
        assert answer.status_code == 200
        assert "Comune di Anna" in answer.text
    broken = await writer.post("/write/preview", as_json(world, '{"content'))
    assert "Correct the JSON to see the preview." in broken.text
    assert "<iframe" not in broken.text
    no_service = await writer.post("/write/preview", typed(world, service=""))
    assert no_service.status_code == 204
    no_amount = typed(world, amount="dodici", notice_number="301000000000000043")
    assert "0,00" not in (await writer.post("/write/preview", no_amount)).text


async def test_advice_stands_at_its_field_and_never_blocks(writer: Writer, world: World) -> None:
    mistyped = AUTO[:-1] + ("A" if AUTO[-1] != "A" else "B")
    button_in = (
        '---\nit:\n  cta_1:\n    text: "Entra"\n    action: "iosso://https://example.net/"\n---\n'
    )
    given = typed(world, fiscal_code=mistyped, markdown=button_in + TEXT, due_day="2001-01-01")
    answer = (await writer.post("/write/preview", given)).text
    for name, said in (
        ("fiscal_code", "probably mistyped"),
        ("markdown", "not registered"),
        ("due_day", "This moment is over"),
    ):
        slot = re.search(rf'id="advice-{name}"[^>]*>(.*?)</div>', answer, re.DOTALL)
        assert slot
        assert said in slot[1]
    checked = await writer.post("/write/check", given)
    forms_of(checked)
    assert "not registered" in checked.text


async def test_change_brings_everything_back(writer: Writer, world: World) -> None:
    given = typed(world, amount="12,50", notice_number="301000000000000043", reference="r")
    _, form = forms_of(await writer.post("/write/check", given))
    back = await writer.post("/write", button(form, "change"))
    (again,) = [one for one in Page(str(back.url), back.text).forms if "write" in one.action][:1]
    fields = dict(again.fields)
    assert {name: fields[name] for name in given} == {**given, "markdown": TEXT}


@pytest.mark.parametrize("path", ["/write", "/write/check"])
async def test_the_draft_survives_another_language(writer: Writer, world: World, path: str) -> None:
    given = typed(world, amount="12,50", notice_number="301000000000000043", reference="r")
    before = (await writer.post(path, given)).text
    header = before[: before.index("<main")]
    assert 'action="/language"' not in header
    assert f'formaction="{writer.at}{path}" name="language" value="it"' in header
    first = re.search(r'<button[^>]* form="write"[^>]*>', before)
    assert first  # pressing Enter means the first one
    assert "language" not in first[0]
    answer = await writer.post(path, {**given, "language": "it"})
    assert '<html lang="it">' in answer.text
    assert "Messaggi</span>" in answer.text[: answer.text.index("<main")]
    form = next(one for one in Page(str(answer.url), answer.text).forms if "write" in one.action)
    fields = dict(form.fields)
    assert {name: fields[name] for name in given} == {**given, "markdown": TEXT}
    assert '<html lang="it">' in (await writer.get()).text  # the browser remembers it
    odd = await writer.post(path, {**given, "language": "xx"})
    assert '<html lang="it">' in odd.text


async def test_names_of_services_play_no_tricks(running: Running, pool: Pool, world: World) -> None:
    async with pool.transaction() as conn:
        new = NewService("Ufficio con trucchi")
        await create_service(conn, "tests", world.anna.institution, new, SANDBOX)
        await conn.raw.execute(  # as one may be called since before names were looked at
            "UPDATE services.service SET name = 'Ufficio ' || chr(8238) || 'tset' "
            "WHERE name = 'Ufficio con trucchi'"
        )
    async with writing(running, pool, world) as one:
        page = (await one.get()).text
    assert ">Ufficio " in page
    assert "\u202e" not in page


async def test_it_speaks_italian(running: Running, pool: Pool, world: World) -> None:
    async with writing(running, pool, world, language="it") as one:
        assert "Scrivi un messaggio" in (await one.get()).text
        checked = await one.post("/write/check", typed(world))
        assert "Si può raggiungere" in checked.text
        wrong = await one.post("/write/check", typed(world, subject="Corto"))
        assert "oggetto deve avere da 10 a 120 caratteri" in wrong.text
        broken = (await one.post("/write/check", as_json(world, "{\n7}"))).text
        assert "Questo non è JSON: guarda alla riga 2, colonna" in broken
        assert "Correggi il JSON per vedere l&#39;anteprima." in broken
        missing = (await one.post("/write/check", as_json(world, {"fiscal_code": AUTO}))).text
        assert "Nel JSON manca: content" in missing


async def test_of_many_services_one_is_found_by_its_name_or_id(
    running: Running, pool: Pool, world: World
) -> None:
    town = world.bruno.institution
    async with pool.transaction() as conn:
        for number in range(201):
            await create_service(conn, "tests", town, NewService(f"Ufficio {number:03}"), SANDBOX)
        await put_member(conn, "tests", town, "many", "M", "m@b.it", "sender")
    async with browser_at(running.url) as one:
        await one.log_in("many")
        writer = Writer(one, town)
        empty = (await writer.get()).text
        assert "Ufficio 001" not in empty
        assert "words of its name" in empty
        several = await writer.post("/write/check", typed(world, service="ufficio 00"))
        assert "Several services are called like this" in several.text
        assert several.text.count("<option") == 13  # 12 have it, and none is chosen
        found = await writer.post("/write/check", typed(world, service="ufficio 123"))
        assert "Ufficio 123, Comune di Bruno" in found.text
        found = await writer.post("/write/check", typed(world, service=world.bruno.id))
        assert "Biblioteca, Comune di Bruno" in found.text
        none = await writer.post("/write/check", typed(world, service="anagrafe"))
        assert "No service that can write is called like this" in none.text


async def test_without_a_service_that_can_write_it_says_what_to_do(
    running: Running, pool: Pool
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(conn, "tests", "00000000009", "Comune di Nadia", "n@b.it")
        await put_member(conn, "tests", town, "nadia", "N", "n@b.it", "sender")
    async with browser_at(running.url) as one:
        await one.log_in("nadia")
        assert "No service can write yet" in (await Writer(one, town).get()).text


@pytest.mark.parametrize(
    ("typed_amount", "expected"),
    [
        ("12", 1200),
        ("12,5", 1250),
        ("12.50", 1250),
        ("€ 1.234,56", 123456),
        ("1.234", 123400),
        ("0,01", 1),
        ("12,505", None),
        ("1,234.50", None),
        ("-1", None),
        ("1e3", None),
        ("", None),
    ],
)
def test_amounts_as_people_write_them(typed_amount: str, expected: int | None) -> None:
    assert cents(typed_amount) == expected


def test_a_due_date_is_a_moment_in_rome() -> None:
    winter = Draft("form", {"due_day": "2031-01-31", "due_time": "12:30"})
    summer = Draft("form", {"due_day": "2031-07-31"})
    assert [str(due(one)) for one in (winter, summer)] == [
        "2031-01-31 11:30:00+00:00",
        "2031-07-31 21:59:00+00:00",
    ]
    for day, time in (
        ("0001-01-01", "00:00"),
        ("2031-13-01", ""),
        ("", "12:00"),
        ("2031-01-01", "x"),
    ):
        assert due(Draft("form", {"due_day": day, "due_time": time})) is None


async def test_a_draft_says_that_it_is_one_and_writes_to_whom_it_may(
    writer: Writer, world: World
) -> None:
    form = (await writer.get(f"/write?service={world.draft.id}")).text
    assert "Bozza (draft)" in form
    assert "it writes to its authorized recipients only" in form
    given = typed(world, service=world.draft.id, fiscal_code=SANDBOX)
    checked = await writer.post("/write/check", given)
    assert "your fiscal code must be among them" in checked.text
    me, _ = forms_of(checked)
    refused = await writer.post("/write/send", button(me, "me", mine=AUTO))
    assert refused.status_code == 403
    assert "It was not sent" in refused.text
    assert "Add the fiscal code" in refused.text


async def test_json_begins_with_what_every_message_has(writer: Writer, world: World) -> None:
    page = await writer.get(f"/write?as=json&service={world.anna.id}")
    (form,) = [one for one in Page(str(page.url), page.text).forms if "write" in one.action][:1]
    begun = json.loads(dict(form.fields)["json"])
    assert begun["fiscal_code"] == ""
    assert begun["content"] == {"subject": "", "markdown": ""}
