"""Calling an institution's server as we would for a citizen, and saying what is wrong with it.

The report says where and what was expected, and never what the server said of the citizen.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET

from messo.base.utf16 import utf16_length
from messo.content import wire
from messo.content.address import tail_of
from messo.content.answers import (
    MARKDOWN,
    SUBJECT,
    Answer,
    Attachment,
    read_answer,
    read_precondition,
)
from messo.content.ask import ATTACHMENT, TEXT, Ask
from messo.content.lookup import Configuration
from messo.content.pdf import Place, starts_like_pdf
from messo.content.problems import NotServedProblem, of_status, wrong

_WITHIN_S = 60
_MOST_OPENED = 5  # attachments of one report
_DANGERS = {
    "javascript": "holds JavaScript: people who read in the browser are not given it",
    "launch": "starts a program: people who read in the browser are not given it",
    "embedded": "has files inside: people who read in the browser are not given it",
}
_FAULTS = {
    "broken": "cannot be read as a PDF",
    "locked": "opens only with a password",
    "unchecked": "is too much to be checked",
}


class Check:
    """One report: what was asked, how it went, what is wrong."""

    def __init__(self, ask: Ask, place: Place, configuration: Configuration) -> None:
        """`place`: of a PDF check that citizens do not wait for."""
        self._ask = ask
        self._place = place
        self._configuration = configuration
        self._calls: list[wire.Called] = []
        self._findings: list[wire.Finding] = []

    async def run(self, remote_id: str, fiscal_code: str) -> wire.CheckReport:
        """Ask for precondition, detail and the first attachments of one message; a minute at most."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._ask_all(remote_id, fiscal_code)
        except TimeoutError:
            said = f"not all could be asked for within {_WITHIN_S} seconds"
            self._find("attachment", "", said)
        faults = [finding for finding in self._findings if not finding.is_advice]
        return wire.CheckReport(not faults, self._calls, self._findings)

    async def _ask_all(self, remote_id: str, fiscal_code: str) -> None:
        if self._configuration.needs_proof(fiscal_code):
            self._find(
                "configuration",
                "is_lollipop_enabled",
                "A browser holds no device key: people who read there come without proof, and so "
                "does this check.",
                is_advice=True,
            )
        await self._precondition(remote_id, fiscal_code)
        answer = await self._detail(remote_id, fiscal_code)
        attachments = (answer.attachments or []) if answer else []
        for number, attachment in enumerate(attachments[:_MOST_OPENED]):
            await self._attachment(remote_id, fiscal_code, attachment, f"attachments[{number}]")

    async def _precondition(self, remote_id: str, fiscal_code: str) -> None:
        needed = self._configuration.has_precondition != "NEVER"
        try:
            body = await self._get("precondition", remote_id, fiscal_code, "precondition")
            found = read_precondition(body)
        except NotServedProblem as problem:
            # Where none is announced, having none is as it should be.
            self._find("precondition", "", problem.detail, is_advice=not needed)
            return
        for field, text in (("title", found.title), ("markdown", found.markdown)):
            if not text.strip():
                self._find("precondition", field, "is empty")
            elif utf16_length(text) > MARKDOWN[1]:
                self._find("precondition", field, f"is longer than {MARKDOWN[1]} characters")

    async def _detail(self, remote_id: str, fiscal_code: str) -> Answer | None:
        try:
            body = await self._get("detail", remote_id, fiscal_code)
        except NotServedProblem as problem:
            self._find("detail", "", problem.detail)
            return None
        try:
            answer = read_answer(body)
        except NotServedProblem as problem:
            for field, said in _shape(body) or [("", problem.detail)]:
                self._find("detail", field, said)
            return None
        for field, said, is_advice in _faults(answer):
            self._find("detail", field, said, is_advice=is_advice)
        return answer

    async def _attachment(
        self, remote_id: str, fiscal_code: str, attachment: Attachment, where: str
    ) -> None:
        tail = tail_of(attachment.url)
        if tail is None:
            return  # said already
        try:
            content = await self._get("attachment", remote_id, fiscal_code, tail)
            if not starts_like_pdf(content):
                raise wrong("does not begin with %PDF.")
        except NotServedProblem as problem:
            self._find("attachment", where, problem.detail)
            return
        verdict = await self._place.check(content)
        if attachment.size not in (None, len(content)):
            said = f"{attachment.size} bytes are announced, {len(content)} came"
            self._find("attachment", f"{where}.size", said)
        if verdict.fault:
            self._find("attachment", where, _FAULTS[verdict.fault])
        for danger in verdict.dangers:
            self._find("attachment", where, _DANGERS[danger])
        if verdict.readable and verdict.pdfa is None:
            said = "does not declare itself as PDF/A, which stays readable for the longest time"
            self._find("attachment", where, said, is_advice=True)

    async def _get(self, call: wire.Call, remote_id: str, fiscal_code: str, *more: str) -> bytes:
        """One call, noted with its status. `NotServedProblem` if it gives no content."""
        limits = ATTACHMENT if call == "attachment" else TEXT
        began, status = time.perf_counter(), None
        try:
            async with self._ask.open(
                self._configuration, fiscal_code, remote_id, *more, limits=limits
            ) as reply:
                status = reply.status
                if problem := of_status(status, reply.headers.get("Retry-After")):
                    raise problem
                return (await reply.read()).body
        finally:
            ms = round((time.perf_counter() - began) * 1000)
            self._calls.append(wire.Called(call, ms, UNSET if status is None else status))

    def _find(
        self, call: wire.FoundIn, field: str, problem: str, *, is_advice: bool = False
    ) -> None:
        self._findings.append(wire.Finding(call, field, problem, is_advice))


def _shape(body: bytes) -> list[tuple[str, str]]:
    """Where an answer is none at all, each place of it; empty if there is none to name."""
    try:
        given = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(given, dict):
        return []
    found = []
    if not isinstance(given.get("details"), dict | None):
        found.append(("details", "must be an object"))
    attachments = given.get("attachments")
    if not isinstance(attachments, list | None):
        found.append(("attachments", "must be a list"))
        attachments = None
    for number, one in enumerate(attachments or []):
        try:
            msgspec.convert(one, Attachment)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(" - at `$")
            found.append((f"attachments[{number}]{place.rstrip('`')}", said.replace("`", "")))
    return found


def _faults(answer: Answer) -> Iterator[tuple[str, str, bool]]:
    """Field, what is wrong, and whether that is only advice: for a message need not promise both."""
    details, attachments = answer.details, answer.attachments or []
    if details is None:
        yield "details", "is missing: needed by messages with has_remote_content", True
    else:
        for name, (least, most) in (("subject", SUBJECT), ("markdown", MARKDOWN)):
            text = details.get(name)
            if not isinstance(text, str):
                yield f"details.{name}", "is missing, or no text", False
            elif not least <= utf16_length(text) <= most:
                said = f"must be {least} to {most} characters long; it has {utf16_length(text)}"
                yield f"details.{name}", said, False
    if not attachments:
        yield "attachments", "is missing or empty: needed by messages with has_attachments", True
    yield from _faults_of(attachments)


def _faults_of(attachments: Sequence[Attachment]) -> Iterator[tuple[str, str, bool]]:
    seen = set()
    for number, attachment in enumerate(attachments):
        where = f"attachments[{number}]"
        if attachment.id in seen:
            yield f"{where}.id", "is another attachment's, too", False
        seen.add(attachment.id)
        if tail_of(attachment.url) is None:
            yield f"{where}.url", "is no path relative to the message", False
        if not (attachment.name or "").lower().endswith(".pdf"):
            yield f"{where}.name", "is missing, or does not end in .pdf", True
        if attachment.size is None:
            yield f"{where}.size", "is missing: people see no size before they open it", True
