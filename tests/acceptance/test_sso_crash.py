"""The server is killed while sites exchange codes: does any code work twice?"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.ids import new_id
from messo.sso import codes, registration
from messo.sso.client_wire import SsoSettings
from messo.sso.codes import Grant
from messo.sso.registration import Asked, Rules
from tests.acceptance.installed import Server, Site
from tests.world import AUTO

pytestmark = pytest.mark.acceptance

CODES = 600
KILLS = 3
SITES = 12  # that exchange at once
CALLBACK = "https://sportello.example.org/callback"
LEVEL = "https://www.spid.gov.it/SpidL2"


def test_no_code_is_redeemed_twice_however_the_server_dies(site: Site) -> None:
    server = site.serve("serve-sso")
    client = site.do(lambda conn: _register(conn, site, server))
    known = (client[0], client[1])
    good: Counter[str] = Counter()
    answered = threading.Semaphore(0)
    statuses: Counter[int] = Counter()

    def exchange(code: str) -> None:
        """Until the site has an answer; then once more, as a thief or a nervous site would."""
        wanted = 2
        with httpx.Client(timeout=10) as http:
            for _ in range(200):
                try:
                    answer = http.post(
                        f"{server.url}/sso/token",
                        data={
                            "grant_type": "authorization_code",
                            "code": code,
                            "redirect_uri": CALLBACK,
                        },
                        auth=known,
                    )
                except httpx.HTTPError:
                    answered.release()
                    threading.Event().wait(0.05)
                    continue
                statuses[answer.status_code] += 1
                answered.release()
                good[code] += answer.status_code == httpx.codes.OK
                wanted -= answer.status_code in {200, 400}
                if not wanted:
                    return
        raise AssertionError("no answer")

    for _ in range(KILLS):
        minted = site.do(lambda conn: _mint(conn, site, client[0], CODES // KILLS))
        with ThreadPoolExecutor(SITES) as threads:
            running = [threads.submit(exchange, code) for code in minted]
            for _ in range(CODES // KILLS // 4):  # in the middle of its work
                answered.acquire()
            server.kill()
            server.start()
            server.wait_ready()
            for one in running:
                one.result()
    assert set(statuses) <= {200, 400}
    assert max(good.values()) == 1
    # What was committed when the process died, and never answered, is lost to its site: a code that
    # is spent stays spent. That is what was under way, and no more.
    assert len(good) == CODES
    assert sum(good.values()) >= CODES - KILLS * SITES
    replayed = site.value("SELECT count(*) FROM sso.code WHERE token_digest IS NOT NULL")
    assert replayed == 0, "a code that came twice took its token with it"


async def _register(conn: Connection, site: Site, server: Server) -> tuple[str, str]:
    wanted = {
        "redirect_uris": [{"uri": CALLBACK, "display_name": {"it": "Sportello"}}],
        "request_protection": "none",
    }
    made, _ = await registration.put(
        conn,
        Rules(server.url, (LEVEL,)),
        "tests",
        Asked(None, site.world.anna.id, "live"),
        msgspec.convert(wanted, SsoSettings),
    )
    assert isinstance(made.client_secret, str)
    return made.client_id, made.client_secret


async def _mint(conn: Connection, site: Site, client_id: str, count: int) -> list[str]:
    secrets = Secrets.parse(site.secret_text)
    now = clock.now()
    return [
        await codes.mint(
            conn,
            secrets,
            client_id,
            Grant(
                await _granted(conn, client_id),
                AUTO,
                "sub",
                "Ada",
                "Prova",
                ["fiscal_code"],
                ["openid", "profile"],
                CALLBACK,
                LEVEL,
                int(now.timestamp()),
                "session",
            ),
        )
        for _ in range(count)
    ]


async def _granted(conn: Connection, client_id: str) -> str:
    """The citizen has agreed; the id of the access."""
    access_id = new_id()
    await conn.raw.execute(
        "INSERT INTO sso.access (bucket, fiscal_code, id, client_id, service_id, redirect_uri, "
        "names, outcome, claims, session_id, requested_at) "
        "VALUES ($1, $2, $3, $4, $4, $5, '{}', 'granted', '{}', 'session', $6)",
        conn.bucket(AUTO),
        AUTO,
        access_id,
        client_id,
        CALLBACK,
        clock.now(),
    )
    return access_id
