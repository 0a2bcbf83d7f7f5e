"""One attachment, opened in a browser: fetched, held in memory, checked, and given out if harmless.

The file comes with a policy of its own, and where the operator has another address for it, from
another origin than the inbox.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import get_args
from urllib.parse import urlencode

import msgspec
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from messo.base.db import Connection
from messo.base.http import Problem
from messo.content import (
    Attachment,
    NotServedProblem,
    PdfBusyError,
    Reason,
    Remote,
    hand_over,
    tail_of,
    take_over,
)
from messo.inbox.attachments import disposition, file_name, key_of
from messo.inbox.message_shown import Letter, with_time
from messo.inbox.visit import Afterwards, Visit, citizen_page, open_page
from messo.messages import mailbox
from messo.messages.remote import remote_of
from messo.services import catalog

_PIECE = 64 * 1024
# To a browser as from the institution: ten seconds, and what 100 kB/s take.
_SEND_S, _SEND_BYTES_PER_S = 10, 100_000
_NUMBER = re.compile(r"[0-9]{1,4}\Z")
_HEADERS = {
    "Content-Type": "application/pdf",
    # Browsers show a PDF with a viewer of their own; nothing else may come out of it.
    "Content-Security-Policy": (
        "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
}


class Wanted(msgspec.Struct, frozen=True):
    """An attachment and who asks for it: also what a code stands for, at the other origin."""

    fiscal_code: str
    message_id: str
    key: str
    save: bool

    @property
    def address(self) -> str:
        """Where the inbox has it."""
        there = f"/messages/{self.message_id}/attachments/{self.key}"
        return f"{there}?save=1" if self.save else there


_wanted = msgspec.json.Decoder(Wanted)


class CheckedFile(Response):
    """A file in memory, sent within a bound; `done` is called when nothing more is sent."""

    def __init__(
        self, content: bytearray, headers: dict[str, str], done: Callable[[], Awaitable[object]]
    ) -> None:
        super().__init__(headers={**headers, "Content-Length": str(len(content))})
        self.content = content
        self.done = done

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        within_s = _SEND_S + len(self.content) / _SEND_BYTES_PER_S
        whole = memoryview(self.content)
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            async with asyncio.timeout(within_s):
                await send(start)
                for place in range(0, len(whole), _PIECE):
                    piece = bytes(whole[place : place + _PIECE])
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    await asyncio.sleep(0)  # what is written goes out, or holds us up
                await send({"type": "http.response.body"})
        except TimeoutError:
            pass  # unfinished: the server closes the connection
        finally:
            await self.done()


def routes() -> list[Route]:
    """The first needs a session; the second a code, good once, and no cookie."""
    return [
        citizen_page("/messages/{id}/attachments/{key}", "inbox.attachment", open_it),
        open_page("/attachments/{code}", "inbox.attachment_apart", open_apart),
    ]


async def open_it(visit: Visit) -> Response | Afterwards:
    """The attachment; or a step to the other origin, where there is one, and what came of it."""
    query = visit.request.query_params
    wanted = Wanted(
        visit.fiscal_code,
        visit.request.path_params["id"],
        visit.request.path_params["key"],
        query.get("save") == "1",
    )
    apart = visit.site.settings.attachments_url
    letter = await _letter(visit.conn, wanted)
    if visit.request.method == "HEAD":  # asks without opening
        return Response(headers=_HEADERS)
    if not apart:
        return lambda: _give(visit, letter, wanted)
    if failure := _told(query.get("failed"), query.get("after")):
        return _failed(visit, letter, wanted, failure)
    code = await hand_over(visit.conn, visit.site.secrets, msgspec.json.encode(wanted))
    return _step(f"{apart.rstrip('/')}/attachments/{code}")


async def open_apart(visit: Visit) -> Response:
    """The attachment that a code stands for. No page is here but of a code that is used up."""
    home = visit.site.settings.public_url
    if visit.request.method == "HEAD":  # a code is good once
        return Response(headers=_HEADERS)
    async with visit.site.pool.transaction() as conn:
        found = await take_over(conn, visit.site.secrets, visit.request.path_params["code"])
    if found is None:
        return visit.page("attachment_used_up.html", 404, home=home)
    wanted = _wanted.decode(found)
    async with visit.site.pool.connection() as conn:
        letter = await _letter(conn, wanted)
    try:
        return await _checked(visit, remote_of(letter.message), wanted)
    except NotServedProblem as failure:
        told = {"failed": failure.reason, "after": failure.after_s or ""}
        return _step(f"{home}{wanted.address}{'&' if wanted.save else '?'}{urlencode(told)}")


def _step(address: str) -> Response:
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


def _told(reason: str | None, after: str | None) -> NotServedProblem | None:
    """The failure that the other origin tells of."""
    known: Reason
    for known in get_args(Reason):
        if known == reason:
            return NotServedProblem(
                known, "", int(after) if after and _NUMBER.match(after) else None
            )
    return None


async def _letter(conn: Connection, wanted: Wanted) -> Letter:
    message = await mailbox.read_message(conn, wanted.fiscal_code, wanted.message_id)
    if message is None or not message.line.has_attachments:
        raise Problem(404, "Not found", "")
    return Letter(message, await catalog.read_service(conn, message.line.service_id))


async def _give(visit: Visit, letter: Letter, wanted: Wanted) -> Response:
    try:
        return await _checked(visit, remote_of(letter.message), wanted)
    except NotServedProblem as failure:
        return _failed(visit, letter, wanted, failure)


def _failed(visit: Visit, letter: Letter, wanted: Wanted, failure: NotServedProblem) -> Response:
    response = visit.page(
        "attachment_failed.html",
        failure.status,
        line=letter.message.line,
        service=letter.service,
        failure=failure,
        again=wanted.address,
    )
    response.headers["Cache-Control"] = "no-store"
    return with_time(response, failure)


async def _checked(visit: Visit, remote: Remote, wanted: Wanted) -> Response:
    """The file, if it is harmless. Raises `NotServedProblem`."""
    site = visit.site
    try:
        async with contextlib.AsyncExitStack() as stack:
            institution = await site.fetch.institution_of(remote)
            await stack.enter_async_context(site.turns.turn(institution, remote.fiscal_code))
            listed = (await site.fetch.detail(remote)).attachments
            attachment = _find(visit, remote, listed, wanted.key)
            content = bytearray()
            address = tail_of(attachment.url)
            if address is None:
                raise NotServedProblem("wrong", "The attachment's url leads out of its message.")
            async with site.fetch.attachment(remote, address) as opened:
                # Only once it has begun to come: who hangs takes nobody's place.
                place = await stack.enter_async_context(site.turns.pdf_check.place())
                async for piece in opened.pieces():
                    content += piece
            verdict = await place.check(content)
            if not verdict.harmless:
                raise NotServedProblem(verdict.fault or "dangerous", "")
            named = disposition(file_name(attachment), save=wanted.save)
            headers = {**_HEADERS, "Content-Disposition": named}
            return CheckedFile(content, headers, stack.pop_all().aclose)
    except PdfBusyError as busy:
        raise NotServedProblem("busy-here", "", busy.after_s) from None


def _find(visit: Visit, remote: Remote, attachments: list[Attachment], key: str) -> Attachment:
    for attachment in attachments:
        if key_of(visit.site.secrets, remote.message_id, attachment) == key:
            return attachment
    raise NotServedProblem("not-found", "The institution has no such attachment any more.")
