"""A citizen's e-mail address: the token that proves it, and that it is one citizen's only."""

import asyncio
import re
from datetime import timedelta
from itertools import count
from typing import Any

from messo.base.db import Connection, Pool
from messo.recipients import (
    Wishes,
    amend,
    begin_validation,
    confirm_email,
    is_email_already_taken,
    read_profile,
)
from messo.recipients.email import ask_validation
from messo.recipients.profile import Profile, create_profiles
from tests.conftest import Running
from tests.recipients.person import Person, code, enter, kinds_of

NUMBERS = count(1)
PATH = "/api/identity/v1/email-validation-process"


async def person(pool: Pool, running: Running, **more: Any) -> Person:
    return await enter(pool, running.client, code(next(NUMBERS), "EMV"), **more)


async def citizen(pool: Pool, **more: Any) -> str:
    fiscal_code = code(next(NUMBERS), "EMV")
    async with pool.transaction() as conn:
        await create_profiles(
            conn, [Profile(fiscal_code, **{"mode": "AUTO", "settings_version": 0, **more})]
        )
    return fiscal_code


async def begun(pool: Pool, fiscal_code: str) -> str:
    async with pool.transaction() as conn:
        token = await begin_validation(conn, fiscal_code)
    assert token is not None
    return token


async def confirmed(pool: Pool, fiscal_code: str, token: str) -> bool:
    async with pool.transaction() as conn:
        return await confirm_email(conn, fiscal_code, token)


async def test_asking_is_202_only_where_there_is_something_to_prove(
    pool: Pool, running: Running
) -> None:
    someone = await person(pool, running, email="uno@example.org")
    answer = await someone.post(PATH)
    assert (answer.status_code, answer.text) == (202, "Accepted")
    assert (await someone.post(PATH)).status_code == 202
    assert (await (await person(pool, running, profile=False)).post(PATH)).status_code == 404
    assert (await (await person(pool, running)).post(PATH)).status_code == 400
    proven = await person(pool, running, email="due@example.org", is_email_validated=True)
    assert (await proven.post(PATH)).status_code == 400
    assert (await running.client.post(PATH)).status_code == 401


async def test_the_token_is_kept_as_a_hash_and_used_once(pool: Pool) -> None:
    someone = await citizen(pool, email="tre@example.org")
    token = await begun(pool, someone)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}:[0-9a-f]{24}", token)
    async with pool.connection() as conn:
        row = await conn.raw.fetchrow(
            "SELECT * FROM recipients.email_validation WHERE fiscal_code = $1", someone
        )
        assert token not in str(dict(row))
        assert row["expires_at"] - row["created_at"] == timedelta(days=30)
    assert await confirmed(pool, someone, token)
    async with pool.connection() as conn:
        profile = await read_profile(conn, someone)
    assert profile is not None
    assert (profile.is_email_validated, profile.version) == (True, 1)
    assert await kinds_of(pool, someone) == ["is_email_validated"]
    assert not await confirmed(pool, someone, token)


async def test_only_the_newest_token_lives(pool: Pool) -> None:
    someone = await citizen(pool, email="quattro@example.org")
    older, newer = await begun(pool, someone), await begun(pool, someone)
    assert not await confirmed(pool, someone, older)
    assert await confirmed(pool, someone, newer)


async def test_a_token_of_an_older_address_proves_nothing(pool: Pool) -> None:
    someone = await citizen(pool, email="cinque@example.org")
    token = await begun(pool, someone)
    async with pool.transaction() as conn:
        await amend(conn, someone, Wishes(email="sei@example.org"))
        await amend(conn, someone, Wishes(email="cinque@example.org"))
    assert not await confirmed(pool, someone, token)


async def test_a_token_dies_after_its_time_and_is_forgotten(pool: Pool) -> None:
    from messo.recipients.archive import forget_old

    someone = await citizen(pool, email="sette@example.org")
    token = await begun(pool, someone)
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.email_validation SET expires_at = now() WHERE fiscal_code = $1",
            someone,
        )
    assert not await confirmed(pool, someone, token)
    async with pool.transaction() as conn:
        assert await forget_old(conn) is False
        left = await conn.raw.fetchval(
            "SELECT count(*) FROM recipients.email_validation WHERE fiscal_code = $1", someone
        )
    assert left == 0


async def test_a_token_is_its_citizens_only(pool: Pool) -> None:
    one, other = await citizen(pool, email="a1@example.org"), await citizen(pool, email="b1@b.org")
    token = await begun(pool, one)
    await begun(pool, other)
    for wrong in ("", "x", token[:-1], token.lower(), token + " "):
        assert not await confirmed(pool, one, wrong)
    assert not await confirmed(pool, other, token)
    assert not await confirmed(pool, code(999, "EMV"), token)
    assert await confirmed(pool, one, token)


async def test_there_is_nothing_to_begin_without_an_open_question(pool: Pool) -> None:
    async with pool.transaction() as conn:
        assert await begin_validation(conn, code(998, "EMV")) is None
    for more in ({}, {"email": "ok@example.org", "is_email_validated": True}):
        someone = await citizen(pool, **more)
        async with pool.transaction() as conn:
            assert await begin_validation(conn, someone) is None


async def test_of_two_who_prove_one_address_at_once_one_does(pool: Pool) -> None:
    for round_ in range(5):
        address = f"Gara{round_}@Example.org"
        people = [await citizen(pool, email=address), await citizen(pool, email=address.lower())]
        tokens = [await begun(pool, someone) for someone in people]
        results = await asyncio.gather(
            *(confirmed(pool, p, t) for p, t in zip(people, tokens, strict=True))
        )
        assert sorted(results) == [False, True]
        async with pool.connection() as conn:
            loser = await read_profile(conn, people[results.index(False)])
            assert loser is not None
            assert loser.is_email_validated is False
            assert await is_email_already_taken(conn, loser)


async def test_the_seam_gets_the_token_and_one_mail_a_minute(pool: Pool) -> None:
    sent: list[tuple[str, str, str]] = []

    async def send(conn: Connection, fiscal_code: str, email: str, token: str) -> None:
        sent.append((fiscal_code, email, token))

    someone = await citizen(pool)
    async with pool.transaction() as conn:
        await amend(conn, someone, Wishes(email="otto@example.org"), send)
    assert [one[:2] for one in sent] == [(someone, "otto@example.org")]
    async with pool.transaction() as conn:
        await ask_validation(conn, someone, send)
    assert len(sent) == 1
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.email_validation SET created_at = created_at - interval '1 minute' "
            "WHERE fiscal_code = $1",
            someone,
        )
        await ask_validation(conn, someone, send)
    assert len(sent) == 2
    assert not await confirmed(pool, someone, sent[0][2])
    assert await confirmed(pool, someone, sent[1][2])


async def test_an_address_that_is_given_up_is_free(pool: Pool) -> None:
    one, other = await citizen(pool, email="nove@example.org"), await citizen(pool)
    assert await confirmed(pool, one, await begun(pool, one))
    async with pool.transaction() as conn:
        await amend(conn, one, Wishes(email=None))
        await amend(conn, other, Wishes(email="NOVE@example.org"))
    assert await confirmed(pool, other, await begun(pool, other))
