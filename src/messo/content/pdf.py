"""What is in a PDF, said by a program apart, so that a hostile file can break nothing of ours.

A file is checked before anybody is given it. It is held in memory only, by whoever has one of a
few places, so that checks cost a bounded amount of memory however many ask.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError
from typing import Literal

import msgspec

from messo.base import log
from messo.base.processes import spawn

logger = log.get(__name__)

Danger = Literal["javascript", "launch", "embedded"]
Fault = Literal["broken", "locked", "unchecked"]

MAGIC = b"%PDF"
# By its path: as a module, it would load this room and the database's driver before it begins.
PROGRAM = (sys.executable, "-I", "-B", str(Path(__file__).with_name("pdf_program.py")))

_LONGEST = 4096  # bytes of an answer
_PART = 2**18  # bytes told at once, of which a copy is made


def starts_like_pdf(first: bytes) -> bool:
    """Whether these are the first bytes of a PDF: the header stands at the very beginning."""
    return first[: len(MAGIC)] == MAGIC


class PdfBusyError(Exception):
    """No place was free in time. `after_s`: in how many seconds it is worth another try."""

    def __init__(self, after_s: float) -> None:
        super().__init__()
        self.after_s = after_s


@dataclass(frozen=True)
class Verdict:
    """What a file says of itself, and what was found in it.

    `pdfa`: the level of PDF/A that it declares, as "2A" or "4", or None; not verified.
    `dangers`: what a viewer could be made to do; the program's docstring says what counts.
    `fault`: why nothing else is known. `broken`: it is no PDF, or damaged beyond repair.
    `locked`: it opens with a password only. `unchecked`: too much for the bounds of a check.
    """

    pdfa: str | None = None
    dangers: tuple[Danger, ...] = ()
    fault: Fault | None = None

    @property
    def readable(self) -> bool:
        """Whether it could be looked into."""
        return self.fault is None

    @property
    def harmless(self) -> bool:
        """Whether it could be looked into and nothing dangerous was found."""
        return self.readable and not self.dangers


class PdfCheck:
    """Checks at most `at_once` files at a time, each for `within_s` seconds at the most.

    Who waits for a place is turned away after `wait_s` seconds. `program` is a command that takes
    a file on its input and answers with a `Verdict` as JSON.
    """

    def __init__(
        self,
        at_once: int = 4,
        within_s: float = 10,
        wait_s: float = 5,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._within_s = within_s
        self._wait_s = wait_s
        self._program = program

    @asynccontextmanager
    async def place(self) -> AsyncIterator["Place"]:
        """A place, to be taken before the file is fetched. Raises `PdfBusyError`."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise PdfBusyError(self._wait_s) from None
        try:
            yield Place(self._program, self._within_s)
        finally:
            self._places.release()


class Place:
    """The right to check one file, until the place is left."""

    def __init__(self, program: Sequence[str], within_s: float) -> None:
        self._program = program
        self._within_s = within_s

    async def check(self, content: bytes | bytearray) -> Verdict:
        """What is in this file, of 20 MiB at most. Whatever goes wrong makes it `unchecked`."""
        try:
            async with asyncio.timeout(self._within_s):
                answer = await self._run(content)
            return msgspec.json.decode(answer, type=Verdict)
        except (TimeoutError, OSError, SubprocessError, ValueError) as error:
            logger.warning("a file could not be checked", reason=type(error).__name__)
            return Verdict(fault="unchecked")

    async def _run(self, content: bytes | bytearray) -> bytes:
        """The program's answer, empty when it failed. The program is gone afterwards."""
        ours, theirs = socket.socketpair()
        with ours:
            # Not by the loop: uvloop lets a child inherit more than its streams.
            with theirs:
                streams = (theirs.fileno(), theirs.fileno())
                process = spawn(list(self._program), None, streams, signal.SIGKILL)
            try:
                answer = await _converse(ours, content)
                return answer if await asyncio.to_thread(process.wait) == 0 else b""
            finally:
                process.kill()
                # Cancelled once more, it is still reaped, only not waited for.
                await asyncio.shield(asyncio.to_thread(process.wait))


async def _converse(ours: socket.socket, content: bytes | bytearray) -> bytes:
    """Tell the program a file, and hear what it says."""
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    try:
        for start in range(0, len(content), _PART):
            writer.write(content[start : start + _PART])
            await writer.drain()
        writer.write_eof()
        said = b""
        while part := await reader.read(_LONGEST):
            said += part
            if len(said) > _LONGEST:
                raise ValueError("an answer is short")
        return said
    finally:
        writer.transport.abort()
