"""Calling an institution's server to see what is wrong: over the API, field by field."""

import asyncio
from io import BytesIO
from typing import Any

import httpx
import pikepdf
import pytest

from messo.base.db import Pool
from messo.base.ids import new_id
from tests.conftest import Running
from tests.content.institution import (
    MESSAGE,
    PDF,
    Institution,
    answer,
    detail,
    listed,
)
from tests.world import World, add_configuration

PATH = "/messo/v1/remote-contents/configurations"
WHO = "AAAAAA00A00A000A"


def pdf(**root: Any) -> bytes:
    """A real PDF of one page."""
    file = pikepdf.new()
    file.add_blank_page()
    for name, value in root.items():
        file.Root[f"/{name}"] = value
    held = BytesIO()
    file.save(held)
    return held.getvalue()


SCRIPT = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")


async def check(
    running: Running, world: World, pool: Pool, town: Institution, **configuration: Any
) -> dict[str, Any]:
    async with pool.transaction() as conn:
        configuration_id = await add_configuration(
            conn, world.secrets, world.anna.institution, town.base_url, **configuration
        )
    answered = await ask(running, world, configuration_id, {"id": "42", "fiscal_code": WHO})
    assert answered.status_code == 200, answered.text
    assert answered.headers["cache-control"] == "no-store"
    report: dict[str, Any] = answered.json()
    return report


async def ask(running: Running, world: World, configuration_id: str, body: Any) -> httpx.Response:
    headers = {"Ocp-Apim-Subscription-Key": world.manage_key}
    path = f"{PATH}/{configuration_id}/check"
    return await running.client.post(path, json=body, headers=headers)


def found(report: dict[str, Any], *, advice: bool = False) -> set[str]:
    """Where faults are, or where something is advised; the configuration's own apart."""
    return {
        f"{one['call']} {one['field']}".strip()
        for one in report["findings"]
        if one["is_advice"] is advice and one["call"] != "configuration"
    }


async def test_a_sound_server_is_said_to_be_one(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    file = pdf()
    town.serves(MESSAGE, detail(listed("uno", size=len(file))))
    town.serves(f"{MESSAGE}/attachments/uno", answer(file))
    report = await check(running, world, pool, town, has_precondition="ONCE")
    assert report["ok"] is True
    assert [(call["call"], call["status"]) for call in report["calls"]] == [
        ("precondition", 200),
        ("detail", 200),
        ("attachment", 200),
    ]
    assert found(report) == set()
    assert found(report, advice=True) == {"attachment attachments[0]"}  # no PDF/A
    assert town.headers()["fiscal_code"] == WHO


async def test_every_fault_is_named_with_its_field_and_nothing_of_the_content(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    attachments = [
        listed("uno", size=1),
        listed("uno", name="uno.exe"),
        listed("fuori") | {"url": "../altro"},
        listed("testo"),
        listed("programma"),
    ]
    town.serves(MESSAGE, detail(*attachments, subject="Segreto", markdown="Segretissimo"))
    town.serves(f"{MESSAGE}/precondition", {"title": " ", "markdown": "x" * 10_001})
    town.serves(f"{MESSAGE}/attachments/testo", answer(b"hello"))
    town.serves(f"{MESSAGE}/attachments/programma", answer(pdf(OpenAction=SCRIPT)))
    report = await check(running, world, pool, town, has_precondition="ALWAYS")
    assert report["ok"] is False
    assert found(report) == {
        "precondition title",
        "precondition markdown",
        "detail details.subject",
        "detail details.markdown",
        "detail attachments[1].id",
        "detail attachments[2].url",
        "attachment attachments[0]",
        "attachment attachments[0].size",
        "attachment attachments[1]",
        "attachment attachments[3]",
        "attachment attachments[4]",
    }
    assert "Segret" not in str(report)
    said = {one["problem"] for one in report["findings"]}
    assert any("JavaScript" in one for one in said)
    assert any("7" in one and "10 to 120" in one for one in said)


@pytest.mark.parametrize(
    ("told", "status", "word"),
    [
        (answer(b"", 401), 401, "401"),
        (answer(b"", 404), 404, "does not have"),
        (answer(b"", 302, Location="http://x"), 302, "redirect"),
        (answer(b"<html>"), 200, "not JSON"),
        (answer([1]), 200, "object"),
    ],
)
async def test_a_call_that_fails_is_said_to_have_failed(
    running: Running,
    world: World,
    pool: Pool,
    town: Institution,
    told: bytes,
    status: int,
    word: str,
) -> None:
    town.serves(MESSAGE, told)
    report = await check(running, world, pool, town)
    assert report["ok"] is False
    assert report["calls"][1]["status"] == status
    (said,) = [one["problem"] for one in report["findings"] if one["call"] == "detail"]
    assert word.lower() in said.lower()


async def test_a_missing_precondition_is_a_fault_only_where_it_is_needed(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    del town.answers[f"/remote{MESSAGE}/precondition"]
    town.serves(f"{MESSAGE}/attachments/uno", answer(pdf()))
    for level, ok in (("NEVER", True), ("ONCE", False), ("ALWAYS", False)):
        report = await check(running, world, pool, town, has_precondition=level)
        assert report["ok"] is ok
        assert "precondition" in found(report, advice=ok)


async def test_it_is_said_that_a_browser_proves_nothing(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    town.serves(f"{MESSAGE}/attachments/uno", answer(pdf()))
    report = await check(running, world, pool, town, is_lollipop_enabled=True)
    fields = {one["field"] for one in report["findings"] if one["call"] == "configuration"}
    assert "is_lollipop_enabled" in fields
    assert not any("lollipop" in name for name in town.headers())
    assert report["ok"] is True


async def test_only_the_first_attachments_are_opened(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    town.serves(MESSAGE, detail(*[listed(str(n)) for n in range(20)]))
    report = await check(running, world, pool, town)
    assert [call["call"] for call in report["calls"]].count("attachment") == 5


async def test_a_server_that_fails_is_asked_each_time_somebody_wants_to_know(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    """A circuit that opens here would hide what is wrong, and shut the citizens' door."""
    async with pool.transaction() as conn:
        configuration = await add_configuration(
            conn, world.secrets, world.anna.institution, town.base_url
        )
    town.serves(MESSAGE, answer(b"", 502))
    for _ in range(8):
        report = (await ask(running, world, configuration, {"id": "42", "fiscal_code": WHO})).json()
        assert [call["status"] for call in report["calls"]] == [200, 502]


async def test_only_its_owner_may_check_it(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    async with pool.transaction() as conn:
        foreign = await add_configuration(
            conn, world.secrets, world.bruno.institution, town.base_url
        )
    body = {"id": "42", "fiscal_code": WHO}
    refused, unknown = [await ask(running, world, id_, body) for id_ in (foreign, new_id())]
    assert (refused.status_code, refused.content) == (404, unknown.content)
    assert (await ask(running, world, "x", body)).status_code == 400
    for wrong in (
        {},
        {"id": "42"},
        {"id": "", "fiscal_code": WHO},
        {"id": "1", "fiscal_code": "x"},
    ):
        assert (await ask(running, world, foreign, wrong)).status_code == 400
    with_service_key = await running.client.post(
        f"{PATH}/{foreign}/check", json=body, headers=world.anna.headers
    )
    assert with_service_key.status_code == 403
    assert town.asked == []


async def test_two_are_checked_at_a_time(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    """Whoever comes then is told to come again; a slow server of one's own holds up no citizen."""
    release = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%PDF")
        await release.wait()
        writer.write(b"rest")

    town.serves(f"{MESSAGE}/attachments/uno", hold)
    async with asyncio.TaskGroup() as group:
        slow = [group.create_task(check(running, world, pool, town)) for _ in range(2)]
        while town.asked.count("/remote/messages/42/attachments/uno") < 2:
            await asyncio.sleep(0.01)
        async with pool.transaction() as conn:
            third = await add_configuration(
                conn, world.secrets, world.anna.institution, town.base_url
            )
        refused = await ask(running, world, third, {"id": "42", "fiscal_code": WHO})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        release.set()
    assert all(len(task.result()["calls"]) == 3 for task in slow)


async def test_each_place_of_an_answer_that_is_none_is_named(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    told = {"details": [], "attachments": [{"id": 1}, listed("ok"), {"id": "x", "url": ""}]}
    town.serves(MESSAGE, answer(told))
    report = await check(running, world, pool, town)
    assert found(report) == {
        "detail details",
        "detail attachments[0].id",
        "detail attachments[2].url",
    }


async def test_what_only_begins_like_a_pdf_is_none(
    running: Running, world: World, pool: Pool, town: Institution
) -> None:
    town.serves(f"{MESSAGE}/attachments/uno", answer(PDF))
    report = await check(running, world, pool, town)
    assert found(report) == {"attachment attachments[0]"}
