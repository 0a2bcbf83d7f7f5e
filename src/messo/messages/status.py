"""What the sender may see of a message."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import UNSET

from messo import events
from messo.base import clock
from messo.base.coalesce import Coalescer
from messo.base.db import Connection, Pool, Row
from messo.base.http import Problem
from messo.messages import wire
from messo.messages.submit import queries
from messo.services import Permission, Sender

# Asked for (payee's fiscal code, notice number); None where nothing is known. It must answer in
# bounded time and raise nothing: a payment node that is down must not make a message unreadable.
PaymentLookup = Callable[[str, str], Awaitable[wire.PaymentSeen | None]]


class MessageReader:
    """Reads messages for their senders, many requests with one statement."""

    def __init__(self, pool: Pool, connections: int, bound: int) -> None:
        self.pool = pool
        self.queue: Coalescer[str, Row | None] = Coalescer(
            self._read, workers=connections, batch=200, bound=bound
        )

    async def find(self, fiscal_code: str, message_id: str) -> Row | None:
        """The message with this id and this recipient, or None."""
        if "\x00" in message_id:  # PostgreSQL takes no such text, and would fail the whole batch
            return None
        row = await self.queue.ask(self.pool.bucket(fiscal_code), message_id)
        return row if row is not None and row["fiscal_code"] == fiscal_code else None

    async def _read(self, bucket: int, ids: list[str]) -> Sequence[Row | None]:
        async with self.pool.connection() as conn:
            rows = await conn.rows(queries.read_messages, bucket=bucket, ids=ids)
        found = {row["id"]: row for row in rows}
        return [found.get(message_id) for message_id in ids]


async def message_status(
    row: Row, sender: Sender, payment_state: PaymentLookup | None
) -> wire.MessageStatus:
    """The contract's view: content once PROCESSED, read and payment state for ADVANCED readers."""
    message = wire.MessageBody(
        id=row["id"],
        fiscal_code=row["fiscal_code"],
        created_at=clock.to_wire(row["created_at"]),
        sender_service_id=row["service_id"],
        time_to_live=row["time_to_live"],
        feature_level_type=row["feature_level_type"],
    )
    answer = wire.MessageStatus(message, row["status"])
    if row["status"] != "PROCESSED":
        return answer
    message.content = stored_content(row)
    if row["notification"] is not None:
        answer.notification = wire.notification.decode(row["notification"])
    reading = read_status(row, sender.permissions)
    if reading is None:
        return answer
    answer.read_status = reading
    seen = await state_of_notice(message.content, payment_state)
    if seen is not None:
        answer.payment = seen
        if seen.state == "paid":
            answer.payment_status = "PAID"
        elif seen.source is not UNSET:  # else nobody has said anything yet
            answer.payment_status = "NOT_PAID"
    return answer


def read_status(row: Row, permissions: Collection[str]) -> wire.ReadStatus | None:
    """Whether it was read, as far as its citizen lets the sender know.

    None where nothing is said of that: not PROCESSED, not ADVANCED, or without the permission.
    """
    advanced = row["status"] == "PROCESSED" and row["feature_level_type"] == "ADVANCED"
    if not advanced or Permission.MESSAGE_READ_ADVANCED not in permissions:
        return None
    if not row["read_shared"]:
        return "UNAVAILABLE"
    return "UNREAD" if row["read_at"] is None else "READ"


async def state_of_notice(
    content: wire.StoredContent, payment_state: PaymentLookup | None
) -> wire.PaymentSeen | None:
    """What is known of the content's payment notice; None without one."""
    payment = content.payment_data
    if payment_state is None or payment is UNSET or payment.payee is UNSET:
        return None
    return await payment_state(payment.payee.fiscal_code, payment.notice_number)


def stored_content(row: Row) -> wire.StoredContent:
    """Content as it was accepted; the payee, if none was named, is the sender's organisation."""
    parts = wire.stored_parts.decode(row["parts"])
    payment = parts.payment_data
    if payment is not UNSET and payment.payee is UNSET:
        payment.payee = wire.Payee(row["organization_fiscal_code"])
    return wire.StoredContent(
        subject=row["subject"],
        markdown=row["markdown"],
        require_secure_channels=parts.require_secure_channels,
        due_date=parts.due_date,
        payment_data=payment,
        third_party_data=parts.third_party_data,
        eu_covid_cert=parts.eu_covid_cert,
    )


async def message_life(conn: Connection, sender: Sender, message_id: str) -> wire.MessageLife:
    """The whole life of one message of this service. 404 for anybody else's."""
    row = None
    if "\x00" not in message_id:
        row = await conn.row(
            queries.find_message,
            buckets=list(range(conn.buckets)),
            id=message_id,
            service_id=sender.service_id,
        )
    if row is None:
        raise Problem(404, "Message not found", "This service has sent no message with this id.")
    happened = await events.of_message(conn, row["bucket"], row["id"], sender.service_id)
    if any(event["kind"] == "read" for event in happened) and not await _may_see_reading(
        conn, sender, row
    ):
        happened = [event for event in happened if event["kind"] != "read"]
    life = wire.MessageLife(
        id=row["id"],
        status=row["status"],
        created_at=clock.to_wire(row["created_at"]),
        events=[
            wire.LifeEvent(event["kind"], clock.to_wire(event["at"]), event["about"] or UNSET)
            for event in happened
        ],
    )
    if row["rejection_reason"] is not None:
        life.rejection_reason = row["rejection_reason"]
    if row["decided_at"] is not None:
        life.decided_at = clock.to_wire(row["decided_at"])
    if row["reference"] is not None:
        life.reference = row["reference"]
    return life


async def _may_see_reading(conn: Connection, sender: Sender, row: Row) -> bool:
    """As for `read_status`: what the citizen let the sender know once, they may take back."""
    if Permission.MESSAGE_READ_ADVANCED not in sender.permissions:
        return False
    now = await conn.row(queries.read_messages, bucket=row["bucket"], ids=[row["id"]])
    return now is not None and bool(now["read_shared"])


async def find_by_reference(conn: Connection, sender: Sender, reference: str) -> wire.FoundMessages:
    """This service's messages that carry its own reference, newest first, at most 100."""
    rows = await conn.rows(
        queries.find_by_reference,
        buckets=list(range(conn.buckets)),
        service_id=sender.service_id,
        reference=reference,
    )
    return wire.FoundMessages(
        [
            wire.FoundMessage(
                row["id"], row["status"], clock.to_wire(row["created_at"]), row["reference"]
            )
            for row in rows
        ]
    )
