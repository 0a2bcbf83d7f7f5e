"""What pages say: everything in Italian and in English, and nothing outside the catalogue."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from messo.pages.languages import Texts
from tests.catalogues import Room

INBOX = Room(
    "messo.inbox",
    ({"gettext": None},),
    frozenset(("Messo", "IT", "EN", "PEC:", "PDF", "pagoPA", "SPID", "CIE", "·", "–")),
)


def test_every_text_has_an_italian_one_and_none_is_left_over() -> None:
    INBOX.check_catalogue(least=200)


def test_no_translation_is_old_or_only_guessed() -> None:
    INBOX.check_translations()
    assert str(INBOX.italian().locale) == "it"


@pytest.mark.parametrize("path", INBOX.templates, ids=lambda path: path.name)
def test_no_text_stands_outside_the_catalogue(path: Path) -> None:
    INBOX.check_template(path)


@pytest.mark.parametrize(
    "moment", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
)
def test_moments_at_the_ends_of_time_can_be_shown(moment: datetime) -> None:
    """A due date of the year 9999 in Rome would be one of the year 10000."""
    texts = Texts("it", "messo.inbox")
    for shown in (texts.day, texts.moment, texts.hour, texts.short):
        assert shown(moment)
