"""Logs never hold a person's data."""

import json
import subprocess
import sys

import pytest

from messo.base import log
from messo.sandbox.fiscal_codes import many

CODE = many(1)[0]

PROGRAM = f"""
import logging, sys
from messo.base import log
log.configure("info", "trial")
logger = log.get("t")
logger.info("plain", citizen="{CODE}", nested={{"list": ["x {CODE.lower()} y"]}})
logger.info("in a path /api/v1/messages/{CODE}/01J")
class RowError(Exception):
    sqlstate = "23505"
def broken(secret_value):
    raise RowError("Key (fiscal_code)=({CODE}) body Dear Anna already exists")
try:
    broken("Dear Anna {CODE}")
except RowError as error:
    logger.error("failed", exc_info=error)
    logger.error("failed again", exc_info=True)
logging.getLogger("asyncio").error("library says %s", "{CODE}")
try:
    broken("x")
except RowError:
    logging.getLogger("uvicorn.error").exception("library failed")
logger.debug("not at this level")
broken("the last one")
"""


@pytest.fixture(scope="module")
def output() -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    return done.stderr


def test_no_fiscal_code_in_any_line(output: str) -> None:
    assert CODE.lower() not in output.lower()
    assert output.count("[fiscal code]") == 4


def test_exceptions_are_logged_by_kind_and_place_never_by_message(output: str) -> None:
    assert "Dear Anna" not in output
    assert "Traceback" not in output
    lines = [json.loads(line) for line in output.splitlines()]
    errors = [line for line in lines if "error" in line]
    assert [line["event"] for line in errors] == [
        "failed",
        "failed again",
        "library failed",
        "stopped by an error",
    ]
    assert {line["error"] for line in errors} == {"RowError 23505"}
    assert all(line["where"][-1].endswith("broken") for line in errors)


def test_a_line_is_one_json_object_marked_with_its_process(output: str) -> None:
    lines = [json.loads(line) for line in output.splitlines()]
    assert {line["process"] for line in lines} == {"trial"}
    assert [line["level"] for line in lines[:2]] == ["info", "info"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


@pytest.mark.parametrize("code", [*many(3), CODE.lower(), "RSSMRALPTNMHLMLQ", "AAAAAA00A00A000A"])
def test_every_form_of_a_fiscal_code_is_blotted_out(code: str) -> None:
    """Letters in place of digits (omocodia) included."""
    code = "RSSMRALMTNMHRMLQ" if code == "RSSMRALPTNMHLMLQ" else code
    assert log.redact(f"a{{{code}}}b") == "a{[fiscal code]}b"
    assert log.redact(f"({code})") == "([fiscal code])"


@pytest.mark.parametrize(
    "text", ["request 01M8QKER2K0X06EDXP49BMR6G7", "/01M8NPRSMR80A01H501SWGNEV4/"]
)
def test_an_id_of_ours_that_looks_like_one_stays(text: str) -> None:
    assert log.redact(text) == text


@pytest.mark.parametrize("longer", ["X01M8NPRSMR80A01H501SWGNEV4", "01M8NPRSMR80A01H501SWGNEV4X"])
def test_what_is_no_id_is_blotted_out_wherever_a_code_is_in_it(longer: str) -> None:
    assert "MR80A01H501S" not in log.redact(longer)
