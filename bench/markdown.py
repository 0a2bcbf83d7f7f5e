"""Showing a body of 10,000 characters: every bomb we know of, against an ordinary letter."""

import time

from tests.messages.hostile_markdown import BOMBS, MOST, filled

from bench.ground import Ground, Line, console, median
from messo.messages import buttons, markdown

ROUNDS = 15
BAR = 10
ORDINARY = filled(
    """## La tua richiesta di agevolazione

Gentile cittadina, la tua richiesta di agevolazione per la **mensa scolastica** è stata esaminata
e accolta. Da settembre la tariffa che paghi per ogni pasto è quella della seconda fascia, che
trovi nella tabella pubblicata sul sito del comune insieme al regolamento del servizio.

Per confermare l'iscrizione devi portare questi documenti allo *sportello scuola* entro il mese:

* un documento di identità in corso di validità
* la ricevuta della domanda, numero `AB-1234`
* la delega, se viene un'altra persona al tuo posto

Lo sportello è aperto dal lunedì al venerdì, dalle 9 alle 13, in via Roma 1. Se non puoi venire
in questi orari, prenota un appuntamento sul [sito del comune](https://comune.example.it/scuola),
oppure rispondi alla convocazione che ti abbiamo mandato per posta la settimana scorsa.

""",
    MOST,
)


def run(made: Ground) -> None:
    bodies = [("an ordinary letter", ORDINARY), *BOMBS]
    taken: dict[str, list[float]] = {name: [] for name, _ in bodies}
    for _, text in bodies:
        _show(text)  # warm
    for _ in range(ROUNDS):
        for name, text in bodies:
            # Beside each bomb a letter of the same moment: the machine is not alike for a second.
            taken["an ordinary letter"].append(_show(ORDINARY))
            taken[name].append(_show(text))
    ordinary = median(taken.pop("an ordinary letter"))
    made.lines.append(
        Line("markdown, an ordinary letter of 10,000 characters", f"{ordinary:.1f} ms")
    )
    by_time = sorted(((median(times), name) for name, times in taken.items()), reverse=True)
    for spent, name in by_time:
        console.print(f"  {name}: {spent:.1f} ms, {spent / ordinary:.2f} of the letter")
    worst, name = by_time[0]
    made.lines.append(
        Line(
            f"markdown, the worst of {len(BOMBS)} bombs ({name})",
            f"{worst:.1f} ms",
            f"{ordinary:.1f} ms for the letter",
            f"{worst / ordinary:.2f}",
            f"≤ {BAR} times the ordinary",
        )
    )
    if worst > BAR * ordinary:
        console.print(f"[red]{name} takes more than {BAR} times as long[/red]")


def _show(text: str) -> float:
    """Milliseconds to make all that a page shows of a body."""
    start = time.perf_counter()
    markdown.render(text)
    buttons.of_message(text, "it")
    return (time.perf_counter() - start) * 1000
