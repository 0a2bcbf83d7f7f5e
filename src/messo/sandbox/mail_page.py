"""The pages of the sandbox's mail server: what was sent, as its recipients would see it."""

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from messo.sandbox import pages
from messo.sandbox.mail_sink import MAILBOX_FULL, NO_SUCH_ADDRESS, SLOW, Mail, MailSink

PATH = "/sandbox/mail"

_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]]")
_SHOWN_HEADERS = ("From", "To", "Date", "Auto-Submitted", "List-Unsubscribe", "Message-ID")
_DOMAINS = {"gone": NO_SUCH_ADDRESS, "full": MAILBOX_FULL, "slow": SLOW}
# The sandbox is no part of an installation, so its words are not in the catalogues of the pages.
_TEXTS = {
    "en": {
        "title": "Mails that were sent",
        "lead": "The sandbox sends no mail on: what it would have sent is here, the newest first.",
        "none": "None yet: send a message to a citizen who wants copies by e-mail.",
        "domains": "Addresses with an outcome of their own",
        "gone": "The address does not exist: the mail comes back at once.",
        "full": "The mailbox is full: the mail is tried again.",
        "slow": "The mail server takes three seconds.",
        "to": "To",
        "no_subject": "(no subject)",
        "missing": "This mail is not here",
        "missing_lead": "Only the last 200 are kept, and none when the sandbox is stopped.",
        "back": "All mails",
        "headers": "Headers",
        "envelope_sender": "Bounces go to",
        "text": "As text",
        "html": "As a page",
        "links": "Links in it",
        "raw": "The mail as it was sent",
        "unreadable": "This is no mail that can be taken apart.",
    },
    "it": {
        "title": "Le mail inviate",
        "lead": "L'ambiente di prova non spedisce niente: quello che avrebbe spedito è qui, "
        "dal più recente.",
        "none": "Ancora nessuna: manda un messaggio a chi vuole le copie per email.",
        "domains": "Indirizzi con un esito particolare",
        "gone": "L'indirizzo non esiste: la mail torna subito indietro.",
        "full": "La casella è piena: si riprova più tardi.",
        "slow": "Il server di posta ci mette tre secondi.",
        "to": "A",
        "no_subject": "(senza oggetto)",
        "missing": "Questa mail non c'è",
        "missing_lead": "Restano solo le ultime 200, e nessuna dopo che l'ambiente si ferma.",
        "back": "Tutte le mail",
        "headers": "Intestazioni",
        "envelope_sender": "Se non arriva, torna a",
        "text": "Come testo",
        "html": "Come pagina",
        "links": "I collegamenti che contiene",
        "raw": "La mail com'è stata inviata",
        "unreadable": "Questa non è una mail che si possa aprire.",
    },
}
# A frame made of text has the policy of its page: no script, and nothing from elsewhere. What is
# inline is the mail's own style.
_HEADERS = pages.headers(style="'self' 'unsafe-inline'")


@dataclass(frozen=True)
class Opened:
    """A mail taken apart. `html` None: it has no such part."""

    subject: str
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None

    @property
    def links(self) -> list[str]:
        """Addresses in the text, each once: what is in the frame cannot be followed."""
        return list(dict.fromkeys(_LINK.findall(self.text or "")))


class MailPages:
    """All of them, under `/sandbox/mail`."""

    def __init__(self, sink: MailSink) -> None:
        self._sink = sink
        self._list = pages.template("mails.html")
        self._one = pages.template("mail.html")

    def routes(self) -> list[Route]:
        """List, mail, source, and the style sheet."""
        return [
            Route(PATH, self.all),
            Route(f"{PATH}/{{number:int}}", self.one),
            Route(f"{PATH}/{{number:int}}/raw", self.raw),
            pages.style_sheet(PATH, "sinks.css"),
        ]

    async def all(self, request: Request) -> Response:
        """The newest first."""
        language = pages.language_of(request)
        mails = [(mail, open_mail(mail)) for mail in reversed(self._sink.mails)]
        html = self._list.render(
            language=language, texts=_TEXTS[language], path=PATH, mails=mails, domains=_DOMAINS
        )
        return HTMLResponse(html, 200, _HEADERS)

    async def one(self, request: Request) -> Response:
        """One mail: headers, text, page."""
        language = pages.language_of(request)
        mail = self._sink.mail(request.path_params["number"])
        html = self._one.render(
            language=language,
            texts=_TEXTS[language],
            path=PATH,
            mail=mail,
            opened=open_mail(mail) if mail else None,
        )
        return HTMLResponse(html, 200 if mail else 404, _HEADERS)

    async def raw(self, request: Request) -> Response:
        """As it came over the wire."""
        mail = self._sink.mail(request.path_params["number"])
        headers = _HEADERS | {"Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(
            mail.raw if mail else b"", 200 if mail else 404, headers, "text/plain; charset=utf-8"
        )


def open_mail(mail: Mail) -> Opened | None:
    """Taken apart, or None: anybody on this machine may hand over anything."""
    try:
        parsed = BytesParser(policy=default).parsebytes(mail.raw)
        return Opened(
            _shown(parsed["Subject"] or ""),
            [(name, _shown(parsed[name])) for name in _SHOWN_HEADERS if name in parsed],
            _part(parsed, "plain"),
            _part(parsed, "html"),
        )
    except Exception:  # noqa: BLE001  the library raises what it likes at hostile mails
        return None


def _part(parsed: EmailMessage, kind: str) -> str | None:
    part = parsed.get_body((kind,))
    return None if part is None else _shown(part.get_content())


def _shown(value: object) -> str:
    """What was not in the encoding it said it was has lone surrogates, which no page can show."""
    return str(value).encode("utf-8", "replace").decode()
