"""An institution's server on loopback that answers as it is told, and who reads from it."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from messo.base.db import Pool
from messo.base.work import Worker
from tests.base.test_outbound import Answer, Server, serving
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.recipients.person import Person, enter
from tests.world import World, add_configuration

THIRD = "/api/communication/v1/third-party-messages"
SUBJECT = "Il referto del laboratorio"
MARKDOWN = (
    "Il **referto** è pronto: lo trovi tra gli allegati, insieme alla ricevuta del ticket. " * 2
)
STATIC = {
    "subject": "È arrivato un referto",
    "markdown": "Il referto resta presso di noi: lo vedi quando apri il messaggio, e lo custodiamo noi.",
}
PDF = b"%PDF-1.7\n" + b"x" * 2000
MESSAGE = "/messages/42"


def answer(
    body: bytes | object = b"", status: int = 200, kind: str = "application/json", **headers: str
) -> bytes:
    """An HTTP answer. What is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def detail(*attachments: dict[str, Any], **details: Any) -> dict[str, Any]:
    """A sound answer to a detail call; `details` replaces members."""
    return {
        "details": {"subject": SUBJECT, "markdown": MARKDOWN, **details},
        "attachments": list(attachments) or [listed("uno")],
    }


def listed(key: str, **more: Any) -> dict[str, Any]:
    """An attachment as the institution lists it."""
    return {"id": key, "url": f"attachments/{key}", "name": f"{key}.pdf", **more}


@dataclass
class Institution:
    """Answers by path; whatever is not named is 404. `asked`: paths and headers that came."""

    answers: dict[str, bytes | Answer] = field(default_factory=dict)
    server: Server | None = None
    base: str = "/remote"

    @property
    def base_url(self) -> str:
        assert self.server is not None
        return self.server.url.rstrip("/") + self.base

    @property
    def asked(self) -> list[str]:
        assert self.server is not None
        return [head.split(" ", 2)[1] for head in self.server.heads]

    def headers(self, number: int = -1) -> dict[str, str]:
        assert self.server is not None
        lines = self.server.heads[number].split("\r\n")[1:]
        return {n.lower(): v for n, v in (line.split(": ", 1) for line in lines if line)}

    def serves(self, path: str, told: bytes | Answer | dict[str, Any]) -> None:
        """What is answered under this path, below the base."""
        self.answers[self.base + path] = answer(told) if isinstance(told, dict) else told


@contextlib.asynccontextmanager
async def institution() -> AsyncIterator[Institution]:
    """A server that serves a sound message 42 with one attachment."""
    made = Institution()

    async def act(reader: Any, writer: Any) -> None:
        told = made.answers.get(made.asked[-1], answer({"title": "no"}, 404))
        if isinstance(told, bytes):
            writer.write(told)
            await writer.drain()
        else:
            await told(reader, writer)

    made.serves(MESSAGE, detail())
    made.serves(f"{MESSAGE}/precondition", {"title": "Prima", "markdown": "Leggi **bene**."})
    made.serves(f"{MESSAGE}/attachments/uno", answer(PDF, kind="application/pdf"))
    async with serving(act) as server:
        made.server = server
        yield made


@dataclass
class Reader:
    """A citizen with a message from Anna's town, whose content the institution serves."""

    person: Person
    message_id: str
    configuration_id: str

    async def get(self, more: str = "", **headers: str) -> httpx.Response:
        """`more`: what follows the message's id."""
        path = f"{THIRD}/{self.message_id}{more}"
        return await self.person.request("GET", path, headers=headers)


async def reader(
    running: Running,
    worker: Worker,
    world: World,
    fiscal_code: str,
    base_url: str,
    *,
    configuration: dict[str, Any] | None = None,
    **third: Any,
) -> Reader:
    """Enrol and log in a citizen, and send them a message. `third` adds to third_party_data."""
    pool: Pool = running.started.pool
    async with pool.transaction() as conn:
        configuration_id = await add_configuration(
            conn, world.secrets, world.anna.institution, base_url, **(configuration or {})
        )
    person = await enter(pool, running.client, fiscal_code)
    data = {
        "id": "42",
        "configuration_id": configuration_id,
        "has_remote_content": True,
        "has_attachments": True,
        **third,
    }
    mail = Mail(running, worker)
    sent = await mail.send(
        world.anna, fiscal_code, level="ADVANCED", third_party_data=data, **STATIC
    )
    return Reader(person, sent, configuration_id)
