"""The institutions' route to the feed of events."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from messo.base import parameters
from messo.base.db import Pool
from messo.base.http import Answer, Parameter, Request, Route
from messo.base.wire import GatewayError, ProblemDocument
from messo.events import wire
from messo.events.feed import read_page
from messo.events.kinds import TOLD

_KINDS = re.compile(rf"(?:{'|'.join(TOLD)})(?:,(?:{'|'.join(TOLD)}))*\Z")
READING = "ApiMessageReadAdvanced"


class Reader(Protocol):
    """Who asks: a service, and what its institution may do."""

    @property
    def service_id(self) -> str: ...

    @property
    def permissions(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class EventFeedRoutes:
    """The route and what it needs. `authenticate` gives the asking service, or refuses."""

    authenticate: Callable[[Request], Awaitable[Reader]]
    pool: Pool

    async def read(self, request: Request) -> Answer:
        reader = await self.authenticate(request)
        given = parameters.of_query(request)
        limit = parameters.number(given, "limit", 100, 1, 1000)
        kinds = parameters.matching(
            given, "kind", _KINDS, f"one or more of {', '.join(TOLD)}, with commas between"
        )
        async with self.pool.connection() as conn:
            page = await read_page(
                conn,
                reader.service_id,
                given.get("after"),
                limit,
                TOLD if kinds is None else kinds.split(","),
                reading=READING in reader.permissions,
            )
        return Answer(200, msgspec.json.encode(page))

    def routes(self) -> list[Route]:
        """As served and as documented."""
        problem = ProblemDocument
        return [
            Route(
                "GET",
                "/messo/v1/events",
                "listEvents",
                self.read,
                "What happened to the messages of this service",
                "Every fact once, in an order that never changes. Keep `next` and ask from there: "
                "nothing is missed and nothing comes twice. Events are kept for 30 days; an older "
                "cursor goes on with the oldest one kept. That a message was read is told only "
                "while its citizen lets you know.",
                None,
                {
                    200: (wire.EventPage, "Maybe nothing, and where to go on."),
                    400: (problem, "A parameter is wrong; `field` names it."),
                    401: (GatewayError, "No key, or one that is not valid."),
                    403: (problem, "The key may not do this."),
                    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
                    503: (problem, "Try again after Retry-After."),
                },
                (
                    Parameter("after", "query", "The `next` of the page before.", type=wire.Cursor),
                    Parameter(
                        "limit",
                        "query",
                        "Events of one page; 100 if not given.",
                        type=Annotated[int, Meta(ge=1, le=1000)],
                    ),
                    Parameter("kind", "query", f"Only these, with commas: {', '.join(TOLD)}."),
                ),
            )
        ]
