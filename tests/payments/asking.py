"""Citizens' client applications that ask for notices, by either path of the contract."""

from dataclasses import dataclass
from typing import Any

import httpx

from messo.sandbox.fiscal_codes import make
from tests.conftest import Running
from tests.messages.mail import log_in

PATHS = ["/api/communication/v1/payment/info/", "/api/v1/payment-info/"]


@dataclass(frozen=True)
class Client:
    """`headers` are those of its citizen's session."""

    running: Running
    headers: dict[str, str]

    async def ask(self, rpt_id: str, path: str = PATHS[0], **query: Any) -> httpx.Response:
        return await self.running.client.get(path + rpt_id, params=query, headers=self.headers)


async def client_of(running: Running, number: int) -> Client:
    """Of a citizen of its own, with all questions still free."""
    return Client(running, await log_in(running, make(f"TSTNFO80A01Y{number:03d}")))
