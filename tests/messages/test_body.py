"""The message itself: every bound from both sides, and what of it is given back."""

import copy
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.messages import checks
from messo.services.services import NewService
from tests.conftest import Running
from tests.world import AUTO, Caller, World, add_configuration, add_service, message

NOTICE = "302000000000000083"
EMOJI = "😀"  # two UTF-16 units, as for clients written in JavaScript
ABSENT = object()


@pytest.fixture(scope="module")
async def caller(running: Running, pool: Pool, world: World) -> Caller:
    """Anna's institution with no cap on payments."""
    new = NewService("Tributi", max_allowed_payment_amount=9_999_999_999)
    async with pool.transaction() as conn:
        return await add_service(conn, world.secrets, world.anna.institution, new)


@pytest.fixture(scope="module")
async def configuration(pool: Pool, world: World, secrets: Secrets) -> str:
    async with pool.transaction() as conn:
        return await add_configuration(conn, secrets, world.anna.institution)


@pytest.fixture(scope="module")
def whole(configuration: str) -> dict[str, Any]:
    """A valid body with everything a body can have."""
    return {
        **message(
            require_secure_channels=False,
            due_date="2030-01-31T22:59:59.000Z",
            payment_data={
                "amount": 2500,
                "notice_number": NOTICE,
                "invalid_after_due_date": True,
                "payee": {"fiscal_code": "01234567890"},
            },
            third_party_data={
                "id": "42",
                "configuration_id": configuration,
                "has_remote_content": False,
                "has_attachments": True,
                "has_precondition": "ONCE",
                "original_sender": "Comune",
                "original_receipt_date": "2030-01-01T10:00:00.000Z",
                "summary": "Una lettera",
            },
            eu_covid_cert={"auth_code": "abc"},
            prescription_data={
                "nre": "N" * 15,
                "iup": "I" * 16,
                "prescriber_fiscal_code": AUTO,
            },
            legal_data={
                "sender_mail_from": "a",
                "message_unique_id": "b",
                "has_attachment": True,
                "original_message_url": "c",
                "pec_server_service_id": "d",
            },
        ),
        "time_to_live": 7200,
        "feature_level_type": "ADVANCED",
        "default_addresses": {"email": "anna@example.org"},
    }


def put(body: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A copy of the body with one place changed, or left out."""
    changed: dict[str, Any] = copy.deepcopy(body)
    *parents, last = place.split(".")
    at = changed
    for name in parents:
        at = at[name]
    if value is ABSENT:
        del at[last]
    else:
        at[last] = value
    return changed


async def post(
    running: Running, caller: Caller, body: Any, path: str = "", **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await running.client.post(
        f"/api/v1/messages{path}",
        content=content,
        headers=caller.headers | {"Content-Type": "application/json"} | headers,
    )


Kept = Callable[[Any], Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def kept(running: Running, caller: Caller, worker: Worker) -> Kept:
    """Sends a body, lets it be processed, reads it back: the wire's `message`."""

    async def send(body: Any) -> dict[str, Any]:
        sent = await post(running, caller, body)
        assert sent.status_code == 201, sent.text
        while await worker.work_once():
            pass
        read = await running.client.get(sent.headers["location"], headers=caller.headers)
        assert read.json()["status"] == "PROCESSED"
        found: dict[str, Any] = read.json()["message"]
        return found

    return send


def refused_at(answer: httpx.Response, place: str) -> None:
    """400, and both the field and the sentence name the place."""
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["title"] == "Invalid message structure"
    assert problem["field"] == place
    assert place in problem["detail"]


# Bounds ----------------------------------------------------------------------------------------

ULID = "01K5ZJ7M8N9PQRSTVWXYZ01234"
ACCEPTED: list[tuple[str, list[Any]]] = [
    ("content.subject", ["s" * 10, "s" * 120, EMOJI * 5, EMOJI * 60, "è" * 120, " " * 10]),
    ("content.markdown", ["m" * 80, "m" * 10_000, EMOJI * 40, EMOJI * 5000, "€" * 10_000]),
    ("content.require_secure_channels", [True, False, ABSENT]),
    ("content.due_date", ["2030-01-31T22:59:59Z", ABSENT]),
    ("content.payment_data", [ABSENT]),
    ("content.payment_data.amount", [1, 9_999_999_999]),
    ("content.payment_data.notice_number", [NOTICE, "0" * 18]),
    ("content.payment_data.invalid_after_due_date", [True, False, None, ABSENT]),
    ("content.payment_data.payee", [ABSENT]),
    ("content.payment_data.payee.fiscal_code", ["0" * 11, "9" * 11]),
    ("content.third_party_data", [ABSENT]),
    ("content.third_party_data.id", ["x", " ", "/a?b#c", EMOJI]),
    ("content.third_party_data.has_remote_content", [True, False, None, ABSENT]),
    ("content.third_party_data.has_attachments", [True, False, None, ABSENT]),
    ("content.third_party_data.has_precondition", ["ALWAYS", "ONCE", "NEVER", ABSENT]),
    ("content.third_party_data.original_sender", ["x", ABSENT]),
    ("content.third_party_data.original_receipt_date", ["2030-01-01T00:00:00", ABSENT]),
    ("content.third_party_data.summary", ["x", ABSENT]),
    ("content.eu_covid_cert", [ABSENT]),
    ("content.eu_covid_cert.auth_code", ["", "x"]),
    ("content.prescription_data", [ABSENT]),
    ("content.prescription_data.nre", ["n" * 15, EMOJI * 7 + "n"]),
    ("content.prescription_data.iup", ["i", "i" * 16, EMOJI * 8, ABSENT]),
    ("content.prescription_data.prescriber_fiscal_code", ["AAAAAA00A00A000A", ABSENT]),
    ("content.legal_data", [ABSENT]),
    ("content.legal_data.sender_mail_from", ["x"]),
    ("content.legal_data.message_unique_id", ["x"]),
    ("content.legal_data.has_attachment", [True, False, None, ABSENT]),
    ("content.legal_data.original_message_url", ["x", ABSENT]),
    ("content.legal_data.pec_server_service_id", ["x", ABSENT]),
    ("fiscal_code", ["AAAAAA00A00A000A", "ZZZZZZVVTVVZVVVZ"]),
    ("time_to_live", [3600, 604_800, None, ABSENT]),
    ("feature_level_type", ["ADVANCED"]),
    ("default_addresses", [ABSENT, {}]),
    (
        "default_addresses.email",
        ["a@b.it", "A.B+c@sub.EXAMPLE.org", "x_y%z@a-b.museum", ABSENT],
    ),
]
_NOT_TEXT: list[Any] = [None, 1, 1.5, True, [], {}]
_NOT_TRUTH = [0, 1, "true", "", [], {}]
_NOT_OBJECT: list[Any] = [None, 1, "x", True, []]
_NOT_FISCAL_CODE = [
    "",
    "AAAAAA00A00A000",
    "AAAAAA00A00A000AA",
    "aaaaaa00a00a000a",
    "AAAAAA00A00A000A\n",
    " AAAAAA00A00A000A",
    "AAAAAA00F00A000A",
    "AAAAAAK0A00A000A",
    "AAAAAA00A00A000Ａ",
    "ÀAAAAA00A00A000A",
    "AAAAAA0٠A00A000A",
]
_NOT_MOMENT = [
    "2030-01-31",
    "2030-13-01T00:00:00Z",
    "2030-00-01T00:00:00Z",
    "2030-01-00T00:00:00Z",
    "2030-01-32T00:00:00Z",
    "2030-01-01T24:00:01Z",
    "2030-01-01T25:00:00Z",
    "2030-01-01T00:60:00Z",
    "2030-01-01T00:00:60Z",
    "2030-01-01T00:00Z",
    "2030-01-01 00:00:00Z",
    "2030-01-01t00:00:00z",
    "2030-01-01T00:00:00.Z",
    "2030-01-01T00:00:00+0100",
    "2030-01-01T00:00:00+01",
    "2030-01-01T00:00:00+99:00",
    "2030-01-01T00:00:00Z\n",
    " 2030-01-01T00:00:00Z",
    "2030-1-1T00:00:00Z",
    "12030-01-01T00:00:00Z",
    "-2030-01-01T00:00:00Z",
    "２０３０-01-01T00:00:00Z",
    "٢٠٣٠-٠١-٠١T٠٠:٠٠:٠٠Z",
    "tomorrow",
    "",
]
REFUSED: list[tuple[str, list[Any]]] = [
    ("content", [*_NOT_OBJECT, ABSENT]),
    (
        "content.subject",
        [*_NOT_TEXT, ABSENT, "", "s" * 9, "s" * 121, EMOJI * 4, EMOJI * 60 + "s"],
    ),
    (
        "content.markdown",
        [*_NOT_TEXT, ABSENT, "", "m" * 79, "m" * 10_001, EMOJI * 39, EMOJI * 5000 + "m"],
    ),
    ("content.require_secure_channels", [*_NOT_TRUTH, None]),
    ("content.due_date", [*_NOT_TEXT, *_NOT_MOMENT]),
    ("content.payment_data", _NOT_OBJECT),
    (
        "content.payment_data.amount",
        [0, -1, 10_000_000_000, 1.5, "1", True, None, [], ABSENT, 2**63, 2**64, 10**400],
    ),
    (
        "content.payment_data.notice_number",
        [
            *_NOT_TEXT,
            ABSENT,
            "4" + NOTICE[1:],
            NOTICE[1:],
            NOTICE + "0",
            NOTICE + "\n",
            NOTICE[:-1] + "A",
            "3" + "٠" * 17,
        ],
    ),
    ("content.payment_data.invalid_after_due_date", _NOT_TRUTH),
    ("content.payment_data.payee", _NOT_OBJECT),
    (
        "content.payment_data.payee.fiscal_code",
        [*_NOT_TEXT, ABSENT, "0" * 10, "0" * 12, "0" * 11 + "\n", "٠" * 11, AUTO],
    ),
    ("content.third_party_data", _NOT_OBJECT),
    ("content.third_party_data.id", [*_NOT_TEXT, ABSENT, ""]),
    (
        "content.third_party_data.configuration_id",
        [*_NOT_TEXT, "", ULID[1:], ULID + "0", ULID + "\n", *(ULID[:-1] + c for c in "ILOU-ilou")],
    ),
    ("content.third_party_data.has_remote_content", _NOT_TRUTH),
    ("content.third_party_data.has_attachments", _NOT_TRUTH),
    ("content.third_party_data.has_precondition", [None, True, False, "NONE", "always", ""]),
    ("content.third_party_data.original_sender", [*_NOT_TEXT, ""]),
    ("content.third_party_data.original_receipt_date", [*_NOT_TEXT, *_NOT_MOMENT[:4]]),
    ("content.third_party_data.summary", [*_NOT_TEXT, ""]),
    ("content.eu_covid_cert", _NOT_OBJECT),
    ("content.eu_covid_cert.auth_code", [*_NOT_TEXT, ABSENT]),
    ("content.prescription_data", _NOT_OBJECT),
    (
        "content.prescription_data.nre",
        [*_NOT_TEXT, ABSENT, "n" * 14, "n" * 16, EMOJI * 8, EMOJI * 15],
    ),
    ("content.prescription_data.iup", [*_NOT_TEXT, "", "i" * 17, EMOJI * 8 + "i"]),
    (
        "content.prescription_data.prescriber_fiscal_code",
        [*_NOT_TEXT, *_NOT_FISCAL_CODE],
    ),
    ("content.legal_data", _NOT_OBJECT),
    ("content.legal_data.sender_mail_from", [*_NOT_TEXT, ABSENT, ""]),
    ("content.legal_data.message_unique_id", [*_NOT_TEXT, ABSENT, ""]),
    ("content.legal_data.has_attachment", _NOT_TRUTH),
    ("content.legal_data.original_message_url", [*_NOT_TEXT, ""]),
    ("content.legal_data.pec_server_service_id", [*_NOT_TEXT, ""]),
    ("fiscal_code", [*_NOT_TEXT, *_NOT_FISCAL_CODE]),
    (
        "time_to_live",
        [3599, 604_801, 3600.5, "3600", True, False, -3600, 0, [], {}, 2**63, 10**400],
    ),
    ("feature_level_type", [1, True, "", "PREMIUM", "standard", "STANDARD ", []]),
    ("default_addresses", _NOT_OBJECT),
    (
        "default_addresses.email",
        [
            None,
            1,
            "",
            "a",
            "a@b",
            "@b.it",
            "a@",
            "a b@c.it",
            "a@b.it\n",
            "Anna <a@b.it>",
            "è@b.it",
            "a@b..it",
            "a@@b.it",
        ],
    ),
]


def _name(value: Any) -> str:
    return "absent" if value is ABSENT else repr(value)[:40]


@pytest.mark.parametrize(
    ("place", "values"), ACCEPTED, ids=lambda v: v if isinstance(v, str) else ""
)
async def test_within_the_bounds_it_is_accepted(
    running: Running, caller: Caller, whole: dict[str, Any], place: str, values: list[Any]
) -> None:
    for value in values:
        answer = await post(running, caller, put(whole, place, value))
        assert answer.status_code == 201, f"{place} = {_name(value)}: {answer.text}"


@pytest.mark.parametrize(
    ("place", "values"), REFUSED, ids=lambda v: v if isinstance(v, str) else ""
)
async def test_beyond_the_bounds_it_is_refused_by_name(
    running: Running, caller: Caller, whole: dict[str, Any], place: str, values: list[Any]
) -> None:
    for value in values:
        answer = await post(running, caller, put(whole, place, value))
        assert answer.status_code == 400, f"{place} = {_name(value)}: {answer.text}"
        refused_at(answer, place)


async def test_the_bare_minimum_is_enough(running: Running, caller: Caller) -> None:
    assert (await post(running, caller, message())).status_code == 201
    assert (await post(running, caller, message(None), f"/{AUTO}")).status_code == 201


@pytest.mark.parametrize("body", ["null", "[]", "1", '"x"', "true", "[{}]"])
async def test_a_body_that_is_no_object_is_refused(
    running: Running, caller: Caller, body: str
) -> None:
    answer = await post(running, caller, body.encode())
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid message structure")


async def test_an_empty_object_lacks_its_content(running: Running, caller: Caller) -> None:
    refused_at(await post(running, caller, {}), "content")


@pytest.mark.parametrize(
    ("place", "number", "kept_as"),
    [
        ("time_to_live", "3600.0", 3600),
        ("time_to_live", "1e4", 10_000),
        ("time_to_live", "1E+4", 10_000),
        ("time_to_live", "36000e-1", 3600),
        ("content.payment_data.amount", "2500.0", 2500),
        ("content.payment_data.amount", "2.5e3", 2500),
        ("content.payment_data.amount", "9999999999.000", 9_999_999_999),
    ],
)
async def test_whole_numbers_may_be_written_as_javascript_does(
    kept: Kept, whole: dict[str, Any], place: str, number: str, kept_as: int
) -> None:
    body = json.dumps(put(whole, place, "NUMBER")).replace('"NUMBER"', number)
    found = await kept(body.encode())
    *parents, last = place.split(".")
    for name in parents:
        found = found[name]
    assert found[last] == kept_as
    assert type(found[last]) is int


@pytest.mark.parametrize("number", ["3600.5", "1e400", "-1e400", "1e-9", "3599.0", "604801.0"])
async def test_other_numbers_are_refused_by_name(
    running: Running, caller: Caller, whole: dict[str, Any], number: str
) -> None:
    body = json.dumps(put(whole, "time_to_live", "NUMBER")).replace('"NUMBER"', number)
    answer = await post(running, caller, body.encode())
    assert answer.status_code == 400
    if "e400" not in number:
        refused_at(answer, "time_to_live")


# Moments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "given_back"),
    [
        ("2030-01-31T22:59:59Z", "2030-01-31T22:59:59.000Z"),
        ("2030-01-31T22:59:59", "2030-01-31T22:59:59.000Z"),
        ("2030-01-31T22:59:59.5Z", "2030-01-31T22:59:59.500Z"),
        ("2030-01-31T22:59:59.123", "2030-01-31T22:59:59.123Z"),
        ("2030-01-31T22:59:59.123999999Z", "2030-01-31T22:59:59.123Z"),
        ("2030-01-31T23:59:59+01:00", "2030-01-31T22:59:59.000Z"),
        ("2030-01-31T23:59:59.25-05:30", "2030-02-01T05:29:59.250Z"),
        ("2030-01-31T23:59:59+00:00", "2030-01-31T23:59:59.000Z"),
        ("2018-02-30T12:00:00Z", "2018-03-02T12:00:00.000Z"),
        ("2018-02-31T12:00:00Z", "2018-03-03T12:00:00.000Z"),
        ("2020-02-30T12:00:00Z", "2020-03-01T12:00:00.000Z"),
        ("2030-04-31T23:59:59Z", "2030-05-01T23:59:59.000Z"),
        ("2018-02-30T00:30:00+01:00", "2018-03-01T23:30:00.000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
    ],
)
async def test_moments_come_back_in_utc_with_milliseconds(
    kept: Kept, whole: dict[str, Any], written: str, given_back: str
) -> None:
    body = put(whole, "content.due_date", written)
    body = put(body, "content.third_party_data.original_receipt_date", written)
    content = (await kept(body))["content"]
    assert content["due_date"] == given_back
    assert content["third_party_data"]["original_receipt_date"] == given_back


# What is given back ----------------------------------------------------------------------------


async def test_everything_comes_back_but_prescription_and_legal_data(
    kept: Kept, whole: dict[str, Any]
) -> None:
    expected = copy.deepcopy(whole["content"])
    del expected["prescription_data"], expected["legal_data"]
    found = await kept(whole)
    assert found["content"] == expected
    assert (found["time_to_live"], found["feature_level_type"]) == (7200, "ADVANCED")
    assert "default_addresses" not in found


@pytest.mark.parametrize("value", [None, ABSENT])
async def test_defaults_are_written_out(kept: Kept, whole: dict[str, Any], value: object) -> None:
    body = whole
    for place in (
        "time_to_live",
        "feature_level_type",
        "content.payment_data.invalid_after_due_date",
        "content.third_party_data.has_remote_content",
        "content.third_party_data.has_attachments",
    ):
        body = put(body, place, value)
    body = put(body, "content.third_party_data.has_precondition", ABSENT)
    found = await kept(body)
    assert (found["time_to_live"], found["feature_level_type"]) == (3600, "STANDARD")
    assert found["content"]["payment_data"]["invalid_after_due_date"] is False
    third_party = found["content"]["third_party_data"]
    assert third_party["has_remote_content"] is third_party["has_attachments"] is False
    # The configuration's, as it was then: it stays so whatever becomes of the configuration.
    assert third_party["has_precondition"] == "NEVER"


async def test_a_bare_message_comes_back_bare(kept: Kept) -> None:
    assert (await kept(message()))["content"] == message()["content"]


async def test_without_a_payee_the_senders_organisation_is_paid(kept: Kept) -> None:
    found = await kept(message(payment_data={"amount": 1, "notice_number": NOTICE}))
    assert found["content"]["payment_data"] == {
        "amount": 1,
        "notice_number": NOTICE,
        "invalid_after_due_date": False,
        "payee": {"fiscal_code": "00000000001"},
    }


async def test_unknown_members_are_dropped_at_every_depth(
    kept: Kept, whole: dict[str, Any]
) -> None:
    def strange(value: Any) -> Any:
        if isinstance(value, dict):
            inner = {name: strange(member) for name, member in value.items()}
            return inner | {"x_unknown": [1.5, None, {"a": {}}], "CamelCase": "x", "": 0}
        return value

    found = await kept(strange(whole))
    expected = copy.deepcopy(whole["content"])
    del expected["prescription_data"], expected["legal_data"]
    assert found["content"] == expected


TEXTS = [
    "Città è perché così più né ü ß ç ñ Ž ő — “virgolette” … €",
    "😀👨‍👩‍👧‍👦🇮🇹👍🏽 𝒳𐍈",
    "مرحبا بكم في بلديتنا \u202e שלום עולם \u200f",
    "combining e\u0301 and nfc \u00e9, ﬁ ligature, \u00a0nbsp, \ufeffbom, \u2028line",
    "tab\t quote \" backslash \\ slash / percent % ' $1 :name {x} <b> &amp; \\u0041 \\n",
    "control \x01\x1f\x7f\x80 end, carriage\r\nreturn",
    "中文 日本語 한국어 ไทย हिन्दी",
    "# Titolo\n\n---\n**x** [link](https://example.org/?a=1&b=2)\n\n* uno\n* due  \n",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_come_back_byte_for_byte(
    running: Running, caller: Caller, worker: Worker, text: str
) -> None:
    markdown = (text + "\n") * (10_000 // (len(text.encode("utf-16-le")) // 2 + 1))
    markdown += "." * (10_000 - len(markdown.encode("utf-16-le")) // 2)
    subject = text[:50] + "." * 10
    body = message(subject=subject, markdown=markdown)
    for ascii_only in (True, False):
        sent = await post(running, caller, json.dumps(body, ensure_ascii=ascii_only).encode())
        assert sent.status_code == 201, sent.text
        while await worker.work_once():
            pass
        read = await running.client.get(sent.headers["location"], headers=caller.headers)
        content = json.loads(read.content)["message"]["content"]
        assert content["subject"].encode() == subject.encode()
        assert content["markdown"].encode() == markdown.encode()


# The stricter of two flags ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "asked", "kept_as"),
    [
        ("secure", False, True),
        ("secure", True, True),
        ("secure", ABSENT, True),
        ("anna", False, False),
        ("anna", True, True),
        ("anna", ABSENT, False),
    ],
)
async def test_a_message_cannot_lower_what_its_service_requires(
    running: Running, world: World, pool: Pool, service: str, asked: Any, kept_as: bool
) -> None:
    body = message() if asked is ABSENT else message(require_secure_channels=asked)
    sent = await post(running, getattr(world, service), body)
    async with pool.connection() as conn:
        found = await conn.raw.fetchval(
            "SELECT require_secure_channels FROM messages.message WHERE id = $1",
            sent.json()["id"],
        )
    assert found is kept_as


# The sender's own reference --------------------------------------------------------------------


async def test_a_reference_is_kept_and_searchable(running: Running, caller: Caller) -> None:
    reference = "pratica:2030/0042-" + new_id()
    ids = [
        (await post(running, caller, message(), **{"X-Messo-Reference": reference})).json()["id"]
        for _ in range(2)
    ]
    life = await running.client.get(f"/messo/v1/messages/{ids[0]}", headers=caller.headers)
    assert life.json()["reference"] == reference
    found = await running.client.get(
        "/messo/v1/messages", params={"reference": reference}, headers=caller.headers
    )
    assert [item["id"] for item in found.json()["items"]] == ids[::-1]
    assert {item["reference"] for item in found.json()["items"]} == {reference}


async def test_without_a_reference_there_is_none(running: Running, caller: Caller) -> None:
    sent = await post(running, caller, message())
    life = await running.client.get(
        f"/messo/v1/messages/{sent.json()['id']}", headers=caller.headers
    )
    assert "reference" not in life.json()


@pytest.mark.parametrize("reference", ["!", "~" * 64])
async def test_visible_ascii_makes_a_reference(
    running: Running, caller: Caller, reference: str
) -> None:
    sent = await post(running, caller, message(), **{"X-Messo-Reference": reference})
    assert sent.status_code == 201


@pytest.mark.parametrize("reference", ["", "a b", "x" * 65, "è".encode("latin-1"), "a\tb"])
async def test_another_reference_is_refused(
    running: Running, caller: Caller, reference: Any
) -> None:
    sent = await post(running, caller, message(), **{"X-Messo-Reference": reference})
    assert (sent.status_code, sent.json()["title"]) == (400, "Bad parameters")
    assert sent.json()["field"] == "X-Messo-Reference"


@pytest.mark.parametrize(
    ("notice", "valid"),
    [
        ("002000000012345632", True),
        ("200000000012345647", True),
        ("301000000012345688", True),
        ("301011100007347557", True),
        ("302012387654312384", False),
        ("344012345678901200", False),
        ("301000000012345689", False),
        ("112345678901234567", True),  # auxiliary digit 1 has no check digits
    ],
)
def test_check_digits_of_notice_numbers(notice: str, valid: bool) -> None:
    body = json.dumps(message(payment_data={"amount": 1, "notice_number": notice})).encode()
    if valid:
        assert checks.parse_message(body)
        return
    with pytest.raises(Problem) as refused:
        checks.parse_message(body)
    assert refused.value.status == 400
    assert refused.value.field == "content.payment_data.notice_number"
    assert checks.parse_message(body, check_digits=False)
