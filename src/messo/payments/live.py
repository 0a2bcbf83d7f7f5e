"""What is known of a notice now, for who cannot wait: the ledger, and the node within a bound."""

import asyncio
from datetime import timedelta

from messo.base import clock, log
from messo.base.db import Pool
from messo.payments import ledger
from messo.payments.ledger import Known, Seen
from messo.payments.node import Answer, Node, NodeError, seen_of
from messo.payments.notices import Notice

logger = log.get(__name__)

SOON_S = 0.25  # seconds that reading a message may wait for the node
_FRESH = timedelta(minutes=1)
_AFTER_FAILURE = timedelta(seconds=10)


class Live:
    """Asks the node when what is known is old, and enters what it says. One for each process.

    `node` None: there is none, and the ledger lives from events.
    """

    def __init__(self, pool: Pool, node: Node | None) -> None:
        self._pool = pool
        self._node = node
        self._under_way: dict[tuple[Notice, bool], asyncio.Task[Known | None]] = {}

    async def look(
        self, notice: Notice, within_s: float = SOON_S, *, again: bool = False
    ) -> Known | None:
        """What is known, after waiting so long at the most; None: the ledger has no such notice.

        `again`: ask in any case, and not for what the node said a moment ago. Raises only what the
        database does.
        """
        async with self._pool.connection() as conn:
            known = (await ledger.read(conn, [notice])).get(notice)
        if known is None or self._node is None or not _worth_asking(known, again=again):
            return known
        key = notice, again
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = asyncio.create_task(self._ask(self._node, notice, again=again))
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda _: self._under_way.pop(key, None))
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(under_way) or known
        except TimeoutError:
            return known

    async def info(self, rpt_id: str) -> Answer:
        """What the node says of any notice, ours or not. `NodeError` if it says nothing."""
        if self._node is None:
            raise NodeError("not configured")
        answer = await self._node.ask(rpt_id)
        notice = Notice.of_rpt_id(rpt_id)
        if notice is not None:
            await self._enter(seen_of(notice, answer))
        return answer

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _ask(self, node: Node, notice: Notice, *, again: bool) -> Known | None:
        try:
            seen = seen_of(notice, await node.ask(notice.rpt_id, again=again))
        except NodeError as error:
            seen = seen_of(notice, error)
        return await self._enter(seen)

    async def _enter(self, seen: Seen) -> Known | None:
        try:
            async with self._pool.transaction() as conn:
                return (await ledger.record(conn, [seen])).get(seen.notice)
        except Exception as error:
            logger.warning("what the payment node said is not entered", exc_info=error)
            return None


def _worth_asking(known: Known, *, again: bool) -> bool:
    if known.state == "paid":
        return False
    if again:
        return True
    now = clock.now()
    if known.asked_at is not None and now - known.asked_at < _AFTER_FAILURE:
        return False
    return known.source == "message" or now - known.observed_at > _FRESH
