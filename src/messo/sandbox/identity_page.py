"""The page of test people, in Italian and English, without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from messo.sandbox import pages, world
from messo.sandbox.staff import OPERATOR, STAFF

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
        "field": "Fiscal code",
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
        "lead": "Queste persone sono inventate: scegline una e accedi al suo posto. "
        "Questa pagina esiste solo nell'ambiente di prova; in un'installazione vera qui trovi "
        "SPID o CIE.",
        "people": "Cittadini di prova",
        "other": "Un'altra persona",
        "other_lead": "Va bene qualsiasi codice fiscale della forma giusta. Chi non è ancora "
        "iscritto vede com'è il primo accesso.",
        "field": "Codice fiscale",
        "level": "Livello di sicurezza",
        "enter": "Accedi",
        "cancel": "Annulla",
        "cancel_lead": "Torna indietro senza accedere, come chi ha cambiato idea.",
        "bad_code": "Questo non è un codice fiscale: 16 caratteri, come AAAAAA00A00A000A.",
        "broken": "Questo accesso non può continuare",
        "broken_lead": "Un parametro della richiesta non è come deve essere:",
    },
}


# What is said otherwise where people of institutions log in.
_STAFF_TEXTS = {
    "en": {
        "lead": "These people are invented: choose one and you are logged in as them. "
        "This page exists only in the sandbox; in a real installation the login of your "
        "institution is here.",
        "people": "People of the sandbox",
        "operator": "Operates this sandbox",
        "admin": "Admin",
        "editor": "Editor",
        "sender": "Sender",
        "reader": "Reader",
        "other_lead": "Any login will do. Who is of no institution yet sees what comes before an "
        "invitation.",
        "field": "Login",
        "bad_code": "This is not a login: small letters, digits, dots and hyphens, up to 64.",
    },
    "it": {
        "lead": "Queste persone sono inventate: scegline una e accedi al suo posto. "
        "Questa pagina esiste solo nell'ambiente di prova; in un'installazione vera qui trovi "
        "l'accesso del tuo ente.",
        "people": "Persone di prova",
        "operator": "Gestisce questo ambiente di prova",
        "admin": "Amministrazione",
        "editor": "Redazione",
        "sender": "Invio",
        "reader": "Lettura",
        "other_lead": "Va bene qualsiasi nome di accesso. Chi non è ancora in nessun ente vede "
        "che cosa c'è prima di un invito.",
        "field": "Nome di accesso",
        "bad_code": "Questo non è un nome di accesso: lettere minuscole, cifre, punti e trattini, "
        "64 al massimo.",
    },
}


@dataclass(frozen=True)
class Choice:
    """Somebody to choose. `about` is the name of a text, or else said in English."""

    value: str
    name: str
    about: str


@dataclass(frozen=True)
class Group:
    """People who belong together, and what they have in common; empty: nothing."""

    name: str
    choices: Sequence[Choice]


def citizens_page(client_redirects: Sequence[str]) -> "Page":
    """Of citizens. `client_redirects`: where browsers may end up after the form."""
    choices = [Choice(one.profile.fiscal_code, one.name, one.about) for one in world.CITIZENS]
    # Browsers apply form-action to the redirects after a form too.
    ends = {_origin(one) for one in client_redirects}
    return Page("fiscal_code", 16, [Group("", choices)], _TEXTS, ends)


def staff_page() -> "Page":
    """Of institutions' people and of the operator."""
    groups = [
        Group("", [Choice(OPERATOR, "Olga Operti", "operator")]),
        *(
            Group(
                institution.name,
                [
                    Choice(one.login, one.name, one.role)
                    for one in STAFF
                    if one.institution_fiscal_code == institution.fiscal_code
                ],
            )
            for institution in world.INSTITUTIONS
        ),
    ]
    texts = {language: {**_TEXTS[language], **more} for language, more in _STAFF_TEXTS.items()}
    return Page("login", 64, groups, texts, set())


class Page:
    """Renders it. `field`: the name of the field that says who was chosen."""

    def __init__(
        self,
        field: str,
        longest: int,
        groups: Sequence[Group],
        texts: Mapping[str, Mapping[str, str]],
        ends: set[str],
    ) -> None:
        """`longest`: characters of what is typed. `ends`: sites that the form may lead to."""
        self.field = field
        self._longest = longest
        self._groups = groups
        self._texts = texts
        self._template = pages.template("identity.html")
        self._headers = pages.headers(form_action=" ".join(sorted({"'self'", *ends})))

    def people(self, request: Request, refused: str | None = None) -> Response:
        """The people to choose from. `refused`: what was typed and names nobody."""
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
            texts=self._texts[language],
            groups=self._groups,
            field=self.field,
            longest=self._longest,
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
