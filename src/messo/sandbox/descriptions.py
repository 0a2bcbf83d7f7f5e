"""What the sandbox's services say of themselves: invented, like everything there."""

from dataclasses import replace

from messo.services.services import NewService


def described(service: NewService) -> NewService:
    """The service with its description, contacts and topic, if there are any."""
    if service.name not in _TOLD:
        return service
    description, metadata = _TOLD[service.name]
    return replace(
        service, description=description, metadata=metadata, topic_id=_TOPICS[service.name]
    )


def sportello(address: str) -> str:
    """A button to the relying party, as front matter: in messages and on the page of a service."""
    return (
        '---\nit:\n  cta_1:\n    text: "Vai allo Sportello online"\n'
        f'    action: "iosso://{address}"\n'
        'en:\n  cta_1:\n    text: "Go to the online counter"\n'
        f'    action: "iosso://{address}"\n'
        "---\n"
    )


_TOWN = "https://pontelungo.example.org"
_HEALTH = "https://valserena.example.org"
_WATER = "https://acquechiare.example.org"

_TOPICS = {  # as in services/topics.py
    "Anagrafe e tributi": 11,
    "Carta giovani": 5,
    "Iscrizioni scolastiche": 6,
    "Referti": 17,
    "Ticket sanitari": 17,
    "Bollette": 4,
}
_TOLD: dict[str, tuple[str, dict[str, str]]] = {
    "Anagrafe e tributi": (
        (
            "Ti scriviamo quando serve davvero: la carta d'identità sta per scadere, un certificato è "
            "pronto, c'è un tributo da pagare.\n\nSe qualcosa non ti torna, scrivici o passa allo "
            "sportello: ti aiutiamo volentieri."
        ),
        {
            "scope": "LOCAL",
            "web_url": f"{_TOWN}/anagrafe",
            "support_url": f"{_TOWN}/aiuto",
            "privacy_url": f"{_TOWN}/privacy",
            "tos_url": f"{_TOWN}/condizioni",
            "email": "anagrafe@pontelungo.example.org",
            "pec": "protocollo@pec.pontelungo.example.org",
            "phone": "+39 0000 100 200",
            "address": "Piazza del Ponte 1, Pontelungo",
        },
    ),
    "Carta giovani": (
        (
            "Hai tra i 18 e i 35 anni? Con la Carta giovani entri a teatro, in piscina e in biblioteca "
            "con lo sconto. Ti avvisiamo quando ci sono nuove occasioni vicino a te."
        ),
        {
            "scope": "NATIONAL",
            "web_url": f"{_TOWN}/carta-giovani",
            "privacy_url": f"{_TOWN}/privacy",
            "email": "giovani@pontelungo.example.org",
            "phone": "+39 0000 100 230",
        },
    ),
    "Iscrizioni scolastiche": (
        (
            "Asilo, scuola, mensa e scuolabus: ti ricordiamo le date e ti diciamo com'è andata la "
            "domanda."
        ),
        {
            "scope": "LOCAL",
            "web_url": f"{_TOWN}/scuola",
            "privacy_url": f"{_TOWN}/privacy",
            "email": "scuola@pontelungo.example.org",
        },
    ),
    "Referti": (
        (
            "Quando un referto è pronto lo trovi qui, senza metterti in fila. Lo vedi solo tu.\n\n"
            "Per capirlo meglio, parlane con il tuo medico."
        ),
        {
            "scope": "LOCAL",
            "web_url": f"{_HEALTH}/referti",
            "support_url": f"{_HEALTH}/domande",
            "privacy_url": f"{_HEALTH}/privacy",
            "email": "referti@valserena.example.org",
            "pec": "laboratorio@pec.valserena.example.org",
            "phone": "+39 0000 300 400",
            "address": "Via dei Tigli 12, Val Serena",
        },
    ),
    "Ticket sanitari": (
        (
            "Qui ricevi i ticket da pagare, ciascuno con il suo avviso: bastano pochi istanti, anche "
            "dal telefono."
        ),
        {
            "scope": "LOCAL",
            "privacy_url": f"{_HEALTH}/privacy",
            "email": "cassa@valserena.example.org",
            "phone": "+39 0000 300 410",
        },
    ),
    "Bollette": (
        (
            "La bolletta dell'acqua, con quanto hai consumato e come pagarla. E se chiudiamo l'acqua "
            "nella tua via, te lo diciamo prima."
        ),
        {
            "scope": "LOCAL",
            "web_url": f"{_WATER}/bollette",
            "support_url": f"{_WATER}/contatti",
            "privacy_url": f"{_WATER}/privacy",
            "email": "clienti@acquechiare.example.org",
            "phone": "+39 0000 500 600",
            "address": "Viale delle Fonti 7, Pontelungo",
        },
    ),
}
