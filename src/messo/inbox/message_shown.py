"""How a message is shown: with its own text, or with what its institution serves."""

from dataclasses import dataclass

from starlette.responses import Response

from messo.content import Detail, NotServedProblem
from messo.inbox import calendar, launch_page
from messo.inbox.attachments import listed
from messo.inbox.payment_shown import PaymentShown
from messo.inbox.visit import Visit
from messo.messages import markdown
from messo.messages.mailbox import Message
from messo.services.catalog import Service


@dataclass(frozen=True)
class Letter:
    """A message and who it is from, read in one transaction, and how its notice stands."""

    message: Message
    service: Service | None
    payment: PaymentShown | None = None


def show_letter(
    visit: Visit,
    letter: Letter,
    detail: Detail | None = None,
    failure: NotServedProblem | None = None,
    *,
    is_hidden: bool = False,
) -> Response:
    """The page. `detail`: what the institution serves; `failure`: why it does not.

    `is_hidden`: without the message's own text.
    """
    message, line = letter.message, letter.message.line
    text = detail.markdown if detail else message.content.markdown
    if is_hidden:
        text = ""
    language = visit.texts.language
    response = visit.page(
        "message_page.html",
        failure.status if failure else 200,
        message=message,
        line=line,
        subject=detail.subject if detail else line.subject,
        body=markdown.render(text),
        shown=launch_page.of_message(visit, line.id, text),
        service=letter.service,
        payment=None if is_hidden else letter.payment,
        can_pay=bool(visit.site.checkout_url),
        calendars=calendar.calendar_links(line.organization_name, line.due_date, language)
        if line.due_date
        else [],
        back=back_to(letter),
        done=visit.request.query_params.get("done", ""),
        is_remote=detail is not None and line.has_remote_content,
        attachments=listed(visit, line.id, detail.attachments) if detail else [],
        failure=failure,
        again=f"/messages/{line.id}",
    )
    return with_time(response, failure) if failure else response


def with_time(response: Response, failure: NotServedProblem) -> Response:
    """The page of a failure says when it is worth another try, where that is known."""
    if failure.after_s is not None:
        response.headers["Retry-After"] = str(failure.after_s)
    return response


def back_to(letter: Letter) -> str:
    """The list, at this message: whoever was far down is there again."""
    line = letter.message.line
    return f"/?{'archived=1&' if line.is_archived else ''}at={line.id}#m-{line.id}"
