"""Lists as CSV files (RFC 4180) that spreadsheets open as text, and never as formulas.

A cell that begins like a formula gets an apostrophe in front, which spreadsheets take as "this is
text" (OWASP, "CSV Injection"). Semicolons for Italian, whose spreadsheets expect them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from starlette.responses import Response

from messo.base import clock
from messo.messages.characters import without_tricks
from messo.pages.languages import Language, in_rome

MOST = 10_000  # rows of one file; a page says so where there are more
# Also the wide forms, which some spreadsheets read as the narrow ones, and what they skip before.
_FORMULA = frozenset("=+-@\t\r\n|%\uff1d\uff0b\uff0d\uff20\u0000")


def cell(value: object) -> str:
    """One value as text that no spreadsheet calculates with."""
    given = "" if value is None else str(value)
    text = without_tricks(given)
    seen = text.lstrip(" \u00a0\u200b\ufeff\"'")
    if given[:1] in _FORMULA or text[:1] in _FORMULA or seen[:1] in _FORMULA:
        return f"'{text}"
    return text


def moment(at: datetime | None) -> str:
    """A time as spreadsheets read it, `2026-12-01 12:06` by Rome's clocks; empty for none."""
    return "" if at is None else in_rome(at).strftime("%Y-%m-%d %H:%M")


def write(header: Sequence[str], rows: Iterable[Sequence[object]], language: Language) -> bytes:
    """The file, UTF-8 with a mark of byte order, by which spreadsheets know it."""
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=";" if language == "it" else ",",
        quoting=csv.QUOTE_ALL,
        lineterminator="\r\n",
    )
    writer.writerow([cell(name) for name in header])
    writer.writerows([cell(value) for value in row] for row in rows)
    return file.getvalue().encode("utf-8-sig", "replace")


class CsvAnswer(Response):
    """A file to save, kept by nobody on the way."""

    def __init__(
        self, name: str, header: Sequence[str], rows: Iterable[Sequence[object]], language: Language
    ) -> None:
        """`name`: of the list, in ASCII letters; the file's name has the day, too."""
        day = clock.day_in_rome(clock.now()).isoformat()
        super().__init__(
            write(header, rows, language),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="messo-{name}-{day}.csv"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            },
        )
