"""How a citizen hears of new messages: copies by mail, and notices on their devices."""

from http import HTTPStatus

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from messo.base import log
from messo.base.decode import decode
from messo.base.http import Problem
from messo.inbox.visit import Visit, citizen_page
from messo.login import label
from messo.notifications.channels import devices, mail
from messo.pages.edge import redirect
from messo.pages.languages import LANGUAGES
from messo.recipients import Wishes, amend, is_email_already_taken
from messo.recipients.email import ask_validation
from messo.recipients.installations import list_installations

logger = log.get(__name__)

_LARGEST = 8 * 1024  # bytes of a renewal
_SAVED = "/preferences?done=saved-1"


class Renewal(msgspec.Struct):
    """What a service worker says when its browser has replaced the subscription.

    `old_auth` is the old one's secret: that the old one was theirs.
    """

    old_endpoint: str
    old_auth: str
    subscription: devices.Subscription


_renewal = msgspec.json.Decoder(Renewal)


def routes() -> list[Route]:
    """The sections themselves are part of the preferences."""
    return [
        citizen_page("/preferences/mail", "notices.mail", change_mail, methods=("POST",)),
        citizen_page("/preferences/notices", "notices.change", change_notices, methods=("POST",)),
        citizen_page("/preferences/devices", "notices.add", add_device, methods=("POST",)),
        citizen_page("/preferences/devices/gone", "notices.drop", drop_device, methods=("POST",)),
        citizen_page(
            "/preferences/devices/here",
            "notices.meet",
            meet_device,
            methods=("POST",),
            before_welcome=True,
            by_itself=True,
        ),
        Route("/push/renew", renew_device, methods=["POST"]),
    ]


async def page(visit: Visit, status: int = 200, *, wrong: str = "", typed: str = "") -> Response:
    """The preferences. `wrong`: why the address that was typed is not taken."""
    conn, fiscal_code = visit.conn, visit.fiscal_code
    return visit.page(
        "preferences.html",
        status,
        profile=visit.profile,
        settings=visit.site.settings,
        languages=LANGUAGES,
        done=visit.request.query_params.get("done", ""),
        wrong=wrong,
        email=typed if wrong else visit.profile.email or "",
        mail_is_on=visit.site.send_validation is not None,
        is_taken=await is_email_already_taken(conn, visit.profile),
        dead_address=await mail.suppressed(conn, visit.site.secrets, visit.profile),
        devices=await devices.list_devices(conn, fiscal_code),
        installations=await list_installations(conn, fiscal_code),
        push_key=await devices.public_key(conn, visit.site.secrets),
    )


async def change_mail(visit: Visit) -> Response:
    """Another address, copies on or off, the confirmation once more, or a dead address again."""
    conn, fiscal_code, form = visit.conn, visit.fiscal_code, visit.form
    match form.get("action"):
        case "confirm":
            await ask_validation(conn, fiscal_code, visit.site.send_validation)
            return redirect("/preferences?done=asked-1")
        case "again":
            await mail.unsuppress(conn, fiscal_code)
            return redirect(_SAVED)
    typed = form.get("email").strip()
    wishes = Wishes(email=typed or None, is_email_enabled=form.ticked("copies"))
    try:
        changed = await amend(conn, fiscal_code, wishes, visit.site.send_validation)
    except Problem as problem:
        if problem.field != "email":
            raise
        wrong = "taken" if problem.status == HTTPStatus.PRECONDITION_FAILED else "form"
        return await page(visit, problem.status, wrong=wrong, typed=typed)
    is_new = changed.email is not None and changed.email != visit.profile.email
    asked = is_new and visit.site.send_validation is not None
    return redirect("/preferences?done=asked-1" if asked else _SAVED)


async def change_notices(visit: Visit) -> Response:
    """Whether devices are told at all, and whether they show what it is about."""
    full = visit.form.get("content")
    if full not in {"FULL", "ANONYMOUS"}:
        return visit.error(400, "problem")
    await amend(
        visit.conn,
        visit.fiscal_code,
        Wishes(
            is_webhook_enabled=visit.form.ticked("notices"),
            push_notifications_content_type="FULL" if full == "FULL" else "ANONYMOUS",
        ),
    )
    return redirect(_SAVED)


async def add_device(visit: Visit) -> Response:
    """The browser has asked its citizen, and was allowed to."""
    assert visit.session is not None  # noqa: S101  a citizen's page
    form = visit.form
    await devices.put_device(
        visit.conn,
        visit.site.secrets,
        visit.fiscal_code,
        devices.Subscription(form.get("endpoint"), form.get("p256dh"), form.get("auth")),
        label=label(visit.request.headers.get("user-agent", "")),
        session_id=visit.session.id,
    )
    if not visit.profile.is_webhook_enabled:  # who asks here wants to be told
        await amend(visit.conn, visit.fiscal_code, Wishes(is_webhook_enabled=True))
    return redirect(_SAVED)


async def drop_device(visit: Visit) -> Response:
    """Tell them there no more. Another citizen's is as if it did not exist."""
    if not await devices.forget_device(visit.conn, visit.fiscal_code, visit.form.get("id")[:64]):
        return visit.error(404, "problem")
    return redirect(_SAVED)


async def meet_device(visit: Visit) -> Response:
    """A page was opened in a browser that has a subscription, which may be another's."""
    assert visit.session is not None  # noqa: S101  a citizen's page
    endpoint = visit.form.get("endpoint")
    known = await devices.meet_device(visit.conn, visit.fiscal_code, endpoint, visit.session.id)
    return JSONResponse({"known": known}, headers={"Cache-Control": "no-store"})


async def renew_device(request: Request) -> Response:
    """From a service worker, where nobody need be logged in: the old secret is the proof."""
    site = request.app.state.site
    try:
        asked = decode(await _body(request), _renewal)
        async with site.pool.transaction() as conn:
            found = await devices.renew_device(
                conn, site.secrets, asked.old_endpoint, asked.old_auth, asked.subscription
            )
    except Problem as problem:
        return JSONResponse({"title": problem.title, "detail": problem.detail}, problem.status)
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception as error:
        logger.error("not renewed", exc_info=error)
        return Response(status_code=503)  # the service worker keeps the old one and asks again
    return Response(status_code=204 if found else 404)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise Problem(413, "Payload too large", "This is no push subscription.")
    return bytes(body)
