"""The operators' routes to what waits for their decision."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base import clock, parameters
from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import Answer, Parameter, Problem, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import ProblemDocument, Timestamp
from messo.services import review
from messo.services.lifecycle import PUBLICATION
from messo.services.review_checks import differences

_PATH = "/messo/v1/reviews"
_ONE = _PATH + "/{service_id}"
_BODY = 16 * 1024  # bytes
_PLACE = re.compile(r"([0-9]{1,17})-([0-9A-Z]{26})\Z", re.ASCII)
_REASON = re.compile(r"\S")


class Institution(Struct):
    """Whose service it is."""

    name: str
    fiscal_code: str


class Waiting(Struct):
    """A version that waits. `is_first`: its service was never approved."""

    id: str
    name: str
    institution: Institution
    submitted_at: Timestamp
    version: int
    is_first: bool


class Queue(Struct):
    """What waits, the longest first; ask for more with `next` as `after`, where there is one."""

    items: list[Waiting]
    next: str | UnsetType = UNSET


class Change(Struct):
    """A member that differs; `live` is what messages and citizens see now."""

    member: str
    live: Any
    submitted: Any


class Review(Struct):
    """All of a version that waits; `changes`: against the live one, of its first review all of it."""

    id: str
    institution: Institution
    submitted_at: Timestamp
    version: int
    auto_publish: bool
    is_first: bool
    changes: list[Change]


class Approval(Struct):
    """The version that was looked at."""

    version: int


class Rejection(Struct):
    """The version that was looked at, and what its institution reads of why not."""

    version: int
    reason: Annotated[str, Meta(min_length=1, max_length=4000)]


_approval = msgspec.json.Decoder(Approval)
_rejection = msgspec.json.Decoder(Rejection)


@dataclass(frozen=True)
class ReviewRoutes:
    """The routes and what they need.

    `authenticate` answers which operator asks, as the audit log calls them, or refuses. `most`: the
    largest payment of what is approved, euro cents.
    """

    authenticate: Callable[[Request], Awaitable[str]]
    pool: Pool
    most: int

    async def list_all(self, request: Request) -> Answer:
        await self.authenticate(request)
        query = parameters.of_query(request)
        limit = parameters.number(query, "limit", 20, 1, 100)
        async with self.pool.connection() as conn:
            rows = await review.list_page(conn, _after(query), limit + 1)
        page = [
            Waiting(
                row["id"],
                row["name"],
                Institution(row["institution_name"], row["fiscal_code"]),
                clock.to_wire(row["changed_at"]),
                row["version"],
                is_first=row["state"] not in PUBLICATION,
            )
            for row in rows[:limit]
        ]
        if len(rows) <= limit:
            return _json(Queue(page))
        microseconds, service_id = review.place(rows[limit - 1])
        return _json(Queue(page, f"{microseconds}-{service_id}"))

    async def read(self, request: Request) -> Answer:
        await self.authenticate(request)
        async with self.pool.connection() as conn:
            found = await review.read(conn, request.path["service_id"])
        changes = differences(found.live, found.asked)
        return _json(
            Review(
                found.id,
                Institution(found.institution_name, found.fiscal_code),
                clock.to_wire(found.submitted_at),
                found.version,
                found.auto_publish,
                found.live is None,
                [Change(name, before, after) for name, (before, after) in changes.items()],
            )
        )

    async def approve(self, request: Request) -> Answer:
        actor = await self.authenticate(request)
        asked = decode(await request.json_body(_BODY), _approval)
        async with self.pool.transaction() as conn:
            await review.approve(conn, actor, request.path["service_id"], asked.version, self.most)
        return Answer(204, b"", ())

    async def reject(self, request: Request) -> Answer:
        actor = await self.authenticate(request)
        asked = decode(await request.json_body(_BODY), _rejection)
        if not _REASON.search(asked.reason):
            raise Problem(400, "Bad request", "A reason needs words.", field="reason")
        async with self.pool.transaction() as conn:
            await review.reject(
                conn, actor, request.path["service_id"], asked.version, asked.reason.strip()
            )
        return Answer(204, b"", ())

    def routes(self) -> list[Route]:
        """As served and as documented."""
        refusals = {
            400: (ProblemDocument, "Something is not valid; `field` names it."),
            401: (ProblemDocument, "Nobody is logged in."),
            403: (ProblemDocument, "Only operators decide."),
            503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
        }
        of_one = {
            **refusals,
            404: (ProblemDocument, "There is no such service."),
            409: (
                ProblemDocument,
                "It is not in review any more, or another version by now, or its name is taken.",
            ),
        }
        service = (Parameter("service_id", "path", "The service's id."),)
        return [
            Route(
                "GET",
                _PATH,
                "listReviews",
                self.list_all,
                "What waits for a decision",
                answers={200: (Queue, "A page; maybe an empty one."), **refusals},
                parameters=(
                    Parameter("limit", "query", "1 to 100; 20 when it is not given.", type=int),
                    Parameter("after", "query", "`next` of the page before."),
                ),
            ),
            Route(
                "GET",
                _ONE,
                "readReview",
                self.read,
                "One of them, against the live version",
                answers={200: (Review, "What to decide on."), **of_one},
                parameters=service,
            ),
            Route(
                "POST",
                _ONE + "/approval",
                "approveService",
                self.approve,
                "Approve it",
                "Whoever asked for the review has said whether it is released with this.",
                Approval,
                {204: (None, "It is approved."), **of_one, **OF_BODY},
                service,
            ),
            Route(
                "POST",
                _ONE + "/rejection",
                "rejectService",
                self.reject,
                "Reject it",
                "Its institution reads the reason, changes the draft, and asks again.",
                Rejection,
                {204: (None, "It is rejected."), **of_one, **OF_BODY},
                service,
            ),
        ]


def _after(query: Mapping[str, str]) -> tuple[int, str] | None:
    given = query.get("after")
    if given is None:
        return None
    match = _PLACE.match(given)
    if match is None:
        raise Problem(400, "Bad parameters", "after is `next` of another page.", field="after")
    return int(match[1]), match[2]


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body))
