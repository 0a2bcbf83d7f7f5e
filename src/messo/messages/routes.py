"""The institutions' message routes: authenticate, parse, call, answer."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from messo.base.db import Pool
from messo.base.http import JSON, Answer, Parameter, Problem, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import GatewayError, IdempotencyKey, ProblemDocument
from messo.login import FiscalCode
from messo.messages import checks, gates, wire
from messo.messages.reach import ProfileReader
from messo.messages.reports import reports_of
from messo.messages.send import MAY_WRITE, REFERENCE, Send, Sent
from messo.messages.status import (
    MessageReader,
    PaymentLookup,
    find_by_reference,
    message_life,
    message_status,
)
from messo.services import Authenticate, Permission, not_allowed


@dataclass(frozen=True)
class MessageRoutes:
    """The routes and what they need. `payment_state` is passed in by whoever knows payments."""

    authenticate: Authenticate
    send: Send
    messages: MessageReader
    profiles: ProfileReader
    pool: Pool
    body_limit: int
    payment_state: PaymentLookup | None = None

    async def submit(self, request: Request) -> Answer:
        sender = await self.authenticate.sender(request, *MAY_WRITE)
        body = await request.json_body(self.body_limit)
        sent = await self.send(
            sender,
            body,
            in_path=request.path.get("fiscal_code"),
            reference=request.header(b"x-messo-reference"),
            key=request.header(b"idempotency-key"),
        )
        return _created(sent)

    async def read(self, request: Request) -> Answer:
        sender = await self.authenticate.sender(request, Permission.MESSAGE_READ)
        fiscal_code = checks.path_fiscal_code(request.path["fiscal_code"])
        row = await self.messages.find(fiscal_code, request.path["id"])
        # Another institution's is as none: that it exists is nobody's business but its own.
        if row is None or row["organization_fiscal_code"] != sender.organization_fiscal_code:
            raise Problem(
                404, "Message not found", "There is no message with this id for this recipient."
            )
        if row["service_id"] != sender.service_id:
            raise not_allowed("Only the service that sent a message can read it.")
        return _json(await message_status(row, sender, self.payment_state))

    async def check_profile(self, request: Request) -> Answer:
        sender = await self.authenticate.sender(request, Permission.LIMITED_PROFILE_READ)
        in_path = request.path.get("fiscal_code")
        if in_path is None:
            fiscal_code = checks.parse_recipient(await request.json_body(self.body_limit))
        else:
            fiscal_code = checks.path_fiscal_code(in_path)
        # Before the look-up: who may not write must not learn who is enrolled.
        gates.check_recipient(sender, fiscal_code)
        return _json(await self.profiles.limited_profile(sender, fiscal_code))

    async def life(self, request: Request) -> Answer:
        sender = await self.authenticate.sender(request, Permission.MESSAGE_READ)
        async with self.pool.connection() as conn:
            return _json(await message_life(conn, sender, request.path["id"]))

    async def search(self, request: Request) -> Answer:
        sender = await self.authenticate.sender(request, Permission.MESSAGE_READ)
        reference = request.query.get("reference", "")
        if not REFERENCE.match(reference):
            raise Problem(
                400,
                "Bad parameters",
                "Give the reference you sent as X-Messo-Reference: 1 to 64 visible ASCII characters.",
                field="reference",
            )
        async with self.pool.connection() as conn:
            return _json(await find_by_reference(conn, sender, reference))

    async def reports(self, request: Request) -> Answer:
        sender = await self.authenticate.sender(request, Permission.MESSAGE_READ)
        async with self.pool.connection() as conn:
            return _json(await reports_of(conn, sender))

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        problem = ProblemDocument
        refusals = {
            401: (GatewayError, "No key, or one that is not valid."),
            403: (problem, "The key may not do this; `title` says which rule."),
            429: (GatewayError, "Too fast: wait as long as Retry-After says."),
            503: (problem, "Not confirmed: try again after Retry-After."),
        }
        reading = {**refusals, 400: (problem, "A parameter is not valid.")}
        created = {
            201: (wire.CreatedMessage, "Kept, with its follow-up work. Location names it."),
            400: (problem, "The message does not follow the rules; `field` names the place."),
            404: (problem, "There is no such remote-content configuration."),
            **OF_BODY,
            422: (problem, "The Idempotency-Key was used for another message."),
            **refusals,
        }
        in_path = Parameter("fiscal_code", "path", "The recipient.", type=FiscalCode)
        id_in_path = Parameter("id", "path", "The message's id.")
        writing = (
            Parameter(
                "Idempotency-Key",
                "header",
                "1 to 255 visible ASCII characters. The same key with the same message gets the "
                "first answer again, for at least 24 hours; with another message, 422.",
                type=IdempotencyKey,
            ),
            Parameter(
                "X-Messo-Reference",
                "header",
                "Your own reference, 1 to 64 visible ASCII characters; kept and searchable.",
            ),
        )
        submit_about = (
            "The message is checked, kept and answered at once; whether the citizen can be reached "
            "is decided a moment later and shown by its status. "
            "When you write to the legal representative of a legal person, nobody checks here "
            "that the person represents it: the choice of the recipient is yours."
        )
        return [
            Route(
                "POST",
                "/api/v1/messages",
                "submitMessage",
                self.submit,
                "Send a message to one citizen",
                submit_about,
                wire.NewMessage,
                created,
                writing,
            ),
            Route(
                "POST",
                "/api/v1/messages/{fiscal_code}",
                "submitMessageTo",
                self.submit,
                "Send a message, recipient in the path",
                "The same with the fiscal code in the path. Prefer the other: paths end up in logs.",
                wire.NewMessage,
                created,
                (in_path, *writing),
            ),
            Route(
                "GET",
                "/api/v1/messages/{fiscal_code}/{id}",
                "getMessage",
                self.read,
                "Read a message you sent, and its status",
                "`content` is there once the message is PROCESSED. `read_status` is there for "
                "ADVANCED messages and readers with the permission, and only says what the "
                "citizen lets you know.",
                None,
                {
                    200: (wire.MessageStatus, "The message."),
                    404: (problem, "No such message for this recipient."),
                    **reading,
                },
                (in_path, id_in_path),
            ),
            Route(
                "POST",
                "/api/v1/profiles",
                "checkProfile",
                self.check_profile,
                "Ask whether you may write to a citizen",
                "",
                wire.Recipient,
                {
                    200: (wire.LimitedProfile, "The citizen is enrolled; see `sender_allowed`."),
                    404: (problem, "Nobody with this fiscal code receives messages here."),
                    **OF_BODY,
                    **reading,
                },
            ),
            Route(
                "GET",
                "/api/v1/profiles/{fiscal_code}",
                "checkProfileOf",
                self.check_profile,
                "Ask whether you may write, recipient in the path",
                "Prefer the other: paths end up in logs.",
                None,
                {
                    200: (wire.LimitedProfile, "The citizen is enrolled; see `sender_allowed`."),
                    404: (problem, "Nobody with this fiscal code receives messages here."),
                    **reading,
                },
                (in_path,),
            ),
            Route(
                "GET",
                "/messo/v1/messages/{id}",
                "messageLife",
                self.life,
                "The whole life of a message you sent",
                "Beyond the compatible routes: why a message was rejected, when each thing "
                "happened, and your own reference.",
                None,
                {
                    200: (wire.MessageLife, "Its life so far."),
                    404: (problem, "This service has sent no such message."),
                    **reading,
                },
                (id_in_path,),
            ),
            Route(
                "GET",
                "/messo/v1/messages",
                "searchMessages",
                self.search,
                "Find your messages by your own reference",
                "Newest first, at most 100.",
                None,
                {200: (wire.FoundMessages, "What was found; maybe nothing."), **reading},
                (
                    Parameter(
                        "reference", "query", "What you sent as X-Messo-Reference.", required=True
                    ),
                ),
            ),
            Route(
                "GET",
                "/messo/v1/reports",
                "reportedMessages",
                self.reports,
                "Messages that their recipients say were not meant for them",
                "Of your service, the newest report first, at most 100. Somebody may have moved, "
                "or a fiscal code may be another's: check before you write there again.",
                None,
                {200: (wire.ReportedMessages, "What was reported; maybe nothing."), **refusals},
            ),
        ]


def _created(sent: Sent) -> Answer:
    location = f"/api/v1/messages/{sent.fiscal_code}/{sent.message_id}"
    created = wire.CreatedMessage(sent.message_id, list(sent.advice) or UNSET)
    return Answer(201, msgspec.json.encode(created), (JSON, (b"location", location.encode())))


def _json(answer: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(answer))
