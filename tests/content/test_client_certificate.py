"""Servers that want to see a certificate of ours, and have an authority of their own."""

import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messo.base.db import Pool
from messo.content import (
    Ask,
    Configurations,
    Fetch,
    NotServedProblem,
    Promised,
    Remote,
    configurations,
)
from tests.base.test_outbound import (
    LOOPBACK,
    client,
    make_authority,
    make_certificate,
    names,
    serving,
)
from tests.conftest import Running
from tests.content.institution import STATIC, answer, detail
from tests.world import World, add_configuration, environment

PEM = serialization.Encoding.PEM


def named(authority: Any, name: str) -> tuple[str, str]:
    """A certificate and its key, as PEM."""
    signing, issuer = authority
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = make_certificate(subject, key, issuer.subject, signing)
    private = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(PEM).decode(), private.decode()


@pytest.mark.parametrize(
    ("shown", "trusted", "reason"),
    [
        ("theirs", "theirs", None),
        ("another", "theirs", "down"),  # signed by somebody they do not know
        (None, "theirs", "down"),
        ("theirs", "another", "down"),  # we do not know them
        ("mixed", "theirs", "wrong"),  # certificate and key do not belong together
    ],
)
async def test_both_sides_show_who_they_are(
    pool: Pool,
    running: Running,
    world: World,
    tmp_path: Path,
    shown: str | None,
    trusted: str,
    reason: str | None,
) -> None:
    authorities = {name: make_authority() for name in ("theirs", "another")}
    certificates = {name: named(one, "Messo") for name, one in authorities.items()}
    certificates["mixed"] = certificates["theirs"][0], certificates["another"][1]
    own = tmp_path / "server.pem"
    own.write_text("".join(named(authorities["theirs"], "Comune")))
    theirs = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cadata=authorities["theirs"][1].public_bytes(PEM).decode()
    )
    theirs.load_cert_chain(own)
    theirs.verify_mode = ssl.CERT_REQUIRED
    async with (
        serving(answer(detail()), tls=theirs) as server,
        client(allowed=LOOPBACK[:1], resolve=names(["127.0.0.1"])) as outbound,
    ):
        there = environment(f"https://name.example.org:{server.port}")
        if shown:
            there["details_authentication"]["cert"] = {
                "client_cert": certificates[shown][0],
                "client_key": certificates[shown][1],
                "server_ca": authorities[trusted][1].public_bytes(PEM).decode(),
            }
        async with pool.transaction() as conn:
            configuration = await add_configuration(
                conn, world.secrets, world.anna.institution, prod_environment=there
            )
        found = Configurations(pool, running.started.directory, world.secrets)
        fetch = Fetch(found, Ask(outbound))
        remote = Remote("m", "c", configuration, "42", Promised(True, True, *STATIC.values()))
        if reason is None:
            assert (await fetch.detail(remote)).subject
            return
        with pytest.raises(NotServedProblem) as failed:
            await fetch.detail(remote)
        assert failed.value.reason == reason
        assert not server.heads


async def test_it_is_given_back_to_its_owner_and_encrypted(pool: Pool, world: World) -> None:
    certificate, key = named(make_authority(), "Messo")
    there = environment("https://name.example.org")
    cert = {"client_cert": certificate, "client_key": key, "server_ca": certificate}
    there["details_authentication"]["cert"] = cert
    async with pool.transaction() as conn:
        configuration = await add_configuration(
            conn, world.secrets, world.anna.institution, prod_environment=there
        )
        sealed = await conn.raw.fetchval(
            "SELECT sealed FROM content.configuration WHERE id = $1", configuration
        )
        owned = await configurations.read(
            conn, world.secrets, world.anna.institution, configuration
        )
    assert msgspec.to_builtins(owned.prod_environment) == there
    assert b"PRIVATE KEY" not in sealed
    assert key.encode() not in sealed
