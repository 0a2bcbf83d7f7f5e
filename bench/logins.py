"""Logins by single sign-on, from the site's request to the citizen's data, and what signing costs."""

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import msgspec

from bench.ground import Ground, Line, console, median, server
from messo.base import db
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.login import Identity, Web, find_session, web_limits
from messo.settings import Settings
from messo.sso import keys, registration
from messo.sso.client_wire import SsoSettings
from messo.sso.registration import Asked, Rules

ROUNDS = 5
SECONDS = 4
BROWSERS = 32
_CALLBACK = "https://sportello.example.org/callback"
_LEVEL = "https://www.spid.gov.it/SpidL2"


def run(made: Ground) -> None:
    citizens, clients = asyncio.run(_prepare(made))
    signing = asyncio.run(_signing(made))
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in ("idle", *keys.ALGORITHMS)}
    with server(made) as (port, _):
        for algorithm in keys.ALGORITHMS:  # warm
            _load(port, citizens, clients[algorithm], 1)
        for _ in range(ROUNDS):
            told["idle"].append(_load(port, citizens, clients["RS256"], SECONDS, idle=True))
            for algorithm in keys.ALGORITHMS:
                told[algorithm].append(_load(port, citizens, clients[algorithm], SECONDS))
            console.print(
                "  ", {name: round(all_[-1]["per_second"]) for name, all_ in told.items()}
            )
    top = median([one["per_second"] for one in told["idle"]])
    for algorithm in keys.ALGORITHMS:
        rate = median([one["per_second"] for one in told[algorithm]])
        late = median([one["p99_ms"] for one in told[algorithm]])
        made.lines.append(
            Line(
                f"login, authorize to userinfo, {algorithm}, {BROWSERS} browsers",
                f"{rate:,.0f}/s, p99 {late:.0f} ms",
                f"{top:,.0f}/s for five requests that do nothing",
                f"{rate / top:.2f}",
            )
        )
        cost = signing[algorithm]
        made.lines.append(
            Line(
                f"signing one ID token, {algorithm}",
                f"{cost * 1000:.2f} ms of {1000 / rate:.2f} ms of a login",
                "",
                f"{cost * rate:.2f}",
            )
        )


def _load(
    port: int,
    citizens: list[dict[str, str]],
    client: dict[str, str],
    seconds: float,
    *,
    idle: bool = False,
) -> dict[str, Any]:
    spec = {
        "port": port,
        "citizens": citizens,
        "client": client,
        "seconds": seconds,
        "idle": idle,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.login_load"],
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _prepare(made: Ground) -> tuple[list[dict[str, str]], dict[str, dict[str, str]]]:
    """Citizens who are logged in, and a site for each algorithm."""
    settings = Settings(public_url="http://127.0.0.1:8480", sandbox=True)
    secrets = Secrets.parse(made.secrets)
    web = Web(secrets, settings.public_url, web_limits(settings))
    rules = Rules.of(settings, ())
    pool = await Pool.open(made.url, 1)
    clients: dict[str, dict[str, str]] = {}
    async with pool.transaction() as conn:
        for algorithm, (service, _) in zip(keys.ALGORITHMS, made.senders, strict=False):
            wanted = {
                "redirect_uris": [{"uri": _CALLBACK, "display_name": {"it": "Sportello"}}],
                "id_token_signed_response_alg": algorithm,
            }
            client, _ = await registration.put(
                conn,
                rules,
                "bench",
                Asked(None, service, "live"),
                msgspec.convert(wanted, SsoSettings),
            )
            clients[algorithm] = {
                "id": client.client_id,
                "secret": str(client.client_secret),
                "redirect_uri": _CALLBACK,
            }
        citizens = [await _log_in(conn, web, code) for code in made.citizens[:BROWSERS]]
    await pool.close()
    return citizens, clients


async def _log_in(conn: db.Connection, web: Web, fiscal_code: str) -> dict[str, str]:
    identity = Identity(fiscal_code, "Ada", "Prova", _LEVEL)
    token = await web.open_session(conn, identity, "bench", None)
    session = await find_session(conn, token, web.limits)
    assert session is not None
    return {"cookie": f"{web.session_cookie}={token}", "csrf": web.csrf_token(session)}


async def _signing(made: Ground) -> dict[str, float]:
    """Seconds for one signature, by algorithm: the median of many."""
    pool = await Pool.open(made.url, 2)
    signing = keys.Keys(pool, Secrets.parse(made.secrets))
    claims = {"iss": "http://127.0.0.1:8480", "sub": "s" * 43, "aud": "a" * 26, "nonce": "n" * 43}
    found: dict[str, float] = {}
    for algorithm in keys.ALGORITHMS:
        took = []
        for _ in range(500):
            began = time.perf_counter()
            await signing.sign(algorithm, claims)
            took.append(time.perf_counter() - began)
        found[algorithm] = median(took)
    await pool.close()
    return found
