"""The loader of named statements."""

import pytest

from messo.base.db import Pool
from messo.base.sql import parse


def only(text: str) -> str:
    (statement,) = parse(f"-- name: one\n{text}").values()
    return statement.sql


def test_parameters_are_numbered_in_order_of_first_appearance() -> None:
    statement = parse("-- name: one\n-- Why.\nSELECT :b, :a, :b;")["one"]
    assert statement.sql == "SELECT $1, $2, $1"
    assert statement.parameters == ("b", "a")
    assert statement.bind({"a": 1, "b": 2}) == [2, 1]
    assert statement.comment == "Why."


def test_a_cast_is_no_parameter() -> None:
    assert only("SELECT :a::text[], x::jsonb") == "SELECT $1::text[], x::jsonb"


def test_strings_are_left_alone() -> None:
    assert only("SELECT ':a', 'it''s :b -- no comment', :c") == (
        "SELECT ':a', 'it''s :b -- no comment', $1"
    )


def test_comments_are_dropped_whatever_they_hold() -> None:
    text = "SELECT 1 -- :a and it's fine\n, :b"
    assert only(text).split() == ["SELECT", "1", ",", "$1"]


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two statements are named one"):
        parse("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;")


def test_a_missing_or_an_extra_value_is_a_mistake() -> None:
    statement = parse("-- name: one\nSELECT :a")["one"]
    for values in ({}, {"b": 1}, {"a": 1, "b": 2}):
        with pytest.raises(KeyError):
            statement.bind(values)


async def test_the_question_mark_operator_reaches_the_server(pool: Pool) -> None:
    """`?` asks for a key in JSON; no placeholder style of ours takes it away."""
    statement = parse("-- name: one\nSELECT :a::jsonb -> 's' ? 'INBOX' AND '{\"a\": 1}' ? 'a'")
    async with pool.connection() as conn:
        assert await conn.value(statement["one"], a='{"s": ["INBOX"]}') is True
        assert await conn.value(statement["one"], a='{"s": ["EMAIL"]}') is False
