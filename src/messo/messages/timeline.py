"""What became of one message, for the people of the institution that sent it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from msgspec import UNSET

from messo import events
from messo.base.db import Connection
from messo.events.kinds import RANK
from messo.messages import wire
from messo.messages.sent import Rejection, SentMessage
from messo.messages.status import PaymentLookup, state_of_notice
from messo.messages.submit import queries

StepKind = Literal[
    "accepted", "failed", "processed", "rejected", "notified", "read", "paid", "reported"
]
NoticeState = Literal["SENT", "THROTTLED", "QUEUED", "EXPIRED", "FAILED"]


@dataclass(frozen=True)
class Step:
    """One thing that happened, once.

    `channel` and `state`: of "notified" only, and its `at` is when the state was reached; the
    channel has the wire's name (`email`, `webhook` for devices). `reason`: of "rejected" only.
    "read" is there only where the citizen shares it.
    """

    kind: StepKind
    at: datetime
    channel: str | None = None
    state: NoticeState | None = None
    reason: Rejection | None = None


@dataclass(frozen=True)
class Timeline:
    """Steps, oldest first; `read_status` as in `SentRow`; `payment`: None if nothing may be said."""

    steps: Sequence[Step]
    read_status: wire.ReadStatus | None
    payment: wire.PaymentSeen | None


async def payment_of(
    message: SentMessage, payment_state: PaymentLookup | None
) -> wire.PaymentSeen | None:
    """What is known of the message's notice: as in the API, of ADVANCED messages once PROCESSED.

    It may ask the payment node: call it while no connection is held.
    """
    if message.content is None or message.read_status is None:
        return None
    return await state_of_notice(message.content, payment_state)


async def timeline(
    conn: Connection, message: SentMessage, payment: wire.PaymentSeen | None = None
) -> Timeline:
    """The message's life so far. `payment` is the answer of `payment_of`."""
    happened = await events.of_message(conn, message.bucket, message.id, message.service_id)
    told = await conn.rows(queries.told_of_message, bucket=message.bucket, id=message.id)
    steps = [Step("accepted", message.created_at)]
    if message.decided_at is not None and message.status == "PROCESSED":
        steps.append(Step("processed", message.decided_at))
    elif message.decided_at is not None and message.status == "REJECTED":
        steps.append(Step("rejected", message.decided_at, reason=message.rejection_reason))
    steps += [Step("notified", row["state_at"], row["channel"], row["state"]) for row in told]
    # What deliveries said is forgotten after a while; the fact is not.
    known = {row["channel"] for row in told}
    steps += [
        Step("notified", event["at"], event["about"], "SENT")
        for event in happened
        if event["kind"] == "notified" and event["about"] not in known
    ]
    steps += [
        Step(event["kind"], event["at"])
        for event in happened
        if event["kind"] in ("failed", "paid")
    ]
    if message.read_status == "READ" and message.read_at is not None:
        steps.append(Step("read", message.read_at))
    if message.reported_at is not None:
        steps.append(Step("reported", message.reported_at))
    if payment is not None and payment.paid_at is not UNSET and not _has_paid(steps):
        steps.append(Step("paid", datetime.fromisoformat(payment.paid_at)))
    steps.sort(key=lambda step: (step.at, RANK[step.kind]))
    return Timeline(steps, message.read_status, payment)


def _has_paid(steps: Sequence[Step]) -> bool:
    return any(step.kind == "paid" for step in steps)
