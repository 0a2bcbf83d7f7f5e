"""Posting one signed event to a webhook, and what its answer means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, Protocol

import msgspec

from messo.base import clock
from messo.base.db import Row
from messo.base.outbound import Limits, Outbound, Reply
from messo.base.outbound_errors import BusyError, OutboundError, TooLargeError
from messo.base.retry_after import retry_after_s
from messo.events.kinds import type_of
from messo.events.sign import SigningSecret, signed_headers

ANSWER_WITHIN_S = 10
LIMITS = Limits(total_s=ANSWER_WITHIN_S)
# ok: taken. refused: not this event. down: does not answer, or says so. gone: never again (410).
# busy: not asked at all, for a bound of ours.
Verdict = Literal["ok", "refused", "down", "gone", "busy"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one try. `error`: a few words without anything personal, empty when taken."""

    verdict: Verdict
    error: str = ""
    status: int | None = None
    after_s: float | None = None


class Poster(Protocol):
    """Where a webhook is and how it is signed."""

    @property
    def url(self) -> str: ...

    @property
    def secrets(self) -> Sequence[SigningSecret]: ...


def body_of(row: Row, service_id: str) -> bytes:
    """The body of an event, from `kind`, `about`, `at`, `message_id`. Nothing in it is personal."""
    data: dict[str, Any] = {"message_id": row["message_id"], "service_id": service_id}
    if row["about"]:
        data["channel"] = row["about"]
    return _body(type_of(row["kind"]), row["at"], data)


def trial_body(webhook_id: str, service_id: str, now: datetime) -> bytes:
    """The body of an event that says nothing, to try an address with."""
    return _body("test", now, {"webhook_id": webhook_id, "service_id": service_id})


def _body(event_type: str, moment: datetime, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {"type": event_type, "timestamp": clock.to_wire(moment), "data": data}
    )


async def post(
    outbound: Outbound, to: Poster, event_id: str, body: bytes, limits: Limits = LIMITS
) -> Answered:
    """Send one event, within `limits`. Any 2xx takes it; a redirect does not."""
    headers = signed_headers(to.secrets, event_id, body, clock.now())
    try:
        reply = await outbound.send("POST", to.url, headers=headers, body=body, limits=limits)
    except BusyError as error:
        return Answered("busy", f"{error.kind}: {error.reason}", after_s=error.after_s)
    except TooLargeError as error:
        return Answered("refused", f"{error.kind}: {error.reason}")
    except OutboundError as error:
        return Answered("down", f"{error.kind}: {error.reason}")
    return meaning(reply, clock.now())


def meaning(reply: Reply, now: datetime) -> Answered:
    """What an answer means, by its status alone: nobody reads what else it says."""
    said = f"status {reply.status}"
    if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return Answered("ok", status=reply.status)
    if reply.status == HTTPStatus.GONE:
        return Answered("gone", said, reply.status)
    if (
        reply.status == HTTPStatus.TOO_MANY_REQUESTS
        or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        pause = retry_after_s(reply.headers.get("retry-after"), now)
        return Answered("down", said, reply.status, pause)
    return Answered("refused", said, reply.status)
