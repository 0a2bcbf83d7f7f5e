"""What citizens asked to be done with their data is done, one small step for each transaction.

A request is claimed in a transaction of its own and held by a lease, so a worker that dies loses
nothing: another claims it again and begins from the start. One that fails is put off with a
growing delay and lets the others pass.
"""

import time
from collections.abc import Sequence
from datetime import timedelta

from messo.base import log, metrics
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.work import delay_after
from messo.recipients import data_requests
from messo.recipients.archive import Letters, Making, Others
from messo.recipients.data_requests import Job
from messo.recipients.erase import LEASE, Eraser, erase, sweep

logger = log.get(__name__)

STEP = "recipients.data_requests"
_SECONDS = 5  # then other periodic steps have their turn


class CarryOut:
    """The periodic step `recipients.data_requests` of one worker.

    `letters` gives the messages for an archive, `others` what else higher rooms keep, and `erasers`
    forget it.
    """

    def __init__(
        self,
        letters: Letters,
        others: Others,
        erasers: Sequence[Eraser],
        secrets: Secrets,
        keep: timedelta,
    ) -> None:
        self.letters = letters
        self.others = others
        self.erasers = erasers
        self.secrets = secrets
        self.keep = keep
        self.job: Job | None = None
        self.making: Making | None = None
        self._until: float | None = None

    async def run(self, conn: Connection) -> bool:
        """Claim the next request, or take the next step of the one at hand. False: enough now."""
        if self._until is None:
            self._until = time.monotonic() + _SECONDS
        if self.job is None:
            if time.monotonic() < self._until:
                self.job = await data_requests.claim(conn, LEASE)
            if self.job is None:
                self._until = None
            return self.job is not None
        job = self.job
        try:
            async with conn.transaction():
                done = await self._step(conn, job)
        except Exception as error:  # whatever it is, the others have their turn
            metrics.step_failures.labels(STEP).inc()
            logger.error(
                "data request failed",
                choice=job.choice,
                citizen=self.secrets.keyed_hash(job.fiscal_code),
                attempts=job.attempts,
                exc_info=error,
            )
            self._drop()
            await data_requests.put_off(conn, job, delay_after(job.attempts))
            return True
        if done:
            self._drop()
        return True

    async def _step(self, conn: Connection, job: Job) -> bool:
        """Whether this request is done with, for this worker."""
        if job.choice == "DELETE":
            if job.erased_at is None:
                await erase(conn, job, self.erasers, self.secrets, "citizen")
            else:
                await sweep(conn, job, self.erasers)
            return True
        if not await data_requests.hold(conn, job, LEASE):
            return True
        if self.making is None:
            self.making = Making(job, self.letters, self.others, self.secrets, self.keep)
        if not await self.making.step(conn):
            return False
        await data_requests.close(conn, job)
        return True

    def _drop(self) -> None:
        if self.making is not None:
            self.making.end()
        self.job = self.making = None
