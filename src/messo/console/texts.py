"""What the console says, in Italian and English. Both languages have every text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date

Language = Literal["it", "en"]
_ROME = ZoneInfo("Europe/Rome")
_LOCALE = {"it": "it_IT", "en": "en_GB"}

_ENGLISH = {
    "console": "Console",
    "skip": "Skip to the content",
    "api": "API for institutions",
    "api_people": "API for people",
    "privacy": "Privacy",
    "accessibility": "Accessibility",
    "log_in": "Log in",
    "log_in_again": "Log in again",
    "log_out": "Log out",
    "to_console": "To the console",
    "try_again": "Try again",
    "welcome": "For those who write to citizens",
    "welcome_lead": "Log in to see which institutions you are part of, and to accept an "
    "invitation. Use the account that your institution gave you.",
    "not_set_up": "Logging in is not set up here yet. Ask whoever runs this site.",
    "hello": "Hello, %s",
    "your_login": "You are logged in as",
    "operator": "You operate this installation.",
    "operator_decides": "Services that wait are decided with",
    "or_with": "or with the",
    "more": "What else you can do with your login:",
    "institutions": "Your institutions",
    "no_institution": "You are not part of any institution yet. Ask whoever looks after yours for "
    "an invitation: it comes by mail.",
    "fiscal_code": "Fiscal code",
    "suspended": "Suspended",
    "joined": "Done: you are in.",
    "role_admin": "Admin: people, keys and services",
    "role_editor": "Editor: services",
    "role_sender": "Sender: sees services for now",
    "role_reader": "Reader: sees services and changes nothing",
    "invitation": "You are invited",
    "invitation_lead": "%s would like you with them.",
    "your_role": "Your role",
    "sent_to": "Sent to",
    "valid_until": "Good until",
    "accept": "Accept",
    "accept_as": "You accept as %s. Somebody else? Log out first, and open the link of the mail "
    "again.",
    "log_in_to_accept": "Log in to accept",
    "title_invitation": "This invitation is no longer good",
    "text_invitation": "If you have accepted it already you are all set: go to the console. "
    "Otherwise it was withdrawn, or a newer one has taken its place, or it is too old: ask whoever "
    "invited you for a new one.",
    "title_suspended": "This institution is suspended",
    "text_suspended": "Nobody can join it right now. Your invitation stays open: try again once "
    "the institution is back.",
    "title_last_admin": "You are the only admin there",
    "text_last_admin": "With this invitation you would not be one any more, and nobody could look "
    "after the institution. Make somebody else an admin first.",
    "title_expired": "Your login has ended",
    "text_expired": "For your safety we log you out when you have not used the console for a "
    "while. If you were changing something it was not saved: log in and repeat it.",
    "title_form": "This form has grown old",
    "text_form": "It was opened before you last logged in, or on another page. Nothing was "
    "changed: open the page anew and try again.",
    "title_busy": "One moment, please",
    "text_busy": "We cannot reach our data right now. Nothing is lost: try again in a minute.",
    "title_nothing": "There is nothing here",
    "text_nothing": "The address may be mistyped, or what was here is gone.",
    "title_problem": "We did not understand that",
    "text_problem": "Nothing was changed. Go back and try again.",
    "title_broken": "Something went wrong on our side",
    "text_broken": "It is not your fault, and nothing is lost. If it happens again, tell whoever "
    "runs this site and quote this number:",
    "title_login": "The login did not work",
    "login_cancelled": "You stopped the login. Whenever you want, start again.",
    "login_expired": "The login took too long, or was begun in another browser. Start again from "
    "here.",
    "login_no_login": "The login service did not tell us by which name it knows you. Whoever runs "
    "this site can set that up.",
    "login_provider_down": "The login service does not answer right now. Try again in a minute.",
    "login_not_configured": "Logging in is not set up here yet. Ask whoever runs this site.",
    "login_refused": "The answer of the login service was not what we expected. Nothing has "
    "happened to your data.",
}

_ITALIAN = {
    "console": "Console",
    "skip": "Vai al contenuto",
    "api": "API per gli enti",
    "api_people": "API per le persone",
    "privacy": "Privacy",
    "accessibility": "Accessibilità",
    "log_in": "Accedi",
    "log_in_again": "Accedi di nuovo",
    "log_out": "Esci",
    "to_console": "Alla console",
    "try_again": "Riprova",
    "welcome": "Per chi scrive ai cittadini",
    "welcome_lead": "Accedi per vedere di quali enti fai parte e per accettare un invito. Usa "
    "l'account che ti ha dato il tuo ente.",
    "not_set_up": "L'accesso non è ancora attivo qui. Chiedi a chi gestisce questo sito.",
    "hello": "Ciao, %s",
    "your_login": "Il tuo nome di accesso è",
    "operator": "Gestisci questa installazione.",
    "operator_decides": "Sui servizi in attesa si decide con",
    "or_with": "oppure con le",
    "more": "Che altro puoi fare con il tuo accesso:",
    "institutions": "I tuoi enti",
    "no_institution": "Non fai ancora parte di nessun ente. Chiedi un invito a chi si occupa del "
    "tuo: arriva per posta elettronica.",
    "fiscal_code": "Codice fiscale",
    "suspended": "Sospeso",
    "joined": "Fatto: ora ne fai parte.",
    "role_admin": "Amministrazione: persone, chiavi e servizi",
    "role_editor": "Redazione: servizi",
    "role_sender": "Invio: per ora vede i servizi",
    "role_reader": "Lettura: vede i servizi e non cambia nulla",
    "invitation": "Hai un invito",
    "invitation_lead": "%s ti vorrebbe nel suo gruppo.",
    "your_role": "Il tuo ruolo",
    "sent_to": "Inviato a",
    "valid_until": "Vale fino al",
    "accept": "Accetta",
    "accept_as": "Accetti come %s. Non sei tu? Prima esci, poi apri di nuovo il link del "
    "messaggio.",
    "log_in_to_accept": "Accedi per accettare",
    "title_invitation": "Questo invito non vale più",
    "text_invitation": "Se l'hai già accettato sei a posto: vai alla console. Altrimenti è stato "
    "ritirato, o ce n'è uno più recente, o è troppo vecchio: chiedine uno nuovo a chi ti ha "
    "invitato.",
    "title_suspended": "Questo ente è sospeso",
    "text_suspended": "Per ora nessuno può farne parte. Il tuo invito resta aperto: riprova quando "
    "l'ente è di nuovo attivo.",
    "title_last_admin": "Lì l'amministrazione sei solo tu",
    "text_last_admin": "Con questo invito non lo saresti più, e nessuno potrebbe occuparsi "
    "dell'ente. Prima affida l'amministrazione anche a un'altra persona.",
    "title_expired": "Il tuo accesso è terminato",
    "text_expired": "Per la tua sicurezza ti facciamo uscire quando non usi la console per un po'. "
    "Se stavi cambiando qualcosa non è stato salvato: accedi e ripetilo.",
    "title_form": "Questo modulo è invecchiato",
    "text_form": "L'hai aperto prima dell'ultimo accesso, o in un'altra pagina. Non è cambiato "
    "nulla: riapri la pagina e riprova.",
    "title_busy": "Un momento, per favore",
    "text_busy": "Ora non riusciamo a raggiungere i nostri dati. Non si è perso nulla: riprova fra "
    "un minuto.",
    "title_nothing": "Qui non c'è niente",
    "text_nothing": "Forse l'indirizzo è scritto male, o quello che c'era non c'è più.",
    "title_problem": "Non abbiamo capito",
    "text_problem": "Non è cambiato nulla. Torna indietro e riprova.",
    "title_broken": "Qualcosa non ha funzionato da parte nostra",
    "text_broken": "Non è colpa tua e non si è perso nulla. Se succede ancora, dillo a chi gestisce "
    "questo sito indicando questo numero:",
    "title_login": "L'accesso non è riuscito",
    "login_cancelled": "Hai interrotto l'accesso. Quando vuoi, ricomincia.",
    "login_expired": "L'accesso è durato troppo, o era iniziato in un altro browser. Ricomincia da "
    "qui.",
    "login_no_login": "Il servizio di accesso non ci ha detto con quale nome ti conosce. Chi "
    "gestisce questo sito può rimediare.",
    "login_provider_down": "Il servizio di accesso ora non risponde. Riprova fra un minuto.",
    "login_not_configured": "L'accesso non è ancora attivo qui. Chiedi a chi gestisce questo sito.",
    "login_refused": "La risposta del servizio di accesso non era quella attesa. Ai tuoi dati non è "
    "successo nulla.",
}

TEXTS: Mapping[Language, Mapping[str, str]] = {"it": _ITALIAN, "en": _ENGLISH}


def day(moment: datetime, language: Language) -> str:
    """`23 novembre 2026`, by Rome's calendar."""
    return format_date(moment.astimezone(_ROME), "d MMMM y", _LOCALE[language])
