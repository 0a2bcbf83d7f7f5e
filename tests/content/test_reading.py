"""Remote content as a citizen's client reads it: what is asked, and what is answered."""

from typing import Any

import msgspec
import pytest

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.content import configurations
from messo.content.wire import NewConfiguration
from messo.messages import mailbox
from tests.base.test_outbound import serving
from tests.conftest import Running
from tests.content.conftest import MakeReader
from tests.content.institution import (
    MARKDOWN,
    MESSAGE,
    STATIC,
    SUBJECT,
    THIRD,
    Institution,
    answer,
    detail,
    listed,
)
from tests.messages.mail import Mail
from tests.recipients.person import enter
from tests.world import REMOTE_KEY, World, environment

# What is asked and answered ---------------------------------------------------------------------


async def test_the_message_comes_with_what_its_institution_serves(
    town: Institution, make_reader: MakeReader
) -> None:
    town.serves(
        MESSAGE,
        detail(
            listed("uno", size=2009, content_type="application/pdf", secret="x"),
            {"id": "2", "url": "/due", "name": None, "content_type": "", "category": "F24"},
            tassa="12",
        )
        | {"more": 1},
    )
    reader = await make_reader(has_precondition="NEVER")
    read = await reader.get()
    assert read.status_code == 200, read.text
    assert read.headers["cache-control"] == "no-store"
    body = read.json()
    plain = await reader.person.get(f"/api/communication/v1/messages/{reader.message_id}")
    assert body["content"] == plain.json()["content"]
    assert body["content"]["subject"] == STATIC["subject"]
    assert {name: body[name] for name in plain.json()} == plain.json()
    assert body["third_party_message"] == {
        "details": {"subject": SUBJECT, "markdown": MARKDOWN, "tassa": "12"},
        "attachments": [
            {
                "id": "uno",
                "url": "attachments/uno",
                "name": "uno.pdf",
                "content_type": "application/pdf",
                "category": "DOCUMENT",
                "size": 2009,
            },
            {"id": "2", "url": "/due", "category": "F24"},
        ],
    }
    text = await reader.get("/precondition")
    assert (text.status_code, text.json()) == (
        200,
        {"title": "Prima", "markdown": "Leggi **bene**."},
    )
    assert text.headers["cache-control"] == "no-store"


async def test_the_institution_is_asked_for_one_person_with_its_key(
    town: Institution, make_reader: MakeReader
) -> None:
    reader = await make_reader(id="a b/ü?#%2e")
    await reader.get()
    await reader.get("/precondition")
    encoded = "/remote/messages/a%20b%2F%C3%BC%3F%23%252e"
    assert town.asked == [encoded, f"{encoded}/precondition"]
    headers = town.headers()
    assert headers["fiscal_code"] == reader.person.code
    assert headers["x-api-key"] == REMOTE_KEY
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "accept"} & headers.keys()
    assert not any("lollipop" in name or "signature" in name for name in headers)


async def test_a_slash_at_the_end_of_the_address_is_not_doubled(
    town: Institution, make_reader: MakeReader
) -> None:
    reader = await make_reader(town.base_url + "/")
    assert (await reader.get()).status_code == 200
    assert town.asked == ["/remote/messages/42"]


async def test_reading_marks_nothing(
    pool: Pool, make_reader: MakeReader, town: Institution
) -> None:
    reader = await make_reader()
    await reader.get()
    async with pool.connection() as conn:
        message = await mailbox.read_message(conn, reader.person.code, reader.message_id)
    assert message is not None
    assert not message.line.is_read


@pytest.mark.parametrize(
    ("test", "prod", "is_test_user", "served_by"),
    [
        (True, True, True, "test"),
        (True, True, False, "prod"),
        (True, False, False, "test"),
        (False, True, True, "prod"),
    ],
)
async def test_test_users_are_served_by_the_test_environment(
    town: Institution,
    running: Running,
    make_reader: MakeReader,
    pool: Pool,
    world: World,
    test: bool,
    prod: bool,
    is_test_user: bool,
    served_by: str,
) -> None:
    reader = await make_reader()
    address = town.base_url.removesuffix("/remote")
    users = [reader.person.code] if is_test_user else ["AAAAAA00A00A000A"]
    both = {
        "test_environment": environment(f"{address}/test", "test key") | {"test_users": users},
        "prod_environment": environment(f"{address}/prod", "prod key"),
    }
    chosen = {"test_environment": test, "prod_environment": prod}
    await replace(pool, world, reader.configuration_id, **{n: both[n] for n in both if chosen[n]})
    await running.started.directory.refresh(0)
    await reader.get()
    assert town.asked == [f"/{served_by}/messages/42"]
    assert town.headers()["x-api-key"] == f"{served_by} key"


async def replace(pool: Pool, world: World, configuration_id: str, **more: Any) -> None:
    body = {
        "name": "n",
        "description": "d",
        "has_precondition": "NEVER",
        "disable_lollipop_for": [],
        "is_lollipop_enabled": False,
        **more,
    }
    async with pool.transaction() as conn:
        await configurations.replace(
            conn,
            world.secrets,
            world.anna.institution,
            configuration_id,
            msgspec.convert(body, NewConfiguration),
        )


async def test_a_change_of_the_configuration_is_in_force_within_a_second(
    town: Institution, running: Running, make_reader: MakeReader, pool: Pool, world: World
) -> None:
    reader = await make_reader()
    assert (await reader.get()).status_code == 200
    moved = environment(town.base_url.removesuffix("/remote") + "/moved", "new key")
    await replace(pool, world, reader.configuration_id, prod_environment=moved)
    await running.started.directory.refresh(0)
    await reader.get()
    assert town.asked == ["/remote/messages/42", "/moved/messages/42"]
    assert town.headers()["x-api-key"] == "new key"


@pytest.mark.parametrize("name", ["fiscal_code", "Signature", "X-PagoPA-Lollipop-User-Id", "Host"])
async def test_a_key_takes_no_other_header_s_place(
    town: Institution, make_reader: MakeReader, name: str
) -> None:
    bad = environment(town.base_url)
    bad["details_authentication"]["header_key_name"] = name
    reader = await make_reader(configuration={"prod_environment": bad})
    read = await reader.get()
    assert (read.status_code, read.json()["type"]) == (502, "urn:messo:remote-content:wrong")
    assert town.asked == []


@pytest.mark.parametrize("size", [-1, 2**53 + 1, 10**300])
async def test_a_size_that_is_none_is_not_known(
    town: Institution, make_reader: MakeReader, size: int
) -> None:
    town.serves(MESSAGE, detail(listed("uno", size=size)))
    read = await (await make_reader()).get()
    assert "size" not in read.json()["third_party_message"]["attachments"][0]


# Whose message ----------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "/precondition", "/attachments/attachments/uno"])
async def test_a_message_without_remote_content_is_said_to_have_none(
    running: Running, worker: Any, world: World, make_reader: MakeReader, more: str
) -> None:
    reader = await make_reader()
    plain = await Mail(running, worker).send(world.anna, reader.person.code)
    read = await reader.person.get(f"{THIRD}/{plain}{more}")
    assert (read.status_code, read.json()["title"]) == (400, "Bad request")


@pytest.mark.parametrize("more", ["", "/precondition", "/attachments/x"])
@pytest.mark.parametrize("who", ["nobody", "another", "no id"])
async def test_nobody_else_reads_it_and_the_institution_is_not_asked(
    running: Running,
    make_reader: MakeReader,
    town: Institution,
    citizens: Any,
    pool: Pool,
    more: str,
    who: str,
) -> None:
    reader = await make_reader()
    if who == "nobody":
        read = await running.client.get(f"{THIRD}/{reader.message_id}{more}")
        assert read.status_code == 401
    else:
        other = await enter(pool, running.client, next(citizens))
        message_id = reader.message_id if who == "another" else "x"
        read = await other.get(f"{THIRD}/{message_id}{more}")
        assert read.status_code == (404 if who == "another" else 400)
        if who == "another":
            unknown = await other.get(f"{THIRD}/{new_id()}{more}")
            assert unknown.text == read.text
    assert town.asked == []


# Coherence --------------------------------------------------------------------------------------

LONG = "x" * 79 + "𝒳"  # 81 UTF-16 units


@pytest.mark.parametrize(
    ("flags", "told", "code"),
    [
        ((True, True), {"details": {"subject": "x", "markdown": "x"}}, "ATTACHMENTS_NOT_PRESENT"),
        ((True, True), detail() | {"attachments": []}, "ATTACHMENTS_NOT_PRESENT"),
        ((True, True), {"attachments": [listed("a")]}, "REMOTE_CONTENT_NOT_PRESENT"),
        ((True, False), {}, "REMOTE_CONTENT_NOT_PRESENT"),
        ((True, False), {"details": None}, "REMOTE_CONTENT_NOT_PRESENT"),
        ((True, False), {"details": {}}, "MARKDOWN_VALIDATION_ERROR"),
        ((True, False), detail(markdown="x" * 79), "MARKDOWN_VALIDATION_ERROR"),
        ((True, False), detail(markdown="x" * 10_001), "MARKDOWN_VALIDATION_ERROR"),
        ((True, False), detail(markdown=["x" * 80]), "MARKDOWN_VALIDATION_ERROR"),
        ((True, False), detail(subject="x" * 9), "SUBJECT_VALIDATION_ERROR"),
        ((True, False), detail(subject="x" * 121), "SUBJECT_VALIDATION_ERROR"),
        ((True, False), detail(subject=12345678901), "SUBJECT_VALIDATION_ERROR"),
        ((True, False), detail(markdown="x", subject="x"), "MARKDOWN_VALIDATION_ERROR"),
    ],
)
async def test_what_is_not_what_was_promised_is_a_bad_gateway_with_the_contract_s_word(
    town: Institution, make_reader: MakeReader, flags: tuple[bool, bool], told: Any, code: str
) -> None:
    town.serves(MESSAGE, told)
    reader = await make_reader(has_remote_content=flags[0], has_attachments=flags[1])
    read = await reader.get()
    assert read.status_code == 502
    assert (read.json()["title"], read.json()["detail"]) == ("Bad Gateway", code)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((True, True), detail()),
        ((True, False), {"details": {"subject": "x" * 10, "markdown": "x" * 80}}),
        ((True, False), {"details": {"subject": "x" * 120, "markdown": "x" * 10_000}}),
        ((True, False), {"details": {"subject": SUBJECT, "markdown": LONG}}),
        ((False, True), {"attachments": [listed("uno")]}),
        ((False, True), detail(subject="ignored", markdown="ignored", more="kept")),
        ((False, False), {}),
        ((False, False), detail()),
    ],
)
async def test_what_was_not_promised_is_left_out(
    town: Institution, make_reader: MakeReader, flags: tuple[bool, bool], told: dict[str, Any]
) -> None:
    town.serves(MESSAGE, told)
    reader = await make_reader(has_remote_content=flags[0], has_attachments=flags[1])
    read = await reader.get()
    assert read.status_code == 200, read.text
    found = read.json()["third_party_message"]
    expected = dict(told.get("details") or {})
    if not flags[0]:
        expected |= STATIC
    assert found["details"] == expected
    assert len(found["attachments"]) == (len(told.get("attachments", [])) if flags[1] else 0)


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"attachments": {}, "details": {}},
        detail() | {"attachments": [{"id": "", "url": "x"}]},
        detail() | {"attachments": [{"id": "x"}]},
        detail() | {"attachments": [{"id": "x", "url": 3}]},
        detail() | {"attachments": [listed(str(n)) for n in range(101)]},
        detail() | {"details": []},
    ],
)
async def test_what_is_no_answer_at_all_says_where(
    town: Institution, make_reader: MakeReader, told: Any
) -> None:
    town.serves(MESSAGE, answer(told))
    reader = await make_reader()
    read = await reader.get()
    assert (read.status_code, read.json()["type"]) == (502, "urn:messo:remote-content:wrong")
    assert SUBJECT not in read.text


@pytest.mark.parametrize("told", [{"title": "x"}, {"markdown": "x"}, {"title": 1, "markdown": "x"}])
async def test_a_precondition_has_a_title_and_a_text(
    town: Institution, make_reader: MakeReader, told: Any
) -> None:
    town.serves(f"{MESSAGE}/precondition", told)
    reader = await make_reader()
    assert (await reader.get("/precondition")).status_code == 502


# What the institution's server says --------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "/precondition", "/attachments/attachments/uno"])
@pytest.mark.parametrize(
    ("said", "told", "reason"),
    [
        (400, 400, "bad-request"),
        (401, 502, "wrong"),
        (403, 403, "refused"),
        (404, 404, "not-found"),
        (410, 404, "not-found"),
        (429, 429, "too-often"),
        (500, 502, "down"),
        (501, 502, "down"),
        (502, 502, "down"),
        (503, 503, "not-ready"),
        (504, 504, "slow"),
        (204, 502, "wrong"),
        (206, 502, "wrong"),
        (301, 502, "wrong"),
    ],
)
async def test_what_the_server_says_becomes_one_status_for_all_three_calls(
    town: Institution, make_reader: MakeReader, more: str, said: int, told: int, reason: str
) -> None:
    reader = await make_reader()
    await reader.get()
    path = MESSAGE + more.replace("/attachments/attachments", "/attachments")
    town.serves(path, answer(b"", said, "text/plain", Location="http://127.0.0.1:1/"))
    read = await reader.get(more)
    assert read.status_code == told, read.text
    problem = read.json()
    assert (problem["status"], problem["type"]) == (told, f"urn:messo:remote-content:{reason}")
    assert read.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    waits = {"503": "10", "429": "10"}.get(str(said))
    assert read.headers.get("retry-after") == waits


@pytest.mark.parametrize(
    ("given", "passed_on"), [("30", "30"), ("0", "1"), ("86400", "3600"), ("soon", "10")]
)
async def test_when_to_come_again_is_passed_on(
    town: Institution, make_reader: MakeReader, given: str, passed_on: str
) -> None:
    town.serves(MESSAGE, answer(b"", 503, Retry_After=given))
    reader = await make_reader()
    read = await reader.get()
    assert (read.status_code, read.headers["retry-after"]) == (503, passed_on)


async def test_not_being_ready_opens_no_circuit(town: Institution, make_reader: MakeReader) -> None:
    reader = await make_reader()
    town.serves(MESSAGE, answer(b"", 503, Retry_After="1"))
    for _ in range(8):
        assert (await reader.get()).json()["type"].endswith("not-ready")
    town.serves(MESSAGE, detail())
    assert (await reader.get()).status_code == 200


async def test_who_fails_again_and_again_is_left_alone_and_other_configurations_are_not(
    town: Institution, make_reader: MakeReader
) -> None:
    reader, other = await make_reader(), await make_reader()
    town.serves(MESSAGE, answer(b"", 502))
    for _ in range(5):
        assert (await reader.get()).status_code == 502
    read = await reader.get()
    assert (read.status_code, read.json()["type"]) == (503, "urn:messo:remote-content:busy")
    assert int(read.headers["retry-after"]) >= 10
    assert len(town.asked) == 5
    town.serves(MESSAGE, detail())
    assert (await other.get()).status_code == 200


async def test_another_address_is_a_fresh_start(
    town: Institution, running: Running, make_reader: MakeReader, pool: Pool, world: World
) -> None:
    reader = await make_reader(town.base_url.replace("/remote", "/wrong"))
    town.answers["/wrong/messages/42"] = answer(b"", 502)
    for _ in range(6):
        await reader.get()
    assert (await reader.get()).json()["type"].endswith("busy")
    mended = environment(town.base_url)
    await replace(pool, world, reader.configuration_id, prod_environment=mended)
    await running.started.directory.refresh(0)
    assert (await reader.get()).status_code == 200


async def test_without_an_environment_nothing_is_asked(
    make_reader: MakeReader, town: Institution
) -> None:
    reader = await make_reader(configuration={"prod_environment": None})
    read = await reader.get()
    assert (read.status_code, read.json()["type"]) == (502, "urn:messo:remote-content:wrong")
    assert town.asked == []


async def test_where_nobody_listens_is_said_at_once_and_without_the_address(
    make_reader: MakeReader,
) -> None:
    async with serving(b"") as gone:
        url = gone.url
    reader = await make_reader(url)
    read = await reader.get()
    assert (read.status_code, read.json()["type"]) == (502, "urn:messo:remote-content:down")
    assert "127.0.0.1" not in read.text
