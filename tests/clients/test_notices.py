"""Notice numbers as institutions make and check them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messo_client import notices
from messo_client.notices import check_digits, grouped, is_valid, make

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"
VALID = ["002000000012345632", "200000000012345647", "301000000012345688", "301011100007347557"]
INVALID = ["302012387654312384", "344012345678901200"]


def digits(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length, max_size=length)


made = st.one_of(
    st.builds(lambda code, base: make(base, code=code), digits(2), digits(13)),
    st.builds(lambda code, base: make(base, aux=0, code=code), digits(2), digits(13)),
    st.builds(lambda base: make(base, aux=2), digits(15)),
)


@pytest.mark.parametrize("number", VALID)
def test_numbers_known_to_be_right(number: str) -> None:
    assert is_valid(number)
    assert check_digits(number[:16]) == number[16:]


@pytest.mark.parametrize("number", INVALID)
def test_numbers_known_to_be_wrong(number: str) -> None:
    assert not is_valid(number)
    assert check_digits(number[:16]) == "86"


def test_each_kind_is_made() -> None:
    assert make("0000000123456", code="02") == "302000000012345635"
    assert make("0000000123456", aux=0, code="02") == VALID[0]
    assert make("000000000123456", aux=2) == VALID[1]
    assert make("0000000123456", code="01") == VALID[2]
    assert make("12345678901234567", aux=1) == "112345678901234567"


@given(made)
def test_what_is_made_is_valid(number: str) -> None:
    assert re.fullmatch("[023][0-9]{17}", number, re.ASCII)
    assert is_valid(number)
    assert int(number[16:]) < 93
    assert grouped(number).replace(" ", "") == number
    assert len(grouped(number)) == 22


@given(made, st.integers(0, 17), st.integers(1, 9))
def test_a_mistyped_digit_is_noticed(number: str, place: int, more: int) -> None:
    digit = str((int(number[place]) + more) % 10)
    wrong = number[:place] + digit + number[place + 1 :]
    assert wrong[0] == "1" or not is_valid(wrong)


@given(digits(17))
def test_those_without_check_digits_are_valid(base: str) -> None:
    assert is_valid(make(base, aux=1))


@pytest.mark.parametrize(
    "number",
    [
        "",
        "30100000001234568",
        "3010000000123456880",
        "401000000012345688",
        "301000000012345688\n",
        "3010 0000 0012 3456 88",
        "30100000001234568x",
        "３01000000012345688",
        "30100000001234568٨",
    ],
)
def test_what_is_no_number(number: str) -> None:
    assert not is_valid(number)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert is_valid(text) in {True, False}


@pytest.mark.parametrize(
    ("base", "aux", "code", "said"),
    [
        ("0000000123456", 4, "02", "aux is 0, 1, 2 or 3, not 4."),
        ("0000000123456", 3, "", "The segregation code has 2 digits, not 0."),
        ("0000000123456", 0, "123", "The application code has 2 digits, not 3."),
        ("0000000123456", 3, "x1", "The segregation code may have digits 0 to 9 only."),
        ("000000123456", 3, "02", "The base with aux 3 has 13 digits, not 12."),
        ("00000012345 6", 3, "02", "The base with aux 3 may have digits 0 to 9 only."),
        ("000000000123456", 2, "02", "With aux 2 there is no code."),
        ("0000000123456", 2, "", "The base with aux 2 has 15 digits, not 13."),
        ("12345678901234567", 1, "02", "With aux 1 there is no code."),
        ("1234567890123456", 1, "", "The base with aux 1 has 17 digits, not 16."),
    ],
)
def test_what_is_wrong_is_said(base: str, aux: int, code: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make(base, aux=aux, code=code)


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("301", "16 digits, not 3"),
        ("30200000001234567", "16 digits, not 17"),
        ("30200000001234５6", "0 to 9 only"),
        ("1020000000123456", "no check digits"),
    ],
)
def test_what_has_no_check_digits(stem: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_digits(stem)


def test_the_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text().split("## Payment notices\n")[1]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example
    exec(compile(example[1], str(README), "exec"), {})  # noqa: S102  our own text
    assert capsys.readouterr().out == "3020 0000 0012 3456 35\n"
    assert notices.__doc__
