"""Both languages say everything."""

from typing import get_args

from messo.console.texts import TEXTS
from messo.people.roles import Role


def test_both_languages_have_every_text() -> None:
    italian, english = TEXTS["it"], TEXTS["en"]
    assert italian.keys() == english.keys()
    for name, text in english.items():
        assert italian[name].count("%s") == text.count("%s"), name
        assert (text[-1] in ".:") == (italian[name][-1] in ".:"), name
    same = {name for name in english if english[name] == italian[name]}
    assert same == {"console", "privacy"}
    assert {f"role_{role}" for role in get_args(Role)} <= english.keys()
