"""Single sign-on in the console: sites are registered and replaced; secrets are shown once."""

import json
import re
from typing import Any

import pytest
from joserfc.jwk import ECKey

from messo.base.db import Pool
from messo.people.roles import Role
from tests.conftest import Running
from tests.console.clerk import Clerk, clerk_at
from tests.console.colleague import Colleague
from tests.world import World

pytestmark = pytest.mark.anyio

_SECRET = re.compile(r'<code class="secret">([A-Za-z0-9_-]{43})</code>')
URI = "https://sportello.example.org/callback"


def form(world: World, **more: Any) -> dict[str, Any]:
    return {
        "service": world.anna.id,
        "environment": "live",
        "uri": [URI, ""],
        "it": ["Sportello", ""],
        "en": ["Front desk", ""],
        "method": "client_secret_basic",
        "alg": "RS256",
        "protection": "pkce_and_nonce",
        "subject": "pairwise",
        "level": "",
        **more,
    }


async def post(clerk: Clerk, path: str, status: int, fields: dict[str, Any]) -> str:
    answer = await clerk.client.post(clerk.home + path, data={"csrf": clerk.csrf, **fields})
    assert answer.status_code == status, answer.text
    return answer.text


async def test_registered_changed_renewed_and_deleted(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    assert "One login, also for your own site" in await clerk.get("/clients")
    assert (await clerk.get(f"/clients/new?service={world.anna.id}")).count('name="uri"') == 1
    made = await post(clerk, "/clients/new", 201, form(world))
    first = _SECRET.search(made)
    assert first
    assert made.count(first[1]) == 2  # to read, and for the button that copies it
    assert f'data-copy="{first[1]}"' in made
    at = f"/clients/{world.anna.id}/live"
    page = await clerk.get(at)
    assert first[1] not in page
    for text in (running.url, f"{running.url}/.well-known/openid-configuration", world.anna.id):
        assert f'<code class="secret">{text}</code>' in page
        assert f'data-copy="{text}" data-copied="Copied"' in page
    twice = await post(clerk, "/clients/new", 400, form(world))
    assert "This service has one of this kind already" in twice
    assert f'value="{URI}"' in twice
    again = (await clerk.post(f"{at}/secret", 200)).text
    second = _SECRET.search(again)
    assert second
    assert second[1] != first[1]
    assert "The secret before is good until" in await clerk.get(at)
    assert "only the newest secret is good" in await clerk.follow(f"{at}/old-secret")
    safer = form(world, protection="none", post_logout="https://a.example/1\nhttps://a.example/2")
    changed = await clerk.client.post(
        f"{clerk.home}{at}/change", data={"csrf": clerk.csrf, **safer}
    )
    assert changed.status_code == 303
    page = await clerk.get(at)
    assert "Nothing binds a code to the browser" in page
    assert "https://a.example/2" in page
    italian = await clerk.client.get(f"{clerk.home}{at}", headers={"Accept-Language": "it"})
    assert "Nulla lega un codice al browser" in italian.text
    lines = (await clerk.get("/clients?format=csv")).splitlines()
    assert len(lines) == 2
    assert "Sportello" in lines[1] or "Front desk" in lines[1]
    assert "Tick this" in (await clerk.post(f"{at}/delete", 400)).text
    assert "nobody is let in there" in await clerk.follow(f"{at}/delete", sure="1")
    await clerk.get(at, 404)
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT action FROM operations.audit WHERE subject = $1 ORDER BY id", world.anna.id
        )
    assert [row["action"] for row in rows if row["action"].startswith("sso.")] == [
        "sso.client.create",
        "sso.client.secret.replace",
        "sso.client.secret.drop",
        "sso.client.change",
        "sso.client.delete",
    ]


async def test_a_site_with_keys_has_no_secret(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    key = ECKey.generate_key("P-256")
    keys = json.dumps({"keys": [key.as_dict(private=False)]})
    with_keys = form(world, environment="test", method="private_key_jwt", service=world.special.id)
    assert "Give the public keys" in await post(clerk, "/clients/new", 400, with_keys)
    private = json.dumps({"keys": [key.as_dict(private=True)]})
    page = await post(clerk, "/clients/new", 400, {**with_keys, "jwks": private})
    assert "This is a private key." in page
    assert str(key.as_dict(private=True)["d"]) not in page
    for text in ("nonsense", "[" * 20_000):
        page = await post(clerk, "/clients/new", 400, {**with_keys, "jwks": text})
        assert "This is no JWK set" in page
    made = await post(clerk, "/clients/new", 201, {**with_keys, "jwks": keys})
    assert not _SECRET.search(made)
    at = f"/clients/{world.special.id}/test"
    assert f"{world.special.id}-test" in await clerk.get(at)
    refused = await clerk.post(f"{at}/secret", 409)
    assert "there is no secret to replace" in refused.text
    # With a secret instead of keys it gets its first one, shown this once.
    changed = await post(clerk, f"{at}/change", 200, form(world))
    assert _SECRET.search(changed)


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"uri": ["http://x.example/", ""]}, "uri-0", "It must begin with https://."),
        ({"uri": ["", URI], "it": ["", "No"]}, "it-1", "A name has 3 to 30 characters."),
        (
            {"uri": ["", "https://x.example/#a"], "it": ["", "Nome"], "en": ["", ""]},
            "uri-1",
            "Leave out the #",
        ),
        ({"uri": ["", ""], "it": ["", ""], "en": ["", ""]}, "uri-0", "Say where browsers"),
        ({"post_logout": "https://u:p@x.example/"}, "post_logout", "a name or a password"),
        ({"backchannel": "http://x.example/out"}, "backchannel", "It must begin with https://."),
        ({"subject": "fiscal_code", "claims": "fiscal_code"}, "claims", "it cannot be refused"),
        ({"level": "https://level.example/9"}, "level", ""),
        ({"method": "other"}, "method", ""),
        ({"jwks": '{"keys": [{"kty": "oct"}]}'}, "jwks", "Keys go with"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    colleague: Colleague,
    pool: Pool,
    world: World,
    wrong: dict[str, Any],
    field: str,
    said: str,
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    sent = form(world, service=world.secure.id, **wrong)
    page = await post(clerk, "/clients/new", 400, sent)
    assert f'href="#{field}"' in page
    assert f'id="{field}-error"' in page
    assert said in page
    more = await post(clerk, "/clients/new", 200, {**sent, "more": "1"})
    assert more.count('name="uri"') == 3


@pytest.mark.parametrize("role", ["editor", "sender", "reader"])
async def test_only_admins_may(colleague: Colleague, pool: Pool, world: World, role: Role) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, role)
    at = f"/clients/{world.anna.id}/live"
    for path in ("/clients", "/clients/new", at, f"{at}/change", f"{at}/delete"):
        await clerk.get(path, 403)
    for path in ("/clients/new", f"{at}/change", f"{at}/secret", f"{at}/old-secret"):
        await post(clerk, path, 403, form(world))
    foreign = await clerk_at(colleague, pool, world.bruno.institution)
    await foreign.get(at, 404)
    page = await post(foreign, "/clients/new", 400, form(world))
    assert "Choose one of your services." in page
