"""The pages of the sandbox's relying party: whom it believes to see, and why it sees nobody."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from babel.dates import format_datetime, get_timezone
from babel.numbers import format_decimal
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from messo.sandbox import pages
from messo.sandbox.openid import RefusedError, Who

# The sandbox is no part of an installation, so its words are not in the catalogues of the pages.
_TEXTS: Mapping[str, Mapping[str, Any]] = {
    "en": {
        "site": "Online counter",
        "owner": "Comune di Pontelungo",
        "lead": "An invented site of an invented town. It shows what a site learns when Messo "
        "signs you on.",
        "hello": "Good day, {name}",
        "hello_nobody": "Good day",
        "in": "You are logged in, and nobody asked you for a password here.",
        "data": "What we know of you",
        "claims": {
            "fiscal_code": "Fiscal code",
            "given_name": "First name",
            "family_name": "Last name",
            "email": "E-mail address",
            "email_verified": "Address verified",
            "sub": "Our number for you",
        },
        "true": "yes",
        "false": "no",
        "withheld": "You did not give us: {claims}.",
        "login": "Your login",
        "level": "Level",
        "levels": {"1": "SPID level 1", "2": "SPID level 2", "3": "SPID level 3"},
        "at": "Logged in at",
        "issuer": "Vouched for by",
        "sid": "Number of the login",
        "scope": "Granted",
        "how": "How it came about",
        "steps": (
            "We sent your browser to Messo, with a state, a nonce and a PKCE challenge of our own.",
            (
                "{seconds} seconds later it came back with a code. The state was ours, and iss was "
                "{issuer}."
            ),
            (
                "We exchanged the code with our secret. The ID token was signed with {alg}, key {kid}, "
                "for {audience} and with our nonce."
            ),
            "We read your data at the userinfo endpoint. Its sub was that of the token.",
        ),
        "try": "Try something",
        "trials": {
            "again": "Log in once more",
            "fresh": "Ask for a new login (prompt=login)",
            "level": "Ask for level 3 (acr_values)",
            "silent": "Ask without a page (prompt=none)",
        },
        "logout": "Log out",
        "nobody": "You are not logged in",
        "nobody_lead": "Your session here has ended, or there was none.",
        "enter": "Log in with Messo",
        "again": "Try again",
        "said": "What we were told:",
        "errors": {
            "access_denied": (
                "You did not let us know who you are",
                (
                    "That is fine: we have learned nothing about you. You can still come to the "
                    "counter in the Piazza."
                ),
            ),
            "login_required": (
                "You are not logged in at Messo",
                "We asked without showing you a page, and that works only for who is logged in.",
            ),
            "consent_required": (
                "Messo has to ask you first",
                (
                    "We asked without showing you a page, and you have not agreed for good, or did "
                    "not come by a button."
                ),
            ),
            "unmet_authentication_requirements": (
                "Your login is not strong enough",
                "We asked for a higher level than your identity provider gave.",
            ),
            "wrong_state": (
                "This login did not begin here, or took too long",
                "So we do not believe it. Begin anew.",
            ),
            "wrong_issuer": (
                "This answer is not from Messo",
                "So we do not believe it. Begin anew.",
            ),
            "wrong_token": (
                "We could not check who you are",
                "What came was not signed as it must be, or not meant for us.",
            ),
            "invalid_grant": (
                "This login was used already, or took too long",
                "A code is good for a minute, and once.",
            ),
            "provider_down": (
                "Messo does not answer right now",
                "Try again in a moment.",
            ),
            "not_registered": (
                "This site is not registered",
                "The service has another site by now, or none.",
            ),
            "other": ("The login did not work", "Messo said why, in the words of the standard."),
        },
    },
    "it": {
        "site": "Sportello online",
        "owner": "Comune di Pontelungo",
        "lead": "Un sito inventato di un comune inventato. Mostra che cosa viene a sapere un sito "
        "quando Messo ti fa entrare.",
        "hello": "Buongiorno, {name}",
        "hello_nobody": "Buongiorno",
        "in": "Hai già fatto l'accesso, e qui nessuno ti ha chiesto una password.",
        "data": "Che cosa sappiamo di te",
        "claims": {
            "fiscal_code": "Codice fiscale",
            "given_name": "Nome",
            "family_name": "Cognome",
            "email": "Indirizzo email",
            "email_verified": "Indirizzo verificato",
            "sub": "Il nostro numero per te",
        },
        "true": "sì",
        "false": "no",
        "withheld": "Non ci hai dato: {claims}.",
        "login": "Il tuo accesso",
        "level": "Livello",
        "levels": {"1": "SPID livello 1", "2": "SPID livello 2", "3": "SPID livello 3"},
        "at": "Accesso fatto il",
        "issuer": "Lo garantisce",
        "sid": "Numero dell'accesso",
        "scope": "Concesso",
        "how": "Come ci siamo arrivati",
        "steps": (
            (
                "Abbiamo mandato il tuo browser da Messo, con uno state, un nonce e una sfida PKCE "
                "nostri."
            ),
            (
                "{seconds} secondi dopo è tornato con un codice. Lo state era il nostro, e iss era "
                "{issuer}."
            ),
            (
                "Abbiamo scambiato il codice con il nostro segreto. L'ID token era firmato con {alg}, "
                "chiave {kid}, per {audience} e con il nostro nonce."
            ),
            "Abbiamo letto i tuoi dati da userinfo. Il sub era quello del token.",
        ),
        "try": "Prova qualcosa",
        "trials": {
            "again": "Entra di nuovo",
            "fresh": "Chiedi un accesso nuovo (prompt=login)",
            "level": "Chiedi il livello 3 (acr_values)",
            "silent": "Chiedi senza una pagina (prompt=none)",
        },
        "logout": "Esci",
        "nobody": "Non hai fatto l'accesso",
        "nobody_lead": "La tua sessione qui è finita, oppure non c'era.",
        "enter": "Entra con Messo",
        "again": "Riprova",
        "said": "Ci è stato detto:",
        "errors": {
            "access_denied": (
                "Non ci hai detto chi sei",
                (
                    "Va bene così: non abbiamo saputo niente di te. Puoi sempre passare allo sportello "
                    "in piazza."
                ),
            ),
            "login_required": (
                "Non hai fatto l'accesso a Messo",
                (
                    "Abbiamo chiesto senza mostrarti una pagina, e funziona solo per chi ha già fatto "
                    "l'accesso."
                ),
            ),
            "consent_required": (
                "Messo prima deve chiedertelo",
                (
                    "Abbiamo chiesto senza mostrarti una pagina, e non ci hai dato un consenso che "
                    "dura, oppure non arrivi da un pulsante."
                ),
            ),
            "unmet_authentication_requirements": (
                "Il tuo accesso non basta",
                (
                    "Abbiamo chiesto un livello più alto di quello che ha dato il tuo gestore di "
                    "identità."
                ),
            ),
            "wrong_state": (
                "Questo accesso non è cominciato qui, o ha preso troppo tempo",
                "Per questo non ci crediamo. Ricomincia.",
            ),
            "wrong_issuer": (
                "Questa risposta non è di Messo",
                "Per questo non ci crediamo. Ricomincia.",
            ),
            "wrong_token": (
                "Non abbiamo potuto controllare chi sei",
                "Quello che è arrivato non era firmato come deve, o non era per noi.",
            ),
            "invalid_grant": (
                "Questo accesso è già stato usato, o ha preso troppo tempo",
                "Un codice vale un minuto, e una volta sola.",
            ),
            "provider_down": (
                "In questo momento Messo non risponde",
                "Riprova tra poco.",
            ),
            "not_registered": (
                "Questo sito non è registrato",
                "Il servizio ormai ha un altro sito, o nessuno.",
            ),
            "other": (
                "L'accesso non è riuscito",
                "Messo ha detto perché, con le parole dello standard.",
            ),
        },
    },
}
# What is ours to say, and not bad luck of the visitor.
_STATUS = {"wrong_state": 400, "wrong_issuer": 400, "wrong_token": 502, "provider_down": 502}
_ASKED = ("fiscal_code", "given_name", "family_name", "email")


class RelyingPartyPage:
    """Renders them. `public_url`: where the browser goes after the form to log out."""

    def __init__(self, path: str, public_url: str) -> None:
        self._path = path
        self._template = pages.template("relying_party.html")
        self._headers = pages.headers(form_action=f"'self' {public_url}")

    def somebody(self, request: Request, who: Who) -> Response:
        """A citizen is logged in."""
        language = pages.language_of(request)
        texts = _TEXTS[language]
        moment = datetime.fromtimestamp(who.authenticated_at, UTC)
        given = {
            "seconds": format_decimal(who.waited_s, "0.0", locale=language),
            "issuer": who.issuer,
            "audience": who.audience,
            "alg": who.signed.get("alg", ""),
            "kid": who.signed.get("kid", ""),
        }
        missing = [str(texts["claims"][name]) for name in _ASKED if name not in who.claims]
        known = [
            str(who.claims[name]) for name in ("given_name", "family_name") if name in who.claims
        ]
        return self._render(
            request,
            who=who,
            name=" ".join(known),
            known={name: who.claims[name] for name in texts["claims"] if name in who.claims},
            missing=", ".join(missing),
            level=texts["levels"].get(who.level[-1:], who.level),
            at=format_datetime(moment, "medium", get_timezone("Europe/Rome"), language),
            steps=[step.format(**given) for step in texts["steps"]],
        )

    def nobody(self, request: Request) -> Response:
        """Nobody is logged in."""
        return self._render(request)

    def refused(self, request: Request, error: RefusedError) -> Response:
        """No login came of it, and what to do."""
        errors = _TEXTS[pages.language_of(request)]["errors"]
        known = error.error in errors
        return self._render(
            request,
            _STATUS.get(error.error, 200),
            why=errors[error.error if known else "other"],
            said=f"{error.error}: {error.description}" if error.description else error.error,
        )

    def _render(self, request: Request, status: int = 200, **more: Any) -> Response:  # noqa: ANN401
        language = pages.language_of(request)
        given = {"who": None, "why": None, "said": "", **more}
        html = self._template.render(
            language=language, texts=_TEXTS[language], path=self._path, **given
        )
        return HTMLResponse(html, status, self._headers)
