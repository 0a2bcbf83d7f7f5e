"""The citizens' message routes: authenticate, parse, call, answer."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from messo.base import clock, parameters
from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import Answer, Parameter, Problem, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import ULID, ProblemDocument, Ulid
from messo.login import Session
from messo.messages import mailbox
from messo.messages import mailbox_wire as wire
from messo.messages.mailbox import Filters, Line, Message

_ULID = re.compile(ULID)
_MOST = 100  # messages of a page
_PATH = "/api/communication/v1/messages"


@dataclass(frozen=True)
class MailboxRoutes:
    """The routes and what they need. `authenticate` answers whose session it is, or refuses."""

    authenticate: Callable[[Request], Awaitable[Session]]
    pool: Pool
    body_limit: int

    async def show(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        query = parameters.of_query(request)
        limit = parameters.number(query, "page_size", _MOST, 1, _MOST)
        enrich = parameters.boolean(query, "enrich_result_data")
        filters = Filters(archived=parameters.boolean(query, "archived"), words=query.get("q"))
        before = parameters.matching(query, "maximum_id", _ULID, "a message's id")
        after = parameters.matching(query, "minimum_id", _ULID, "a message's id")
        async with self.pool.connection() as conn:
            page = await mailbox.list_messages(
                conn, session.fiscal_code, filters, limit=limit, before=before, after=after
            )
        answer = wire.Items([_item(line, enrich=enrich) for line in page.items])
        if page.items:
            answer.prev = page.items[0].id
            if page.has_older:
                answer.next = page.items[-1].id
        return _json(answer)

    async def read(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        message_id = path_id(request)
        public = parameters.boolean(parameters.of_query(request), "public_message")
        async with self.pool.connection() as conn:
            message = await mailbox.read_message(conn, session.fiscal_code, message_id)
        if message is None or not message.content.markdown:
            raise not_found()
        return _json(body_of(message, public=public))

    async def change(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        message_id = path_id(request)
        change = decode(await request.json_body(self.body_limit), wire.status_change)
        async with self.pool.transaction() as conn:
            marked = await mailbox.mark(
                conn,
                session.fiscal_code,
                [message_id],
                read=getattr(change, "is_read", None) is True,
                archived=getattr(change, "is_archived", None),
            )
        if not marked:
            raise not_found()
        return _json(wire.Status(marked[0].is_read, marked[0].is_archived))

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        problem = ProblemDocument
        refusals = {
            400: (problem, "A parameter is not valid; `field` names it."),
            401: (None, "No session, or one that has ended."),
            429: (problem, "Too fast: wait as long as Retry-After says."),
            503: (problem, "The database did not answer: try again after Retry-After."),
        }
        missing = {404: (problem, "The citizen has no message with this id."), **refusals}
        in_path = Parameter("id", "path", "The message's id.", type=Ulid)
        return [
            Route(
                "GET",
                _PATH,
                "listMessages",
                self.show,
                "The citizen's messages",
                "Newest first. The next older page is `maximum_id` = `next`; what is newer than "
                "what you have is `minimum_id` = `prev`. With both, what lies between.",
                None,
                {200: (wire.Items, "A page; maybe an empty one."), **refusals},
                (
                    Parameter(
                        "page_size", "query", "1 to 100; 100 when it is not given.", type=int
                    ),
                    Parameter(
                        "enrich_result_data",
                        "query",
                        "Sender, title, state and category of each message too.",
                        type=bool,
                    ),
                    Parameter("archived", "query", "The archive instead of the inbox.", type=bool),
                    Parameter("maximum_id", "query", "Only older than this id.", type=Ulid),
                    Parameter("minimum_id", "query", "Only newer than this id.", type=Ulid),
                    Parameter(
                        "q",
                        "query",
                        "Only messages with these words in sender, title or body, in Italian or "
                        "English; the first 200 characters count. Messo's own.",
                    ),
                ),
            ),
            Route(
                "GET",
                _PATH + "/{id}",
                "readMessage",
                self.read,
                "One message with its content",
                "Reading does not mark it as read: change its status for that.",
                None,
                {200: (wire.CitizenMessage, "The message."), **missing},
                (
                    in_path,
                    Parameter(
                        "public_message", "query", "Sender, state and category too.", type=bool
                    ),
                ),
            ),
            Route(
                "PUT",
                _PATH + "/{id}/status",
                "changeMessageStatus",
                self.change,
                "Mark a message as read, archive it or bring it back",
                "What is not named stays as it is; a message that was read stays read.",
                wire.StatusChange,
                {200: (wire.Status, "How it stands now."), **missing, **OF_BODY},
                (in_path,),
            ),
        ]


def _item(line: Line, *, enrich: bool) -> wire.Item:
    item = wire.Item(
        id=line.id,
        fiscal_code=line.fiscal_code,
        created_at=clock.to_wire(line.created_at),
        sender_service_id=line.service_id,
        time_to_live=line.time_to_live,
    )
    if enrich:
        item.service_name = line.service_name
        item.organization_name = line.organization_name
        item.organization_fiscal_code = line.organization_fiscal_code
        item.message_title = line.subject
        item.is_read = line.is_read
        item.is_archived = line.is_archived
        item.category = line.category
        item.has_attachments = line.has_attachments
        item.has_remote_content = line.has_remote_content
        item.has_precondition = line.has_precondition
    return item


def body_of(message: Message, *, public: bool) -> wire.CitizenMessage:
    line = message.line
    body = wire.CitizenMessage(
        id=line.id,
        fiscal_code=line.fiscal_code,
        created_at=clock.to_wire(line.created_at),
        sender_service_id=line.service_id,
        time_to_live=line.time_to_live,
        content=message.content,
    )
    if public:
        body.category = line.category
        body.is_read = line.is_read
        body.is_archived = line.is_archived
        body.message_title = line.subject
        body.service_name = line.service_name
        body.organization_name = line.organization_name
        body.organization_fiscal_code = line.organization_fiscal_code
    return body


def path_id(request: Request) -> str:
    message_id = request.path["id"]
    if not _ULID.match(message_id):
        raise Problem(400, "Bad request", "A message's id is a ULID: 26 characters.", field="id")
    return message_id


def not_found() -> Problem:
    return Problem(404, "Not found", "You have no message with this id.")


def _json(answer: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(answer))
