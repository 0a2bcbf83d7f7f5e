"""Messages that the sandbox's institutions have written, so that its inboxes are not empty."""

from datetime import timedelta
from typing import Any

from messo.base import clock
from messo.sandbox.descriptions import sportello
from messo_client.notices import check_digits

TAXES, CARD, RESULTS, TICKET = "Anagrafe e tributi", "Carta giovani", "Referti", "Ticket sanitari"


def letters(relying_party: str | None) -> list[tuple[str, str, dict[str, Any]]]:
    """Citizen's name, service's name, content; the oldest first. Due dates are of the next weeks.

    Remote content is without the id of its configuration. `relying_party`: its address, if there
    is one.
    """
    return [
        (
            "Giulia Ferretti",
            TAXES,
            {
                "subject": "La tua carta d'identità è pronta",
                "markdown": "Ciao Giulia,\n\nla tua **carta d'identità elettronica** è arrivata.\n\n"
                "Puoi ritirarla allo sportello dell'anagrafe:\n\n"
                "* dal lunedì al venerdì, dalle 9 alle 13\n* il giovedì anche dalle 15 alle 17\n\n"
                "Porta con te la vecchia carta: la ritiriamo noi.",
            },
        ),
        (
            "Giulia Ferretti",
            TICKET,
            {
                "subject": "Il ticket della tua visita",
                "markdown": "Ciao Giulia,\n\nper la visita del 3 novembre resta da pagare il ticket. "
                "Puoi pagarlo con il codice avviso che trovi qui sopra.\n\n"
                "Se hai un'esenzione, scrivici prima di pagare.",
                "due_date": _in_days(12),
                "payment_data": _notice(3_615, "3011223344556677"),
            },
        ),
        (
            "Giulia Ferretti",
            TAXES,
            {
                "subject": "Tassa rifiuti: il saldo del 2026",
                "markdown": '---\nit:\n  cta_1:\n    text: "Vedi come è calcolata"\n'
                '    action: "iohandledlink://https://tributi.example.org/tari"\n'
                '  cta_2:\n    text: "Chiama lo sportello"\n'
                '    action: "iohandledlink://tel:0300000000"\n'
                'en:\n  cta_1:\n    text: "See how it is calculated"\n'
                '    action: "iohandledlink://https://tributi.example.org/tari"\n'
                "---\n"
                "Ciao Giulia,\n\nè il momento del **saldo della tassa rifiuti** per la casa di "
                "via dei Glicini 4.\n\n## Cosa cambia quest'anno\n\n"
                "La tariffa è la stessa dell'anno scorso. Se nel frattempo la tua famiglia è "
                "cambiata, [dillo allo sportello](https://tributi.example.org/variazioni).",
                "due_date": _in_days(24),
                "payment_data": _notice(14_250, "3029876543210012"),
            },
        ),
        (
            "Giulia Ferretti",
            TAXES,
            {
                "subject": "Iscrizione al nido: la tua domanda è stata accolta",
                "markdown": "Ciao Giulia,\n\nla tua domanda per l'asilo nido *Il Girasole* è stata "
                "**accolta**. Hai tempo fino alla data qui sopra per confermare il posto: dopo, "
                "lo offriamo a chi è in lista d'attesa.",
                "due_date": _in_days(6),
            },
        ),
        *([_practice(relying_party)] if relying_party else []),
        (
            "Giulia Ferretti",
            RESULTS,
            {
                "subject": "Il referto dei tuoi esami è pronto",
                "markdown": "Ciao Giulia,\n\nil referto degli esami del sangue è pronto. Lo "
                "custodisce il laboratorio: lo vedi quando apri il messaggio.",
                "third_party_data": {
                    "id": "referto-1",
                    "has_remote_content": True,
                    "has_attachments": True,
                    "has_precondition": "ALWAYS",
                },
            },
        ),
        (
            "Ana Kovač",
            CARD,
            {
                "subject": "La tua Carta giovani è attiva",
                "markdown": "Ciao Ana,\n\nla tua Carta giovani è attiva: da oggi entri nei musei "
                "del Comune con lo sconto, e in biblioteca prendi fino a dieci libri alla volta.",
            },
        ),
        (
            "Ana Kovač",
            TAXES,
            {
                "subject": "Appuntamento confermato allo sportello",
                "markdown": "Ciao Ana,\n\nti aspettiamo allo sportello stranieri, al primo piano. "
                "Porta con te il permesso di soggiorno e una fototessera.",
                "due_date": _in_days(3),
            },
        ),
        (
            "Marco Dalmasso",
            TAXES,
            {
                "subject": "Il tuo certificato di residenza",
                "markdown": "Ciao Marco,\n\nil certificato di residenza che hai chiesto è pronto. "
                "Puoi ritirarlo allo sportello quando vuoi, senza appuntamento.",
            },
        ),
    ]


def _practice(relying_party: str) -> tuple[str, str, dict[str, Any]]:
    """The one with a button that signs Giulia on."""
    return (
        "Giulia Ferretti",
        TAXES,
        {
            "subject": "Il tuo cambio di residenza è stato registrato",
            "markdown": sportello(relying_party)
            + "Ciao Giulia,\n\nabbiamo registrato il tuo **cambio di residenza** in via dei Glicini "
            "4.\n\nNello Sportello online trovi la tua pratica e i certificati. Entri con il "
            "pulsante, senza un altro accesso: prima ti chiediamo che cosa possiamo sapere di te.",
        },
    )


def _in_days(days: int) -> str:
    due = (clock.now() + timedelta(days=days)).replace(hour=22, minute=59, second=0, microsecond=0)
    return clock.to_wire(due)


def _notice(amount: int, stem: str) -> dict[str, Any]:
    return {"amount": amount, "notice_number": stem + check_digits(stem)}
