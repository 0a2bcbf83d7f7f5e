"""The payment node: what it says of a notice now, asked within bounds.

Identical questions under way are one question, and an answer holds for a few seconds: people
reload pages, and institutions poll.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from messo.base import clock
from messo.base.addresses import Network
from messo.base.outbound import BusyError, Limits, Outbound, OutboundError
from messo.messages.characters import on_one_line
from messo.payments.ledger import Seen, State
from messo.payments.notices import Notice
from messo.payments.wire import PaymentFault, PaymentInfo, payment_fault, payment_info

_LIMITS = Limits(connect_s=2, total_s=10, wait_s=0.5, answer_bytes=64 * 1024)
_AT_ONCE = 64
_OF_ONE_CREDITOR = 8
_KEPT = 10_000  # answers, at most
_HOLDS_S = 5.0
_LONGEST = 140  # characters of a name or a reason, as the node declares them
_FAULTS = {404, 409, 502, 503}
# What tells something about the notice, with the details that may stand beside it. Everything else
# is about the way to the creditor, and tells nothing.
_STATES: dict[tuple[int, str], tuple[State, frozenset[str]]] = {
    (409, "PAYMENT_DUPLICATED"): (
        "paid",
        frozenset({"PAA_PAGAMENTO_DUPLICATO", "PPT_PAGAMENTO_DUPLICATO"}),
    ),
    (409, "PAYMENT_ONGOING"): (
        "in_progress",
        frozenset({"PPT_PAGAMENTO_IN_CORSO", "PAA_PAGAMENTO_IN_CORSO"}),
    ),
    (409, "PAYMENT_EXPIRED"): ("expired", frozenset({"PAA_PAGAMENTO_SCADUTO"})),
    (409, "PAYMENT_CANCELED"): ("cancelled", frozenset({"PAA_PAGAMENTO_ANNULLATO"})),
    (404, "PAYMENT_UNKNOWN"): ("unknown", frozenset({"PAA_PAGAMENTO_SCONOSCIUTO"})),
    (404, "PAYMENT_DATA_ERROR"): (
        "unknown",
        frozenset(
            {
                "PPT_SINTASSI_EXTRAXSD",
                "PPT_SINTASSI_XSD",
                "PPT_DOMINIO_SCONOSCIUTO",
                "PPT_STAZIONE_INT_PA_SCONOSCIUTA",
            }
        ),
    ),
}


class NodeError(Exception):
    """No answer that can be used. `reason` is a word for the ledger; it quotes nothing."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class RefusedByNodeError(NodeError):
    """The node does not take the question: it is malformed (400)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node said at that moment: the notice, or why it cannot be paid; one of the two."""

    at: datetime
    status: int
    info: PaymentInfo | None
    fault: PaymentFault | None


class Node:
    """One payment node. One for each process, so that its bounds hold for all of it."""

    def __init__(self, url: str, key: str, outbound: Outbound) -> None:
        """`url`: up to and without `/payment-requests`. `outbound`: see `make_outbound`."""
        self._url = url.rstrip("/")
        self._key = key
        self._outbound = outbound
        self._asking: dict[str, asyncio.Task[Answer]] = {}
        self._answers: OrderedDict[str, tuple[float, Answer]] = OrderedDict()

    async def ask(self, rpt_id: str, *, again: bool = False) -> Answer:
        """What it says of this notice. `again`: not what it said a moment ago.

        Raises `NodeError`.
        """
        kept = self._answers.get(rpt_id)
        if kept is not None and not again and time.monotonic() - kept[0] < _HOLDS_S:
            return kept[1]
        under_way = self._asking.get(rpt_id)
        if again and under_way is not None:
            # It began before: what has happened since, its answer may not know.
            await asyncio.wait([under_way])
            under_way = self._asking.get(rpt_id)
        if under_way is None:
            under_way = asyncio.create_task(self._ask(rpt_id))
            self._asking[rpt_id] = under_way
            under_way.add_done_callback(lambda task: self._landed(rpt_id, task))
        # Whoever asked first may go away: the others still want to know.
        return await asyncio.shield(under_way)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._asking.values():
            task.cancel()
        await self._outbound.close()

    def _landed(self, rpt_id: str, task: "asyncio.Task[Answer]") -> None:
        del self._asking[rpt_id]
        if task.cancelled() or task.exception() is not None:
            return
        self._answers[rpt_id] = (time.monotonic(), task.result())
        self._answers.move_to_end(rpt_id)
        while len(self._answers) > _KEPT:
            self._answers.popitem(last=False)

    async def _ask(self, rpt_id: str) -> Answer:
        url = f"{self._url}/payment-requests/{quote(rpt_id, safe='')}"
        headers = {"Ocp-Apim-Subscription-Key": self._key}
        asked_at = clock.now()
        try:
            # The node waits for the creditor: one that is slow takes no other's places.
            async with self._outbound.open(
                "GET", url, headers=headers, limits=_LIMITS, place=rpt_id[:11]
            ) as opened:
                reply = await opened.read()
        except BusyError as busy:
            raise NodeError("busy", busy.after_s) from None
        except OutboundError as error:
            raise NodeError(error.kind) from None
        return read_answer(reply.status, reply.body, rpt_id, asked_at)


def make_outbound(allowed: Sequence[Network] = ()) -> Outbound:
    """The client that `Node` needs. 502 and 503 tell of one creditor, not of the node itself."""
    return Outbound(
        allowed,
        per_host=_OF_ONE_CREDITOR,
        connections=_AT_ONCE,
        open_s=5,
        longest_s=60,
        unable=(500, 504),
    )


def read_answer(status: int, body: bytes, rpt_id: str, now: datetime) -> Answer:
    """From hostile bytes to an answer about this notice, asked at `now`, or `NodeError`."""
    try:
        if status == HTTPStatus.OK:
            info = payment_info.decode(body)
            if info.rptId not in (UNSET, rpt_id):
                raise NodeError("another notice")
            return Answer(now, status, _clean(info, rpt_id), None)
        if status in _FAULTS:
            fault = payment_fault.decode(body)
            title = fault.title if fault.title is UNSET else on_one_line(fault.title, _LONGEST)
            detail = on_one_line(fault.faultCodeDetail, _LONGEST)
            return Answer(now, status, None, PaymentFault(fault.faultCodeCategory, detail, title))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NodeError("unreadable") from None
    if status == HTTPStatus.BAD_REQUEST:
        raise RefusedByNodeError("400")
    raise NodeError(str(status))


def seen_of(notice: Notice, answer: Answer | NodeError) -> Seen:
    """What the ledger is told of an answer, or of there being none."""
    if isinstance(answer, NodeError):
        return Seen(notice, None, "node", answer.reason, clock.now())
    now = answer.at
    if answer.info is not None:
        info = answer.info
        due = None
        if info.dueDate is not UNSET:
            with contextlib.suppress(ValueError):
                due = date.fromisoformat(info.dueDate)
        return Seen(
            notice,
            "unpaid",
            "node",
            "200",
            now,
            amount=info.amount,
            due_date=due,
            payee_name=_or_none(info.paName),
            reason=_or_none(info.description),
        )
    assert answer.fault is not None  # noqa: S101  one of the two
    code = answer.fault.faultCodeDetail
    state, details = _STATES.get(
        (answer.status, answer.fault.faultCodeCategory), (None, frozenset[str]())
    )
    return Seen(notice, state if code in details else None, "node", code[:64], now)


def _clean(info: PaymentInfo, rpt_id: str) -> PaymentInfo:
    """What else it carries is dropped; a date that is none, and names that are too long or tricky."""
    notice = Notice.of_rpt_id(rpt_id)
    made = PaymentInfo(info.amount, rpt_id)
    if notice is not None:
        if info.paFiscalCode not in (UNSET, notice.payee):
            raise NodeError("another payee")
        made.paFiscalCode = notice.payee
    for name in ("paName", "description"):
        value = getattr(info, name)
        if value is not UNSET and (shown := on_one_line(value, _LONGEST)):
            setattr(made, name, shown)
    if info.dueDate is not UNSET:
        with contextlib.suppress(ValueError):
            made.dueDate = date.fromisoformat(info.dueDate).isoformat()
    return made


def _or_none(text: str | UnsetType) -> str | None:
    return None if text is UNSET else text
