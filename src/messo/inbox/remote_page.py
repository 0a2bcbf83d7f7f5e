"""A message that its institution serves: what must be accepted first, then the message itself.

Nothing of it is kept, here or in the browser, and no connection is held while the institution is
asked.
"""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.base.utf16 import utf16_length
from messo.content import NotServedProblem
from messo.inbox.message_shown import Letter, back_to, show_letter
from messo.inbox.visit import Visit, citizen_page
from messo.messages import mailbox, markdown
from messo.messages.remote import remote_of
from messo.pages.edge import redirect

_COOKIE = "messo-continue"
_COOKIE_S = 60
_LONGEST = 10_000  # UTF-16 units of a precondition, as of a message
NO_STORE = {"Cache-Control": "no-store"}


def routes() -> list[Route]:
    """Addresses carry the message's id and nothing of its recipient."""
    return [
        citizen_page("/messages/{id}/continue", "inbox.continue", go_on, methods=("POST",)),
    ]


def is_remote(letter: Letter) -> bool:
    """Whether the institution is asked for anything when this message opens."""
    line = letter.message.line
    return line.has_remote_content or line.has_attachments or line.has_precondition


async def show_remote(visit: Visit, letter: Letter) -> Response:
    """The precondition, if there is one to be accepted, or the message."""
    line = letter.message.line
    accepted = _COOKIE in visit.request.cookies
    try:
        if line.has_precondition and not accepted:
            response = await _show_precondition(visit, letter)
        else:
            response = await _show_content(visit, letter)
    except NotServedProblem as failure:
        # Before it is accepted not even the text that we have is shown.
        hidden = line.has_precondition and not accepted
        response = show_letter(visit, letter, failure=failure, is_hidden=hidden)
    response.headers.update(NO_STORE)
    if accepted:
        response.headers.append("set-cookie", _cookie(visit, line.id, 0))
    return response


async def go_on(visit: Visit) -> Response:
    """The citizen has read the precondition, and opens the message: this once."""
    message_id = visit.request.path_params["id"]
    if await mailbox.read_message(visit.conn, visit.fiscal_code, message_id) is None:
        raise Problem(404, "Not found", "")
    response = redirect(f"/messages/{message_id}")
    response.headers.append("set-cookie", _cookie(visit, message_id, _COOKIE_S))
    return response


async def _show_precondition(visit: Visit, letter: Letter) -> Response:
    text = await visit.site.fetch.precondition(remote_of(letter.message))
    if max(utf16_length(text.title), utf16_length(text.markdown)) > _LONGEST:
        raise NotServedProblem("too-large", "The precondition is longer than a message may be.")
    return visit.page(
        "precondition.html",
        line=letter.message.line,
        title=text.title,
        body=markdown.render(text.markdown),
        back=back_to(letter),
    )


async def _show_content(visit: Visit, letter: Letter) -> Response:
    """What is served; only then is the message read."""
    line = letter.message.line
    detail = None
    if line.has_remote_content or line.has_attachments:
        detail = await visit.site.fetch.detail(remote_of(letter.message))
    if not line.is_read:
        async with visit.site.pool.transaction() as conn:
            await mailbox.mark(conn, visit.fiscal_code, [line.id], read=True)
    return show_letter(visit, letter, detail)


def _cookie(visit: Visit, message_id: str, seconds: int) -> str:
    secure = "; Secure" if visit.site.settings.public_url.startswith("https://") else ""
    return (
        f"{_COOKIE}=1; Path=/messages/{message_id}; Max-Age={seconds}; HttpOnly; "
        f"SameSite=Lax{secure}"
    )
