"""Institutions' sites, each a process of its own that knows its settings and nothing else.

Three are the examples of the how-to, the fourth is openid-client's, on Node.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec

from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.processes import spawn
from messo.outside import networks
from messo.sso import registration
from messo.sso.client_wire import SsoSettings
from messo.sso.registration import Asked, Rules
from tests import npm
from tests.conftest import Running, free_port

EXAMPLES = Path(__file__).parents[2] / "docs" / "howto" / "single_sign_on"
SCRIPT = npm.OPENID_CLIENT.source / "site.mjs"
ENTRY = npm.OPENID_CLIENT.modules / "openid-client" / "build" / "index.js"


@dataclass(frozen=True)
class Kind:
    """`login`: where a button leads. `callback`: where the browser comes back to."""

    name: str
    command: tuple[str, ...]
    login: str = "/login"
    callback: str = "/callback"
    logout: str = "/logout"


_DJANGO = (sys.executable, "-B", "-m", "django")
PLAIN = Kind("plain", (sys.executable, "-B", "plain_site.py"))
AUTHLIB = Kind("authlib", (sys.executable, "-B", "authlib_site.py"))
DJANGO = Kind(
    "django",
    (*_DJANGO, "runserver", "--noreload", "{port}"),
    "/oidc/authenticate/",
    "/oidc/callback/",
    "/oidc/logout/",
)
OPENID_CLIENT = Kind("openid-client", ("node", str(SCRIPT)))


@dataclass(frozen=True)
class RunningSite:
    """`said`: the file with what it prints."""

    kind: Kind
    url: str
    said: Path

    @property
    def entrance(self) -> str:
        return self.url + self.kind.login


@asynccontextmanager
async def site_of(
    kind: Kind, folder: Path, pool: Pool, running: Running, service: str, **more: Any
) -> AsyncIterator[RunningSite]:
    """The site, registered for this service and started. `folder`: its own, for what it writes."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client_id, secret = await _register(pool, running, service, url, kind.callback, **more)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "ISSUER": running.url,
        "CLIENT_ID": client_id,
        "CLIENT_SECRET": secret,
        "PORT": str(port),
        "DATABASE": str(folder / "site.sqlite3"),
        "DJANGO_SETTINGS_MODULE": "django_settings",
        "PYTHONPATH": str(EXAMPLES),
        "OPENID_CLIENT": ENTRY.as_uri(),
    }
    if kind is OPENID_CLIENT:
        assert npm.OPENID_CLIENT.is_current(), "this test needs openid-client: bin/test fetches it"
    if kind is DJANGO:
        done = await anyio.run_process([*_DJANGO, "migrate", "-v0"], cwd=folder, env=environment)
        assert done.returncode == 0
    command = [part.format(port=port) for part in kind.command]
    if command[0] == "node":
        command[0] = npm.node()
    said = folder / "said.txt"
    with said.open("wb") as file:
        # It gets SIGKILL if pytest dies.
        process = spawn(
            list(command),
            None,
            (subprocess.DEVNULL, file.fileno()),
            farewell=signal.SIGKILL,
            cwd=EXAMPLES,
            environment=environment,
        )
    try:
        await _until_it_answers(process, url, said)
        yield RunningSite(kind, url, said)
    finally:
        process.kill()
        process.wait()


async def _register(
    pool: Pool, running: Running, service: str, url: str, callback: str, **more: Any
) -> tuple[str, str]:
    """Its id and its secret."""
    rules = Rules.of(running.settings, networks(running.settings))
    asked = Asked(None, service, "live")
    place = {"uri": url + callback, "display_name": {"it": "Sito di prova"}}
    body = {
        "redirect_uris": [place],
        "post_logout_redirect_uris": [f"{url}/"],
        "backchannel_logout_uri": f"{url}/backchannel-logout",
        **more,
    }
    async with pool.transaction() as conn:
        with contextlib.suppress(Problem):  # there is none yet
            await registration.delete(conn, "tests", asked)
        made, _ = await registration.put(
            conn, rules, "tests", asked, msgspec.convert(body, SsoSettings)
        )
    return made.client_id, str(made.client_secret)


async def _until_it_answers(process: "subprocess.Popen[bytes]", url: str, said: Path) -> None:
    deadline = time.monotonic() + 60
    async with httpx.AsyncClient() as client:
        while True:
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, f"{url} does not answer:\n{said.read_text()}"
            try:
                await client.get(url)
            except httpx.HTTPError:
                await anyio.sleep(0.05)
            else:
                return
