"""Fiscal codes that are valid by pattern and check character, and never issued to anybody.

Their place code begins with Y, which no municipality and no foreign state has.
"""

from datetime import date

from codicefiscale import codicefiscale


def make(stem: str) -> str:
    """A complete code from its first 15 characters: the check character is added."""
    return stem + codicefiscale.encode_cin(stem)


def many(count: int) -> list[str]:
    """`count` different codes, always the same ones. At most 26 * 26 * 26 * 1000."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    codes = []
    for i in range(count):
        word = letters[i // 676_000 % 26] + letters[i // 26_000 % 26] + letters[i // 1000 % 26]
        codes.append(make(f"TST{word}80A01Y{i % 1000:03d}"))
    return codes


_MONTHS = "ABCDEHLMPRST"
_DIGITS = str.maketrans("LMNPQRSTUV", "0123456789")  # where two people would share a code


def birth_date(code: str) -> date | None:
    """The day of birth that a code tells, of the last hundred years; None if there is no such day."""
    year = int(code[6:8].translate(_DIGITS))
    day = int(code[9:11].translate(_DIGITS))
    century = 2000 if year < 26 else 1900  # noqa: PLR2004
    try:
        return date(century + year, _MONTHS.index(code[8]) + 1, day - 40 if day > 40 else day)  # noqa: PLR2004  women
    except ValueError:
        return None


MAGIC = {
    "accepted": make("MGCCPT80A01Y001"),
    "not_enrolled": make("MGCNNR80A01Y002"),
    "inbox_off": make("MGCNBX80A01Y003"),
    "service_blocked": make("MGCBLC80A01Y004"),
    "mail_bounces": make("MGCBNC80A01Y005"),
    "push_gone": make("MGCPSH80A01Y006"),
    "read_at_once": make("MGCRDD80A01Y007"),
    "pays_at_once": make("MGCPYS80A01Y008"),
    "never_reads": make("MGCNVR80A01Y009"),
}
UNKNOWN = make("MGCNKN80A01Y999")
