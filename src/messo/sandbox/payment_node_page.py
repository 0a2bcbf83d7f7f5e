"""The page of the sandbox's payment node: its mood, and the notices it was asked about."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from messo.sandbox import pages

_LARGEST = 9_999_999_999  # euro cents
_EURO = re.compile(r"([0-9]{1,8})(?:[.,]([0-9]{1,2}))?\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_HEADERS = pages.headers(form_action="'self'")
# The sandbox is no part of an installation, so its words are not in the catalogues of the pages.
_TEXTS: dict[str, dict[str, Any]] = {
    "en": {
        "title": "The payment node",
        "lead": "In a sandbox nothing is paid at pagoPA. This page decides what the node says.",
        "mood": "How the node answers",
        "moods": {
            "fine": "As it should.",
            "slow": "As it should, but after ten seconds.",
            "down": "Not at all: 503, and nothing else.",
            "garbage": "With something that nobody can read.",
            "unable": "That it cannot say: 502, GENERIC_ERROR.",
        },
        "save": "Save",
        "saved": "Saved.",
        "refused": "Nothing was saved. This is not as it must be:",
        "notices": "Notices",
        "about": "Those that were asked about or paid lately, the newest first. At most 200 are "
        "kept, and none when the sandbox is stopped.",
        "none": "None yet: open a message with a payment notice.",
        "payee": "to {name}",
        "always": "Always paid, whatever is saved here: it was made so.",
        "nobody": "No message in this sandbox has this notice, so the node does not know it, "
        "whatever is saved here.",
        "state": "State",
        "states": {
            "unpaid": "To be paid",
            "in_progress": "Payment in progress",
            "paid": "Paid",
            "expired": "Expired",
            "cancelled": "Cancelled",
            "unknown": "Unknown",
        },
        "amount": "Amount, euro",
        "due": "Due date",
        "hint": "Without an amount, the message's own counts again; without a due date, the "
        "notice has none.",
        "bad_amount": "An amount like 12.50, from 0.01 to 99999999.99.",
        "bad_due": "A day like 2030-12-31.",
        "bad_state": "One of the states.",
    },
    "it": {
        "title": "Il nodo dei pagamenti",
        "lead": "Nell'ambiente di prova niente si paga su pagoPA. Questa pagina decide che cosa "
        "dice il nodo.",
        "mood": "Come risponde il nodo",
        "moods": {
            "fine": "Come deve.",
            "slow": "Come deve, ma dopo dieci secondi.",
            "down": "Per niente: 503 e nient'altro.",
            "garbage": "Con qualcosa che nessuno sa leggere.",
            "unable": "Che non lo sa dire: 502, GENERIC_ERROR.",
        },
        "save": "Salva",
        "saved": "Salvato.",
        "refused": "Non è stato salvato niente. Questo non è come deve essere:",
        "notices": "Avvisi",
        "about": "Quelli chiesti o pagati da poco, dal più recente. Ne restano al massimo 200, e "
        "nessuno dopo che l'ambiente si ferma.",
        "none": "Ancora nessuno: apri un messaggio con un avviso di pagamento.",
        "payee": "a {name}",
        "always": "Sempre pagato, qualunque cosa salvi qui: è fatto così.",
        "nobody": "Nessun messaggio di questo ambiente ha questo avviso, quindi il nodo non lo "
        "conosce, qualunque cosa salvi qui.",
        "state": "Stato",
        "states": {
            "unpaid": "Da pagare",
            "in_progress": "Pagamento in corso",
            "paid": "Pagato",
            "expired": "Scaduto",
            "cancelled": "Annullato",
            "unknown": "Sconosciuto",
        },
        "amount": "Importo, euro",
        "due": "Scadenza",
        "hint": "Senza importo vale di nuovo quello del messaggio; senza scadenza, l'avviso non "
        "ne ha.",
        "bad_amount": "Un importo come 12,50, da 0,01 a 99999999,99.",
        "bad_due": "Un giorno come 2030-12-31.",
        "bad_state": "Uno degli stati.",
    },
}


@dataclass(frozen=True, slots=True)
class Line:
    """A notice. `state`: as the node says it; `chosen`: as somebody decided; `amount` in cents.

    `note` says why those two may differ: `always`, `nobody`, or nothing.
    """

    rpt_id: str
    grouped: str
    payee: str
    payee_name: str
    description: str
    state: str
    chosen: str
    amount: int | None
    due: date | None
    at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The field that was not as it must be, of which notice, and what its form held, if one did."""

    field: str
    rpt_id: str = ""
    typed: Mapping[str, str] | None = None


class NodePage:
    """Renders it. `path`: where its forms and style sheets are."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._template = pages.template("payment_node.html")

    def render(
        self, request: Request, mood: str, lines: Sequence[Line], refused: Refused | None = None
    ) -> Response:
        """The page; with 400 if something was refused."""
        language = pages.language_of(request)

        def euro(cents: int | None) -> str:
            if cents is None:
                return ""
            return f"{cents // 100}{',' if language == 'it' else '.'}{cents % 100:02d}"

        html = self._template.render(
            language=language,
            texts=_TEXTS[language],
            path=self._path,
            mood=mood,
            lines=lines,
            refused=refused,
            saved="saved" in request.query_params,
            euro=euro,
        )
        return HTMLResponse(html, 400 if refused else 200, _HEADERS)


def read_cents(typed: str) -> int | None:
    """`12`, `12,5` or `12.50` euro. Empty is None; `ValueError` if it is no amount to be paid."""
    if not typed:
        return None
    found = _EURO.match(typed)
    cents = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else 0
    if not 1 <= cents <= _LARGEST:
        raise ValueError("no amount")
    return cents


def read_day(typed: str) -> date | None:
    """`2025-12-31`. Empty is None; `ValueError` if it is no day."""
    if typed and not _DAY.match(typed):  # the parser takes other forms as well
        raise ValueError("no day")
    return date.fromisoformat(typed) if typed else None
