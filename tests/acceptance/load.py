"""The load of the crash test, in a process of its own: `python -m tests.acceptance.load`.

The first line of standard input says what to do (JSON); its end says stop, once enough is sent.
After every hundred answered messages a line with their number goes to standard output. At the end the file
`outcome` holds one JSON object per message, and a last one with counts.

A client that got no answer, or one that says "later", asks again with the same Idempotency-Key.
"""

import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop
from ulid import ULID

ANSWER_WITHIN_S = 30
AGAIN_AFTER_S = (0.02, 0.2)
REPEATED = 0.02  # share of answered messages that are sent once more: the id must be the same
TELL_EVERY = 100


class Gone(Exception):  # noqa: N818
    """No whole answer came: whether the message was kept is uncertain."""


class Client:
    """One connection, one request at a time, HTTP/1.1 by hand: it must cost next to nothing."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._post(path, headers, body)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            raise Gone(type(error).__name__) from None

    async def _post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
        assert self.reader is not None
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: messo\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(answer[9:12])
        length = int(answer.split(b"content-length:")[1].split(b"\r\n", 1)[0])
        found = await self.reader.readexactly(length)
        if b"connection: close" in answer:
            self.close()
        return status, found

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


def in_letters(number: int) -> str:
    """A word of its own for each number: the mass guard folds digits away."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    word = ""
    for _ in range(6):
        number, place = divmod(number, 26)
        word += letters[place]
    return word


def body_of(number: int, recipient: str) -> bytes:
    word = in_letters(number)
    content = {
        "subject": f"La pratica {word} è conclusa",
        "markdown": f"Ciao! La pratica {word} che hai presentato allo sportello è conclusa: "
        "trovi l'esito nella tua area personale.",
    }
    return json.dumps({"fiscal_code": recipient, "content": content}).encode()


class Load:
    def __init__(self, wish: dict[str, Any]) -> None:
        self.wish = wish
        self.numbers = itertools.count()
        self.chance = random.Random(wish["seed"])
        self.enough = asyncio.Event()
        self.outcomes: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def done(self) -> bool:
        return self.enough.is_set() and len(self.outcomes) >= self.wish["messages"]

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = loop.run_in_executor(None, sys.stdin.read)
        waiting.add_done_callback(lambda _: self.enough.set())
        async with asyncio.TaskGroup() as group:
            for _ in range(self.wish["clients"]):
                group.create_task(self._client())
        with Path(self.wish["outcome"]).open("w") as file:
            file.writelines(
                json.dumps(outcome) + "\n" for outcome in (*self.outcomes, dict(self.counts))
            )

    async def _client(self) -> None:
        client = Client("127.0.0.1", self.wish["port"])
        while not self.done():
            await self._message(client, next(self.numbers))
        client.close()

    async def _message(self, client: Client, number: int) -> None:
        recipient = self.chance.choice(self.wish["recipients"])
        service, key = self.chance.choice(self.wish["services"])
        headers = {
            "Ocp-Apim-Subscription-Key": key,
            "Content-Type": "application/json",
            "Idempotency-Key": f"crash-{number}",
            "X-Messo-Reference": f"crash-{number}",
        }
        body = body_of(number, recipient)
        ids: list[str] = []
        refused_at = float("inf")
        uncertain = False
        wanted = 2 if self.chance.random() < REPEATED else 1
        while len(ids) < wanted:
            try:
                status, answer = await client.post("/api/v1/messages", headers, body)
            except Gone as gone:
                self.counts[f"no answer: {gone}"] += 1
                uncertain = True
            else:
                self.counts[str(status)] += 1
                if status == 201:
                    ids.append(json.loads(answer)["id"])
                    # The id carries the time of the request under which the message was kept. A 503
                    # to a repeat of a message that had its 201 is no doubt.
                    kept_at = ULID.from_str(ids[0]).timestamp
                    if len(ids) == 1 and not uncertain and kept_at < refused_at < time.time():
                        self.counts["503 though kept"] += 1
                    continue
                refused_at = min(refused_at, time.time())
            self.counts["asked again"] += 1
            await asyncio.sleep(self.chance.uniform(*AGAIN_AFTER_S))
        self.outcomes.append(
            {"number": number, "service": service, "recipient": recipient, "ids": ids}
        )
        if len(self.outcomes) % TELL_EVERY == 0:
            print(len(self.outcomes), flush=True)


if __name__ == "__main__":
    uvloop.run(Load(json.loads(sys.stdin.readline())).run())
