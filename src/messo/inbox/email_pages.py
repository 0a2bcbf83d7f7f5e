"""Pages that mails lead to: proving an address, and the way out of copies."""

from http import HTTPStatus

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.base.http import Problem
from messo.inbox.visit import Visit, citizen_page, open_page
from messo.notifications.channels import unsubscribe
from messo.pages.edge import redirect
from messo.recipients import Wishes, amend, confirm_email, is_email_already_taken, read_profile
from messo.recipients.email import ask_validation

_TOKEN = 400  # characters; ours are shorter


def routes() -> list[Route]:
    """Asking changes nothing: programs that look for bad mails follow every link.

    An address can be proven before the first steps are done: an application may have set it.
    """
    return [
        open_page("/unsubscribe", "email.ask_unsubscribe", ask_unsubscribe),
        open_page("/unsubscribe", "email.unsubscribe", stop_copies, methods=("POST",)),
        citizen_page("/confirm-email", "email.ask_confirm", ask_confirm, before_welcome=True),
        citizen_page(
            "/confirm-email", "email.confirm", confirm, methods=("POST",), before_welcome=True
        ),
        citizen_page(
            "/confirm-email/again", "email.again", again, methods=("POST",), before_welcome=True
        ),
    ]


async def ask_unsubscribe(visit: Visit) -> Response:
    """What ends and what stays, and a button. It does not say whose copies they are."""
    token = visit.request.query_params.get("t", "")
    if unsubscribe.read(visit.site.secrets, token) is None:
        return visit.error(404, "problem")
    return visit.page("email_unsubscribe.html", proof=token, is_done=False)


async def stop_copies(visit: Visit) -> Response:
    """The button, or a mailbox by itself (RFC 8058): whoever has the token may do this.

    The body says nothing that the address does not, so it is not read. Answered without a
    redirect, as the RFC wants it.
    """
    token = visit.request.query_params.get("t", "")
    fiscal_code = unsubscribe.read(visit.site.secrets, token)
    if fiscal_code is None:
        return visit.error(404, "problem")
    async with visit.site.pool.transaction() as conn:
        profile = await read_profile(conn, fiscal_code)
        if profile is None:
            return visit.error(404, "problem")
        if profile.is_email_enabled:
            await amend(conn, fiscal_code, Wishes(is_email_enabled=False))
    return visit.page("email_unsubscribe.html", proof=token, is_done=True)


async def ask_confirm(visit: Visit) -> Response:
    """A button: only a person who is logged in can press it."""
    token = _token(visit.request.query_params.get("token", ""))
    if visit.profile.is_email_validated:
        return redirect("/preferences")
    if not token or visit.profile.email is None:
        return await _not_confirmed(visit, HTTPStatus.NOT_FOUND)
    return visit.page("email_confirm.html", email=visit.profile.email, proof=token, why="")


async def confirm(visit: Visit) -> Response:
    """The address is proven, or the page says why it may not be."""
    if await confirm_email(visit.conn, visit.fiscal_code, _token(visit.form.get("token"))):
        return redirect("/preferences?done=saved-1")
    if visit.profile.is_email_validated:
        return redirect("/preferences")
    return await _not_confirmed(visit, HTTPStatus.CONFLICT)


async def again(visit: Visit) -> Response:
    """Another mail, to the address that is in the profile now."""
    try:
        # Too many: the link of the newest mail must go on working.
        async with visit.conn.transaction():
            await ask_validation(visit.conn, visit.fiscal_code, visit.site.send_validation)
    except Problem as problem:
        if problem.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return visit.page(
            "email_confirm.html",
            HTTPStatus.TOO_MANY_REQUESTS,
            email=visit.profile.email,
            proof="",
            why="often",
        )
    return redirect("/preferences?done=asked-1")


async def _not_confirmed(visit: Visit, status: HTTPStatus) -> Response:
    is_taken = await is_email_already_taken(visit.conn, visit.profile)
    return visit.page(
        "email_confirm.html",
        status,
        email=visit.profile.email if visit.site.send_validation else None,
        proof="",
        why="taken" if is_taken else "link",
    )


def _token(text: str) -> str:
    return short_text(text, _TOKEN)
