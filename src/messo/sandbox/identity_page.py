"""The page of test citizens, in Italian and English, without scripts."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from messo.sandbox import pages, world

# The sandbox is no part of an installation, so its words are not in the catalogues of the pages.
_TEXTS = {
    "en": {
        "title": "Who are you today?",
        "lead": "These people are invented: choose one and you are logged in as them. "
        "This page exists only in the sandbox; in a real installation SPID or CIE is here.",
        "people": "Test citizens",
        "other": "Somebody else",
        "other_lead": "Any fiscal code of the right form will do. Who is not enrolled yet sees "
        "what a first login is like.",
        "fiscal_code": "Fiscal code",
        "level": "Level of assurance",
        "enter": "Log in",
        "cancel": "Cancel",
        "cancel_lead": "Go back without logging in, as somebody who changed their mind.",
        "bad_code": "This is not a fiscal code: 16 characters, like AAAAAA00A00A000A.",
        "broken": "This login cannot go on",
        "broken_lead": "A parameter of the request is not as it must be:",
    },
    "it": {
        "title": "Chi sei oggi?",
        "lead": "Queste persone sono inventate: scegline una ed entri al suo posto. "
        "Questa pagina esiste solo nell'ambiente di prova; in un'installazione vera qui trovi "
        "SPID o CIE.",
        "people": "Cittadini di prova",
        "other": "Un'altra persona",
        "other_lead": "Va bene qualsiasi codice fiscale della forma giusta. Chi non è ancora "
        "iscritto vede com'è il primo accesso.",
        "fiscal_code": "Codice fiscale",
        "level": "Livello di sicurezza",
        "enter": "Entra",
        "cancel": "Annulla",
        "cancel_lead": "Torna indietro senza entrare, come chi ha cambiato idea.",
        "bad_code": "Questo non è un codice fiscale: 16 caratteri, come AAAAAA00A00A000A.",
        "broken": "Questo accesso non può continuare",
        "broken_lead": "Un parametro della richiesta non è come deve essere:",
    },
}


class Page:
    """Renders it. `client_redirects`: where browsers may end up after the form."""

    def __init__(self, client_redirects: Sequence[str]) -> None:
        self._template = pages.template("identity.html")
        # Browsers apply form-action to the redirects after a form too.
        ends = sorted({"'self'", *(_origin(address) for address in client_redirects)})
        self._headers = pages.headers(form_action=" ".join(ends))

    def people(self, request: Request, refused: str | None = None) -> Response:
        """The citizens to choose from. `refused`: what was typed and is no fiscal code."""
        return self._render(request, 200 if refused is None else 400, refused=refused)

    def broken(self, request: Request, parameter: str) -> Response:
        """The request cannot be answered to whoever sent it."""
        return self._render(request, 400, broken=parameter)

    def _render(
        self, request: Request, status: int, broken: str = "", refused: str | None = None
    ) -> Response:
        language = pages.language_of(request)
        html = self._template.render(
            language=language,
            texts=_TEXTS[language],
            citizens=world.CITIZENS,
            broken=broken,
            refused=refused,
        )
        return HTMLResponse(html, status, self._headers)


def _origin(address: str) -> str:
    """An address as a source of a content security policy."""
    parts = urlsplit(address)
    if not parts.hostname:
        return f"{parts.scheme}:"
    if parts.hostname == "127.0.0.1":
        return f"{parts.scheme}://127.0.0.1:*"
    return f"{parts.scheme}://{parts.netloc}"
