"""A payment node on loopback: real HTTP, scripted answers, and every way to misbehave.

What it says is scripted by rpt_id; `mood` is how it answers whichever notice it is asked about.
"""

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

KEY = "the node's key"
PATH = "/ecommerce/payment-requests-service/v1"
HUGE = 1024 * 1024  # bytes
_STEP_S = 0.05  # between two bytes of a slow drip


class Mood(StrEnum):
    """How it answers. `DOWN` closes the door: nobody listens."""

    FINE = "fine"
    HANG = "hang"
    RESET = "reset"
    GARBAGE = "garbage"  # no HTTP
    NOT_JSON = "not JSON"
    HUGE = "huge"
    DRIP = "drip"
    CUT = "cut"  # the head promises more than comes


@dataclass(frozen=True)
class Said:
    """A scripted answer."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[str, ...] = ()


def payable(rpt_id: str, amount: Any = 12_345, **more: Any) -> Said:
    """What it says of a notice that can be paid; `more` replaces members, None drops them."""
    body = {
        "amount": amount,
        "rptId": rpt_id,
        "paFiscalCode": rpt_id[:11],
        "paName": "Comune di Anna",
        "description": "TARI 2030",
        "dueDate": "2030-01-31",
        "paymentContextCode": "c" * 32,
        **more,
    }
    return Said(200, json.dumps({k: v for k, v in body.items() if v is not None}).encode())


def fault(status: int, category: str, detail: str) -> Said:
    """Why a notice cannot be paid, as the contract has it."""
    body = {"title": "Richiesta", "faultCodeCategory": category, "faultCodeDetail": detail}
    return Said(status, json.dumps(body).encode(), "application/problem+json")


PAID = fault(409, "PAYMENT_DUPLICATED", "PAA_PAGAMENTO_DUPLICATO")
ONGOING = fault(409, "PAYMENT_ONGOING", "PAA_PAGAMENTO_IN_CORSO")
EXPIRED = fault(409, "PAYMENT_EXPIRED", "PAA_PAGAMENTO_SCADUTO")
CANCELLED = fault(409, "PAYMENT_CANCELED", "PAA_PAGAMENTO_ANNULLATO")
UNKNOWN = fault(404, "PAYMENT_UNKNOWN", "PAA_PAGAMENTO_SCONOSCIUTO")
UNREACHABLE = fault(503, "DOMAIN_UNKNOWN", "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE")


@dataclass
class FakeNode:
    """`asked` counts questions by rpt_id; `wrong` says what was bad about one. `hanging`: one does.

    A notice without a script is one that nobody knows.
    """

    says: dict[str, Said] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    mood: Mood = Mood.FINE
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nobody listens any more; whoever was being answered is cut off."""
        if self._server is None:
            return
        self._server.close()
        for _ in range(3):  # a connection accepted in this moment is known a round later
            await asyncio.sleep(0)
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def hang(self) -> None:
        """From now on nothing is answered, until `recover`."""
        self.hanging.clear()
        self.let_go.clear()
        self.mood = Mood.HANG

    def recover(self) -> None:
        """Fine again; who hangs is answered."""
        self.mood = Mood.FINE
        self.let_go.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def served(task: asyncio.Task[None]) -> None:
            self._serving.discard(task)
            writer.transport.abort()

        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(writer, self._read(head))
                await writer.drain()

    def _read(self, head: str) -> str:
        """The rpt_id that is asked for."""
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        if headers.get("ocp-apim-subscription-key") != KEY:
            self.wrong.append("key")
        begin = f"{PATH}/payment-requests/"
        if method != "GET" or not path.startswith(begin):
            self.wrong.append(first)
        rpt_id = unquote(path.removeprefix(begin))
        self.asked[rpt_id] += 1
        return rpt_id

    async def _answer(self, writer: asyncio.StreamWriter, rpt_id: str) -> None:
        mood = self.mood
        if mood == Mood.HANG:
            self.hanging.set()
            await self.let_go.wait()
        if mood == Mood.RESET:
            writer.transport.abort()
        elif mood == Mood.GARBAGE:
            writer.write(bytes(range(256)) * 4)
            writer.close()
        elif mood == Mood.NOT_JSON:
            _write(writer, Said(200, "<p>Torniamo subito!</p>".encode("utf-16")))
        elif mood == Mood.HUGE:
            _write(writer, payable(rpt_id, description="x" * HUGE))
        elif mood == Mood.CUT:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
            writer.close()
        elif mood == Mood.DRIP:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(_STEP_S)
        else:
            _write(writer, self.says.get(rpt_id, UNKNOWN))


def _write(writer: asyncio.StreamWriter, said: Said) -> None:
    lines = [
        f"HTTP/1.1 {said.status} Said",
        f"Content-Type: {said.kind}",
        f"Content-Length: {len(said.body)}",
        *said.headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + said.body)
