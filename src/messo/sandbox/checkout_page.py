"""The page of the sandbox's checkout, where a citizen pays with invented money."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit

from babel.dates import format_date
from babel.numbers import format_currency
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from messo.sandbox import pages

# The sandbox is no part of an installation, so its words are not in the catalogues of the pages.
_TEXTS = {
    "en": {
        "title": "Pay the notice",
        "lead": "No money moves here: this page exists only in the sandbox. In a real "
        "installation pagoPA's checkout is here.",
        "payee": "To",
        "fiscal_code": "fiscal code {code}",
        "reason": "For",
        "amount": "Amount",
        "due": "To be paid by",
        "number": "Notice number",
        "repriced": "You were told {said}; the creditor now asks for {amount}.",
        "in_progress": "A payment of this notice is in progress. You can complete it here.",
        "paid": "This notice is paid already. There is nothing left to do.",
        "expired": "This notice has expired: it can no longer be paid.",
        "cancelled": "The creditor has cancelled this notice: there is nothing to pay.",
        "unknown": "Nobody knows this notice.",
        "pay": "Pay {amount}",
        "leave": "Leave it in progress",
        "cancel": "Cancel and go back",
        "back": "Go back",
        "broken": "This payment cannot go on",
        "broken_lead": "A parameter of the request is not as it must be:",
    },
    "it": {
        "title": "Paga l'avviso",
        "lead": "Qui non si muovono soldi: questa pagina esiste solo nell'ambiente di prova. In "
        "un'installazione vera qui trovi il checkout di pagoPA.",
        "payee": "A chi",
        "fiscal_code": "codice fiscale {code}",
        "reason": "Per che cosa",
        "amount": "Importo",
        "due": "Da pagare entro il",
        "number": "Numero dell'avviso",
        "repriced": "L'importo era {said}; adesso l'ente chiede {amount}.",
        "in_progress": "Un pagamento di questo avviso è in corso. Puoi completarlo qui.",
        "paid": "Questo avviso è già pagato. Non devi fare altro.",
        "expired": "Questo avviso è scaduto: non si può più pagare.",
        "cancelled": "L'ente ha annullato questo avviso: non c'è niente da pagare.",
        "unknown": "Nessuno conosce questo avviso.",
        "pay": "Paga {amount}",
        "leave": "Lascialo in corso",
        "cancel": "Annulla e torna indietro",
        "back": "Torna indietro",
        "broken": "Questo pagamento non può continuare",
        "broken_lead": "Un parametro della richiesta non è come deve essere:",
    },
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What is to be paid. Amounts in euro cents; `said`: what the citizen was told before."""

    rpt_id: str
    grouped: str
    payee: str
    payee_name: str
    description: str
    amount: int | None
    due: date | None
    said: int | None
    state: str
    is_payable: bool
    return_url: str


class CheckoutPage:
    """Renders it. `public_url`: where the browser goes after the form."""

    def __init__(self, path: str, public_url: str) -> None:
        self._path = path
        self._template = pages.template("checkout.html")
        # Browsers apply form-action to the redirects after a form too.
        there = urlsplit(public_url)
        self._headers = pages.headers(form_action=f"'self' {there.scheme}://{there.netloc}")

    def offer(self, request: Request, status: int, offer: Offer) -> Response:
        """The notice and the buttons, or why it cannot be paid."""
        return self._render(request, status, offer=offer)

    def broken(self, request: Request, parameter: str) -> Response:
        """The request cannot be answered, and there is nowhere to go back to."""
        return self._render(request, 400, broken=parameter)

    def _render(
        self, request: Request, status: int, broken: str = "", offer: Offer | None = None
    ) -> Response:
        language = pages.language_of(request)

        def euro(cents: int) -> str:
            return format_currency(Decimal(cents) / 100, "EUR", locale=language)

        def day(due: date) -> str:
            return format_date(due, "long", locale=language)

        html = self._template.render(
            language=language,
            texts=_TEXTS[language],
            path=self._path,
            broken=broken,
            offer=offer,
            euro=euro,
            day=day,
        )
        return HTMLResponse(html, status, self._headers)
