"""Italian and English: catalogues, the language of a visit, and how moments and money are written.

The texts in the templates are the English ones; `locale/it.po` of each room with pages has the
Italian. Times are Rome's.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from starlette.requests import Request
from starlette.responses import Response

from messo.base import clock
from messo.recipients import SPOKEN, language_of_browser

Language = Literal["it", "en"]
LANGUAGES: tuple[Language, ...] = SPOKEN
ROME = ZoneInfo("Europe/Rome")
_FIRST, _LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
LANGUAGE_COOKIE = "messo-language"
_YEAR = 365 * 24 * 3600
_LOCALE = {"it": "it_IT", "en": "en_GB"}


@cache
def catalogue(language: Language, room: str) -> NullTranslations:
    """A room's translations into a language. English is what the templates say."""
    if language == "en":
        return NullTranslations()
    compiled = BytesIO()
    with files(room).joinpath(f"locale/{language}.po").open("rb") as text:
        write_mo(compiled, read_po(text))
    compiled.seek(0)
    return GNUTranslations(compiled)


def locale_of(language: Language) -> str:
    """As profiles write it."""
    return _LOCALE[language]


def asked_language(request: Request) -> Language:
    """What was chosen in this browser before, or what it asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    for language in LANGUAGES:
        if chosen == language:
            return language
    return language_of_browser(request.headers.get("accept-language", ""))


def keep_language(response: Response, chosen: Language, *, secure: bool) -> None:
    """Have this browser ask for the same language from now on. `secure`: never without TLS."""
    response.set_cookie(
        LANGUAGE_COOKIE,
        chosen,
        max_age=_YEAR,
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def in_rome(moment: datetime) -> datetime:
    """The moment by Rome's clocks. Due dates may lie at the end of what a calendar can say."""
    return min(max(moment, _FIRST), _LAST).astimezone(ROME)


class Texts:
    """Everything a template of a room, as `messo.inbox`, needs to speak one language."""

    def __init__(self, language: Language, room: str) -> None:
        self.language = language
        self.locale = _LOCALE[language]
        self.catalogue = catalogue(language, room)

    def text(self, message: str, **values: Any) -> str:  # noqa: ANN401
        """The text in this language, with `%(name)s` filled in."""
        found = self.catalogue.gettext(message)
        return found % values if values else found

    def count(self, singular: str, plural: str, n: int, **values: Any) -> str:  # noqa: ANN401
        """The text for a number of things, which it may name as `%(n)s`."""
        return self.catalogue.ngettext(singular, plural, n) % {"n": n, **values}

    def day(self, moment: datetime) -> str:
        """`23 novembre 2026`."""
        return format_date(in_rome(moment), "d MMMM y", self.locale)

    def date(self, day: date) -> str:
        """`23 novembre 2026`, of a day by Rome's calendar."""
        return format_date(day, "d MMMM y", self.locale)

    def moment(self, moment: datetime) -> str:
        """`23 novembre 2026, 09:30`, with the year in four digits."""
        return format_datetime(in_rome(moment), "d MMMM y, HH:mm", ROME, self.locale)

    def hour(self, moment: datetime) -> str:
        """`09:30`."""
        return format_time(in_rome(moment), "HH:mm", ROME, self.locale)

    def short(self, moment: datetime) -> str:
        """As narrow as it can be: today the hour, this year day and month, else the year too."""
        here, today = in_rome(moment), clock.now().astimezone(ROME)
        if here.date() == today.date():
            return self.hour(moment)
        pattern = "d MMM" if here.year == today.year else "d MMM y"
        return format_date(here, pattern, self.locale)

    def euro(self, cents: int) -> str:
        """`1.234,50 €`."""
        return format_currency(cents / 100, "EUR", locale=self.locale)

    def context(self) -> dict[str, Any]:
        """What templates may call."""
        names: dict[str, Callable[..., str]] = {
            "_": self.text,
            "ngettext": self.count,
            "day": self.day,
            "moment": self.moment,
            "short": self.short,
            "euro": self.euro,
            "date": self.date,
            "hour": self.hour,
        }
        return {"language": self.language, **names}
