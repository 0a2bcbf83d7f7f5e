"""The sandbox's payment node and checkout: what pagoPA is to an installation, in one process.

The endpoint speaks as pagoPA's eCommerce service for payment requests does.
What becomes of a notice, and how the node feels, is decided by whoever looks at its pages.
"""

import asyncio
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from messo.base import clock
from messo.base.crypto import Secrets
from messo.payments.notices import Notice
from messo.sandbox import pages
from messo.sandbox.checkout_page import CheckoutPage, Offer
from messo.sandbox.payment_event import payment_event
from messo.sandbox.payment_node_page import Line, NodePage, Refused, read_cents, read_day
from messo.settings import Settings

PATH = "/sandbox/payment-node"
CHECKOUT_PATH = "/sandbox/checkout"
HEADER = "Ocp-Apim-Subscription-Key"

_KEPT = 200
_SLOW_S = 10
_BODY = 16 * 1024  # bytes
_TEXT = 140  # characters of a name or a reason
_ADDRESS = re.compile(r"[!-\[\]-~]{1,2000}\Z")  # browsers read a backslash as a slash
_CENTS = re.compile(r"[0-9]{1,10}\Z")
_NO_STORE = {"Cache-Control": "no-store"}


class State(StrEnum):
    """What has become of a notice."""

    UNPAID = "unpaid"
    IN_PROGRESS = "in_progress"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Mood(StrEnum):
    """How the endpoint answers, whichever notice it is asked about."""

    FINE = "fine"
    SLOW = "slow"
    DOWN = "down"
    GARBAGE = "garbage"
    UNABLE = "unable"


# HTTP status, category and detail of the fault.
FAULTS = {
    State.IN_PROGRESS: (409, "PAYMENT_ONGOING", "PAA_PAGAMENTO_IN_CORSO"),
    State.PAID: (409, "PAYMENT_DUPLICATED", "PAA_PAGAMENTO_DUPLICATO"),
    State.EXPIRED: (409, "PAYMENT_EXPIRED", "PAA_PAGAMENTO_SCADUTO"),
    State.CANCELLED: (409, "PAYMENT_CANCELED", "PAA_PAGAMENTO_ANNULLATO"),
    State.UNKNOWN: (404, "PAYMENT_UNKNOWN", "PAA_PAGAMENTO_SCONOSCIUTO"),
}
_PAYABLE = (State.UNPAID, State.IN_PROGRESS)
# What the buttons of the checkout do. None: nothing.
_DONE = {"pay": State.PAID, "leave": State.IN_PROGRESS, "cancel": None}


@dataclass(frozen=True, slots=True)
class Known:
    """What the creditor has of a notice. `amount` in euro cents; `due` None: without a due date."""

    amount: int
    payee_name: str
    description: str
    due: date | None
    is_paid_at_once: bool


Lookup = Callable[[str], Awaitable[Known | None]]
Tell = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class _Kept:
    """A notice, and what people made of it. `amount` None and not `is_moved`: as it is known."""

    notice: Notice
    known: Known | None
    at: datetime
    chosen: State = State.UNPAID
    amount: int | None = None
    due: date | None = None
    is_moved: bool = False

    @property
    def state(self) -> State:
        if self.known is None:
            return State.UNKNOWN
        return State.PAID if self.known.is_paid_at_once else self.chosen

    @property
    def is_touched(self) -> bool:
        return self.chosen != State.UNPAID or self.amount is not None or self.is_moved

    @property
    def amount_now(self) -> int | None:
        return self.known.amount if self.amount is None and self.known else self.amount

    @property
    def due_now(self) -> date | None:
        return self.known.due if not self.is_moved and self.known else self.due


@dataclass(frozen=True, slots=True)
class _Purchase:
    """What a checkout was opened with. `said`: the amount that was known there, euro cents."""

    notice: Notice
    said: int | None
    return_url: str


def api_key(secrets: Secrets) -> str:
    """Always the same in one installation, and known to nobody else."""
    digest = secrets.keyed_digest("sandbox.payment_node")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def base_url(settings: Settings) -> str:
    """Where the node is, as the same machine reaches it."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared, not bound
    return f"http://{everywhere.get(settings.host, settings.host)}:{settings.port}{PATH}"


def checkout_template(settings: Settings) -> str:
    """Address of the checkout, with names in braces for percent-encoded values."""
    query = "rpt_id={rpt_id}&amount={amount}&return_url={return_url}"
    return f"{settings.public_url.rstrip('/')}{CHECKOUT_PATH}?{query}"


class PaymentNode:
    """Endpoint, its page, and the checkout. In memory, for one server process.

    `lookup` finds what is known of an rpt id; `tell` is given the event of each payment made at the
    checkout; `slow_s` is how long a slow node takes, seconds.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        lookup: Lookup,
        tell: Tell | None = None,
        *,
        slow_s: float = _SLOW_S,
    ) -> None:
        self.mood = Mood.FINE
        self._key = api_key(secrets).encode()
        self._lookup = lookup
        self._tell = tell
        self._slow_s = slow_s
        self._ours = settings.public_url.rstrip("/") + "/"
        self._kept: dict[Notice, _Kept] = {}  # the newest last
        self._page = NodePage(PATH)
        self._checkout = CheckoutPage(CHECKOUT_PATH, settings.public_url)

    def routes(self) -> list[Route]:
        """Endpoint, pages and style sheets."""
        return [
            Route(f"{PATH}/payment-requests/{{rpt_id}}", self.answer),
            Route(PATH, self.show),
            Route(f"{PATH}/mood", self.take_mood, methods=["POST"]),
            Route(f"{PATH}/notices/{{rpt_id}}", self.take_notice, methods=["POST"]),
            Route(CHECKOUT_PATH, self.open_checkout),
            Route(CHECKOUT_PATH, self.close_checkout, methods=["POST"]),
            pages.style_sheet(PATH, "sinks.css"),
            pages.style_sheet(PATH, "payments.css"),
        ]

    async def state_of(self, notice: Notice) -> State:
        """What has become of it, as the endpoint would say when it is fine."""
        return (await self._seen(notice)).state

    async def set_state(self, notice: Notice, state: State) -> None:
        """What whoever looks at the page decides. A notice that nobody knows stays unknown."""
        self._keep(await self._seen(notice)).chosen = state

    async def set_terms(self, notice: Notice, amount: int | None, due: date | None) -> None:
        """The creditor's new amount, euro cents, and due date.

        `amount` None: as it was first known; `due` None: there is no due date any more.
        """
        kept = self._keep(await self._seen(notice))
        known = kept.known
        kept.amount = None if known and amount == known.amount else amount
        # Whoever types the first due date again follows it again.
        kept.is_moved = due != (known.due if known else None)
        kept.due = due if kept.is_moved else None

    async def answer(self, request: Request) -> Response:
        """As the eCommerce service answers: a payment request, or why there is none."""
        # First of all: nobody without the key can make a slow node hold connections.
        if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), self._key):
            return Response(status_code=401)
        if self.mood == Mood.SLOW:
            await asyncio.sleep(self._slow_s)
        elif self.mood != Mood.FINE:
            return _trouble(self.mood)
        notice = Notice.of_rpt_id(request.path_params["rpt_id"])
        if notice is None:
            return _malformed()
        kept = self._keep(await self._seen(notice))
        if kept.state in FAULTS:
            return _fault(*FAULTS[kept.state])
        return JSONResponse(_payment_request(kept), headers=_NO_STORE)

    async def show(self, request: Request) -> Response:
        """The page of the node: its mood, and the notices it was asked about."""
        return self._render(request)

    async def take_mood(self, request: Request) -> Response:
        """Another mood, from the form."""
        try:
            self.mood = Mood((await _form(request)).get("mood", ""))
        except ValueError:
            return self._render(request, Refused("mood"))
        return RedirectResponse(f"{PATH}?saved=1", 303, _NO_STORE)

    async def take_notice(self, request: Request) -> Response:
        """Another state, amount and due date of one notice, from its form."""
        notice = Notice.of_rpt_id(request.path_params["rpt_id"])
        if notice is None:
            return self._render(request, Refused("rpt_id"))
        form = await _form(request)
        typed = {name: form.get(name, "").strip()[:20] for name in ("state", "amount", "due")}
        wrong = ""
        try:
            wrong = "state"
            state = State(typed["state"])
            wrong = "amount"
            amount = read_cents(typed["amount"])
            wrong = "due"
            due = read_day(typed["due"])
        except ValueError:
            return self._render(request, Refused(wrong, notice.rpt_id, typed))
        await self.set_state(notice, state)
        await self.set_terms(notice, amount, due)
        return RedirectResponse(f"{PATH}?saved=1#n{notice.rpt_id}", 303, _NO_STORE)

    async def open_checkout(self, request: Request) -> Response:
        """What is to be paid, and the buttons."""
        purchase = self._purchase(request.query_params)
        if isinstance(purchase, str):
            return self._checkout.broken(request, purchase)
        kept = await self._seen(purchase.notice)
        status = 404 if kept.state == State.UNKNOWN else 200
        return self._checkout.offer(request, status, _offer(purchase, kept))

    async def close_checkout(self, request: Request) -> Response:
        """A button was pressed: back to where the citizen came from."""
        form = await _form(request)
        purchase = self._purchase(form)
        if isinstance(purchase, str):
            return self._checkout.broken(request, purchase)
        if form.get("do") not in _DONE:
            return self._checkout.broken(request, "do")
        state = _DONE[form["do"]]
        if state is not None:
            kept = await self._seen(purchase.notice)
            if kept.state in _PAYABLE:
                self._keep(kept).chosen = state
                if state == State.PAID and self._tell is not None:
                    await self._tell(payment_event(purchase.notice, kept.amount_now))
            elif (kept.state, state) != (State.PAID, State.PAID):  # pressed twice is paid once
                return self._checkout.offer(request, 409, _offer(purchase, kept))
        return RedirectResponse(purchase.return_url, 303, _NO_STORE)

    async def _seen(self, notice: Notice) -> _Kept:
        """What is kept of it, and what is known of it now; not yet kept if it was not."""
        known = await self._lookup(notice.rpt_id)
        kept = self._kept.get(notice) or _Kept(notice, known, clock.now())
        kept.known = known
        return kept

    def _keep(self, kept: _Kept) -> _Kept:
        """As the newest. Of too many, the oldest goes that nobody touched, or else the oldest."""
        self._kept.pop(kept.notice, None)
        if len(self._kept) >= _KEPT:
            oldest = next(iter(self._kept))
            untouched = (key for key, one in self._kept.items() if not one.is_touched)
            del self._kept[next(untouched, oldest)]
        kept.at = clock.now()
        self._kept[kept.notice] = kept
        return kept

    def _purchase(self, fields: Mapping[str, str]) -> _Purchase | str:
        """From a query or a form; or the name of the parameter that is not as it must be."""
        notice = Notice.of_rpt_id(fields.get("rpt_id", ""))
        if notice is None:
            return "rpt_id"
        said = fields.get("amount", "")
        if said and not _CENTS.match(said):
            return "amount"
        back = fields.get("return_url", "")
        # With its slash, so that no other host begins like ours.
        if not back.startswith(self._ours) or not _ADDRESS.match(back):
            return "return_url"
        return _Purchase(notice, int(said) if said else None, back)

    def _render(self, request: Request, refused: Refused | None = None) -> Response:
        lines = [_line(kept) for kept in reversed(self._kept.values())]
        return self._page.render(request, self.mood, lines, refused)


def _payment_request(kept: _Kept) -> dict[str, Any]:
    known = kept.known
    found = {
        "amount": kept.amount_now,
        "rptId": kept.notice.rpt_id,
        "paFiscalCode": kept.notice.payee,
        "paName": known.payee_name[:_TEXT] if known else "",
        "description": known.description[:_TEXT] if known else "",
        "dueDate": kept.due_now.isoformat() if kept.due_now else "",
    }
    return {name: value for name, value in found.items() if value != ""}


def _trouble(mood: Mood) -> Response:
    if mood == Mood.DOWN:
        return Response(status_code=503)
    if mood == Mood.GARBAGE:
        return Response("<p>Torniamo subito!</p>", media_type="application/json")
    return _fault(502, "GENERIC_ERROR", "The sandbox's node was told to be unable.")


def _fault(status: int, category: str, detail: str) -> Response:
    body = {"title": "Payment request", "faultCodeCategory": category, "faultCodeDetail": detail}
    return JSONResponse(body, status, _NO_STORE)


def _malformed() -> Response:
    body = {"title": "Bad Request", "status": 400, "detail": "rpt_id must be 29 digits"}
    return JSONResponse(body, 400, _NO_STORE, "application/problem+json")


def _line(kept: _Kept) -> Line:
    note = "nobody" if kept.known is None else "always" if kept.known.is_paid_at_once else ""
    return Line(
        kept.notice.rpt_id,
        kept.notice.grouped,
        kept.notice.payee,
        kept.known.payee_name if kept.known else "",
        kept.known.description if kept.known else "",
        kept.state,
        kept.chosen,
        kept.amount_now,
        kept.due_now,
        kept.at,
        note,
    )


def _offer(purchase: _Purchase, kept: _Kept) -> Offer:
    return Offer(
        purchase.notice.rpt_id,
        purchase.notice.grouped,
        purchase.notice.payee,
        kept.known.payee_name if kept.known else "",
        kept.known.description if kept.known else "",
        kept.amount_now,
        kept.due_now,
        purchase.said,
        kept.state,
        kept.state in _PAYABLE,
        purchase.return_url,
    )


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; nothing of one that is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY:
            return {}
    fields = parse_qs(body.decode("latin-1"), keep_blank_values=True, errors="replace")
    return {name: values[-1] for name, values in fields.items()}
