"""The printed notice: one page, whatever institutions write, with codes that can be read from it."""

import io
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messo.payments import printed
from messo.payments.codes import PostalSlip, postal_text, qr_text
from messo.payments.notices import Notice
from messo.payments.printed import Language, Printed, notice_pdf
from tests.payments.test_codes import read_data_matrix, read_qr

PAGE = Printed(
    notice=Notice("01234567890", "302000000012345635"),
    amount=3_615,
    payee_name="Comune di Collefiorito",
    reason="Ticket della visita del 3 novembre",
    due=date(2026, 12, 6),
    language="it",
    slip=PostalSlip("12345678", "Ana Kovač", "KVCNAA85E50Z118X", "Ticket della visita"),
    debtor_name="Ana Kovač",
    seen_at=datetime(2026, 11, 24, 23, 30, tzinfo=UTC),
    printed_at=datetime(2026, 11, 25, 23, 40, tzinfo=UTC),
)
HOSTILE = [
    "",
    " ",
    "\x00\x1b\x7f",
    "W" * 10_000,
    "una parola " * 900,
    "a\n" * 5_000,
    "\u202egnitirw \u2066\u200f\u200b",
    "\u0430\u0431\u0432 市役所 مرحبا 😀👩‍👩‍👧🇮🇹",
    "e" + "\u0301" * 200,
    "\ud800\udfff\ufffe",
    "**grassetto** __sotto__ --barrato-- {nb} {day} %s",
    "\u00ad".join("sillabe" * 30),
    ") Tj ET \\( endstream",
]


def text_of(content: bytes) -> str:
    command = ["pdftotext", "-", "-"]
    found = subprocess.run(command, input=content, check=True, capture_output=True).stdout
    return " ".join(found.decode().split())


def image_of(content: bytes, folder: Path) -> Path:
    command = ["pdftoppm", "-r", "300", "-gray", "-png", "-singlefile", "-", str(folder / "page")]
    subprocess.run(command, input=content, check=True, capture_output=True)
    return folder / "page.png"


def pages(content: bytes) -> int:
    with pikepdf.open(io.BytesIO(content)) as document:
        return len(document.pages)


def test_it_says_who_what_how_much_and_until_when() -> None:
    text = text_of(notice_pdf(PAGE))
    for part in (
        "Avviso di pagamento",
        "Comune di Collefiorito",
        "Codice fiscale dell'ente 01234567890",
        "Ana Kovač",
        "Ticket della visita del 3 novembre",
        "36,15 €",
        "Entro il",
        "6 dicembre 2026",
        "3020 0000 0012 3456 35",
        "PagoPA: in banca, nei negozi, con le app",
        "18302000000012345635120000123456781000000036153896",
        "dalla tua casella di Messo il 26 novembre 2026 alle 00:40",  # by Rome's clocks
        "L'importo è quello del 25 novembre 2026 alle 00:30",
    ):
        assert part in text


def test_an_amount_that_nobody_has_confirmed_is_said_to_be_the_messages() -> None:
    text = text_of(notice_pdf(replace(PAGE, seen_at=None)))
    assert "L'importo è quello scritto nel messaggio" in text


def test_it_speaks_english() -> None:
    text = text_of(notice_pdf(replace(PAGE, language="en")))
    for part in (
        "Payment notice",
        "€36.15",
        "6 December 2026",
        "PagoPA: at banks, shops, apps",
        "from your Messo inbox on 26 November 2026 at 00:40",
        "The amount is as of 25 November 2026, 00:30",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("language", "label", "said"), [("it", "Scadenza", "Nessuna"), ("en", "Due date", "None")]
)
def test_there_may_be_no_due_date(language: Language, label: str, said: str) -> None:
    text = text_of(notice_pdf(replace(PAGE, due=None, language=language)))
    assert label in text
    assert said in text


def test_without_a_slip_there_is_nothing_for_the_post_office() -> None:
    text = text_of(notice_pdf(replace(PAGE, slip=None)))
    assert "Bollettino" not in text
    assert "3896" not in text


def test_without_a_name_it_is_addressed_to_nobody() -> None:
    assert "Intestato a" not in text_of(notice_pdf(replace(PAGE, debtor_name="")))


def test_both_codes_are_read_from_the_paper(tmp_path: Path) -> None:
    assert PAGE.slip
    image = image_of(notice_pdf(PAGE), tmp_path)
    assert read_qr(image) == qr_text(PAGE.notice, PAGE.amount)
    assert read_data_matrix(image) == postal_text(PAGE.notice, PAGE.amount, PAGE.slip)


def test_the_longest_amount_and_day_are_not_cut() -> None:
    page = replace(PAGE, amount=9_999_999_999, due=date(2026, 9, 30))
    text = text_of(notice_pdf(page))
    assert "99.999.999,99 €" in text
    assert "30 settembre 2026" in text


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("fetched", [True, False])
def test_it_is_one_page_whatever_is_written(
    text: str, fetched: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not fetched:
        monkeypatch.setattr(printed, "_FONTS", tmp_path)
    slip = PostalSlip("1", text, text, text)
    page = replace(PAGE, payee_name=text, reason=text, debtor_name=text, slip=slip)
    content = notice_pdf(page)
    assert pages(content) == 1
    assert "3020 0000 0012 3456 35" in text_of(content)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=15, deadline=None)
def test_it_is_one_page_whatever_comes(payee: str, reason: str, debtor: str) -> None:
    page = replace(PAGE, payee_name=payee, reason=reason, debtor_name=debtor)
    assert pages(notice_pdf(page)) == 1


def test_what_is_too_long_is_cut_visibly() -> None:
    text = text_of(notice_pdf(replace(PAGE, payee_name="Comune di Collefiorito " * 20)))
    assert "Comune di Collefiorito Comune" in text
    assert "..." in text


def test_letters_without_a_shape_are_marked() -> None:
    text = text_of(notice_pdf(replace(PAGE, payee_name="Občina Žiri / 市 \u202e😀")))
    assert "Občina Žiri / ?" in text


def test_without_the_pages_fonts_it_is_plainer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(printed, "_FONTS", tmp_path)
    text = text_of(notice_pdf(replace(PAGE, payee_name="Občina “Žiri” – perché")))
    assert 'Obcina "Ziri" - perché' in text
    assert "36,15 EUR" in text


def test_it_names_its_language_and_its_title() -> None:
    with pikepdf.open(io.BytesIO(notice_pdf(PAGE))) as document:
        assert str(document.Root.Lang) == "it"
        assert str(document.docinfo["/Title"]) == "Avviso di pagamento"


@pytest.mark.parametrize("account", ["", "x", "1" * 13])
def test_a_slip_needs_an_account(account: str) -> None:
    with pytest.raises(ValueError, match="postal account"):
        notice_pdf(replace(PAGE, slip=PostalSlip(account, "", "", "")))
