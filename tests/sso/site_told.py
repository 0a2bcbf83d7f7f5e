"""A relying party on loopback: it verifies every logout token, and fails in every way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import KeySet

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.ids import new_id
from messo.base.outbound import Limits, Outbound
from messo.base.outward import Sending
from messo.sso import logout, logout_step
from messo.sso.keys import Keys
from messo.sso.logout import Entered
from tests.events.receiver import HANG, RESET, status

LOOPBACK = (ip_network("127.0.0.0/8"),)
ISSUER = "https://messo.example.org"
QUICK = Limits(total_s=1)
OK = status(200)
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Told:
    """One logout token that came and was good."""

    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def whose(self) -> tuple[str, str | None]:
        return self.claims["sub"], self.claims.get("sid")


Answer = Callable[[Told], bytes]


class TellingSite:
    """`answer` decides for each request; `told` are all that came, in their order."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.issuer = ISSUER
        self.port = 0
        self.told: list[Told] = []
        self.wrong: list[BaseException] = []
        self.answer: Answer = lambda _: OK
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/signed-out?way=back-channel"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            told = await self._verified(await self._body(reader))
            self.told.append(told)
            self.arrived.set()
            answer = self.answer(told)
            if answer == HANG:
                await self.released.wait()
            elif answer == RESET:
                writer.transport.abort()
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            self.wrong.append(error)
        finally:
            writer.close()

    async def _body(self, reader: asyncio.StreamReader) -> str:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        assert lines[0] == "POST /signed-out?way=back-channel HTTP/1.1"
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        return (await reader.readexactly(int(headers["content-length"]))).decode()

    async def _verified(self, body: str) -> Told:
        """Back-Channel Logout 1.0, section 2.6."""
        fields = parse_qs(body, strict_parsing=True)
        assert set(fields) == {"logout_token"}
        keys = KeySet.import_key_set(await self.keys.jwks())  # type: ignore[arg-type]
        token = jwt.decode(fields["logout_token"][0], keys, algorithms=["RS256", "ES256"])
        claims = token.claims
        assert token.header["typ"] == "logout+jwt"
        assert set(claims) - {"sid"} == {"iss", "aud", "iat", "exp", "jti", "sub", "events"}
        assert claims["iss"] == self.issuer
        assert claims["events"] == {_EVENT: {}}
        assert abs(claims["iat"] - time.time()) < 5
        assert 0 < claims["exp"] - claims["iat"] <= 120
        return Told(dict(token.header), claims)


@asynccontextmanager
async def telling(keys: Keys) -> AsyncIterator[TellingSite]:
    """A site for one test; whatever came to it must have been right."""
    site = TellingSite(keys)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        site.released.set()
        server.close()
    assert site.wrong == []


async def register(pool: Pool, service_id: str, uri: str | None, **more: Any) -> str:
    """A client of this service; its id. `more`: columns that differ."""
    environment = more.pop("environment", "live")
    client_id = service_id + ("-test" if environment == "test" else "")
    now = clock.now()
    values: dict[str, Any] = {
        "id": client_id,
        "service_id": service_id,
        "environment": environment,
        "redirects": '[{"uri": "https://comune.example.org/back", "it": "Sito del Comune"}]',
        "post_logout_redirect_uris": [],
        "auth_method": "client_secret_basic",
        "secret_digest": b"x" * 32,
        "id_token_alg": "ES256",
        "request_protection": "pkce_or_nonce",
        "subject_type": "pairwise",
        "optional_claims": [],
        "backchannel_logout_uri": uri,
        "created_at": now,
        "changed_at": now,
        **more,
    }
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM sso.client WHERE id = $1", client_id)
        await conn.raw.execute(
            f"INSERT INTO sso.client ({', '.join(values)}) VALUES ({places})", *values.values()
        )
    return client_id


async def let_in(
    pool: Pool,
    fiscal_code: str,
    client_id: str,
    session_id: str,
    outcome: str = "redeemed",
    at: datetime | None = None,
    claims: Sequence[str] = ("fiscal_code",),
) -> None:
    """The citizen was signed on to this client in that session, or something else came of it."""
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO sso.access (bucket, fiscal_code, id, client_id, service_id, redirect_uri, "
            "names, outcome, claims, session_id, requested_at) VALUES ($1, $2, $3, $4, $5, "
            "'https://comune.example.org/back', '{}', $6, $7, $8, $9)",
            conn.bucket(fiscal_code),
            fiscal_code,
            new_id(),
            client_id,
            client_id.removesuffix("-test"),
            outcome,
            list(claims),
            session_id,
            at or clock.now(),
        )


@dataclass
class Post:
    """The step that tells, and what it has left to do."""

    pool: Pool
    keys: Keys
    outbound: Outbound
    secrets: Secrets
    limits: Limits = field(default=QUICK)

    def __post_init__(self) -> None:
        self.step = logout_step.step(self.keys, self.outbound, self.secrets, ISSUER, self.limits)

    async def round(self) -> int:
        """One batch: claimed, sent and recorded."""
        return await Sending(self.step, self.pool, self.pool.buckets).once()

    async def left(self) -> list[dict[str, Any]]:
        """What is still to be told, with its work item."""
        return await self._rows(
            "SELECT l.*, i.due_at, i.attempts FROM sso.logout AS l "
            "FULL JOIN work.item AS i ON i.bucket = l.bucket AND i.reference = l.id "
            "WHERE l.id IS NOT NULL OR i.step = 'sso.logout' ORDER BY l.id"
        )

    async def later(self, **after: float) -> None:
        """So much time passes: everything that was written is that much older."""
        passed = timedelta(**after)
        async with self.pool.transaction() as conn:
            await conn.raw.execute(
                "UPDATE work.item SET due_at = due_at - $1::interval WHERE step = 'sso.logout'",
                passed,
            )
            await conn.raw.execute(
                "UPDATE sso.logout SET created_at = created_at - $1::interval", passed
            )

    async def clear(self) -> None:
        async with self.pool.transaction() as conn:
            for table in ("sso.logout", "sso.access", "sso.client"):
                await conn.raw.execute(f"DELETE FROM {table}")
            await conn.raw.execute("DELETE FROM work.item WHERE step = 'sso.logout'")

    async def _rows(self, sql: str) -> list[dict[str, Any]]:
        async with self.pool.connection() as conn:
            return [dict(row) for row in await conn.raw.fetch(sql)]


async def tell(
    conn: Connection,
    secrets: Secrets,
    clients: Sequence[str],
    fiscal_code: str,
    session_id: str | None,
) -> int:
    """Queue a logout for sites that have got the fiscal code."""
    entered = [Entered(client, session_id, knows_code=True) for client in clients]
    return await logout.queue(conn, secrets, fiscal_code, entered)
