"""The citizens' routes to remote content: authenticate, parse, ask the institution, answer.

No connection is held while the institution is asked.
"""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import JSON, Answer, Parameter, Problem, Request, Route, StreamedAnswer
from messo.base.wire import ProblemDocument, Ulid
from messo.content import (
    Fetch,
    PreconditionText,
    Remote,
    announce,
    check_proof,
    is_announced,
    tail,
)
from messo.login import Session
from messo.messages import mailbox
from messo.messages.citizen_view import Message
from messo.messages.mailbox_routes import body_of, not_found, path_id
from messo.messages.remote import remote_of
from messo.messages.remote_wire import RemoteMessage, remote_content

_PATH = "/api/communication/v1/third-party-messages/{id}"
_PRIVATE = (b"cache-control", b"no-store")  # nothing remote is kept on the way either
_BYTES = (b"content-type", b"application/octet-stream")
# To a client as from the institution: some time, and what 100 kB/s take for 20 MiB at most.
_SEND_S, _SEND_BYTES_PER_S, _MOST_BYTES = 30, 100_000, 20 * 1024 * 1024
_OF_ONE_CITIZEN = 4  # attachments on their way


@dataclass(frozen=True)
class RemoteRoutes:
    """The routes and what they need. `issuer`: our own address, as devices' proofs are passed on."""

    authenticate: Callable[[Request], Awaitable[Session]]
    pool: Pool
    secrets: Secrets
    fetch: Fetch
    issuer: str
    on_their_way: Counter[str] = field(default_factory=Counter)  # attachments, by fiscal code

    async def precondition(self, request: Request) -> Answer:
        session, message = await self._message(request)
        text = await self.fetch.precondition(remote_of(message), self._prove(request, session))
        return _json(text)

    async def detail(self, request: Request) -> Answer:
        session, message = await self._message(request)
        remote = remote_of(message)
        detail = await self.fetch.detail(remote, self._prove(request, session))
        # One statement, done when it is answered: BEGIN and COMMIT would cost a tenth of all this.
        async with self.pool.connection() as conn:
            await announce(
                conn, self.secrets, remote.fiscal_code, remote.message_id, detail.attachments
            )
        plain = msgspec.structs.asdict(body_of(message, public=False))
        return _json(RemoteMessage(**plain, third_party_message=remote_content(detail)))

    async def attachment(self, request: Request) -> Answer:
        session, message = await self._message(request)
        remote = remote_of(message)
        address = tail(
            request.path["attachment_url"], request.scope["query_string"].decode("latin-1")
        )
        if not request.path["attachment_url"]:
            raise Problem(
                400, "Bad request", "Name the attachment by its url.", field="attachment_url"
            )
        if address is None or not await self._may_open(remote, address):
            raise Problem(
                404,
                "Not found",
                "This message has announced no such attachment in the last 15 minutes: read it "
                "again, and take the attachment's url from there.",
            )
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._counted(session.fiscal_code))
            opened = await stack.enter_async_context(
                self.fetch.attachment(remote, address, self._prove(request, session))
            )
            headers = [_BYTES, _PRIVATE]
            if opened.length is not None:
                headers.append((b"content-length", b"%d" % opened.length))
            closing = stack.pop_all()
        within_s = _SEND_S + (opened.length or _MOST_BYTES) / _SEND_BYTES_PER_S
        return StreamedAnswer(200, opened.pieces(), headers, closing.aclose, within_s)

    @contextlib.contextmanager
    def _counted(self, fiscal_code: str) -> Iterator[None]:
        """One citizen's slow line holds few of the institution's places."""
        if self.on_their_way[fiscal_code] >= _OF_ONE_CITIZEN:
            raise Problem(
                429,
                "Too many requests",
                f"{_OF_ONE_CITIZEN} attachments are on their way to you: wait for one to come.",
                headers=[(b"retry-after", b"2")],
            )
        self.on_their_way[fiscal_code] += 1
        try:
            yield
        finally:
            self.on_their_way[fiscal_code] -= 1
            if not self.on_their_way[fiscal_code]:
                del self.on_their_way[fiscal_code]

    async def _message(self, request: Request) -> tuple[Session, Message]:
        session = await self.authenticate(request)
        message_id = path_id(request)
        async with self.pool.connection() as conn:
            message = await mailbox.read_message(conn, session.fiscal_code, message_id)
        if message is None or not message.content.markdown:
            raise not_found()
        return session, message

    async def _may_open(self, remote: Remote, address: str) -> bool:
        async with self.pool.connection() as conn:
            return await is_announced(
                conn, self.secrets, remote.fiscal_code, remote.message_id, address
            )

    def _prove(self, request: Request, session: Session) -> Callable[[], Mapping[str, str]]:
        return lambda: check_proof(request, session, self.secrets, self.issuer)

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        problem = ProblemDocument
        refusals = {
            400: (problem, "No id, no remote content, or the device's proof is missing."),
            401: (None, "No session, or one that has ended."),
            403: (problem, "The institution's server, or the device's proof, says no."),
            404: (problem, "No such message, or the institution does not have this."),
            429: (problem, "Too fast: wait as long as Retry-After says."),
            502: (problem, "Not reached, or not what the message promises; `detail` says which."),
            503: (problem, "Not ready, or in trouble: try again after Retry-After."),
            504: (problem, "The institution's server did not answer in time."),
        }
        in_path = Parameter("id", "path", "The message's id.", type=Ulid)
        proof = tuple(
            Parameter(name, "header", "The device's proof, where the institution wants one.")
            for name in (
                "signature",
                "signature-input",
                "x-pagopa-lollipop-original-method",
                "x-pagopa-lollipop-original-url",
            )
        )
        return [
            Route(
                "GET",
                _PATH + "/precondition",
                "getThirdPartyMessagePrecondition",
                self.precondition,
                "What to tell the citizen before the message opens",
                "Fetched from the institution, now. Show it when `has_precondition` is true.",
                None,
                {200: (PreconditionText, "A title and a text in markdown."), **refusals},
                (in_path, *proof),
            ),
            Route(
                "GET",
                _PATH,
                "getThirdPartyMessage",
                self.detail,
                "A message with the content that its institution serves",
                "Fetched from the institution, now, and kept nowhere. Its attachments can be "
                "opened for 15 minutes.",
                None,
                {200: (RemoteMessage, "The message and its remote content."), **refusals},
                (in_path, *proof),
            ),
            Route(
                "GET",
                _PATH + "/attachments/{attachment_url}",
                "getThirdPartyMessageAttachment",
                self.attachment,
                "One attachment",
                "Streamed as it comes from the institution, if it begins like a PDF.",
                None,
                {
                    200: (None, "The file, as application/octet-stream."),
                    415: (problem, "It is not a PDF."),
                    **refusals,
                },
                (
                    in_path,
                    Parameter("attachment_url", "path", "The `url` of the attachment."),
                    *proof,
                ),
                takes_rest=True,
            ),
        ]


def _json(answer: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(answer), [JSON, _PRIVATE])
