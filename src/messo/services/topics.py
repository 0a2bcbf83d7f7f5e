"""What services are about: the topics of the wire contract, by its numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A topic; `name` is the wire's, in Italian."""

    id: int
    name: str
    english: str


TOPICS = (
    Topic(0, "Altro", "Other"),
    Topic(1, "Ambiente e animali", "Environment and animals"),
    Topic(2, "Attività produttive e commercio", "Business and trade"),
    Topic(3, "Benessere sociale", "Social welfare"),
    Topic(4, "Casa e utenze", "Home and utilities"),
    Topic(5, "Cultura, tempo libero e sport", "Culture, leisure and sport"),
    Topic(6, "Educazione e formazione", "Education and training"),
    Topic(7, "Giustizia e legge", "Justice and law"),
    Topic(8, "Lavori edilizi, catasto e urbanistica", "Building, land register and planning"),
    Topic(9, "Mobilità e trasporti", "Mobility and transport"),
    Topic(10, "Redditi, patrimoni e fisco", "Income, assets and taxes"),
    Topic(11, "Servizi anagrafici e civici", "Registry and civic services"),
    Topic(12, "Servizi elettorali", "Elections"),
    Topic(13, "Sicurezza e Protezione Civile", "Safety and civil protection"),
    Topic(14, "Suolo, spazi e beni pubblici", "Land, spaces and public property"),
    Topic(15, "Viaggi e turismo", "Travel and tourism"),
    Topic(16, "Vita lavorativa", "Working life"),
    Topic(17, "Salute", "Health"),
)

OTHER = TOPICS[0]  # of a service that never named one
BY_ID = {topic.id: topic for topic in TOPICS}
