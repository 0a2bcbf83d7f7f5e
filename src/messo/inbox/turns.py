"""Who may have an attachment in memory now: no citizen and no institution has all the places."""

import contextlib
from collections.abc import AsyncIterator

from messo.base import turns
from messo.base.turns import NoTurnError
from messo.content import PdfBusyError, PdfCheck

_OF_ONE_INSTITUTION = 2  # of the few files in memory: one that drips leaves room for others
_WAIT_S = 5
_WAIT_FOR_ONESELF_S = 30  # who opens two at once sees them one after the other


class Turns:
    """Whose attachments are in memory now: a few of one institution, one of one citizen."""

    def __init__(self, pdf_check: PdfCheck) -> None:
        self.pdf_check = pdf_check
        self._turns = turns.Turns()

    @contextlib.asynccontextmanager
    async def turn(self, institution_id: str, fiscal_code: str) -> AsyncIterator[None]:
        """Wait for both. Raises `PdfBusyError`."""
        try:
            async with (
                self._turns.one(fiscal_code, 1, _WAIT_FOR_ONESELF_S),
                self._turns.one(institution_id, _OF_ONE_INSTITUTION, _WAIT_S),
            ):
                yield
        except NoTurnError as error:
            raise PdfBusyError(error.after_s) from None
