"""`messo service sso`: what an operator does for an institution, recorded as the operator's."""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from messo.base.crypto import Secrets, key_digest
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.cli import cli
from messo.commands.database import StoppedError
from messo.sso.clients import Client, find_client
from tests.world import World

URI = "https://sportello.example.org/sso/callback"
USUAL = ("--redirect", URI, "--name", "Sportello online")


@pytest.fixture(autouse=True)
async def here(
    monkeypatch: pytest.MonkeyPatch, database_url: str, secrets: Secrets, pool: Pool
) -> None:
    monkeypatch.setenv("MESSO_DATABASE_URL", database_url)
    monkeypatch.setenv("MESSO_PUBLIC_URL", "https://messo.example.org/")
    parts = [f"{name}:{base64.b64encode(key).decode()}" for name, key in secrets.keys.items()]
    monkeypatch.setenv("MESSO_SECRETS", ",".join(parts))
    async with pool.connection() as conn:
        await conn.raw.execute("DELETE FROM sso.client")


async def run(*words: str) -> str:
    """What it printed; what it refused is raised."""
    told = await asyncio.to_thread(lambda: CliRunner().invoke(cli, ["service", "sso", *words]))
    if told.exception is not None:
        raise told.exception
    return told.stdout


async def stored(pool: Pool, client_id: str) -> Client | None:
    async with pool.connection() as conn:
        return await find_client(conn, client_id)


def fact(what: str, text: str) -> str:
    match = re.search(rf"^{what} +(.*)$", text, re.MULTILINE)
    assert match, text
    return match.group(1)


async def test_an_operator_registers_a_site_and_looks_after_it(pool: Pool, world: World) -> None:
    service = world.anna.id
    told = await run("register", service.lower(), *USUAL)
    assert "Registered." in told
    assert fact("client id", told) == service
    assert fact("issuer", told) == "https://messo.example.org"
    assert fact("discovery", told) == "https://messo.example.org/.well-known/openid-configuration"
    assert fact("redirect", told) == f"{URI}  Sportello online"
    assert "advice" not in told
    first = fact("secret", told)
    client = await stored(pool, service)
    assert client
    assert client.secrets == (key_digest(first),)
    again = await run("register", service, *USUAL, "--protection", "none")
    assert "Replaced." in again
    assert first not in again
    assert not re.search("^secret", again, re.MULTILINE)
    assert fact("advice", again).startswith("request_protection: ")
    second = fact("secret", told := await run("secret", service))
    assert "good until" in fact("old secret", told)
    client = await stored(pool, service)
    assert client
    assert set(client.secrets) == {key_digest(first), key_digest(second)}
    shown = await run("show", service)
    assert fact("old secret", shown) == fact("old secret", told)
    assert first not in shown
    assert second not in shown
    assert "Dropped" in await run("secret", service, "--drop-old")
    client = await stored(pool, service)
    assert client
    assert client.secrets == (key_digest(second),)
    assert "Deleted." in await run("delete", service)
    assert await stored(pool, service) is None
    assert "Nothing is registered" in await run("show", service)
    async with pool.connection() as conn:
        audit: list[dict[str, Any]] = await conn.raw.fetch(
            "SELECT actor, action, detail FROM operations.audit WHERE subject = $1 ORDER BY id",
            service,
        )
    sso = [row for row in audit if row["action"].startswith("sso.")]
    assert [row["action"].removeprefix("sso.client.") for row in sso] == [
        "create",
        "change",
        "secret.replace",
        "secret.drop",
        "delete",
    ]
    assert all(row["actor"].startswith("cli:") for row in sso)
    assert not any(first in row["detail"] or second in row["detail"] for row in sso)


async def test_all_that_can_be_said_is_stored(pool: Pool, world: World, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    key = ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)
    keys.write_text(json.dumps({"keys": [key]}))
    told = await run(
        *("register", world.anna.id, "--test", *USUAL, "--name-en", "Online desk"),
        *("--redirect", "http://[::1]:9/cb", "--name", "Prova", "--name-en", ""),
        *("--post-logout", "https://sportello.example.org/", "--post-logout", "http://localhost/"),
        *("--auth", "private_key_jwt", "--jwks", str(keys), "--alg", "ES256"),
        *("--protection", "pkce_or_nonce", "--optional", "given_name", "--optional", "fiscal_code"),
        *("--level", "https://www.spid.gov.it/SpidL3", "--backchannel", "https://a.example/out"),
    )
    assert "secret  " not in told
    assert fact("client id", told) == f"{world.anna.id}-test"
    assert "http://[::1]:9/cb  Prova" in told
    assert fact("auth", told) == "private_key_jwt, 1 keys"
    client = await stored(pool, f"{world.anna.id}-test")
    assert client
    assert client.environment == "test"
    names = [(one.uri, one.name("it"), one.name("en")) for one in client.redirects]
    assert names == [
        (URI, "Sportello online", "Online desk"),
        ("http://[::1]:9/cb", "Prova", "Prova"),
    ]
    assert client.post_logout_redirect_uris == (
        "https://sportello.example.org/",
        "http://localhost/",
    )
    assert (client.auth_method, client.jwks, client.secrets) == (
        "private_key_jwt",
        {"keys": [key]},
        (),
    )
    assert (client.id_token_alg, client.request_protection) == ("ES256", "pkce_or_nonce")
    assert client.optional_claims == {"given_name", "fiscal_code"}
    assert client.level == "https://www.spid.gov.it/SpidL3"
    assert client.backchannel_logout_uri == "https://a.example/out"
    with pytest.raises(StoppedError, match="proves who it is with its keys"):
        await run("secret", world.anna.id, "--test")
    await run("register", world.anna.id, *USUAL, "--subject", "fiscal_code")
    shown = await run("show", world.anna.id)
    assert re.findall(r"^client id +(\S+)", shown, re.MULTILINE) == [
        world.anna.id,
        f"{world.anna.id}-test",
    ]
    await run("delete", world.anna.id, "--test")
    assert await stored(pool, f"{world.anna.id}-test") is None
    assert await stored(pool, world.anna.id)


async def test_in_a_sandbox_a_live_site_may_be_on_the_machine_itself(
    pool: Pool, world: World
) -> None:
    words = (
        *("register", world.anna.id, "--redirect", "http://127.0.0.1:8080/cb", "--name", "Prova"),
        *("--backchannel", "http://127.0.0.1:8080/out"),
    )
    with pytest.raises(StoppedError, match="environment test"):
        await run(*words)
    mark = "UPDATE base.database SET sandbox = $1"
    async with pool.connection() as conn:
        await conn.raw.execute(mark, True)
    try:
        assert "Registered." in await run(*words)
    finally:
        async with pool.connection() as conn:
            await conn.raw.execute(mark, False)


async def test_what_cannot_be_done_is_said(world: World, tmp_path: Path) -> None:
    service = world.anna.id
    bad, private, large = tmp_path / "bad", tmp_path / "private", tmp_path / "large"
    bad.write_bytes(b"\xff{")
    private.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}))
    large.write_text("[" * 100_000)
    with_keys = ("register", service, *USUAL, "--auth", "private_key_jwt")
    for words, said in [
        (("show", new_id()), "no service"),
        (("show", "x"), "ULID"),
        (("register", new_id(), *USUAL), "There is no service"),
        (("register", "x", *USUAL), "ULID"),
        (("register", service, *USUAL, "--redirect", URI + "/2"), "2 addresses and 1 names"),
        (("register", service, *USUAL, "--name", "Altro"), "1 addresses and 2 names"),
        (
            ("register", service, *USUAL, "--redirect", URI, "--name", "Due", "--name-en", "Two"),
            "1 English names",
        ),
        (("register", service, *USUAL, "--redirect", URI, "--name", "Due"), "redirect_uris[1].uri"),
        (("register", service, "--redirect", "http://a.example/", "--name", "Uno"), "https://"),
        (("register", service, "--redirect", URI, "--name", "Ab"), "display_name.it"),
        (("register", service, *USUAL, "--name-en", "\udcff\udcff\udcff"), "display_name.en"),
        (("register", service, *USUAL, "--auth", "none"), "token_endpoint_auth_method"),
        (("register", service, *USUAL, "--alg", "none"), "id_token_signed_response_alg"),
        (("register", service, *USUAL, "--protection", "some"), "request_protection"),
        (("register", service, *USUAL, "--subject", "public"), "subject_type"),
        (("register", service, *USUAL, "--optional", "email"), "optional_claims[0]"),
        (("register", service, *USUAL, "--level", "SpidL2"), "https://www.spid.gov.it/SpidL3"),
        (("register", service, *USUAL, "--post-logout", "a"), "post_logout_redirect_uris[0]"),
        (("register", service, *USUAL, "--backchannel", "https://10.0.0.1/"), "may not be called"),
        (with_keys, "jwks is missing"),
        ((*with_keys, "--jwks", str(bad)), "holds no JSON"),
        ((*with_keys, "--jwks", str(large)), "too large"),
        ((*with_keys, "--jwks", str(private)), "private key"),
        (("secret", service), "no client"),
        (("secret", service, "--drop-old"), "no client"),
        (("secret", new_id()), "no service"),
        (("delete", service), "no client"),
        (("delete", service, "--test"), "test"),
        (("delete", "x"), "ULID"),
    ]:
        with pytest.raises(StoppedError) as stopped:
            await run(*words)
        assert said in str(stopped.value), words
    with pytest.raises(FileNotFoundError):
        await run(*with_keys, "--jwks", str(tmp_path / "none"))
    assert "Nothing is registered" in await run("show", service)
