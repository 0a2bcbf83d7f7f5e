"""What the console says: everything in Italian and in English, and nothing outside the catalogue."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from messo.console import explained, roles_shown
from messo.pages.languages import Texts
from messo.people.roles import Role

CONSOLE = Path(str(files("messo.console")))
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))
_NAMED = re.compile(r"%\(\w+\)s")
# Names, keys, and words that are the same in both languages.
SAME = {
    "Messo",
    "IT",
    "EN",
    "·",
    "–",
    "Enter",
    "JSON",
    "CSV",
    "Webhook",
    "Menu",
    "Italiano",
    "English",
}
_FUNCTIONS = {"gettext": None, "_": None, "text": None, "count": (1, 2)}


def used() -> set[str | tuple[str, ...]]:
    """Texts as templates and modules ask for them."""
    templates = extract_from_dir(
        CONSOLE / "templates", [("**.html", "jinja2")], keywords={"_": None, "ngettext": (1, 2)}
    )
    modules = extract_from_dir(CONSOLE, [("**.py", "python")], keywords=_FUNCTIONS)
    # Once more without the others, of which one around it would swallow it.
    marked = extract_from_dir(CONSOLE, [("**.py", "python")], keywords={"gettext": None})
    return {
        message if isinstance(message, str) else tuple(message or ())
        for _, _, message, _, _ in [*templates, *modules, *marked]
    }


def italian() -> Catalog:
    with (CONSOLE / "locale" / "it.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def known() -> dict[str | tuple[str, ...], tuple[str, ...]]:
    return {
        message.id if isinstance(message.id, str) else tuple(message.id): (
            (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        )
        for message in italian()
        if message.id
    }


def test_every_text_has_an_italian_one_and_none_is_left_over() -> None:
    asked, there = used(), known()
    assert len(asked) > 100
    assert asked - there.keys() == set()
    assert there.keys() - asked == set()


def test_no_translation_is_old_or_only_guessed() -> None:
    catalogue = italian()
    assert not catalogue.obsolete
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []


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
        spoken = {"aria-label", "alt", "title", "placeholder", "data-label", "data-confirm"}
        self.found += [value or "" for name, value in attrs if name in spoken]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_stands_outside_the_catalogue(path: Path) -> None:
    styled = re.sub(r"\{% block main_class %\}.*?\{% endblock %\}", "", path.read_text())
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", styled, flags=re.DOTALL)
    words = Words()
    words.feed(re.sub(r"<(code|kbd|pre)\b.*?</\1>", "", source, flags=re.DOTALL))
    left = {text.strip() for text in words.found if re.search(r"[^\W\d_]{2}", text)}
    assert {text for text in left if text not in SAME and text.strip(" ·–") not in SAME} == set()


def test_every_role_and_every_state_is_explained() -> None:
    assert set(get_args(Role)) == set(roles_shown.ROLES)
    for language in ("it", "en"):
        texts = Texts(language, "messo.console")
        for kind, value in (
            ("message", "ACCEPTED"),
            ("rejection", "USER_NOT_FOUND"),
            ("delivery", "EXPIRED"),
            ("service", "rejected"),
            ("webhook", "stopped"),
        ):
            one = explained.explain(texts, kind, value)
            assert one.label != value
            assert one.sentence.endswith(".")
