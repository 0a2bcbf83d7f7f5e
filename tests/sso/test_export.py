"""The list as a file: read back by a parser that is not ours, and harmless in a spreadsheet."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messo.base.ids import new_id
from messo.inbox.sso_history import words
from messo.pages.languages import Language, Texts
from messo.sso.export import access_object, csv_head, csv_rows, json_members
from messo.sso.history import OUTCOMES, Access

ACCESS = Access(
    id=new_id(),
    client_id="01J00000000000000000000000",
    service_id="01J00000000000000000000000",
    service_name="Anagrafe",
    institution_name="Comune di Anna",
    redirect_uri="https://rp.example.it/callback?a=1,2",
    names={"it": "Portale", "en": "Portal"},
    outcome="redeemed",
    claims=("fiscal_code", "email"),
    message_id="01J00000000000000000000001",
    requested_at=datetime(2026, 7, 1, 10, 0, 0, 123456, tzinfo=UTC),
    settled_at=None,
)
HOSTILE = [
    'Ufficio "Tributi", Comune',
    "due\r\nrighe",
    "una; e, un'altra",
    "città è perché 🏛",
    " con spazi ",
    "",
]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t1", "\r1", "\n1", '=HYPERLINK("https://x")']


def parsed(language: Language, *accesses: Access) -> list[list[str]]:
    said = words(Texts(language, "messo.inbox"))
    written = (csv_head(said) + csv_rows(accesses, said)).decode()
    assert written.endswith("\r\n")
    return list(csv.reader(io.StringIO(written, newline=""), strict=True))


def test_a_row_in_italian() -> None:
    head, row = parsed("it", ACCESS)
    assert head == [
        *("Quando", "Ente", "Servizio", "Sito", "Indirizzo", "Com'è andata"),
        *("Cosa ha ricevuto", "Messaggio di partenza"),
    ]
    assert row == [
        "2026-07-01T12:00:00+02:00",
        "Comune di Anna",
        "Anagrafe",
        "Portale",
        "https://rp.example.it/callback?a=1,2",
        "Accesso riuscito",
        "codice fiscale, indirizzo e-mail",
        "01J00000000000000000000001",
    ]


def test_a_row_in_english() -> None:
    winter = replace(
        ACCESS, requested_at=datetime(2026, 1, 1, tzinfo=UTC), message_id=None, outcome="refused"
    )
    head, row = parsed("en", winter)
    assert head[0] == "When"
    assert row == [
        "2026-01-01T01:00:00+01:00",
        *("Comune di Anna", "Anagrafe", "Portal", ACCESS.redirect_uri, "You said no", "", ""),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    access = replace(
        ACCESS, service_name=name, institution_name=name, names={"it": name or "x", "en": ""}
    )
    _, row = parsed("it", access)
    assert row[1:4] == [name, name, name or "x"]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_only_text(name: str) -> None:
    access = replace(ACCESS, service_name=name, names={"it": name}, redirect_uri=name)
    _, row = parsed("it", access)
    assert row[2:5] == [f"'{name}"] * 3


def test_a_formula_behind_a_separator_stays_in_its_cell() -> None:
    """A spreadsheet that speaks Italian takes semicolons for the ends of cells."""
    said = words(Texts("it", "messo.inbox"))
    for name in ("a;=1+1;b", "a\t=1", "a\r\n=1", "\t=1", ";=1", "a;\n@1"):
        written = csv_rows([replace(ACCESS, service_name=name)], said).decode()
        for row in csv.reader(io.StringIO(written, newline=""), delimiter=";"):
            for cell in row:
                assert not re.match(r"\s*[=+@-]", cell), name


@pytest.mark.parametrize("language", ["it", "en"])
def test_every_outcome_and_datum_has_words(language: Language) -> None:
    said = words(Texts(language, "messo.inbox"))
    many = [replace(ACCESS, outcome=outcome) for outcome in OUTCOMES]
    told = [row[5] for row in parsed(language, *many)[1:]]
    assert all(told)
    assert not set(told) & set(OUTCOMES)
    claims = ("fiscal_code", "given_name", "family_name", "email")
    assert not set(said.data(claims)) & set(claims)


def test_data_of_a_kind_without_words_are_not_hidden() -> None:
    _, row = parsed("it", replace(ACCESS, claims=("birthdate",)))
    assert row[6] == "birthdate"


def test_json_says_the_same_by_machine_names() -> None:
    assert json.loads(b"[" + json_members([ACCESS], first=True) + b"]") == [
        {
            "id": ACCESS.id,
            "requested_at": "2026-07-01T10:00:00.123Z",
            "settled_at": None,
            "institution": "Comune di Anna",
            "service": "Anagrafe",
            "service_id": ACCESS.service_id,
            "client_id": ACCESS.client_id,
            "place": {"it": "Portale", "en": "Portal"},
            "redirect_uri": ACCESS.redirect_uri,
            "outcome": "redeemed",
            "claims": ["fiscal_code", "email"],
            "message_id": ACCESS.message_id,
        }
    ]


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (2, 0), (2, 3), (1, 1, 1)])
def test_json_that_comes_in_pages_is_one_list(sizes: tuple[int, ...]) -> None:
    written, first = b"[", True
    for size in sizes:
        written += json_members([ACCESS] * size, first=first)
        first = first and not size
    assert len(json.loads(written + b"\n]\n")) == sum(sizes)


def test_what_was_not_handed_over_is_not_in_it() -> None:
    for outcome in ("requested", "granted", "refused"):
        refused = replace(ACCESS, outcome=outcome)
        assert access_object(refused)["claims"] == ()
        assert parsed("it", refused)[1][6] == ""
