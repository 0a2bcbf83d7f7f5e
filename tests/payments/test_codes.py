"""Both codes say what they should, and common readers read it from them as it is printed."""

import re
import subprocess
import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from messo.payments.codes import (
    DATA_MATRIX_QUIET,
    QR_QUIET,
    Modules,
    PostalSlip,
    code_line,
    dark_runs,
    data_matrix_modules,
    data_matrix_svg,
    postal_text,
    qr_modules,
    qr_svg,
    qr_text,
)
from messo.payments.notices import Notice

NOTICE = Notice("01234567890", "302000000012345635")
SLIP = PostalSlip("12345678", "Ana Kovač", "KVCNAA85E50Z118X", "Perché no? Il ticket: 36,15 €")
AMOUNTS = st.integers(1, 9_999_999_999)
DOTS_25_MM = 295  # at 300 dots an inch
SVG = "{http://www.w3.org/2000/svg}"

digits = st.text("0123456789", min_size=11, max_size=11)
notices = st.builds(Notice, digits, st.from_regex(r"[0-3][0-9]{17}", fullmatch=True))
slips = st.builds(
    PostalSlip, st.from_regex(r"[0-9]{1,12}", fullmatch=True), st.text(), st.text(), st.text()
)


def picture(modules: Modules, quiet: int, path: Path) -> Path:
    """As it is printed, on white paper."""
    side = len(modules) + 2 * quiet
    image = Image.new("L", (side, side), 255)
    for row, column, length in dark_runs(modules):
        image.paste(0, (column + quiet, row + quiet, column + quiet + length, row + quiet + 1))
    dots = DOTS_25_MM * side // len(modules)
    image.resize((dots, dots), Image.Resampling.NEAREST).save(path)
    return path


def read_qr(path: Path) -> str:
    command = ["zbarimg", "--quiet", "--nodbus", "--raw", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout[:-1]


def read_data_matrix(path: Path) -> str:
    command = ["dmtxread", "--stop-after=1", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def drawn(svg: str) -> tuple[Modules, int]:
    """The modules that an SVG shows, and how wide the light ones around are."""
    root = ET.fromstring(svg)  # noqa: S314  our own text
    _, _, width, height = map(int, root.attrib["viewBox"].split())
    ground, dark = root.findall(f"{SVG}path")
    assert ground.attrib == {"fill": "#fff", "d": f"M0 0h{width}v{height}H0z"}
    assert dark.attrib["fill"] == "#000"
    cells = [[False] * width for _ in range(height)]
    for x, y, length, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", dark.attrib["d"]):
        assert length == back
        for column in range(int(x), int(x) + int(length)):
            cells[int(y)][column] = True
    quiet = next(row for row, line in enumerate(cells) if any(line))
    return [line[quiet : width - quiet] for line in cells[quiet : height - quiet]], quiet


def test_the_qr_code_says_number_payee_and_cents() -> None:
    assert qr_text(NOTICE, 3_615) == "PAGOPA|002|302000000012345635|01234567890|3615"


@pytest.mark.parametrize(("amount", "said"), [(1, "01"), (9, "09"), (10, "10"), (100, "100")])
def test_cents_have_two_digits_at_least(amount: int, said: str) -> None:
    assert qr_text(NOTICE, amount).split("|")[-1] == said


@pytest.mark.parametrize("amount", [-1, 0, 10_000_000_000])
def test_an_amount_that_no_notice_has(amount: int) -> None:
    with pytest.raises(ValueError, match="cents"):
        qr_text(NOTICE, amount)
    with pytest.raises(ValueError, match="cents"):
        postal_text(NOTICE, amount, SLIP)


def test_a_text_too_long_for_the_qr_code() -> None:
    with pytest.raises(ValueError, match="too long"):
        qr_modules("x" * 100)


@given(notices, AMOUNTS)
def test_the_qr_code_is_of_version_4(notice: Notice, amount: int) -> None:
    modules = qr_modules(qr_text(notice, amount))
    assert {len(modules), *map(len, modules)} == {33}


@given(notice=notices, amount=AMOUNTS)
@settings(max_examples=5, deadline=None)
def test_a_phone_reads_the_qr_code(
    notice: Notice, amount: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = qr_text(notice, amount)
    path = tmp_path_factory.mktemp("codes") / "qr.png"
    assert read_qr(picture(qr_modules(text), QR_QUIET, path)) == text


def test_the_code_line() -> None:
    line = code_line(NOTICE, 3_615, "12345678")
    assert line == "18302000000012345635" + "12000012345678" + "100000003615" + "3896"
    assert len(line) == 50


@pytest.mark.parametrize("account", ["", "1234567890123", "12 34", "12345678\n", "١٢٣"])
def test_an_account_is_digits(account: str) -> None:
    with pytest.raises(ValueError, match="postal account"):
        code_line(NOTICE, 1, account)


def test_the_postal_text() -> None:
    assert postal_text(NOTICE, 3_615, SLIP) == (
        "codfase=NBPA;"
        "18302000000012345635120000123456781000000036153896"
        "1P1"
        "01234567890"
        "KVCNAA85E50Z118X"
        "ANA KOVAC                               "
        + "Perche no? Il ticket: 36,15  ".ljust(110)
        + "            A"
    )


@given(notices, AMOUNTS, slips)
def test_the_postal_text_has_everything_in_its_place(
    notice: Notice, amount: int, slip: PostalSlip
) -> None:
    text = postal_text(notice, amount, slip)
    assert len(text) == 256
    assert all(" " <= character <= "~" for character in text)
    assert text[15:33] == notice.number
    assert int(text[49:59]) == amount
    assert text[66:77] == notice.payee
    assert text[93:133] == text[93:133].upper()
    assert text[243:] == " " * 12 + "A"


@given(slip=slips)
@settings(max_examples=8, deadline=None)
def test_a_post_office_reads_the_data_matrix(
    slip: PostalSlip, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = postal_text(NOTICE, 3_615, slip)
    path = tmp_path_factory.mktemp("codes") / "matrix.png"
    assert read_data_matrix(picture(data_matrix_modules(text), DATA_MATRIX_QUIET, path)) == text


@pytest.mark.parametrize("character", "~|^@;=a0Z ")
def test_the_data_matrix_holds_any_character(character: str, tmp_path: Path) -> None:
    text = postal_text(NOTICE, 1, PostalSlip("1", character * 40, character * 16, character * 110))
    path = picture(data_matrix_modules(text), DATA_MATRIX_QUIET, tmp_path / "matrix.png")
    assert read_data_matrix(path) == text


@given(slips, AMOUNTS)
@settings(deadline=None)
def test_the_data_matrix_is_a_square_fit_for_25_mm(slip: PostalSlip, amount: int) -> None:
    modules = data_matrix_modules(postal_text(NOTICE, amount, slip))
    assert {len(line) for line in modules} == {len(modules)}
    assert len(modules) <= 64  # 0.39 mm a module
    assert all(line[0] for line in modules), "the left border is dark"
    assert all(modules[-1]), "and so is the lowest"


def test_a_text_too_long_for_the_data_matrix() -> None:
    with pytest.raises(ValueError, match="too long"):
        data_matrix_modules("x" * 4_000)


def test_the_drawings_show_the_codes() -> None:
    qr, postal = qr_text(NOTICE, 3_615), postal_text(NOTICE, 3_615, SLIP)
    assert drawn(qr_svg(qr)) == (qr_modules(qr), QR_QUIET)
    assert drawn(data_matrix_svg(postal)) == (data_matrix_modules(postal), DATA_MATRIX_QUIET)


@pytest.mark.parametrize("svg", [qr_svg("PAGOPA"), data_matrix_svg("codfase")])
def test_a_drawing_is_fit_for_our_pages(svg: str) -> None:
    assert svg.startswith("<svg ")
    root = ET.fromstring(svg)  # noqa: S314  our own text
    attributes = {name for element in root.iter() for name in element.attrib}
    assert attributes == {"class", "viewBox", "shape-rendering", "fill", "d"}


def test_accents_are_dropped_and_not_the_letters_under_them() -> None:
    name = unicodedata.normalize("NFD", "Žofie Nuñez d'Éboli")
    text = postal_text(NOTICE, 1, PostalSlip("1", name, "", ""))
    assert text[93:133].rstrip() == "ZOFIE NUNEZ D'EBOLI"
