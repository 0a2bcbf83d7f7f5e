"""What the sender of a message may know of its notice."""

from messo.base import clock, log
from messo.messages import wire
from messo.messages.status import PaymentLookup
from messo.payments.ledger import Known
from messo.payments.live import Live
from messo.payments.notices import Notice

logger = log.get(__name__)


def lookup(live: Live) -> PaymentLookup:
    """The function that `messages` is given: bounded, and it raises nothing."""

    async def find(payee: str, number: str) -> wire.PaymentSeen | None:
        try:
            known = await live.look(Notice(payee, number))
        except Exception as error:
            logger.warning("the state of a payment is not known now", exc_info=error)
            return None
        return None if known is None else _seen(known)

    return find


def _seen(known: Known) -> wire.PaymentSeen:
    seen = wire.PaymentSeen(known.state)
    if known.source != "message":
        seen.observed_at = clock.to_wire(known.observed_at)
        seen.source = "node" if known.source == "node" else "event"
    if known.state == "paid":
        if known.paid_at is not None:
            seen.paid_at = clock.to_wire(known.paid_at)
        if known.receipt is not None:
            seen.receipt = known.receipt
    if known.amount is not None:
        seen.amount = known.amount
    if known.due_date is not None:
        seen.due_date = known.due_date.isoformat()
    return seen
