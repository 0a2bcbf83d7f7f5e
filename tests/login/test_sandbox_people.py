"""The sandbox's people at the login: tokens that last, names, birthdays."""

from messo.base.crypto import Secrets, new_secret
from messo.base.db import Pool
from messo.login import client_limits, find_session
from messo.sandbox import world as sandbox
from messo.sandbox.fiscal_codes import birth_date
from messo.settings import Settings


async def test_the_sandboxs_tokens_are_sessions_that_survive_a_restart(
    pool: Pool, secrets: Secrets
) -> None:
    settings = Settings()
    first = await sandbox.build(pool, secrets, settings)
    tokens = {one["fiscal_code"]: one["session_token"] for one in first["citizens"]}
    assert len(set(tokens.values())) == len(sandbox.CITIZENS)
    async with pool.connection() as conn:
        await conn.raw.execute("UPDATE login.session SET seen_at = now() - interval '40 days'")
    again = await sandbox.build(pool, secrets, settings)
    assert again["citizens"] == first["citizens"]
    async with pool.connection() as conn:
        for fiscal_code, token in tokens.items():
            session = await find_session(conn, token, client_limits(settings), "client")
            assert session is not None
            assert session.fiscal_code == fiscal_code
    other = Secrets.parse(new_secret())
    assert not set(tokens.values()) & {
        sandbox._token(other, citizen) for citizen in sandbox.CITIZENS
    }


def test_the_sandboxs_people_have_names_and_birthdays() -> None:
    for citizen in sandbox.CITIZENS:
        who = citizen.identity("level")
        assert who.name
        assert who.family_name
        assert who.date_of_birth is not None
    assert str(birth_date("FRRGLI85E50Y101X")) == "1985-05-10"
    assert birth_date("FRRGLI85E99Y101X") is None
