"""Turns: so many at once of what belongs to one, so that nobody takes all the places of others."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator


class NoTurnError(Exception):
    """It was not one's turn in time. `after_s`: how long one waited, and might again."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"no turn within {after_s} s")
        self.after_s = after_s


class Turns:
    """Of this process. What nobody waits for or holds is forgotten."""

    def __init__(self) -> None:
        self._turns: weakref.WeakValueDictionary[str, asyncio.Semaphore] = (
            weakref.WeakValueDictionary()
        )

    @contextlib.asynccontextmanager
    async def one(self, whose: str, at_once: int, wait_s: float) -> AsyncIterator[None]:
        """Wait for one of the turns of this name, and hold it. `NoTurnError` after `wait_s`."""
        turns = self._turns.get(whose)
        if turns is None:
            turns = self._turns[whose] = asyncio.Semaphore(at_once)
        try:
            async with asyncio.timeout(wait_s):
                await turns.acquire()
        except TimeoutError:
            raise NoTurnError(wait_s) from None
        try:
            yield
        finally:
            turns.release()
