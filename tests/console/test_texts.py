"""What the console says: everything in Italian and in English, and nothing outside the catalogue."""

from pathlib import Path
from typing import get_args

import pytest

from messo.console import explained, roles_shown
from messo.pages.languages import Texts
from messo.people.roles import Role
from tests.catalogues import Room

_FUNCTIONS = {"gettext": None, "_": None, "text": None, "count": (1, 2)}
# Once more without the others, of which one around it would swallow it.
_MARKED = {"gettext": None}
CONSOLE = Room(
    "messo.console",
    (_FUNCTIONS, _MARKED),
    frozenset(
        [
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
        ]
    ),
)


def test_every_text_has_an_italian_one_and_none_is_left_over() -> None:
    CONSOLE.check_catalogue(least=800)


def test_no_translation_is_old_or_only_guessed() -> None:
    CONSOLE.check_translations()


@pytest.mark.parametrize("path", CONSOLE.templates, ids=lambda path: path.name)
def test_no_text_stands_outside_the_catalogue(path: Path) -> None:
    CONSOLE.check_template(path)


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
