"""The sandbox's world: complete, valid, and never made in a production database."""

import re

from codicefiscale import codicefiscale

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.content import configurations
from messo.content.wire import Environment
from messo.login import FISCAL_CODE
from messo.operations.operators import is_operator
from messo.people.members import memberships_of
from messo.sandbox import fiscal_codes, world
from messo.services import keys
from messo.settings import Settings
from tests.world import World, add_configuration


async def test_a_database_with_institutions_is_production_until_it_is_a_sandbox(
    pool: Pool, secrets: Secrets
) -> None:
    async with pool.connection() as conn:
        assert not await world.is_production(conn)
    described = await world.build(pool, secrets, Settings())
    async with pool.connection() as conn:
        assert await world.is_sandbox(conn)
        assert not await world.is_production(conn)
    again = await world.build(pool, secrets, Settings())
    assert again == described
    assert len(described["services"]) == 6
    assert len({service["organization_fiscal_code"] for service in described["services"]}) == 3
    assert described["service"]["key"] == described["services"][0]["key"]
    towns = {one["fiscal_code"]: one for one in described["institutions"]}
    assert towns.keys() == {one.fiscal_code for one in world.INSTITUTIONS}
    assert towns["99999999001"]["manage_key"] == described["manage_key"]
    async with pool.connection() as conn:
        for one in towns.values():
            pair = await keys.read_pair(conn, secrets, one["id"])
            assert one["manage_key"] == pair["primary"]
    assert described["relying_party"] == "http://127.0.0.1:8480/sandbox/sportello"


async def test_what_people_configured_in_a_sandbox_stays_through_a_restart(
    pool: Pool, secrets: Secrets
) -> None:
    described = await world.build(pool, secrets, Settings())
    own = described["services"][0]["configuration_id"]
    async with pool.transaction() as conn:
        institution = await conn.raw.fetchval(
            "SELECT institution_id FROM content.configuration WHERE id = $1", own
        )
        made = await add_configuration(conn, secrets, institution, "https://mine.example.org")
    again = await world.build(pool, secrets, Settings(port=9999))
    assert again["services"][0]["configuration_id"] == own
    assert again["remote_content_url"] == "http://127.0.0.1:9999/sandbox/institution"
    async with pool.connection() as conn:
        mine = await configurations.find(conn, secrets, made)
        theirs = await configurations.find(conn, secrets, own)
    for found, url in ((mine, "https://mine.example.org"), (theirs, again["remote_content_url"])):
        assert isinstance(found.prod_environment, Environment)
        assert found.prod_environment.base_url == url


async def test_every_institution_has_somebody_in_each_role(pool: Pool, secrets: Secrets) -> None:
    described = await world.build(pool, secrets, Settings())
    async with pool.connection() as conn:
        (town,) = await memberships_of(conn, "editor.pontelungo")
        assert (town.institution_name, town.role) == ("Comune di Pontelungo", "editor")
        for one in described["staff"]:
            (found,) = await memberships_of(conn, one["login"])
            assert found.fiscal_code == one["organization_fiscal_code"]
            assert found.role == one["role"]
        assert await is_operator(conn, described["operator"]["login"])


async def test_others_institutions_make_it_production(pool: Pool, world: World) -> None:
    from messo.sandbox.world import is_production

    async with pool.connection() as conn:
        await conn.script("UPDATE base.database SET sandbox = false")
        assert await is_production(conn)
        await conn.script("UPDATE base.database SET sandbox = true")


def test_codes_are_valid_and_never_issued() -> None:
    codes = [
        *fiscal_codes.MAGIC.values(),
        fiscal_codes.UNKNOWN,
        *fiscal_codes.many(2000),
        *(citizen.profile.fiscal_code for citizen in world.CITIZENS),
    ]
    for code in codes:
        assert re.match(FISCAL_CODE, code)
        assert codicefiscale.encode_cin(code) == code[-1]
        assert code[11] == "Y"  # no municipality and no foreign state
    assert len(set(codes)) == len(codes) - len(fiscal_codes.MAGIC) + 1  # three of them live there
