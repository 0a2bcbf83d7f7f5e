"""The institutions' routes to the activations of SPECIAL services."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta, Struct

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Problem, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import GatewayError, ProblemDocument
from messo.login import FiscalCode
from messo.operations import record
from messo.recipients import preferences
from messo.recipients.preferences import Activation, activate, read_activation

_PATH = "/api/v1/activations"
_LONGEST = 4096  # bytes of a body

Status = Annotated[
    preferences.Status,
    Meta(description="PENDING counts as ACTIVE for a day, then as INACTIVE."),
]


class Asked(Struct):
    """Whose activation is asked for."""

    fiscal_code: FiscalCode


class NewActivation(Struct):
    """What an activation shall be from now on."""

    fiscal_code: FiscalCode
    status: Status


class ActivationAnswer(Struct):
    """An activation; `version` is 0 at first and counts up with each write."""

    service_id: str
    fiscal_code: FiscalCode
    status: Status
    version: Annotated[int, Meta(ge=0)]


class Sender(Protocol):
    """What is asked of whoever asks."""

    @property
    def service_id(self) -> str: ...

    @property
    def category(self) -> str: ...


_asked = msgspec.json.Decoder(Asked)
_new = msgspec.json.Decoder(NewActivation)


@dataclass(frozen=True)
class ActivationRoutes:
    """The routes and what they need. `authenticate`: the service that asks, if it may write messages."""

    authenticate: Callable[[Request], Awaitable[Sender]]
    pool: Pool
    secrets: Secrets

    async def read(self, request: Request) -> Answer:
        service_id = await self._special(request)
        asked = decode(await request.json_body(_LONGEST), _asked, "Invalid FiscalCodePayload")
        async with self.pool.connection() as conn:
            found = await read_activation(conn, asked.fiscal_code, service_id)
        if found is None:
            raise Problem(404, "Not Found", "Activation not found for the user")
        return _json(service_id, asked.fiscal_code, found["status"], found["version"])

    async def put(self, request: Request) -> Answer:
        service_id = await self._special(request)
        new = decode(await request.json_body(_LONGEST), _new, "Invalid ActivationPayload")
        async with self.pool.transaction() as conn:
            version = await activate(conn, Activation(new.fiscal_code, service_id, new.status))
            citizen = self.secrets.keyed_hash(new.fiscal_code)
            told = {"status": new.status, "version": version, "service": service_id}
            await record(conn, f"service:{service_id}", "activation.put", citizen, **told)
        return _json(service_id, new.fiscal_code, new.status, version)

    async def _special(self, request: Request) -> str:
        sender = await self.authenticate(request)
        if sender.category != "SPECIAL":
            raise Problem(
                403,
                "You are not allowed here",
                "Only SPECIAL services have activations: citizens switch the others on themselves.",
            )
        return sender.service_id

    def routes(self) -> list[Route]:
        """As served and as documented; each path with the slash that the contract ends it with, too."""
        problem = ProblemDocument
        refusals = {
            400: (problem, "The body does not follow the rules; `field` names the place."),
            401: (GatewayError, "No key, or one that is not valid."),
            403: (problem, "The key may not do this, or its service is not SPECIAL."),
            **OF_BODY,
            429: (GatewayError, "Too fast: wait as long as Retry-After says."),
            503: (problem, "Try again after Retry-After."),
        }
        missing = (problem, "Your service has written none for this citizen: it is not active.")
        same = "The same. The reference platform's document writes the path with this slash."
        reading = {200: (ActivationAnswer, "As it was last written."), 404: missing, **refusals}
        writing = {200: (ActivationAnswer, "Written, with the version it has now."), **refusals}
        asks = "Whether a citizen has your service switched on"
        puts = "Switch your service on or off for a citizen"
        return [
            Route(
                "POST",
                _PATH,
                "getServiceActivationByPOST",
                self.read,
                asks,
                "A POST, so that the fiscal code is in no address. Changes nothing.",
                Asked,
                reading,
            ),
            Route(
                "PUT",
                _PATH,
                "upsertServiceActivation",
                self.put,
                puts,
                "What the citizen agreed to at your counter or on your site. Messages reach who has "
                "it ACTIVE; the citizen need not be enrolled here yet. The last write counts, and "
                "may be repeated.",
                NewActivation,
                writing,
            ),
            Route(
                "POST",
                _PATH + "/",
                "getServiceActivationByPOSTWithSlash",
                self.read,
                asks,
                same,
                Asked,
                reading,
            ),
            Route(
                "PUT",
                _PATH + "/",
                "upsertServiceActivationWithSlash",
                self.put,
                puts,
                same,
                NewActivation,
                writing,
            ),
        ]


def _json(service_id: str, fiscal_code: str, status: preferences.Status, version: int) -> Answer:
    body = ActivationAnswer(service_id, fiscal_code, status, version)
    return Answer(200, msgspec.json.encode(body), (JSON,))
