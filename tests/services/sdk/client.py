"""The client that the reference platform publishes for institutions, in a Node process of its own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests import npm

_LINE = 10_000_000  # bytes; an answer is one line


@dataclass(frozen=True)
class Answer:
    """What the client's decoder made of an answer. `value`: None where it declares no body."""

    status: int
    value: Any
    headers: dict[str, str]


@dataclass
class Client:
    """`operations`: all that the client has. `performed`: those it has decoded a success of."""

    process: Process
    said: BufferedByteReceiveStream
    operations: frozenset[str] = frozenset()
    performed: set[str] = field(default_factory=set)

    async def call(self, operation: str, key: str, status: int, **parameters: Any) -> Answer:
        """One request; fails where the decoder refuses the answer, or the status is another one."""
        asked = {"operation": operation, "key": key, "parameters": parameters}
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(asked).encode() + b"\n")
        told = await self.line()
        # A failure says what was answered, and no headers.
        headers = told.pop("headers", {})
        assert "refused" not in told, f"{operation}: {told}"
        assert told["status"] == status, f"{operation}: {told}"
        if status < 300:
            self.performed.add(operation)
        return Answer(status, told.get("value"), headers)

    async def line(self) -> Any:
        with anyio.fail_after(30):
            return json.loads(await self.said.receive_until(b"\n", _LINE))


@asynccontextmanager
async def started(url: str) -> AsyncIterator[Client]:
    """Of the Messo at this address. The process ends with its standard input, so with ours."""
    packages = npm.REFERENCE_SDK
    assert packages.is_current(), "this test needs the reference SDK: bin/test fetches it"
    script = packages.source / "ask.cjs"
    command = [npm.node(), str(script), str(packages.modules), url]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        client = Client(process, BufferedByteReceiveStream(process.stdout))
        client.operations = frozenset(await client.line())
        yield client
