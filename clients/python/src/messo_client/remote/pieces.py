"""An attachment's bytes, in pieces, from whatever an institution's function gave.

Files and iterables are opened at `begin`, and closed at their end or at `close`.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from pathlib import Path

PIECE = 64 * 1024  # bytes sent at a time


class Pieces:
    """From bytes, a file or an iterable. May block; one thread at a time."""

    def __init__(self, given: bytes | Path | Iterable[bytes]) -> None:
        self.length: int | None = None  # in bytes; known after `begin`, but not of an iterable
        if isinstance(given, Path):
            self._drawn = self._of_file(given)
        elif isinstance(given, bytes):
            self.length = len(given)
            self._drawn = _cut(given)
        else:
            self._drawn = _of_iterable(given)
        self._first: bytes | None = None

    def begin(self) -> None:
        """Draw the first piece, so that what fails at once can still be answered properly."""
        self._first = next(self._drawn, None)

    def piece(self) -> bytes | None:
        """The next bytes, `PIECE` or fewer; None at the end."""
        first, self._first = self._first, None
        return next(self._drawn, None) if first is None else first

    def close(self) -> None:
        """Let go of the file or the iterable, wherever it stands."""
        self._drawn.close()

    def _of_file(self, path: Path) -> Generator[bytes, None, None]:
        with path.open("rb") as file:
            self.length = left = os.fstat(file.fileno()).st_size
            # The length has been announced by then: a file that grows must not exceed it.
            while piece := file.read(min(PIECE, left)):
                left -= len(piece)
                yield piece
            if left:
                raise EOFError("a file that has become shorter")


class AsyncPieces:
    """From an asynchronous iterable."""

    length = None

    def __init__(self, given: AsyncIterable[bytes]) -> None:
        self._drawn = _of_async_iterable(given)
        self._first: bytes | None = None

    async def begin(self) -> None:
        """As `Pieces.begin`."""
        self._first = await anext(self._drawn, None)

    async def piece(self) -> bytes | None:
        """As `Pieces.piece`."""
        first, self._first = self._first, None
        return await anext(self._drawn, None) if first is None else first

    async def close(self) -> None:
        """As `Pieces.close`."""
        await self._drawn.aclose()


def pieces_of(given: object) -> Pieces | AsyncPieces:
    """The pieces of what an institution's function gave.

    Raises `TypeError` for anything but bytes, a path or an iterable. A text is an iterable, but
    was certainly meant otherwise.
    """
    if isinstance(given, bytearray | memoryview):
        return Pieces(bytes(given))
    if isinstance(given, AsyncIterable):
        return AsyncPieces(given)
    if isinstance(given, bytes | Path) or (
        isinstance(given, Iterable) and not isinstance(given, str)
    ):
        return Pieces(given)
    raise TypeError(f"{type(given).__name__}, must be bytes, a Path or an iterable of bytes")


def _cut(piece: object) -> Generator[bytes, None, None]:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise TypeError(f"a piece of type {type(piece).__name__}, must be bytes")
    whole = bytes(piece)
    for start in range(0, len(whole), PIECE):
        yield whole[start : start + PIECE]


def _of_iterable(given: Iterable[bytes]) -> Generator[bytes, None, None]:
    iterator = iter(given)
    try:
        for piece in iterator:
            yield from _cut(piece)
    finally:
        _close(iterator)
        if iterator is not given:
            _close(given)


def _close(opened: object) -> None:
    close = getattr(opened, "close", None)
    if callable(close):
        close()


async def _of_async_iterable(given: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    iterator = aiter(given)
    try:
        async for piece in iterator:
            for part in _cut(piece):
                yield part
    finally:
        # Only generators are sure to have it.
        aclose = getattr(iterator, "aclose", None)
        if callable(aclose):
            await aclose()
