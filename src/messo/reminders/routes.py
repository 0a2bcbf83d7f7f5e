"""What a sender may know of the reminders about a message of theirs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from messo.base.db import Pool
from messo.base.http import Answer, Parameter, Problem, Request, Route
from messo.base.wire import GatewayError, ProblemDocument
from messo.reminders.facts import queries
from messo.reminders.rules import Kind, Reason
from messo.reminders.shown import Explained, Outcome, Shown, explain
from messo.services import Permission, Sender

# What a citizen has chosen, or done with their message, is told as one word.
_THEIR_AFFAIR = {
    *("consent", "devices_off", "service_off", "inbox_closed", "archived", "read", "quiet_hours"),
    "gone",
}
Told = Literal[
    "citizen",
    "paid",
    "cancelled",
    "expired",
    "past_due",
    "in_progress",
    "not_checked",
    "too_late",
    "unavailable",
]


class Reminder(Struct):
    """One reminder: its day in Rome, and why it was not sent, if so. Its hour is the citizen's."""

    day: str
    kind: Kind
    state: Literal["planned", "sending", "sent", "not_sent"]
    why_not: Told | UnsetType = UNSET


class Reminders(Struct):
    """The reminders about one message, in order; `why_not`: why there will be no more, if so."""

    items: list[Reminder]
    why_not: Told | UnsetType = UNSET


@dataclass(frozen=True)
class ReminderRoutes:
    """The route and what it needs. `authenticate` answers whose key it is, or refuses."""

    authenticate: Callable[[Request], Awaitable[Sender]]
    pool: Pool

    async def show(self, request: Request) -> Answer:
        sender = await self.authenticate(request)
        async with self.pool.connection() as conn:
            row = None
            if "\x00" not in request.path["id"]:
                row = await conn.row(
                    queries.find_message,
                    buckets=list(range(conn.buckets)),
                    id=request.path["id"],
                    service_id=sender.service_id,
                )
            if row is None:
                raise Problem(
                    404, "Message not found", "This service has sent no message with this id."
                )
            found = await explain(conn, row["fiscal_code"], row["id"])
        knows_reading = (
            row["is_read_shared"] and Permission.MESSAGE_READ_ADVANCED in sender.permissions
        )
        return Answer(200, msgspec.json.encode(_body(found, knows_reading=knows_reading)))

    def routes(self) -> list[Route]:
        """The one route, as served and as documented."""
        problem = ProblemDocument
        return [
            Route(
                "GET",
                "/messo/v1/messages/{id}/reminders",
                "messageReminders",
                self.show,
                "The reminders about a message you sent",
                "What is planned, what was sent, and why not. Of a notice whatever messages carry "
                "it, for each citizen is reminded once. Of a message without a notice only where "
                "the citizen lets you know what they read; otherwise `why_not` is `unavailable`. "
                "What the citizen has chosen or done is told as `citizen`.",
                None,
                {
                    200: (Reminders, "The reminders; maybe none."),
                    400: (problem, "A parameter is not valid."),
                    401: (GatewayError, "No key, or one that is not valid."),
                    403: (problem, "The key may not do this; `title` says which rule."),
                    404: (problem, "This service has sent no such message."),
                    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
                    503: (problem, "The database did not answer: try again after Retry-After."),
                },
                (Parameter("id", "path", "The message's id."),),
            )
        ]


def _body(found: Explained | None, *, knows_reading: bool) -> Reminders:
    if found is None:
        return Reminders([])
    if not found.is_notice and not knows_reading:
        return Reminders([], "unavailable")
    body = Reminders([_item(one) for one in found.reminders])
    if found.why_not is not None:
        body.why_not = _told(found.why_not)
    return body


def _item(one: Shown) -> Reminder:
    states: dict[Outcome, Literal["planned", "sending", "sent"]] = {
        "planned": "planned",
        "sending": "sending",
        "sent": "sent",
    }
    item = Reminder(one.day.isoformat(), one.kind, states.get(one.outcome, "not_sent"))
    if item.state == "not_sent":
        item.why_not = _told(one.reason) if one.reason else "citizen"
    return item


def _told(reason: Reason) -> Told:
    told: Told = "citizen" if reason in _THEIR_AFFAIR else msgspec.convert(reason, Told)
    return told
