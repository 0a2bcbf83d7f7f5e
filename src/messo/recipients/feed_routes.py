"""The institutions' route to the subscriptions feed."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from messo.base import clock
from messo.base.db import Pool
from messo.base.http import JSON, Answer, Parameter, Problem, Request, Route
from messo.base.wire import GatewayError, ProblemDocument
from messo.recipients.feed import read_feed

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
# A change that began before midnight may commit after it; no request of ours takes longer.
_SETTLED = timedelta(seconds=15)

Day = Annotated[str, Meta(description="A day in UTC, YYYY-MM-DD.", examples=["2030-01-31"])]
Digest = Annotated[str, Meta(description="SHA-256 of a fiscal code, 64 hex digits.")]


class SubscriptionsFeed(Struct):
    """Net changes of one day for the asking service."""

    dateUTC: Day  # noqa: N815  the wire's own spelling
    subscriptions: list[Digest]
    unsubscriptions: list[Digest]


@dataclass(frozen=True)
class FeedRoutes:
    """The route and what it needs. `authenticate` gives the id of the asking service, or refuses."""

    authenticate: Callable[[Request], Awaitable[str]]
    pool: Pool

    async def read(self, request: Request) -> Answer:
        service_id = await self.authenticate(request)
        day = _day(request.path["date"])
        _only_if_over(day, clock.now())
        async with self.pool.connection() as conn:
            feed = await read_feed(conn, service_id, day)
        body = SubscriptionsFeed(day.isoformat(), feed.subscriptions, feed.unsubscriptions)
        return Answer(200, msgspec.json.encode(body), (JSON,))

    def routes(self) -> list[Route]:
        """As served and as documented."""
        problem = ProblemDocument
        return [
            Route(
                "GET",
                "/api/v1/subscriptions-feed/{date}",
                "getSubscriptionsFeedForDate",
                self.read,
                "Who can be reached since a day, and who cannot any more",
                "Net changes of one UTC day, as SHA-256 of fiscal codes: apply each day's to your "
                "list, and you need not ask for each profile.",
                None,
                {
                    200: (SubscriptionsFeed, "The whole day; maybe nothing."),
                    400: (problem, "This is not a day."),
                    401: (GatewayError, "No key, or one that is not valid."),
                    403: (problem, "The key may not do this."),
                    404: (problem, "The day is not over yet."),
                    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
                    503: (problem, "Try again after Retry-After."),
                },
                (Parameter("date", "path", "The day, in UTC.", type=Day),),
            )
        ]


def _day(text: str) -> date:
    try:
        if _DATE.match(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Problem(
        400,
        "Invalid ShortDateString",
        f'value ["{text[:40]}"] at [root] is not a valid [ShortDateString]',
        field="date",
    )


def _only_if_over(day: date, now: datetime) -> None:
    if day < now.date() and now - datetime.combine(day, time(), UTC) >= timedelta(1) + _SETTLED:
        return
    opens = f"{day} is over"
    if day < date.max:
        opens = format_datetime(datetime.combine(day + timedelta(days=1), time(), UTC), usegmt=True)
    raise Problem(
        404,
        "Data not available yet",
        f"Subscription data for {day} will be available from {opens}",
    )
