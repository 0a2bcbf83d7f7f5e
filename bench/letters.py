"""Letters as administrations write them: about 1 kB of Italian, no two of the same words."""

import random

TOPICS = (
    ("Tassa rifiuti", "tari bolletta tariffa utenza rifiuti raccolta isola ecologica"),
    ("Mensa scolastica", "mensa pasti retta alunni classe dieta allergia iscrizione"),
    ("Carta d'identità", "carta identità rilascio foto impronte anagrafe appuntamento"),
    ("Asilo nido", "nido graduatoria posto bambina famiglia conferma ambientamento"),
    ("Visita specialistica", "visita ambulatorio cardiologia ticket esenzione referto medico"),
    ("Biblioteca civica", "biblioteca prestito libro restituzione tessera lettura sala"),
    ("Permesso di sosta", "sosta residenti parcheggio targa zona automobile contrassegno"),
    ("Bonus affitto", "affitto canone contributo domanda isee rimborso contratto"),
    ("Bollo auto", "bollo automobile scadenza veicolo tassa regione versamento"),
    ("Certificato di residenza", "certificato residenza indirizzo cambio stato copia bollo"),
    ("Corso di nuoto", "nuoto piscina corso vasca istruttore tessera orario"),
    ("Multa stradale", "multa verbale violazione velocità vigili ricorso prefetto"),
)
PLACES = (
    *("via Garibaldi", "piazza del Popolo", "corso Matteotti", "viale dei Tigli"),
    *("largo Cavour", "via delle Magnolie", "vicolo Stretto", "lungofiume Dante"),
)
PEOPLE = ("Giulia", "Luca", "Ana", "Marco", "Chiara", "Davide", "Fatima", "Elena", "Pietro")
SENTENCES = (
    "Ciao {person}, ti scriviamo per {first} e {second}: la tua pratica numero {number} è aperta.",
    "Porta allo sportello di {place} un documento valido e la ricevuta di {second}.",
    "Gli uffici sono aperti dal lunedì al venerdì, dalle {hour} alle 13, senza prenotazione.",
    "Se qualcosa non ti torna su {first}, rispondi entro trenta giorni o chiama il numero verde.",
    "Abbiamo controllato i dati di {third} e sono **corretti**: non devi fare altro.",
    "La quota per {second} è cambiata dal primo gennaio, come deciso dal consiglio comunale.",
    "Trovi tutte le regole su {third} nel [sito del comune](https://comune.example.it/{number}).",
    "Chi ha più di sessantacinque anni può chiedere {first} anche a domicilio.",
    "Ti ricordiamo che {third} si può rinnovare una volta sola, con il modulo in allegato.",
    "Per {person} e per la sua famiglia resta valida la riduzione legata a {first}.",
    "Il responsabile del procedimento riceve in {place} il martedì pomeriggio.",
    "Dopo il pagamento, {second} arriva per posta in una decina di giorni.",
    "Se hai già provveduto a {third}, non tenere conto di questa lettera.",
    "Nel {year} le domande accolte sono state {number}, più di ogni anno precedente.",
)
# What 40 people look for: one word, several, a beginning, a phrase, a sender, and what is nowhere.
SEARCHES = (
    *("mensa", "rifiuti", "carta identità", "nido", "visita", "biblioteca", "parcheggio"),
    *("affitto", "bollo", "certificato", "piscina", "multa", "cardiologia", "graduatoria"),
    *("rimborso canone", "tessera", "ricorso prefetto", "via Garibaldi", "Giulia", "sportello"),
    *("pagam", "resid", "contrass", "ambul", "documento valido ricevuta", "numero verde"),
    *('"un documento valido"', '"consiglio comunale"', "multa -verbale", "nuoto or piscina"),
    *("Comune 0", "Servizio 0", "quota gennaio", "esenzione ticket", "famiglia Luca"),
    *("zanzibar", "xyloph", "unicorno viola", "the school", "isee 2025"),
)


def letter(chance: random.Random) -> tuple[str, str]:
    """A subject, and a body of 0.8 to 1.3 kB."""
    topic, words = chance.choice(TOPICS)
    number = chance.randrange(1000, 10_000)
    body = [f"## {topic}"]
    while sum(map(len, body)) < 1000:
        first, second, third = chance.sample(words.split(), 3)
        body.append(
            chance.choice(SENTENCES).format(
                first=first,
                second=second,
                third=third,
                person=chance.choice(PEOPLE),
                place=chance.choice(PLACES),
                number=chance.randrange(1000, 10_000),
                hour=chance.randrange(8, 10),
                year=chance.randrange(2019, 2026),
            )
        )
    return f"{topic}: la tua pratica numero {number}", "\n\n".join(body)
