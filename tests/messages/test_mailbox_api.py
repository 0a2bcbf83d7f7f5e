"""The citizens' message routes, as a client application speaks to them."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.work import Worker
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import many
from tests.conftest import Running
from tests.messages.mail import MESSAGES, PAYMENT, Mail, fill, log_in, without_changing_headers
from tests.world import AUTO, STRANGER, World

CITIZENS = iter(many(300)[200:])


@pytest.fixture(scope="module")
def mail(running: Running, worker: Worker) -> Mail:
    return Mail(running, worker)


class Citizen:
    """Somebody with a client application."""

    def __init__(self, running: Running, fiscal_code: str, headers: dict[str, str]) -> None:
        self.running = running
        self.fiscal_code = fiscal_code
        self.headers = headers

    async def get(self, path: str = "", expect: int = 200, **query: Any) -> Any:
        answer = await self.running.client.get(MESSAGES + path, params=query, headers=self.headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def put(self, message_id: str, body: Any, expect: int = 200) -> Any:
        answer = await self.running.client.put(
            f"{MESSAGES}/{message_id}/status", json=body, headers=self.headers
        )
        assert answer.status_code == expect, answer.text
        return answer.json()


async def citizen(running: Running) -> Citizen:
    fiscal_code = next(CITIZENS)
    async with running.started.pool.transaction() as conn:
        profile = Profile(fiscal_code, "AUTO", 0, is_inbox_enabled=True)
        await create_profiles(conn, [profile])
    return Citizen(running, fiscal_code, await log_in(running, fiscal_code))


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


# The list ---------------------------------------------------------------------------------------


async def test_an_empty_inbox_is_a_page_without_cursors(running: Running) -> None:
    anna = await citizen(running)
    assert await anna.get() == {"items": []}


async def test_an_item_has_five_members_and_enriched_all(
    running: Running, mail: Mail, world: World
) -> None:
    anna = await citizen(running)
    message_id = await mail.send(world.anna, anna.fiscal_code, payment_data=PAYMENT)
    page = await anna.get()
    (item,) = page["items"]
    created = item.pop("created_at")
    assert created.endswith("Z")
    assert len(created) == len("2030-01-31T22:59:59.000Z")
    plain = {
        "id": message_id,
        "fiscal_code": anna.fiscal_code,
        "sender_service_id": world.anna.id,
        "time_to_live": 3600,
    }
    assert item == plain
    assert page["prev"] == message_id
    assert "next" not in page
    (item,) = (await anna.get(enrich_result_data="true"))["items"]
    assert item == plain | {
        "created_at": created,
        "service_name": "Anagrafe",
        "organization_name": "Comune di Anna",
        "organization_fiscal_code": "00000000001",
        "message_title": "La tua tessera è pronta",
        "is_read": False,
        "is_archived": False,
        "category": {"tag": "PAYMENT", "rptId": "00000000001" + "0" * 18},
        "has_attachments": False,
        "has_remote_content": False,
        "has_precondition": False,
    }


async def test_the_archive_and_the_inbox_are_told_apart_enriched_or_not(
    running: Running, mail: Mail, world: World
) -> None:
    anna = await citizen(running)
    first, second = [await mail.send(world.anna, anna.fiscal_code) for _ in range(2)]
    await anna.put(first, {"change_type": "archiving", "is_archived": True})
    for enriched in ("true", "false"):
        assert ids(await anna.get(enrich_result_data=enriched)) == [second]
        assert ids(await anna.get(enrich_result_data=enriched, archived="false")) == [second]
        assert ids(await anna.get(enrich_result_data=enriched, archived="true")) == [first]


async def test_cursors_are_ids_and_lead_through_the_whole_list(
    running: Running, pool: Pool
) -> None:
    anna = await citizen(running)
    known = (await fill(pool, anna.fiscal_code, 25))[::-1]
    page = await anna.get(page_size=10)
    assert (ids(page), page["prev"], page["next"]) == (known[:10], known[0], known[9])
    page = await anna.get(page_size=10, maximum_id=page["next"])
    assert (ids(page), page["prev"], page["next"]) == (known[10:20], known[10], known[19])
    page = await anna.get(page_size=10, maximum_id=page["next"].lower())
    assert (ids(page), page["prev"]) == (known[20:], known[20])
    assert "next" not in page
    assert await anna.get(maximum_id=known[-1]) == {"items": []}
    # What is newer: the newest of it, and the gap by both cursors.
    page = await anna.get(page_size=10, minimum_id=known[14])
    assert (ids(page), page["next"]) == (known[:10], known[9])
    page = await anna.get(page_size=10, minimum_id=known[14], maximum_id=page["next"])
    assert ids(page) == known[10:14]
    assert "next" not in page
    assert ids(await anna.get(minimum_id=known[1])) == [known[0]]
    assert await anna.get(minimum_id=known[0]) == {"items": []}
    assert await anna.get(minimum_id=known[3], maximum_id=known[4]) == {"items": []}
    assert ids(await anna.get()) == known


async def test_a_page_has_a_hundred_unless_told_otherwise(running: Running, pool: Pool) -> None:
    anna = await citizen(running)
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM messages.message WHERE service_id = 'S'")
        await conn.raw.execute("DELETE FROM messages.content WHERE id LIKE '01HZ000000000000%'")
    await fill(pool, anna.fiscal_code, 120)
    assert len(ids(await anna.get())) == 100
    assert len(ids(await anna.get(page_size=100))) == 100
    assert len(ids(await anna.get(page_size=1))) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": "0"},
        {"page_size": "101"},
        {"page_size": "-1"},
        {"page_size": "1.0"},
        {"page_size": ""},
        {"page_size": "١"},
        {"page_size": "9" * 400},
        {"archived": "True"},
        {"archived": "1"},
        {"archived": ""},
        {"enrich_result_data": "yes"},
        {"maximum_id": "x"},
        {"maximum_id": ""},
        {"maximum_id": "0" * 25},
        {"maximum_id": "01ARZ3NDEKTSV4RRFFQ69G5FA\n"},
        {"minimum_id": "01ARZ3NDEKTSV4RRFFQ69G5FAI"},
        {"minimum_id": "\x00"},
    ],
)
async def test_a_parameter_that_is_not_exactly_right_is_refused_by_name(
    running: Running, query: dict[str, str]
) -> None:
    anna = await citizen(running)
    problem = await anna.get(expect=400, **query)
    assert (problem["title"], problem["field"]) == ("Bad request", next(iter(query)))


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    query=st.dictionaries(
        st.sampled_from(
            ["page_size", "enrich_result_data", "archived", "maximum_id", "minimum_id", "q", "x"]
        ),
        st.text(st.characters(blacklist_categories=["Cs"]), max_size=60) | st.just("true"),
        max_size=4,
    )
)
async def test_no_query_makes_the_server_fail(running: Running, query: dict[str, str]) -> None:
    headers = await log_in(running, AUTO)
    answer = await running.client.get(MESSAGES, params=query, headers=headers)
    assert answer.status_code in {200, 400}


async def test_one_broken_message_leaves_the_page_whole(
    running: Running, mail: Mail, world: World, pool: Pool
) -> None:
    anna = await citizen(running)
    sound, broken, empty = [await mail.send(world.anna, anna.fiscal_code) for _ in range(3)]
    async with pool.transaction() as conn:
        await conn.raw.execute("UPDATE messages.content SET parts = '[]' WHERE id = $1", broken)
        await conn.raw.execute("DELETE FROM messages.content WHERE id = $1", empty)
    page = await anna.get(enrich_result_data="true")
    assert ids(page) == [empty, broken, sound]
    assert {item["message_title"] for item in page["items"]} == {"La tua tessera è pronta"}
    await anna.get("/" + broken)
    await anna.get("/" + empty, expect=404)  # as the contract says: there is no content


async def test_the_list_is_searched_by_words(running: Running, mail: Mail, world: World) -> None:
    anna = await citizen(running)
    first = await mail.send(world.anna, anna.fiscal_code, subject="Scadenze della mensa")
    await mail.send(world.anna, anna.fiscal_code)
    assert ids(await anna.get(q="scadenza")) == [first]
    assert ids(await anna.get(q="nonexistent")) == []


# One message ------------------------------------------------------------------------------------


async def test_a_message_is_read_as_it_was_accepted_and_stays_unread(
    running: Running, mail: Mail, world: World
) -> None:
    anna = await citizen(running)
    message_id = await mail.send(
        world.anna, anna.fiscal_code, payment_data=PAYMENT, due_date="2030-01-31T22:59:59Z"
    )
    body = await anna.get("/" + message_id)
    assert set(body) == {
        "id",
        "fiscal_code",
        "created_at",
        "sender_service_id",
        "time_to_live",
        "content",
    }
    assert body["content"]["due_date"] == "2030-01-31T22:59:59.000Z"
    assert body["content"]["payment_data"] == PAYMENT | {
        "invalid_after_due_date": False,
        "payee": {"fiscal_code": "00000000001"},
    }
    assert body["content"]["markdown"].startswith("Ciao! La tua tessera")
    assert "third_party_data" not in body["content"]
    public = await anna.get("/" + message_id, public_message="true")
    assert {name: public[name] for name in public.keys() - body.keys()} == {
        "category": {"tag": "PAYMENT", "rptId": "00000000001" + "0" * 18},
        "is_read": False,
        "is_archived": False,
        "message_title": "La tua tessera è pronta",
        "service_name": "Anagrafe",
        "organization_name": "Comune di Anna",
        "organization_fiscal_code": "00000000001",
    }
    (item,) = (await anna.get(enrich_result_data="true"))["items"]
    assert item["is_read"] is False
    await anna.get("/" + message_id, expect=400, public_message="1")


@pytest.mark.parametrize(
    "wrong", ["x", "0" * 25, "0" * 27, "%00" * 26, "01ARZ3NDEKTSV4RRFFQ69G5FAU"]
)
async def test_what_is_no_id_is_refused(running: Running, wrong: str) -> None:
    anna = await citizen(running)
    assert (await anna.get("/" + wrong, expect=400))["title"] == "Bad request"
    change = {"change_type": "reading", "is_read": True}
    assert (await anna.put(wrong, change, expect=400))["title"] == "Bad request"


async def test_another_s_message_is_an_unknown_one_byte_for_byte(
    running: Running, mail: Mail, world: World
) -> None:
    anna, bruno = await citizen(running), await citizen(running)
    foreign = await mail.send(world.anna, bruno.fiscal_code)
    rejected = await mail.send(world.anna, STRANGER)
    waiting = await mail.post(world.anna, anna.fiscal_code)
    wanted = [new_id(), foreign, foreign.lower(), rejected, waiting]
    change = {"change_type": "bulk", "is_archived": True, "is_read": True}
    for method, path, body in (
        ("GET", "", None),
        ("GET", "?public_message=true", None),
        ("PUT", "/status", change),
    ):
        answers = [
            await running.client.request(
                method, f"{MESSAGES}/{one}{path}", json=body, headers=anna.headers
            )
            for one in wanted
        ]
        seen = [without_changing_headers(answer) for answer in answers]
        assert all(one == seen[0] for one in seen)
        assert seen[0][0] == 404
        assert answers[0].json()["title"] == "Not found"
    (item,) = (await bruno.get(enrich_result_data="true"))["items"]
    assert (item["is_read"], item["is_archived"]) == (False, False)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "x"}])
async def test_without_a_session_there_is_nothing(
    running: Running, headers: dict[str, str]
) -> None:
    path = f"{MESSAGES}/{new_id()}"
    for method, where in (("GET", MESSAGES), ("GET", path), ("PUT", path + "/status")):
        answer = await running.client.request(method, where, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


# The status -------------------------------------------------------------------------------------


async def test_the_three_shapes_touch_what_they_name(
    running: Running, mail: Mail, world: World
) -> None:
    anna = await citizen(running)
    message_id = await mail.send(world.anna, anna.fiscal_code)
    steps: list[tuple[dict[str, Any], tuple[bool, bool]]] = [
        ({"change_type": "archiving", "is_archived": True}, (False, True)),
        ({"change_type": "bulk", "is_archived": False}, (False, False)),
        ({"change_type": "reading", "is_read": True}, (True, False)),
        ({"change_type": "reading", "is_read": True, "more": 1}, (True, False)),
        ({"change_type": "bulk", "is_archived": True}, (True, True)),
        ({"change_type": "archiving", "is_archived": False}, (True, False)),
        ({"change_type": "bulk", "is_archived": True, "is_read": True}, (True, True)),
    ]
    for body, (is_read, is_archived) in steps:
        answer = await anna.put(message_id, body)
        assert answer == {"is_read": is_read, "is_archived": is_archived}
    other = await mail.send(world.anna, anna.fiscal_code)
    bulk = {"change_type": "bulk", "is_archived": True, "is_read": True}
    assert await anna.put(other, bulk) == {"is_read": True, "is_archived": True}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        7,
        {"change_type": "reading"},
        {"change_type": "reading", "is_read": False},
        {"change_type": "reading", "is_read": 1},
        {"change_type": "reading", "is_read": "true"},
        {"change_type": "archiving"},
        {"change_type": "archiving", "is_archived": None},
        {"change_type": "bulk", "is_read": True},
        {"change_type": "bulk", "is_archived": True, "is_read": False},
        {"change_type": "else", "is_read": True},
        {"is_read": True},
        {"change_type": "reading", "is_read": True, "x": "\x00"},
    ],
)
async def test_a_body_of_another_shape_is_refused(
    running: Running, mail: Mail, world: World, body: Any
) -> None:
    anna = await citizen(running)
    message_id = await mail.send(world.anna, anna.fiscal_code)
    problem = await anna.put(message_id, body, expect=400)
    assert problem["title"] == "Bad request"
    (item,) = (await anna.get(enrich_result_data="true"))["items"]
    assert (item["is_read"], item["is_archived"]) == (False, False)


@pytest.mark.parametrize("body", [b"", b"{", b'{"change_type":"reading"', b"\xff\xfe", b"[" * 9999])
async def test_what_is_no_json_is_refused(running: Running, body: bytes) -> None:
    anna = await citizen(running)
    answer = await running.client.put(
        f"{MESSAGES}/{new_id()}/status", content=body, headers=anna.headers
    )
    assert answer.status_code == 400
    assert answer.json()["title"] == "Bad request"


async def test_two_devices_at_once_lose_nothing(running: Running, mail: Mail, world: World) -> None:
    anna = await citizen(running)
    message_id = await mail.send(world.anna, anna.fiscal_code)
    await asyncio.gather(
        *(anna.put(message_id, {"change_type": "reading", "is_read": True}) for _ in range(5)),
        *(
            anna.put(message_id, {"change_type": "archiving", "is_archived": True})
            for _ in range(5)
        ),
    )
    (item,) = (await anna.get(enrich_result_data="true", archived="true"))["items"]
    assert (item["is_read"], item["is_archived"]) == (True, True)
