"""What production refuses of the sandbox's identity, and what it does without a provider."""

import asyncio
import dataclasses
import time

import httpx
import msgspec
import pytest

from messo import app
from messo.base import server
from messo.base.crypto import Secrets, new_secret
from messo.base.outbound import Outbound
from messo.login import LoginError, LoginFlow, Provider, citizen_registration, issuer
from messo.login.flow import Pending
from messo.serve import check
from messo.settings import RefusedError, Settings
from tests.conftest import free_port, until_started
from tests.world import World

READY = Settings(
    database_url="postgresql://127.0.0.1/messo",
    secrets=new_secret(),
    public_url="https://messo.example.org",
)


def test_production_refuses_a_provider_without_encryption() -> None:
    check(dataclasses.replace(READY, login_issuer="https://id.example.org"))
    check(READY)  # nobody can log in, institutions can send
    for wrong in ("http://id.example.org", "id.example.org", "HTTPS://id.example.org"):
        with pytest.raises(RefusedError, match="MESSO_LOGIN_ISSUER"):
            check(dataclasses.replace(READY, login_issuer=wrong))


def test_only_a_sandbox_has_a_provider_of_its_own() -> None:
    assert issuer(READY) == ""
    assert issuer(dataclasses.replace(READY, login_issuer="https://a")) == "https://a"
    sandbox_settings = Settings(sandbox=True, public_url="http://127.0.0.1:8480/")
    assert issuer(sandbox_settings) == "http://127.0.0.1:8480/sandbox/identity"


async def test_production_serves_no_sandbox_page_and_starts_without_a_provider(
    database_url: str, secrets: Secrets, world: World
) -> None:
    port = free_port()
    nobody = f"http://127.0.0.1:{free_port()}"
    for login_issuer in ("", nobody):
        settings = Settings(
            login_issuer=login_issuer,
            public_url=f"http://127.0.0.1:{port}",
            client_redirects=("https://app.example.org/back",),
        )
        async with app.start(settings, database_url, secrets) as started:
            public = server.beside_server(started.app, "127.0.0.1", port)
            task = asyncio.create_task(public.serve())
            await until_started(public)
            async with httpx.AsyncClient(base_url=settings.public_url) as client:
                for path in ("/authorize", "/jwks", "/.well-known/openid-configuration", ""):
                    answer = await client.get(f"/sandbox/identity{path}")
                    assert answer.status_code == 404
                assert (await client.get("/health/ready")).status_code == 200
                assert (await client.get("/login")).status_code == 503
                begun = await client.get(
                    "/api/auth/v1/login",
                    params={
                        "redirect_uri": "https://app.example.org/back",
                        "code_challenge": "c" * 43,
                        "code_challenge_method": "S256",
                    },
                )
                assert begun.status_code == 302
                assert "error=temporarily_unavailable" in begun.headers["location"]
            public.should_exit = True
            await task


def flow_of(settings: Settings, secrets: Secrets) -> LoginFlow:
    provider = Provider(citizen_registration(settings), Outbound())
    return LoginFlow(settings.public_url, secrets, provider)


async def test_without_a_provider_nobody_can_log_in(secrets: Secrets) -> None:
    flow = flow_of(READY, secrets)
    assert not flow.is_configured
    with pytest.raises(LoginError) as failed:
        await flow.begin("/", None)
    assert failed.value.reason == "not_configured"
    assert await flow.logout_url() is None


@pytest.mark.parametrize(("made_ago", "detail"), [(601, "too long ago"), (590, "answer: no code")])
async def test_a_login_must_come_back_within_ten_minutes(
    secrets: Secrets, made_ago: int, detail: str
) -> None:
    settings = dataclasses.replace(READY, login_issuer="https://id.example.org")
    flow = flow_of(settings, secrets)
    pending = Pending("state", "nonce", "verifier", "/", int(time.time()) - made_ago)
    cookie = secrets.encrypt(msgspec.json.encode(pending).decode())
    with pytest.raises(LoginError) as failed:
        await flow.finish({"state": "state", "iss": "https://id.example.org"}, cookie)
    assert failed.value.detail == detail


async def test_what_was_encrypted_for_something_else_is_no_pending_login(
    secrets: Secrets,
) -> None:
    flow = flow_of(READY, secrets)
    for text in ("key", "{}", '{"type":"login.code","state":"state"}', "[]", '"state"'):
        with pytest.raises(LoginError) as failed:
            await flow.finish({"state": "state"}, secrets.encrypt(text))
        assert failed.value.reason == "expired"
