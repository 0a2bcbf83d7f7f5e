"""The two codes by which a printed notice is paid: the QR code and the postal slip's Data Matrix.

Each is a text first, a square of modules second, and drawn last: as SVG for pages, by `printed` on
paper. Source: pagoPA's rules for printed notices, and for the Data Matrix the postal slips of the
type 896 as they are printed by public bodies.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import segno
import zxingcpp

from messo.payments.notices import Notice

Modules = Sequence[Sequence[bool]]
"""The rows of a square code, from the top; dark modules are true. There is no quiet zone in it."""

QR_QUIET, DATA_MATRIX_QUIET = 4, 2  # light modules around; ISO/IEC 16022 asks for one
_QR_VERSION = 4
_MOST_CENTS = 9_999_999_999
_ACCOUNT = re.compile(r"[0-9]{1,12}\Z", re.ASCII)
_DOCUMENT = "896"


@dataclass(frozen=True)
class PostalSlip:
    """What the post office needs besides the notice. `account`: of the payee, 1 to 12 digits."""

    account: str
    debtor_name: str
    debtor_fiscal_code: str
    subject: str


def qr_text(notice: Notice, amount: int) -> str:
    """What the QR code says. `amount` in cents, at most ten digits; else `ValueError`."""
    return f"PAGOPA|002|{notice.number}|{notice.payee}|{_cents(amount):02d}"


def qr_modules(text: str) -> Modules:
    """33 rows of 33. Raises `ValueError` for a text that does not fit."""
    try:
        code = segno.make_qr(text, error="m", version=_QR_VERSION, boost_error=False)
    except segno.DataOverflowError as error:
        raise ValueError("The text is too long for the QR code of a notice.") from error
    return [[bool(module) for module in row] for row in code.matrix_iter(border=0)]


def qr_svg(text: str) -> str:
    """The QR code for a page, which gives it its size. Raises `ValueError` as `qr_modules`."""
    return _svg(qr_modules(text), QR_QUIET, "code-qr")


def code_line(notice: Notice, amount: int, account: str) -> str:
    """The 50 characters along a slip's lower edge. Raises `ValueError` for amount or account."""
    if not _ACCOUNT.match(account):
        raise ValueError("A postal account is 1 to 12 digits.")
    return f"18{notice.number}12{account:0>12}10{_cents(amount):010d}3{_DOCUMENT}"


def postal_text(notice: Notice, amount: int, slip: PostalSlip) -> str:
    """What the Data Matrix says: always 256 characters of ASCII.

    Names and subject are cut at what the slip has room for. Raises `ValueError` as `code_line`.
    """
    return "".join(
        [
            "codfase=NBPA;",
            code_line(notice, amount, slip.account),
            "1P1",
            notice.payee,
            # Twice: before it, for letters like ß; after it, for what is a small letter's variant.
            _field(slip.debtor_fiscal_code.upper(), 16).upper(),
            _field(slip.debtor_name.upper(), 40).upper(),
            _field(slip.subject, 110),
            " " * 12,
            "A",
        ]
    )


def data_matrix_modules(text: str) -> Modules:
    """The Data Matrix (ECC 200) of a text of ASCII. Raises `ValueError` for one too long."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.DataMatrix)
    image = zxingcpp.write_barcode_to_image(code, scale=1, add_quiet_zones=False)
    height, width = image.shape
    # Grey values, one byte a module; a buffer, although the library's types do not say so.
    grey = bytes(cast("bytes", image))
    return [[not grey[row * width + column] for column in range(width)] for row in range(height)]


def data_matrix_svg(text: str) -> str:
    """The Data Matrix for a page, which gives it its size."""
    return _svg(data_matrix_modules(text), DATA_MATRIX_QUIET, "code-data-matrix")


def dark_runs(modules: Modules) -> list[tuple[int, int, int]]:
    """Row, first column and length of each stretch of dark modules: what is to be drawn."""
    return [
        (row, found.start(), found.end() - found.start())
        for row, line in enumerate(modules)
        for found in re.finditer("1+", "".join("01"[module] for module in line))
    ]


def _cents(amount: int) -> int:
    if not 1 <= amount <= _MOST_CENTS:
        raise ValueError(f"An amount is 1 to {_MOST_CENTS} cents.")
    return amount


def _field(text: str, length: int) -> str:
    plain = "".join(
        character if " " <= character <= "~" else " "
        for character in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(character)
    )
    return f"{plain[:length]:<{length}}"


def _svg(modules: Modules, quiet: int, name: str) -> str:
    # Neither size nor style in it: the first is the page's affair, the second its policy forbids.
    side = len(modules) + 2 * quiet
    path = "".join(
        f"M{column + quiet} {row + quiet}h{length}v1h-{length}z"
        for row, column, length in dark_runs(modules)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" viewBox="0 0 {side} {side}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/>'
        f'<path fill="#000" d="{path}"/></svg>'
    )
