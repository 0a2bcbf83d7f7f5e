"""Numbers of payment notices: making them, and telling a mistyped one before it is sent.

A notice number has 18 digits. The first, `aux`, tells how the others are laid out:

- 3: a segregation code of 2 digits, a base of 13, and 2 check digits; all new notices are of this
  kind.
- 0: an application code of 2 digits, a base of 13, and 2 check digits.
- 2: a base of 15 digits, and 2 check digits.
- 1: a base of 17 digits.
"""

import re

_NUMBER = re.compile(r"[0-3][0-9]{17}\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]*\Z", re.ASCII)
_STEM = 16
_MODULUS = 93
_UNCHECKED = 1
# By the first digit: how many digits the code has, and how many the base.
_LAYOUT = {0: (2, 13), 1: (0, 17), 2: (0, 15), 3: (2, 13)}
_CODE = {0: "application code", 3: "segregation code"}


def check_digits(first_sixteen: str) -> str:
    """The two digits that end a notice number which begins with these sixteen.

    Raises `ValueError` for anything but sixteen digits, and for those of a number without check
    digits, which begins with 1.
    """
    _need_digits("A notice number's beginning", first_sixteen, _STEM)
    if first_sixteen.startswith(str(_UNCHECKED)):
        raise ValueError("A notice number that begins with 1 has no check digits.")
    return f"{int(first_sixteen) % _MODULUS:02d}"


def is_valid(notice_number: str) -> bool:
    """Whether it is 18 digits, begins with 0 to 3, and ends with the right check digits."""
    if not _NUMBER.match(notice_number):
        return False
    if notice_number.startswith(str(_UNCHECKED)):
        return True
    return notice_number[_STEM:] == check_digits(notice_number[:_STEM])


def make(base: str, *, aux: int = 3, code: str = "") -> str:
    """The notice number of 18 digits with this base, which you choose, each one once.

    `code` is the segregation code (aux 3) or the application code (aux 0) of your organisation,
    2 digits; the other kinds have none. `base` has 13 digits (aux 3 and 0), 15 (aux 2) or 17
    (aux 1). Raises `ValueError`, which says what is wrong.
    """
    if aux not in _LAYOUT:
        raise ValueError(f"aux is 0, 1, 2 or 3, not {aux}.")
    code_length, base_length = _LAYOUT[aux]
    if code and not code_length:
        raise ValueError(f"With aux {aux} there is no code.")
    if code_length:
        _need_digits(f"The {_CODE[aux]}", code, code_length)
    _need_digits(f"The base with aux {aux}", base, base_length)
    stem = f"{aux}{code}{base}"
    return stem if aux == _UNCHECKED else stem + check_digits(stem)


def grouped(notice_number: str) -> str:
    """The number as it is printed, in fours: `3020 0000 0012 3456 35`."""
    return " ".join(notice_number[start : start + 4] for start in range(0, len(notice_number), 4))


def _need_digits(what: str, text: str, length: int) -> None:
    if not _DIGITS.match(text):
        raise ValueError(f"{what} may have digits 0 to 9 only.")
    if len(text) != length:
        raise ValueError(f"{what} has {length} digits, not {len(text)}.")
