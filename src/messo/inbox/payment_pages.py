"""A payment notice: seen as the node says now, printed, and paid at a checkout elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from messo.base import clock
from messo.base.db import Row
from messo.base.http import Problem
from messo.inbox.payment_shown import WAIT_S, PaymentShown, look
from messo.inbox.rendering import page_headers
from messo.inbox.visit import Afterwards, Visit, citizen_page
from messo.messages import mailbox
from messo.messages.mailbox import Line
from messo.pages.edge import redirect
from messo.payments import codes
from messo.payments.postal import postal_account

_NO_STORE = {"Cache-Control": "no-store"}
_LARGEST = 9_999_999_999  # euro cents that the codes can carry
_DONE = {
    "paid": "paid",
    "in_progress": "paying",
    "expired": "closed",
    "cancelled": "closed",
    "late": "closed",
}
# Fonts make each a fifth of a second of work.
_printing = asyncio.Semaphore(2)


def routes() -> list[Route]:
    """Addresses carry the message's id and nothing of its recipient."""
    return [
        citizen_page("/messages/{id}/notice", "inbox.notice", show),
        citizen_page("/messages/{id}/notice.pdf", "inbox.notice_pdf", show_pdf),
        citizen_page("/messages/{id}/pay", "inbox.pay", pay),
        citizen_page("/messages/{id}/paid", "inbox.paid", come_back),
    ]


async def show(visit: Visit) -> Afterwards:
    """The notice, with the codes by which it can be paid anywhere."""
    return await _with_notice(visit, _page)


async def show_pdf(visit: Visit) -> Afterwards:
    """The notice to print."""
    return await _with_notice(visit, _pdf)


async def pay(visit: Visit) -> Afterwards:
    """On to the checkout; a notice that is settled meanwhile leads back to its message."""
    return await _with_notice(visit, _to_checkout, again=True)


async def come_back(visit: Visit) -> Afterwards:
    """From the checkout, whatever happened there: the node says how it stands."""
    return await _with_notice(visit, _back, again=True)


Answer = Callable[[Visit, Line, PaymentShown, Row | None], Awaitable[Response]]


async def _with_notice(visit: Visit, answer: Answer, *, again: bool = False) -> Afterwards:
    message = await mailbox.read_message(
        visit.conn, visit.fiscal_code, visit.request.path_params["id"]
    )
    if message is None or message.line.payment is None:
        raise Problem(404, "Not found", "")
    line = message.line
    account = await postal_account(visit.conn, line.service_id)

    async def go_on() -> Response:
        asks = again and visit.site.asking.take(visit.fiscal_code)[0] >= 0
        began = clock.now()
        payment = await look(visit, line, WAIT_S, again=asks)
        if again:  # what was said a moment ago says nothing of what was done since
            is_fresh = payment.seen_at is not None and payment.seen_at >= began
            payment = replace(payment, is_fresh=is_fresh)
        response = await answer(visit, line, payment, account)
        response.headers.update(_NO_STORE)
        return response

    return go_on


async def _page(visit: Visit, line: Line, payment: PaymentShown, account: Row | None) -> Response:
    qr = data_matrix = ""
    if payment.can_be_paid and 0 < payment.amount <= _LARGEST:
        qr = codes.qr_svg(codes.qr_text(payment.notice, payment.amount))
        slip = _slip(visit, payment, account)
        if slip is not None:
            text = codes.postal_text(payment.notice, payment.amount, slip)
            data_matrix = codes.data_matrix_svg(text)
    return visit.page(
        "notice_page.html",
        line=line,
        payment=payment,
        qr=qr,
        data_matrix=data_matrix,
        can_pay=payment.can_be_paid and bool(_checkout(visit)),
    )


async def _pdf(visit: Visit, line: Line, payment: PaymentShown, account: Row | None) -> Response:
    if not payment.can_be_paid or not 0 < payment.amount <= _LARGEST:
        return redirect(f"/messages/{line.id}/notice")
    slip = _slip(visit, payment, account)

    def draw() -> bytes:
        # Slow to load: with the first notice that is printed, not with each start.
        from messo.payments.printed import Printed, notice_pdf  # noqa: PLC0415

        return notice_pdf(
            Printed(
                notice=payment.notice,
                amount=payment.amount,
                payee_name=payment.payee_name,
                reason=payment.reason,
                due=payment.due,
                language=visit.texts.language,
                slip=slip,
                debtor_name=_name(visit),
                seen_at=payment.seen_at,
                printed_at=clock.now(),
            )
        )

    async with _printing:
        body = await asyncio.to_thread(draw)
    return Response(
        body,
        headers={
            **page_headers(""),
            "Content-Type": "application/pdf",
            "Content-Disposition": f'inline; filename="{line.id}.pdf"',
        },
    )


async def _to_checkout(visit: Visit, line: Line, payment: PaymentShown, _: Row | None) -> Response:
    template = _checkout(visit)
    if not payment.can_be_paid or not template:
        return _told(line, payment)
    back = f"{visit.site.settings.public_url}/messages/{line.id}/paid"
    values = {
        "rpt_id": payment.notice.rpt_id,
        "notice_number": payment.notice.number,
        "payee_fiscal_code": payment.notice.payee,
        "amount": str(payment.amount),
        "return_url": back,
    }
    filled = template.format(**{name: quote(value, safe="") for name, value in values.items()})
    return RedirectResponse(filled, 303)


async def _back(_: Visit, line: Line, payment: PaymentShown, __: Row | None) -> Response:
    return _told(line, payment)


def _told(line: Line, payment: PaymentShown) -> Response:
    # Who has just paid, while nobody can say so, must not be told to try again.
    is_sure = payment.state == "unpaid" and payment.is_fresh
    done = _DONE.get(payment.state, "unpaid" if is_sure else "unsure")
    return redirect(f"/messages/{line.id}?done={done}-1")


def _checkout(visit: Visit) -> str:
    """Where to pay; never an address that a browser would read as something else."""
    template = visit.site.checkout_url
    return template if urlsplit(template).scheme in {"https", "http"} else ""


def _slip(visit: Visit, payment: PaymentShown, account: Row | None) -> codes.PostalSlip | None:
    """For post offices: only where the account is the payee's own, and the debtor is known."""
    name = _name(visit)
    if account is None or account["payee"] != payment.notice.payee or not name:
        return None
    return codes.PostalSlip(account["postal_account"], name, visit.fiscal_code, payment.reason)


def _name(visit: Visit) -> str:
    session = visit.session
    identity = session.identity if session else None
    return f"{identity.name} {identity.family_name}".strip() if identity else ""
