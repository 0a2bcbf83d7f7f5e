"""Sends messages and decides them, and lets citizens ask for theirs over HTTP."""

from dataclasses import dataclass
from typing import Any

import httpx

from messo.base.db import Pool
from messo.base.work import Worker
from messo.login import Identity, client_limits, open_session
from tests.conftest import Running
from tests.world import AUTO, Caller, message

PAYMENT = {"amount": 12_345, "notice_number": "000000000000000000"}
MESSAGES = "/api/communication/v1/messages"


@dataclass
class Mail:
    """Institutions write with `send`; what they wrote is decided before it answers."""

    running: Running
    worker: Worker

    async def send(
        self, caller: Caller, to: str = AUTO, level: str = "STANDARD", **content: Any
    ) -> str:
        """One decided message; its id."""
        message_id = await self.post(caller, to, level, **content)
        await self.settle()
        return message_id

    async def post(
        self, caller: Caller, to: str = AUTO, level: str = "STANDARD", **content: Any
    ) -> str:
        """One message that is only accepted; its id."""
        body = message(to, **content) | {"feature_level_type": level}
        sent = await self.running.client.post("/api/v1/messages", json=body, headers=caller.headers)
        assert sent.status_code == 201, sent.text
        return str(sent.json()["id"])

    async def settle(self) -> None:
        while await self.worker.work_once():
            pass


async def fill(
    pool: Pool, to: str, count: int, *, service: str = "S", words: str = "", size: int = 900
) -> list[str]:
    """Messages as if they had been decided, straight into the tables; their ids, oldest first."""
    ids = [f"01HZ{number:022d}" for number in range(count)]
    body = (f"{words} " + "Gentile cittadina, la informiamo della scadenza. " * 300)[:size]
    async with pool.transaction() as conn:
        bucket = conn.bucket(to)
        await conn.raw.execute(
            "INSERT INTO messages.sender VALUES (1, 'Servizio', 'Comune', '00000000001', '-', "
            "false, 'STANDARD', '') ON CONFLICT DO NOTHING"
        )
        await conn.raw.execute(
            "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, subject,"
            " status, feature_level_type, require_secure_channels, time_to_live, created_at,"
            " decided_at) SELECT $1, u, $2, $3, 1, 'Avviso di scadenza', 'PROCESSED', 'STANDARD',"
            " false, 3600, now(), now() FROM unnest($4::text[]) AS u",
            bucket,
            to,
            service,
            ids,
        )
        await conn.raw.execute(
            "INSERT INTO messages.content SELECT $1, u, $2, '{}' FROM unnest($3::text[]) AS u",
            bucket,
            body,
            ids,
        )
    return ids


async def log_in(running: Running, fiscal_code: str) -> dict[str, str]:
    """The headers of a client application whose citizen is logged in."""
    identity = Identity(fiscal_code, "Anna", "Prova", "https://www.spid.gov.it/SpidL2")
    async with running.started.pool.transaction() as conn:
        limits = client_limits(running.settings)
        token = await open_session(conn, identity, "client", "tests", limits)
    return {"Authorization": f"Bearer {token}"}


def without_changing_headers(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """Everything of an answer that could tell two cases apart."""
    headers = {
        k: v for k, v in answer.headers.items() if k not in {"x-request-id", "date", "ratelimit"}
    }
    return answer.status_code, headers, answer.content
