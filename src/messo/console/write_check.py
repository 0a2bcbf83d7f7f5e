"""The last look at a message, sending it to oneself, and sending it.

Whatever happens to the answer, the same button sends the same message once: its key is made of the
draft and of what is in it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from msgspec import UNSET
from starlette.responses import Response

from messo.base import db, log
from messo.base.coalesce import QueueFullError
from messo.base.http import Problem
from messo.base.limits import RateLimit
from messo.console import explained, write_draft, write_words
from messo.console.explained import gettext
from messo.console.visit import Visit
from messo.console.write_desk import Desk, advanced
from messo.console.write_draft import Draft
from messo.console.write_look import look_of
from messo.console.write_memory import recall, remember
from messo.messages import checks
from messo.messages.send import Checked, Sent
from messo.operations import record
from messo.pages.edge import redirect
from messo.services import Permission, Sender
from messo.services.catalog import Service

logger = log.get(__name__)


@dataclass(frozen=True)
class Ready:
    """A message that would be taken now."""

    desk: Desk
    draft: Draft
    sender: Sender
    service: Service
    checked: Checked


@dataclass(frozen=True)
class Outcome:
    """What came of a button, if one was pressed. `tried`: the id of the message sent to oneself."""

    status: int = 200
    title: str = ""
    text: str = ""
    detail: str = ""
    tried: str = ""
    mine: str = ""
    mine_error: str = ""


Step = Callable[[Visit, Ready], Awaitable[Response]]


def charge(visit: Visit, limit: RateLimit) -> None:
    """What one login may ask in a second. `Problem` 429."""
    left, wait = limit.take(visit.visitor.login)
    if left < 0:
        raise Problem(
            429,
            "Too many requests",
            f"Rate limit is exceeded. Try again in {max(1, round(wait + 0.5))} seconds.",
        )


def body_of(visit: Visit, draft: Draft) -> bytes:
    """What the API would get of a draft of this institution."""
    return write_draft.body_of(draft, advanced=advanced(visit))


async def show(visit: Visit, ready: Ready) -> Response:
    """The message as it will be, and whether it arrives."""
    return await _page(visit, ready, Outcome())


async def send(visit: Visit, ready: Ready) -> Response:
    """To the recipient, or to the one who writes."""
    if visit.form.get("go") == "me":
        return await _to_me(visit, ready)
    body = body_of(visit, ready.draft)
    reference = ready.draft.get("reference") or None
    try:
        sent = await visit.site.send(
            ready.sender, body, reference=reference, key=_key(visit, ready, "send")
        )
    except Exception as error:  # noqa: BLE001  what is not foreseen is raised again
        return await _page(visit, ready, _failed(visit, error))
    await _record(visit, sent, ready.service.id, to_oneself=False)
    response = redirect(f"{visit.here}/messages/{sent.message_id}?done=sent")
    return remember(visit, response, service_id=ready.service.id)


async def _to_me(visit: Visit, ready: Ready) -> Response:
    mine = write_draft.as_fiscal_code(visit.form.get("mine")[:100])
    if not write_words.is_fiscal_code(mine):
        error = write_words.own_code_error(visit.texts)
        return await _page(visit, ready, Outcome(400, mine=mine, mine_error=error))
    body = msgspec.json.encode(msgspec.structs.replace(ready.checked.message, fiscal_code=mine))
    try:
        sent = await visit.site.send(ready.sender, body, key=_key(visit, ready, "me"))
    except Exception as error:  # noqa: BLE001  what is not foreseen is raised again
        return await _page(visit, ready, _failed(visit, error, mine))
    await _record(visit, sent, ready.service.id, to_oneself=True)
    response = await _page(visit, ready, Outcome(tried=sent.message_id, mine=mine))
    return remember(visit, response, service_id=ready.service.id, fiscal_code=mine)


async def _page(visit: Visit, ready: Ready, outcome: Outcome) -> Response:
    message = ready.checked.message
    content = message.content
    due = None if content.due_date is UNSET else checks.moment(content.due_date)
    return visit.page(
        "write_check.html",
        outcome.status,
        ready=ready,
        desk=ready.desk,
        draft=ready.draft,
        service=ready.service,
        content=content,
        fiscal_code=ready.checked.fiscal_code,
        due=due,
        payment=None if content.payment_data is UNSET else content.payment_data,
        third=None if content.third_party_data is UNSET else content.third_party_data,
        is_secure=content.require_secure_channels is True,
        reach=write_words.reach(visit.texts, await _reach(visit, ready)),
        look=await look_of(visit, ready.desk, ready.draft),
        outcome=outcome,
        mine=outcome.mine or recall(visit).fiscal_code,
    )


async def _reach(visit: Visit, ready: Ready) -> str:
    if Permission.LIMITED_PROFILE_READ not in ready.sender.permissions:
        return "not_yours"
    try:
        found = await visit.site.profiles.limited_profile(ready.sender, ready.checked.fiscal_code)
    except Problem as problem:
        return "absent" if problem.status == 404 else "unknown"  # noqa: PLR2004
    except Exception as error:
        if not _may_pass(error):
            raise
        return "unknown"
    return "allowed" if found.sender_allowed else "refused"


def _key(visit: Visit, ready: Ready, purpose: str) -> str:
    """The same for the same message of the same draft, and for nothing else."""
    draft = ready.draft
    body = body_of(visit, draft).decode()
    whole = msgspec.json.encode([purpose, draft.get("service"), draft.get("reference"), body])
    digest = visit.site.secrets.keyed_digest(f"console.write:{whole.decode()}").hex()[:32]
    return f"console-{draft.get('nonce')}-{digest}"


def _failed(visit: Visit, error: Exception, mine: str = "") -> Outcome:
    """Why it was not sent, or that nobody knows."""
    text = visit.texts.text
    if isinstance(error, Problem):
        about = explained.refusal(error) or gettext("Change it, and try again.")
        return Outcome(error.status, text("It was not sent"), text(about), error.detail, mine=mine)
    if not _may_pass(error):
        raise error
    logger.warning("not confirmed", error=log.describe(error))
    title = gettext("We do not know whether it was sent")
    about = gettext(
        "Our data cannot be reached right now. Press the same button again in a minute: if it was "
        "sent already, it is not sent a second time."
    )
    return Outcome(503, text(title), text(about), mine=mine)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, QueueFullError) or db.passes(error)


async def _record(visit: Visit, sent: Sent, service_id: str, *, to_oneself: bool) -> None:
    """Who sent it, once for each message. It stays sent, whatever becomes of this.

    So one that was sent may have no entry: if this process ended between the two, pressing the
    button again finds the message sent already. Two entries would say that it was sent twice.
    """
    if not sent.is_first:
        return
    try:
        async with visit.site.pool.transaction() as conn:
            await record(
                conn,
                visit.actor,
                "message.send",
                sent.message_id,
                service=service_id,
                to_oneself=to_oneself,
            )
    except Exception as error:
        logger.error("not recorded who sent a message", message=sent.message_id, exc_info=error)
