"""An institution's server on loopback, well behaved or not, and messages whose content it serves."""

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pikepdf

from messo.base.db import Pool
from messo.messages import mailbox
from messo.services.services import NewService, create_institution
from messo.settings import Settings
from tests.base.test_outbound import Server, serving
from tests.events.told import FACTS, rows
from tests.inbox.pages import Browser, Page
from tests.messages.mail import Mail
from tests.world import ACTOR, ALL, Caller, World, add_configuration, add_service

SETTINGS = Settings(
    rate_limit=100_000, rate_burst=100_000, outbound_networks=(ip_network("127.0.0.0/8"),)
)
SUBJECT = "Il referto del laboratorio"
MARKDOWN = "I tuoi esami sono **nella norma**. Li trovi qui sotto, firmati dal laboratorio. " * 2
TOLD = {"title": "Prima di aprire", "markdown": "Contiene dati sulla tua *salute*."}
STATIC = "Ciao! Questo testo resta nel messaggio, e il referto lo custodisce il laboratorio: apri."

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
Answer = bytes | Write


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """The bytes of an answer. `headers`: lines, each with its end."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def said(value: object) -> bytes:
    return answer(json.dumps(value).encode(), headers="Content-Type: application/json\r\n")


def detail(*attachments: dict[str, Any], subject: str = SUBJECT, markdown: str = MARKDOWN) -> bytes:
    """The answer to a detail call."""
    return said(
        {
            "attachments": list(attachments),
            "details": {"subject": subject, "markdown": markdown},
        }
    )


def attachment(which: str = "referto", /, **more: Any) -> dict[str, Any]:
    """One as it is announced, at the path `attachments/{which}`."""
    listed = {"id": which, "url": f"/attachments/{which}", "content_type": "application/pdf"}
    return {**listed, "name": f"{which}.pdf", **more}


def pdf(script: str = "", password: str = "") -> bytes:
    made, file = io.BytesIO(), pikepdf.Pdf.new()
    file.add_blank_page()
    if script:
        file.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=script)
    locked = pikepdf.Encryption(owner="owner", user=password) if password else False
    file.save(made, encryption=locked)
    return made.getvalue()


PDF = pdf()
FILE = answer(PDF, headers="Content-Type: application/pdf\r\n")


def dripping(head: bytes, drop: bytes) -> Write:
    """The head of an answer, then one drop after the other."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)  # what a drip is: nothing waits for this

    return write


@dataclass
class Institution:
    """What it answers, by the path after `/messages/`; 404 where nothing is said."""

    caller: Caller
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    server: Server = field(init=False)
    configuration: str = field(init=False)

    async def answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = self.server.heads[-1].split()[1].removeprefix("/messages/")
        self.asked.append(path)
        given = self.answers.get(path, answer(b"", "404 Not Found"))
        if isinstance(given, bytes):
            writer.write(given)
            await writer.drain()
        else:
            await given(writer)

    async def send(self, mail: Mail, to: str, remote_id: str = "uno", **third: Any) -> str:
        """A decided message whose text and attachments are here; its id. `third` changes that."""
        data = {
            "id": remote_id,
            "configuration_id": self.configuration,
            "has_remote_content": True,
            "has_attachments": True,
            "has_precondition": "NEVER",
        }
        return await mail.send(
            self.caller,
            to,
            "ADVANCED",
            subject="La prima riga, che resta nel messaggio",
            markdown=STATIC,
            third_party_data=data | third,
        )


@contextlib.asynccontextmanager
async def institution(pool: Pool, world: World, caller: Caller) -> AsyncIterator[Institution]:
    """A server of this caller's institution, with a configuration of its own, so with a circuit too."""
    made = Institution(caller)
    async with serving(made.answer) as made.server:
        async with pool.transaction() as conn:
            made.configuration = await add_configuration(
                conn, world.secrets, caller.institution, made.server.url
            )
        yield made


async def another(pool: Pool, world: World, number: int) -> Caller:
    """A service of one more institution, with every permission."""
    async with pool.transaction() as conn:
        owner = await create_institution(
            conn, ACTOR, f"{number:011}", f"Ospedale {number}", "ospedale@example.org", ALL
        )
        return await add_service(conn, world.secrets, owner, NewService("Referti"))


async def is_read(pool: Pool, fiscal_code: str, message_id: str) -> bool:
    async with pool.connection() as conn:
        message = await mailbox.read_message(conn, fiscal_code, message_id)
    assert message
    return message.line.is_read


async def read_events(pool: Pool, message_id: str) -> int:
    """How often the institution is told that this message was read."""
    found = await rows(
        pool, f"SELECT kind FROM {FACTS} WHERE message_id = $1 AND kind = 'read'", message_id
    )
    return len(found)


def attachments_of(page: Page) -> list[str]:
    """Where they open, in their order."""
    return [link for link in page.links if re.search(r"/attachments/[^?]*\Z", link)]


async def sent_with(hospital: Institution, mail: Mail, browser: Browser, given: Answer) -> str:
    """A message with this one attachment: the address of the attachment."""
    hospital.answers |= {"uno": detail(attachment()), "uno/attachments/referto": given}
    sent = await hospital.send(mail, browser.fiscal_code)
    (address,) = attachments_of(await browser.page(f"/messages/{sent}"))
    return address
