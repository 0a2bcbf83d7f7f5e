"""The institutions' routes to their remote-content configurations: authenticate, parse, call, answer."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import msgspec

from messo.base import parameters
from messo.base.addresses import Network
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Parameter, Problem, Request, Route, not_available
from messo.base.outbound import Outbound
from messo.base.refusals import OF_BODY
from messo.base.wire import ULID, GatewayError, IdempotencyKey, ProblemDocument, Ulid
from messo.content import configurations, wire
from messo.content.advice import advise, try_addresses
from messo.content.ask import Ask
from messo.content.check import Check
from messo.content.configurations import Repeatable
from messo.content.lookup import loaded
from messo.content.pdf import PdfBusyError, PdfCheck
from messo.services import Manager

T = TypeVar("T")

_BASE = "/api/v1/messages-sending/remote-contents/configurations"
_CHECK = "/messo/v1/remote-contents/configurations/{id}/check"
_TITLE = "Invalid remote content configuration"
_ID = re.compile(ULID)
_new = msgspec.json.Decoder(wire.NewConfiguration)
_check = msgspec.json.Decoder(wire.CheckRequest)
# Keys are in these answers.
_PRIVATE = [JSON, (b"cache-control", b"no-store")]


@dataclass(frozen=True)
class ConfigurationRoutes:
    """The routes and what they need. `authenticate`: who manages, of a group or not, or a refusal.

    `allowed`: networks that may be called although not public.
    """

    authenticate: Callable[[Request], Awaitable[Manager]]
    pool: Pool
    secrets: Secrets
    outbound: Outbound
    ask: Ask
    pdf_check: PdfCheck
    body_limit: int
    allowed: Sequence[Network] = ()

    async def create(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        new = await self._body(request, _new)
        repeatable = _repeatable(request, new)
        async with self.pool.transaction() as conn:
            made = await configurations.create(
                conn, self.secrets, manager.institution_id, new, repeatable, manager.actor
            )
        advice = advise(new, self.allowed) + await try_addresses(self.outbound, new)
        made.user_id = msgspec.UNSET
        made.advice = advice or msgspec.UNSET
        location = (b"location", f"{_BASE}/{made.configuration_id}".encode())
        return Answer(201, msgspec.json.encode(made), [*_PRIVATE, location])

    async def list_all(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.connection() as conn:
            return _json(await configurations.list_all(conn, self.secrets, institution))

    async def read(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.connection() as conn:
            return _json(await configurations.read(conn, self.secrets, institution, _id(request)))

    async def replace(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        configuration_id = _id(request)
        new = await self._body(request, _new)
        async with self.pool.transaction() as conn:
            await configurations.replace(
                conn, self.secrets, manager.institution_id, configuration_id, new, manager.actor
            )
        return Answer(204, b"", ())

    async def check(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        configuration_id = _id(request)
        wanted = await self._body(request, _check, "Bad request")
        async with self.pool.connection() as conn:
            given = await configurations.read(conn, self.secrets, institution, configuration_id)
        try:
            async with self.pdf_check.place() as place:
                check = Check(self.ask, place, loaded(given))
                report = await check.run(wanted.id, wanted.fiscal_code)
        except PdfBusyError as busy:
            raise not_available(
                "Others are checking their servers: try again in a moment.", ceil(busy.after_s)
            ) from None
        return _json(add_advice(report, advise(given, self.allowed)))

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        problem = ProblemDocument
        refusals = {
            401: (GatewayError, "No key, or one that is not valid."),
            403: (problem, "Not a manage key that may do this."),
            429: (GatewayError, "Too fast: wait as long as Retry-After says."),
            503: (problem, "Not confirmed: try again after Retry-After."),
        }
        of_one = {
            400: (problem, "The id is no ULID, or the body does not follow the rules."),
            404: (problem, "Your institution has no such configuration."),
            **refusals,
        }
        of_body = {
            400: (problem, "The body does not follow the rules; `field` names the place."),
            **OF_BODY,
        }
        in_path = Parameter("id", "path", "The configuration's id.", type=Ulid)
        return [
            Route(
                "POST",
                _BASE,
                "createRCConfiguration",
                self.create,
                "Say where your remote content is served",
                "Messages name it as `third_party_data.configuration_id`. Everything is accepted; "
                "`advice` says what will not work: an address without https or with nobody there, "
                "a key that cannot be sent.",
                wire.NewConfiguration,
                {
                    201: (wire.Configuration, "Made. Location names it."),
                    422: (problem, "The Idempotency-Key was used for another configuration."),
                    **of_body,
                    **refusals,
                },
                (
                    Parameter(
                        "Idempotency-Key",
                        "header",
                        "1 to 255 visible ASCII characters. The same key with the same body gets "
                        "the configuration made the first time; with another body, 422.",
                        type=IdempotencyKey,
                    ),
                ),
            ),
            Route(
                "GET",
                _BASE,
                "listRCConfigurations",
                self.list_all,
                "All configurations of the institution",
                "With their keys, as they were given.",
                answers={200: (wire.ConfigurationList, "Oldest first."), **refusals},
            ),
            Route(
                "GET",
                _BASE + "/{id}",
                "getRCConfiguration",
                self.read,
                "One configuration",
                answers={200: (wire.Configuration, "With its keys."), **of_one},
                parameters=(in_path,),
            ),
            Route(
                "PUT",
                _BASE + "/{id}",
                "replaceRCConfiguration",
                self.replace,
                "Replace a configuration",
                "All of it: an environment that is left out is gone. In force within a second, "
                "also for messages that were sent before; their precondition stays as it was.",
                wire.NewConfiguration,
                {204: (None, "Replaced."), **of_one, **of_body},
                (in_path,),
            ),
            Route(
                "POST",
                _CHECK,
                "checkRCConfiguration",
                self.check,
                "Call your server as we would, and learn what is wrong",
                "Precondition, detail and the first attachments of one message, without telling "
                "anybody what they say. A browser holds no device key, so no proof is sent.",
                wire.CheckRequest,
                {200: (wire.CheckReport, "How it went, call by call."), **of_one, **of_body},
                (in_path,),
            ),
        ]

    async def _body(
        self, request: Request, decoder: msgspec.json.Decoder[T], title: str = _TITLE
    ) -> T:
        return decode(await request.json_body(self.body_limit), decoder, title)


def add_advice(report: wire.CheckReport, advice: Sequence[wire.Advice]) -> wire.CheckReport:
    """The report with what is wrong with the configuration itself before everything else."""
    found = [wire.Finding("configuration", one.field, one.advice, is_advice=True) for one in advice]
    report.findings[:0] = found
    return report


def _id(request: Request) -> str:
    text = request.path["id"]
    if not _ID.match(text):
        raise Problem(400, "Bad request", "A configuration's id is a ULID.", field="id")
    return text.upper()


def _repeatable(request: Request, new: wire.NewConfiguration) -> Repeatable | None:
    key = parameters.idempotency_key(request)
    return Repeatable(key, msgspec.json.encode(new, order="sorted")) if key else None


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body), _PRIVATE)
