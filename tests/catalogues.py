"""What the pages of a room say, and what its Italian catalogue has for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

Text = str | tuple[str, ...]
_NAMED = re.compile(r"%\(\w+\)s")
_TEMPLATES = {"_": None, "ngettext": (1, 2)}


@dataclass(frozen=True)
class Room:
    """A room with pages. `functions`: what its modules call with texts.

    `same`: names, and words that are the same in both languages.
    """

    name: str
    functions: tuple[Mapping[str, tuple[int, ...] | None], ...]
    same: frozenset[str]

    @property
    def path(self) -> Path:
        return Path(str(files(self.name)))

    @property
    def templates(self) -> list[Path]:
        return sorted((self.path / "templates").glob("*.html"))

    def used(self) -> set[Text]:
        """Texts as templates and modules ask for them."""
        found = [
            *extract_from_dir(
                self.path / "templates", [("**.html", "jinja2")], keywords=_TEMPLATES
            ),
            *(
                one
                for keywords in self.functions
                for one in extract_from_dir(self.path, [("**.py", "python")], keywords=keywords)
            ),
        ]
        return {
            message if isinstance(message, str) else tuple(message or ())
            for _, _, message, _, _ in found
        }

    def italian(self) -> Catalog:
        with (self.path / "locale" / "it.po").open("rb") as file:
            return read_po(file, abort_invalid=True)

    def known(self) -> dict[Text, tuple[str, ...]]:
        """The Italian texts by the English ones."""
        return {
            message.id if isinstance(message.id, str) else tuple(message.id): (
                (message.string,)
                if isinstance(message.string, str)
                else tuple(message.string or ())
            )
            for message in self.italian()
            if message.id
        }

    def check_catalogue(self, least: int) -> None:
        """Every text has an Italian one that names the same values, and none is left over."""
        asked, there = self.used(), self.known()
        assert len(asked) > least
        assert asked - there.keys() == set()
        assert there.keys() - asked == set()
        for original, translated in there.items():
            assert all(text.strip() for text in translated), original
            names = set(_NAMED.findall(original if isinstance(original, str) else original[-1]))
            assert set(_NAMED.findall(translated[-1])) == names, original

    def check_translations(self) -> None:
        """None is old, or only guessed."""
        catalogue = self.italian()
        assert not catalogue.obsolete
        assert [message.id for message in catalogue if message.id and message.fuzzy] == []

    def check_template(self, path: Path) -> None:
        """No text of a template stands outside the catalogue."""
        styled = re.sub(r"\{% block main_class %\}.*?\{% endblock %\}", "", path.read_text())
        source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", styled, flags=re.DOTALL)
        words = _Words()
        words.feed(re.sub(r"<(code|kbd|pre)\b.*?</\1>", "", source, flags=re.DOTALL))
        left = {text.strip() for text in words.found if re.search(r"[^\W\d_]{2}", text)}
        assert {one for one in left if not {one, one.strip(" ·–")} & self.same} == set()


class _Words(HTMLParser):
    """Text that a reader would see, and attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += data.split("\n")

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        spoken = {"aria-label", "alt", "title", "placeholder", "data-label", "data-confirm"}
        self.found += [value or "" for name, value in attrs if name in spoken]
