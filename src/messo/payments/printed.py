"""A notice on one A4 page, to be printed at home and paid at a counter.

What institutions wrote is cut to the room there is for it, so that it is one page whatever they
wrote; characters that the fonts lack are written otherwise or left out.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, PathPaintRule, XPos, YPos
from fpdf.fonts import TTFFont

from messo.messages.characters import on_one_line
from messo.payments import codes
from messo.payments.codes import Modules, PostalSlip
from messo.payments.notices import Notice

Language = Literal["it", "en"]

_ROME = ZoneInfo("Europe/Rome")
_LOCALE = {"it": "it_IT", "en": "en_GB"}
# The pages' own fonts: they have the letters of all languages written in Latin script.
_FONTS = Path(str(files("messo"))) / "pages/static/vendor/fonts"
_FACES = {
    ("text", ""): "titillium-web-400.woff2",
    ("text", "B"): "titillium-web-600.woff2",
    ("digits", ""): "roboto-mono-400.woff2",
}
# Where bin/assets has not fetched them; these have no more than Latin-1.
_CORE = {"text": "helvetica", "digits": "courier"}
_LATIN_1 = frozenset([*range(0x20, 0x7F), *range(0xA1, 0x100)])
_INSTEAD = {
    "€": "EUR",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
}
_MOST = 400  # characters: more than any place on the page has room for

# mm and points
_LEFT, _WIDTH, _FOOT = 20.0, 170.0, 274.0
_CODE, _CARD, _INSIDE = 25.0, 35.0, 5.0
_POINT = 25.4 / 72
_INK, _QUIET, _ACT = (23, 50, 77), (67, 90, 112), (0, 82, 163)
_TINT, _LINE = (236, 243, 250), (205, 216, 227)

_TEXTS: dict[Language, dict[str, str]] = {
    "it": {
        "kind": "Avviso di pagamento",
        "payee": "Codice fiscale dell'ente",
        "debtor": "Intestato a",
        "reason": "Per cosa paghi",
        "amount": "Quanto paghi",
        "due": "Entro il",
        "no due": "Scadenza",
        "none": "Nessuna",
        "how": "Come paghi",
        "choose": "Scegli tu dove. Fai leggere il codice, oppure detta i numeri che trovi accanto.",
        "qr": "PagoPA: in banca, nei negozi, con le app",
        "number": "Codice avviso",
        "slip": "Bollettino: negli uffici postali",
        "account": "Conto corrente postale",
        "printed": "Hai stampato questa pagina dalla tua casella di Messo il {day} alle {hour}.",
        "seen": "L'importo è quello del {day} alle {hour}: se paghi più avanti può cambiare.",
        "not_seen": "L'importo è quello scritto nel messaggio: può essere cambiato.",
    },
    "en": {
        "kind": "Payment notice",
        "payee": "Fiscal code of the institution",
        "debtor": "Addressed to",
        "reason": "What it is for",
        "amount": "What you pay",
        "due": "By",
        "no due": "Due date",
        "none": "None",
        "how": "How to pay",
        "choose": "Choose where. Have the code scanned, or read out the numbers beside it.",
        "qr": "PagoPA: at banks, shops, apps",
        "number": "Notice number",
        "slip": "Postal slip: at post offices",
        "account": "Postal account",
        "printed": "You printed this page from your Messo inbox on {day} at {hour}.",
        "seen": "The amount is as of {day}, {hour}: if you pay later, it may be another.",
        "not_seen": "The amount is the one in the message: it may have changed.",
    },
}


@dataclass(frozen=True)
class Printed:
    """What stands on the page. `amount` in cents, at most ten digits; times are aware.

    `seen_at`: when the amount was last seen, None if it is only the message's. `debtor_name` may
    be empty. With a `slip` it can be paid at post offices too.
    """

    notice: Notice
    amount: int
    payee_name: str
    reason: str
    due: date | None
    language: Language
    slip: PostalSlip | None
    debtor_name: str
    seen_at: datetime | None
    printed_at: datetime


def notice_pdf(printed: Printed) -> bytes:
    """The page as PDF. Raises `ValueError` for an amount or an account that no code can hold."""
    texts, locale = _TEXTS[printed.language], _LOCALE[printed.language]
    page = _Page(printed)
    page.head(texts, printed)
    page.facts(
        [
            (texts["debtor"], printed.debtor_name, 55.0, 2),
            (texts["reason"], printed.reason, 0.0, 3),
        ]
    )
    amount = format_currency(Decimal(printed.amount) / 100, "EUR", locale=locale)
    if printed.due is None:
        page.amount((texts["amount"], amount), (texts["no due"], texts["none"]))
    else:
        due = format_date(printed.due, "d MMMM y", locale)
        page.amount((texts["amount"], amount), (texts["due"], due))
    page.how(texts)
    page.card(
        codes.qr_modules(codes.qr_text(printed.notice, printed.amount)),
        texts["qr"],
        [
            (texts["number"], printed.notice.grouped, 15),
            (texts["payee"], printed.notice.payee, 11),
        ],
    )
    if printed.slip:
        account = printed.slip.account
        page.card(
            codes.data_matrix_modules(
                codes.postal_text(printed.notice, printed.amount, printed.slip)
            ),
            texts["slip"],
            [
                (texts["account"], account, 11),
                ("", codes.code_line(printed.notice, printed.amount, account), 10),
            ],
        )
    how_old = (
        _said(texts["seen"], printed.seen_at, locale) if printed.seen_at else texts["not_seen"]
    )
    page.foot(f"{_said(texts['printed'], printed.printed_at, locale)} {how_old}")
    return bytes(page.output())


def _said(text: str, moment: datetime, locale: str) -> str:
    here = moment.astimezone(_ROME)
    day = format_date(here, "d MMMM y", locale)
    return text.format(day=day, hour=format_time(here, "HH:mm", locale=locale))


class _Page(FPDF):
    """The page, filled from the top; `y` is where it goes on."""

    def __init__(self, printed: Printed) -> None:
        super().__init__(format="A4")
        self._letters: dict[str, frozenset[int]] = {}
        self._add_fonts()
        self.set_lang(printed.language)
        self.set_title(_TEXTS[printed.language]["kind"])
        self.set_creator("Messo")
        self.set_creation_date(printed.printed_at)
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.add_page()

    def head(self, texts: dict[str, str], printed: Printed) -> None:
        self.set_fill_color(*_ACT)
        self.rect(0, 0, 210, 3, style="F")
        self.set_y(18)
        self._write(texts["kind"], 12, bold=True, ink=_ACT)
        self._skip(1)
        self._write(printed.payee_name, 24, bold=True, lines=2)
        self._skip(1.5)
        self._write(f"{texts['payee']} {printed.notice.payee}", 11, ink=_QUIET)
        self._skip(5)
        self._rule()
        self._skip(5)

    def facts(self, columns: list[tuple[str, str, float, int]]) -> None:
        """Side by side. For each: label, text, width in mm (0: what is left), and lines at most."""
        top, x, lowest = self.get_y(), _LEFT, self.get_y()
        for label, text, asked, lines in columns:
            if not self._showable(text, "text"):
                continue
            width = asked or _LEFT + _WIDTH - x
            self.set_y(top)
            self._write(label, 10, ink=_QUIET, x=x, width=width)
            self._skip(0.7)
            self._write(text, 13, x=x, width=width, lines=lines)
            lowest = max(lowest, self.get_y())
            x += width + 8
        self.set_y(lowest)
        self._skip(6)

    def amount(self, amount: tuple[str, str], due: tuple[str, str]) -> None:
        """The box that is seen first: how much, and until when."""
        top, height, right = self.get_y(), 32.0, 108.0
        self.set_fill_color(*_TINT)
        self.rect(_LEFT, top, _WIDTH, height, style="F", round_corners=True, corner_radius=3)
        for (label, value), size, x in ((amount, 34.0, 8.0), (due, 20.0, right)):
            width = (right if x < right else _WIDTH) - x - 4
            self.set_y(top + 5)
            self._write(label, 11, ink=_QUIET, x=_LEFT + x, width=width)
            # Both values stand on one line, the larger and the smaller.
            self.set_y(top + 24.5 - size * _POINT)
            self._write(
                value, self._fitting(value, size, width), bold=True, x=_LEFT + x, width=width
            )
        self.set_y(top + height)
        self._skip(9)

    def how(self, texts: dict[str, str]) -> None:
        self._write(texts["how"], 16, bold=True)
        self._skip(1)
        self._write(texts["choose"], 11.5, ink=_QUIET, lines=2)
        self._skip(4)

    def card(self, modules: Modules, caption: str, numbers: list[tuple[str, str, float]]) -> None:
        """A code 25 mm wide; beside it what it is for and what it says, as label, text and size."""
        top = self.get_y()
        self.set_draw_color(*_LINE)
        self.set_line_width(0.3)
        self.rect(_LEFT, top, _WIDTH, _CARD, style="D", round_corners=True, corner_radius=3)
        self._code(modules, _LEFT + _INSIDE, top + _INSIDE)
        x = _LEFT + _INSIDE + _CODE + 8
        width = _LEFT + _WIDTH - _INSIDE - x
        self.set_y(top + _INSIDE - 0.5)
        self._write(caption, 13, bold=True, x=x, width=width)
        self._skip(3)
        for label, text, size in numbers:
            line = self.get_y()
            if label:
                self.set_y(line + (size - 10) * _POINT)
                self._write(label, 10, ink=_QUIET, x=x, width=50)
                self.set_y(line)
            start = x + 52 if label else x
            self._write(text, size, face="digits", x=start, width=_LEFT + _WIDTH - start)
            self._skip(2)
        self.set_y(top + _CARD)
        self._skip(5)

    def foot(self, text: str) -> None:
        self.set_y(_FOOT)
        self._rule()
        self._skip(2.5)
        self._write(text, 9, ink=_QUIET, lines=2)

    def _add_fonts(self) -> None:
        for (face, style), name in _FACES.items():
            path = _FONTS / name
            if path.is_file():
                self.add_font(face, style, path)
                added = self.fonts[face + style]
                if isinstance(added, TTFFont):
                    self._letters[face] = frozenset(added.cmap)

    def _skip(self, height: float) -> None:
        self.set_y(self.get_y() + height)

    def _rule(self) -> None:
        self.set_draw_color(*_LINE)
        self.set_line_width(0.3)
        self.line(_LEFT, self.get_y(), _LEFT + _WIDTH, self.get_y())

    def _write(
        self,
        text: str,
        size: float,
        *,
        bold: bool = False,
        face: str = "text",
        ink: tuple[int, int, int] = _INK,
        x: float = _LEFT,
        width: float = _WIDTH,
        lines: int = 1,
    ) -> None:
        """The text from here down, cut with "..." where it needs more lines."""
        family = face if face in self._letters else _CORE[face]
        self.set_font(family, "B" if bold else "", size)
        self.set_text_color(*ink)
        height = size * _POINT * 1.25
        for line in self._lines(self._showable(text, face), width, lines):
            self.set_x(x)
            self.cell(width, height, line, new_x=XPos.LEFT, new_y=YPos.NEXT)

    def _fitting(self, text: str, size: float, width: float) -> float:
        # An amount or a day is never cut. Widths grow with the size, so that one look is enough.
        self.set_font("text" if "text" in self._letters else _CORE["text"], "B", size)
        needed = self.get_string_width(self._showable(text, "text"))
        return size if needed < width else size * width / needed * 0.99

    def _lines(self, text: str, width: float, most: int) -> list[str]:
        found = self.multi_cell(
            width, None, text, align="L", dry_run=True, output=MethodReturnValue.LINES
        )
        lines = cast("list[str]", found)
        if len(lines) <= most:
            return lines
        last = lines[most - 1]
        while last and self.get_string_width(last + "...") > width:
            last = last[:-1]
        return [*lines[: most - 1], last.rstrip() + "..."]

    def _showable(self, text: str, face: str) -> str:
        letters = self._letters.get(face, _LATIN_1)
        plain = unicodedata.normalize("NFC", on_one_line(text, _MOST))
        return " ".join("".join(_written(plain, letters)).split())

    def _code(self, modules: Modules, x: float, y: float) -> None:
        # One path: between shapes that are painted one by one, some printers leave white lines.
        module = _CODE / len(modules)
        with self.new_path(paint_rule=PathPaintRule.FILL_NONZERO) as path:
            path.style.fill_color = "#000"
            for row, column, length in codes.dark_runs(modules):
                path.rectangle(x + column * module, y + row * module, length * module, module)


def _written(text: str, letters: frozenset[int]) -> Iterator[str]:
    """What each character is written as: itself, its parts, "?" for a letter, else nothing."""
    for character in text:
        if ord(character) in letters:
            yield character
        elif parts := [
            part for part in unicodedata.normalize("NFKD", character) if ord(part) in letters
        ]:
            yield "".join(parts)
        elif character in _INSTEAD:
            yield _INSTEAD[character]
        elif unicodedata.category(character)[0] in "LN":
            yield "?"
