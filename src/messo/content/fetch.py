"""Remote content of a message, asked for when it is read: precondition, detail, attachment.

Nothing that comes is kept, nor logged.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from messo.base.http import Problem
from messo.base.outbound import Limits, OpenReply, OutboundError
from messo.content.answers import (
    Detail,
    PreconditionText,
    Promised,
    coherent,
    read_answer,
    read_precondition,
)
from messo.content.ask import ATTACHMENT, TEXT, Ask
from messo.content.lookup import Configuration, Configurations
from messo.content.pdf import MAGIC, starts_like_pdf
from messo.content.problems import NotServedProblem, of_error, of_status

# The headers of the device's proof, for a configuration that asks for them. None: there is no
# device, as in a browser.
Prove = Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Remote:
    """Remote content of one message, and who reads it. `id`: what the institution calls it."""

    message_id: str
    fiscal_code: str
    configuration_id: str
    id: str
    promised: Promised


@dataclass
class Opened:
    """An attachment that begins like a PDF, to be taken piece by piece. `length`: if announced."""

    length: int | None
    begun: list[bytes]
    rest: AsyncIterator[bytes]

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, as it comes, once. `NotServedProblem` if it breaks off, or is too large."""
        # Taken out: what is kept until the end, each of many downloads keeps.
        yield self.begun.pop()
        try:
            async for piece in self.rest:
                yield piece
        except OutboundError as error:
            raise of_error(error) from None


class Fetch:
    """Fetches content. Hold no connection meanwhile: it may take seconds."""

    def __init__(self, configurations: Configurations, ask: Ask) -> None:
        self._configurations = configurations
        self._ask = ask

    async def precondition(self, remote: Remote, prove: Prove | None = None) -> PreconditionText:
        """What the citizen is told before the message opens. Raises `NotServedProblem`."""
        return read_precondition(await self._text(remote, prove, "precondition"))

    async def detail(self, remote: Remote, prove: Prove | None = None) -> Detail:
        """The content, if it is what the message promised. Raises `NotServedProblem`."""
        return coherent(read_answer(await self._text(remote, prove)), remote.promised)

    @contextlib.asynccontextmanager
    async def attachment(
        self, remote: Remote, tail: str, prove: Prove | None = None
    ) -> AsyncIterator[Opened]:
        """One attachment, of which the first bytes have come. `tail`: as `address.tail` gives it.

        Raises `NotServedProblem`.
        """
        async with self._open(remote, prove, tail, limits=ATTACHMENT) as reply:
            rest = reply.pieces()
            begun = [await _beginning(rest)]
            if not starts_like_pdf(begun[0]):
                raise NotServedProblem("not-pdf", "This attachment is not a PDF.")
            yield Opened(reply.length, begun, rest)

    async def institution_of(self, remote: Remote) -> str:
        """Whose content it is. `Problem` 404 if its configuration is unknown."""
        return (await self._configuration(remote)).institution_id

    async def _text(self, remote: Remote, prove: Prove | None, *more: str) -> bytes:
        async with self._open(remote, prove, *more) as reply:
            return (await reply.read()).body

    @contextlib.asynccontextmanager
    async def _open(
        self, remote: Remote, prove: Prove | None, *more: str, limits: Limits = TEXT
    ) -> AsyncIterator[OpenReply]:
        configuration = await self._configuration(remote)
        needed = prove if configuration.needs_proof(remote.fiscal_code) else None
        async with self._ask.open(
            configuration,
            remote.fiscal_code,
            remote.id,
            *more,
            limits=limits,
            proof=needed() if needed else None,
        ) as reply:
            if problem := of_status(reply.status, reply.headers.get("Retry-After")):
                raise problem
            yield reply

    async def _configuration(self, remote: Remote) -> Configuration:
        found = await self._configurations.find(remote.configuration_id)
        if found is None:
            raise Problem(404, "Not found", "The configuration of this message is unknown.")
        return found


async def _beginning(pieces: AsyncIterator[bytes]) -> bytes:
    """Enough of them to see what it is."""
    first = b""
    while len(first) < len(MAGIC) and (piece := await anext(pieces, b"")):
        first += piece
    return first
