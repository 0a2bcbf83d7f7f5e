"""Where the payment node's events are pushed: one, or up to a thousand at once."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from messo.base.addresses import Network
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Answer, Problem, Request, Route
from messo.base.limits import RateLimit
from messo.base.wire import ProblemDocument
from messo.payments import intake
from messo.payments.payment_event import read_json

_MOST = 1000
_LARGEST = 8 * 1024 * 1024  # bytes of a body; an event has a few thousand


class TakenEvents(Struct):
    """What came of the events. Sending them again changes nothing."""

    paid: int
    known: int
    ignored: int
    dead: int


@dataclass(frozen=True)
class EventRoutes:
    """The route and what it needs. `key`: what its sender says; empty: nobody may.

    `trusted`: proxies whose word about addresses counts.
    """

    pool: Pool
    secrets: Secrets
    key: str
    limit: RateLimit
    trusted: Sequence[Network] = ()

    async def take(self, request: Request) -> Answer:
        self._authenticate(request)
        body = await request.json_body(_LARGEST)
        try:
            sent = read_json(body)
        except (ValueError, RecursionError):
            raise Problem(
                400, "Bad request", "The body must be JSON: an event, or a list of events."
            ) from None
        events = sent if isinstance(sent, list) else [sent]
        if len(events) > _MOST:
            raise Problem(413, "Payload too large", f"Send at most {_MOST} events at once.")
        async with self.pool.transaction() as conn:
            taken = await intake.take(conn, self.secrets, events)
        answer = TakenEvents(taken.paid, taken.known, taken.ignored, taken.dead)
        return Answer(200, msgspec.json.encode(answer))

    def _authenticate(self, request: Request) -> None:
        scheme, _, given = (request.header(b"authorization") or "").partition(" ")
        # Charged first, so that nobody tries keys at any speed; by address, so that who tries them
        # holds up nobody else.
        wait_s = self.limit.charge(request, request.client_address(self.trusted) or "")
        if wait_s:
            raise Problem(
                429,
                "Too many requests",
                f"Try again in {wait_s} seconds.",
                headers=[(b"retry-after", b"%d" % wait_s)],
            )
        known = self.key.encode()
        if not known or scheme.lower() != "bearer":
            raise _unauthorized()
        if not hmac.compare_digest(given.strip().encode(), known):
            raise _unauthorized()

    def routes(self) -> list[Route]:
        """The one route, as served and as documented."""
        problem = ProblemDocument
        return [
            Route(
                "POST",
                "/messo/v1/payment-events",
                "takePaymentEvents",
                self.take,
                "Tell of payments that were made",
                "For whoever passes on the payment node's events: one, or a list of at most "
                f"{_MOST}. The operator's MESSO_PAYMENT_EVENTS_KEY goes into "
                "`Authorization: Bearer …`. Events that cannot be understood are kept aside for "
                "the operator and hold up nothing.",
                dict[str, Any] | list[dict[str, Any]],
                {
                    200: (TakenEvents, "Taken. The ledger knows them."),
                    400: (problem, "The body is not JSON."),
                    401: (problem, "No key, or not the one."),
                    408: (problem, "The body came too slowly."),
                    413: (problem, "The body is too large, or holds too many events."),
                    415: (problem, "The body is not JSON."),
                    429: (problem, "Too fast: wait as long as Retry-After says."),
                    503: (problem, "Not confirmed: try again after Retry-After."),
                },
            )
        ]


def _unauthorized() -> Problem:
    return Problem(
        401,
        "Unauthorized",
        "Send the key for payment events as Authorization: Bearer …",
        headers=[(b"www-authenticate", b'Bearer realm="messo"')],
    )
