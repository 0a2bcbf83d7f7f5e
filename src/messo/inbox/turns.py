"""Who may have an attachment in memory now: no citizen and no institution has all the places."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator

from messo.content import PdfBusyError, PdfCheck

_OF_ONE_INSTITUTION = 2  # of the few files in memory: one that drips leaves room for others
_WAIT_S = 5
_WAIT_FOR_ONESELF_S = 30  # who opens two at once sees them one after the other


class Turns:
    """Whose attachments are in memory now: a few of one institution, one of one citizen."""

    def __init__(self, pdf_check: PdfCheck) -> None:
        self.pdf_check = pdf_check
        self._turns: weakref.WeakValueDictionary[str, asyncio.Semaphore] = (
            weakref.WeakValueDictionary()
        )

    @contextlib.asynccontextmanager
    async def turn(self, institution_id: str, fiscal_code: str) -> AsyncIterator[None]:
        """Wait for both. Raises `PdfBusyError`."""
        async with (
            self._one(fiscal_code, 1, _WAIT_FOR_ONESELF_S),
            self._one(institution_id, _OF_ONE_INSTITUTION, _WAIT_S),
        ):
            yield

    @contextlib.asynccontextmanager
    async def _one(self, whose: str, at_once: int, wait_s: float) -> AsyncIterator[None]:
        turns = self._turns.get(whose)
        if turns is None:
            turns = self._turns[whose] = asyncio.Semaphore(at_once)
        try:
            async with asyncio.timeout(wait_s):
                await turns.acquire()
        except TimeoutError:
            raise PdfBusyError(wait_s) from None
        try:
            yield
        finally:
            turns.release()
