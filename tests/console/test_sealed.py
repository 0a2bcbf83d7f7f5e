"""Searches within addresses: readable by whoever made them, for a while, and by nobody else."""

from datetime import timedelta

import msgspec
import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.console import sealed


class Search(msgspec.Struct, frozen=True):
    """What somebody looks for."""

    fiscal_code: str


class Other(msgspec.Struct, frozen=True):
    """Something else."""

    number: int


WANTED = Search("AAAAAA00A00A000A")


def test_a_search_is_read_back_by_its_login_alone(secrets: Secrets) -> None:
    text = sealed.seal(secrets, "irene", WANTED)
    assert WANTED.fiscal_code not in text
    assert text != sealed.seal(secrets, "irene", WANTED)
    assert sealed.unseal(secrets, "irene", text, Search) == WANTED
    assert sealed.unseal(secrets, "mallory", text, Search) is None
    assert sealed.unseal(secrets, "irene", text, Other) is None


def test_a_search_ends_by_itself(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    text = sealed.seal(secrets, "irene", WANTED)
    now = clock.now()
    for hours, found in ((11, WANTED), (13, None)):
        monkeypatch.setattr(clock, "now", lambda hours=hours: now + timedelta(hours=hours))
        assert sealed.unseal(secrets, "irene", text, Search) == found


@pytest.mark.parametrize("text", ["", "x", "1.AAAA", "é", "1." + "A" * 5000], ids=lambda t: t[:8])
def test_what_nobody_sealed_is_no_search(secrets: Secrets, text: str) -> None:
    assert sealed.unseal(secrets, "irene", text, Search) is None


def test_what_was_encrypted_for_something_else_is_no_search(secrets: Secrets) -> None:
    text = secrets.encrypt(msgspec.json.encode(WANTED).decode())
    assert sealed.unseal(secrets, "irene", text, Search) is None
