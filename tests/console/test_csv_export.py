"""Lists as files: RFC 4180, and nothing that a spreadsheet would calculate."""

import csv
import io

import pytest

from messo.console.csv_export import CsvAnswer, cell, write
from messo.messages.characters import without_tricks
from messo.pages.languages import Language

FORMULAS = [
    "=1+1",
    "+39 055 1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=cmd|' /C calc'!A0",
    "  =1",
    "\u00a0=1",
    '"=1',
    "\uff1d1+1",
    "|calc",
    "%0a=1",
    "\u202e=1",
]


@pytest.mark.parametrize("text", FORMULAS, ids=repr)
def test_what_looks_like_a_formula_is_made_text(text: str) -> None:
    assert cell(text) == f"'{without_tricks(text)}"


@pytest.mark.parametrize("text", ["Tari 2026", "a=b", "3 - 2", "01HX", "", "«=»", "אב"], ids=repr)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


def test_what_looks_like_another_text_is_taken_out() -> None:
    assert cell("invoice\u202efdp.exe\u200b") == "invoicefdp.exe"


def test_nothing_is_an_empty_cell_and_a_number_a_number() -> None:
    assert [cell(None), cell(0), cell(12)] == ["", "0", "12"]


def test_a_file_is_read_back_cell_by_cell_in_both_languages() -> None:
    rows = [['a "quoted"; word, and\na line', "x"], ["=2+3", "è"]]
    signs: dict[Language, str] = {"it": ";", "en": ","}
    for language, sign in signs.items():
        content = write(["Uno", "=Due"], rows, language)
        assert content.startswith(b"\xef\xbb\xbf")
        read = list(
            csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=sign)
        )
        assert read == [["Uno", "'=Due"], rows[0], ["'=2+3", "è"]]


def test_a_file_is_kept_by_nobody_on_the_way() -> None:
    answer = CsvAnswer("services", ["A"], [["1"]], "en")
    assert answer.headers["content-disposition"].startswith('attachment; filename="messo-services-')
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
