"""PUT /api/communication/v1/installations/{id}: any number of devices, kept before the answer."""

import asyncio
from itertools import count
from typing import Any

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from tests.conftest import Running
from tests.recipients.person import Person, code, enter

NUMBERS = count(1)
BODY = {"platform": "apns", "pushChannel": "a-channel"}


def path(installation_id: str) -> str:
    return f"/api/communication/v1/installations/{installation_id}"


async def person(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, code(next(NUMBERS), "NST"), **more)


async def devices(pool: Pool, someone: Person) -> dict[str, tuple[str, str]]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT id, platform, push_channel FROM recipients.installation WHERE fiscal_code = $1",
            someone.code,
        )
    return {row[0]: (row[1], row[2]) for row in rows}


async def test_a_device_is_stored_with_its_channel_encrypted(
    pool: Pool, running: Running, secrets: Secrets
) -> None:
    someone = await person(pool, running)
    answer = await someone.request("PUT", path("first"), json=BODY)
    assert (answer.status_code, answer.json()) == (200, {"message": "ok"})
    stored = await devices(pool, someone)
    assert "a-channel" not in stored["first"][1]
    assert secrets.decrypt(stored["first"][1]) == "a-channel"
    newer = {"platform": "fcmv1", "pushChannel": "b"}
    assert (await someone.request("PUT", path("first"), json=newer)).status_code == 200
    assert (await someone.request("PUT", path("second"), json=BODY)).status_code == 200
    stored = await devices(pool, someone)
    assert stored.keys() == {"first", "second"}
    assert (stored["first"][0], secrets.decrypt(stored["first"][1])) == ("fcmv1", "b")


async def test_beyond_twenty_the_oldest_gives_way(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)
    for number in range(20):
        await someone.request("PUT", path(f"d{number}"), json=BODY)
    await someone.request("PUT", path("d0"), json=BODY)  # used again: the newest now
    await someone.request("PUT", path("d20"), json=BODY)
    assert (await devices(pool, someone)).keys() == {f"d{n}" for n in range(21)} - {"d1"}
    answers = await asyncio.gather(
        *(someone.request("PUT", path(f"e{number}"), json=BODY) for number in range(30))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len(await devices(pool, someone)) == 20


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"platform": "apns"},
        {"pushChannel": "x"},
        {"platform": "APNS", "pushChannel": "x"},
        {"platform": "apns", "pushChannel": ""},
        {"platform": "apns", "pushChannel": 5},
        {"platform": "apns", "pushChannel": "x" * 4097},
        {"platform": "apns", "push_channel": "x"},
        [],
    ],
)
async def test_a_body_that_breaks_the_rules_is_400(pool: Pool, running: Running, body: Any) -> None:
    someone = await person(pool, running)
    assert (await someone.request("PUT", path("one"), json=body)).status_code == 400
    assert await devices(pool, someone) == {}


async def test_an_id_is_1_to_200_visible_characters(pool: Pool, running: Running) -> None:
    someone = await person(pool, running)
    for good in ("x" * 200, "a!b", "~"):
        assert (await someone.request("PUT", path(good), json=BODY)).status_code == 200
    for bad in ("x" * 201, "a%20b", "%00", "%C3%A8", "a%0A"):
        assert (await someone.request("PUT", path(bad), json=BODY)).status_code == 400
    assert (await someone.request("PUT", path(""), json=BODY)).status_code == 404


async def test_only_for_citizens_with_a_profile_and_a_session(pool: Pool, running: Running) -> None:
    nobody = await person(pool, running, profile=False)
    assert (await nobody.request("PUT", path("one"), json=BODY)).status_code == 404
    assert (await running.client.put(path("one"), json=BODY)).status_code == 401


async def test_the_same_id_of_another_citizen_is_another_device(
    pool: Pool, running: Running
) -> None:
    one, other = await person(pool, running), await person(pool, running)
    await one.request("PUT", path("same"), json=BODY)
    await other.request("PUT", path("same"), json={"platform": "gcm", "pushChannel": "o"})
    assert (await devices(pool, one))["same"][0] == "apns"
    assert (await devices(pool, other))["same"][0] == "gcm"
