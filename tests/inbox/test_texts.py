"""What pages say: everything in Italian and in English, and nothing outside the catalogue."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from messo.pages.languages import Texts

INBOX = Path(str(files("messo.inbox")))
TEMPLATES = sorted((INBOX / "templates").glob("*.html"))
_NAMED = re.compile(r"%\(\w+\)s")
# Names, and words that are the same in both languages.
SAME = {"Messo", "IT", "EN", "PEC:", "PDF", "pagoPA", "SPID", "CIE", "·", "–"}

Known = dict[str | tuple[str, ...], tuple[str, ...]]


def used() -> set[str | tuple[str, ...]]:
    """Texts as templates and modules ask for them."""
    found: set[str | tuple[str, ...]] = set()
    templates = extract_from_dir(
        INBOX / "templates", [("**.html", "jinja2")], keywords={"_": None, "ngettext": (1, 2)}
    )
    modules = extract_from_dir(INBOX, [("**.py", "python")], keywords={"gettext": None})
    for _, _, message, _, _ in [*templates, *modules]:
        found.add(message if isinstance(message, str) else tuple(message or ()))
    return found


def italian() -> Catalog:
    with (INBOX / "locale" / "it.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def known() -> Known:
    return {
        message.id if isinstance(message.id, str) else tuple(message.id): (
            (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        )
        for message in italian()
        if message.id
    }


def test_every_text_has_an_italian_one_and_none_is_left_over() -> None:
    asked, there = used(), known()
    assert len(asked) > 200
    assert asked - there.keys() == set()
    assert there.keys() - asked == set()


def test_no_translation_is_old_or_only_guessed() -> None:
    catalogue = italian()
    assert not catalogue.obsolete
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []
    assert str(catalogue.locale) == "it"


def test_translations_name_the_same_values() -> None:
    for original, translated in known().items():
        assert all(text.strip() for text in translated), original
        names = set(_NAMED.findall(original if isinstance(original, str) else original[-1]))
        assert set(_NAMED.findall(translated[-1])) == names, original


class Words(HTMLParser):
    """Text that a reader would see, and attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += data.split("\n")

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        spoken = {"aria-label", "alt", "title", "placeholder"}
        self.found += [value or "" for name, value in attrs if name in spoken]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_stands_outside_the_catalogue(path: Path) -> None:
    styled = re.sub(r"\{% block main_class %\}.*?\{% endblock %\}", "", path.read_text())
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", styled, flags=re.DOTALL)
    words = Words()
    words.feed(source)
    left = {text.strip() for text in words.found if re.search(r"[^\W\d_]{2}", text)}
    assert {text for text in left if text not in SAME and text.strip(" ·–") not in SAME} == set()


@pytest.mark.parametrize(
    "moment", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
)
def test_moments_at_the_ends_of_time_can_be_shown(moment: datetime) -> None:
    """A due date of the year 9999 in Rome would be one of the year 10000."""
    texts = Texts("it", "messo.inbox")
    for shown in (texts.day, texts.moment, texts.hour, texts.short):
        assert shown(moment)
