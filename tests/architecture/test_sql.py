"""Reads every statement and the migrated schema: the rules of design "Three gears" and "Data rules"."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from messo.base.db import Pool
from messo.base.sql import Statement, parse
from messo.sandbox.fiscal_codes import make

SOURCE = Path(str(files("messo")))
ROOMS = {path.parent.name: path for path in sorted(SOURCE.glob("**/queries.sql"))}
STATEMENTS = [
    pytest.param(room, statement, id=f"{room}.{statement.name}")
    for room, path in ROOMS.items()
    for statement in parse(path.read_text()).values()
]
# Which schemas a room owns; any other room owns the one of its own name.
OWNED = {"base": {"work", "base"}, "migrations": {"base"}, "sandbox": set[str]()} | {
    # A channel's folder belongs to its room.
    path.parent.name: {"notifications"}
    for path in ROOMS.values()
    if path.parent.parent.name == "channels"
}
# Exceptions, by statement: schemas it may write although they are another's.
MAY_WRITE = {("sandbox", "mark_sandbox"): {"base"}}
_WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE(?!\s+SET\b)|TRUNCATE(?:\s+TABLE)?"
    r"|CREATE\s+TABLE(?:\s+IF\s+NOT\s+EXISTS)?)\s+(?:ONLY\s+)?(\w+\.\w+)",
    re.IGNORECASE,
)
_FORBIDDEN = (
    r"\brandom\s*\(",
    r"\bclock_timestamp\s*\(",
    r"\bgen_random_uuid\s*\(",
    r"\bMERGE\s+INTO\b",
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b",
    r"\bforce_generic_plan\b",
    r"\bnextval\s*\(",
)
ALLOWED = {("operations", "server_time"): r"\bclock_timestamp\s*\("}


def owned(room: str) -> set[str]:
    return OWNED.get(room, {room})


def without_strings(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", sql))


def test_every_room_with_statements_is_looked_at() -> None:
    assert {"base", "migrations", "messages", "services", "recipients", "events"} <= set(ROOMS)
    assert len(STATEMENTS) > 60


@pytest.mark.parametrize(("room", "statement"), STATEMENTS)
async def test_the_server_prepares_it(pool: Pool, room: str, statement: Statement) -> None:
    async with pool.connection() as conn:
        if statement.sql.count(";"):  # several statements in one: a script without parameters
            assert not statement.parameters
            for part in filter(str.strip, statement.sql.split(";")):
                if not part.strip().upper().startswith("CREATE"):
                    await conn.raw.prepare(part)
            return
        prepared = await conn.raw.prepare(statement.sql)
        assert len(prepared.get_parameters()) == len(statement.parameters)


@pytest.mark.parametrize(("room", "statement"), STATEMENTS)
def test_it_says_why(room: str, statement: Statement) -> None:
    reasons = [line for line in statement.comment.splitlines() if not line.startswith("reads:")]
    assert any(len(reason) > 10 for reason in reasons), "no comment under its name"


@pytest.mark.parametrize(("room", "statement"), STATEMENTS)
def test_it_writes_only_what_its_room_owns(room: str, statement: Statement) -> None:
    allowed = owned(room) | MAY_WRITE.get((room, statement.name), set())
    written = {target.lower() for target in _WRITES.findall(without_strings(statement.sql))}
    assert {target.split(".")[0] for target in written} <= allowed, written


@pytest.mark.parametrize(("room", "statement"), STATEMENTS)
async def test_reading_anothers_table_is_said(pool: Pool, room: str, statement: Statement) -> None:
    tables = await all_tables(pool)
    named = set(re.findall(r"\b[a-z_]+\.[a-z_]+\b", without_strings(statement.sql)))
    foreign = {name for name in named & tables if name.split(".")[0] not in owned(room)}
    foreign -= {
        target
        for target in _WRITES.findall(statement.sql)
        if target.split(".")[0] in MAY_WRITE.get((room, statement.name), set())
    }
    if (room, statement.name) == ("sandbox", "is_sandbox"):
        foreign.discard("base.database")  # the counterpart of the write it is allowed
    said = statement.comment.split("reads:", 1)[1] if "reads:" in statement.comment else ""
    assert set(re.findall(r"[a-z_]+\.[a-z_]+", said)) == foreign


@pytest.mark.parametrize(("room", "statement"), STATEMENTS)
def test_it_uses_nothing_a_cluster_cannot(room: str, statement: Statement) -> None:
    for pattern in _FORBIDDEN:
        if pattern != ALLOWED.get((room, statement.name)):
            assert not re.search(pattern, without_strings(statement.sql), re.IGNORECASE), pattern


@pytest.mark.parametrize(("room", "statement"), STATEMENTS)
def test_no_insert_stands_in_a_with(room: str, statement: Statement) -> None:
    sql = without_strings(statement.sql)
    assert not re.search(r"\bAS\s+(?:NOT\s+MATERIALIZED\s+|MATERIALIZED\s+)?\(\s*INSERT\b", sql)


def scripts() -> Iterator[Path]:
    yield from ROOMS.values()
    yield from sorted(SOURCE.glob("migrations/*.sql"))


@pytest.mark.parametrize(
    "path", list(scripts()), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_no_file_of_sql_breaks_the_rules(path: Path) -> None:
    text = without_strings(path.read_text())
    allowed = [pattern for (room, _), pattern in ALLOWED.items() if room == path.parent.name]
    for pattern in (p for p in _FORBIDDEN if p not in allowed):
        assert not re.search(pattern, text, re.IGNORECASE), pattern
    assert not re.search(r"\b(?:big|small)?serial\b|\bAS\s+IDENTITY\b", text, re.IGNORECASE)


def test_static_content_is_never_updated() -> None:
    """Design 6.10: what the citizen reads is what was accepted, byte for byte."""
    looked_at = [*scripts(), *SOURCE.glob("**/*.py")]
    assert len(looked_at) > 40
    for path in looked_at:
        text = path.read_text()
        assert not re.search(r"UPDATE\s+(?:ONLY\s+)?messages\.content\b", text, re.IGNORECASE), path
        # An upsert is an update too.
        for inserted in re.findall(
            r"INSERT\s+INTO\s+messages\.content\b[^;]*;", text, re.IGNORECASE
        ):
            assert "do update" not in inserted.lower(), path


def test_sql_stands_in_sql_files() -> None:
    """No statement hides in Python: what is not in queries.sql escapes every test here."""
    hidden = re.compile(r"\b(?:INSERT INTO|DELETE FROM|UPDATE \w+\.\w+|SELECT .+ FROM) ?\w*")
    for path in SOURCE.glob("**/*.py"):
        assert not hidden.search(path.read_text()), path


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        parameter
        for parameter in STATEMENTS
        if isinstance(parameter.values[1], Statement) and "bucket" in parameter.values[1].parameters
    ],
)
async def test_a_statement_of_one_bucket_names_it_for_each_table(
    pool: Pool, room: str, statement: Statement
) -> None:
    """Equality with a column of another table is not enough: it fans out to every shard."""
    divided = await bucketed_tables(pool)
    sql = statement.sql
    number = statement.parameters.index("bucket") + 1
    aliases = re.findall(
        r"\b(?:FROM|JOIN|UPDATE|USING)\s+([a-z_]+\.[a-z_]+)\s+AS\s+(\w+)", sql, re.IGNORECASE
    )
    for table, alias in aliases:
        if table in divided:
            assert re.search(rf"\b{alias}\.bucket = \${number}\b", sql), f"{table} AS {alias}"


async def all_tables(pool: Pool) -> set[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
    return {row[0] for row in rows}


async def bucketed_tables(pool: Pool) -> set[str]:
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT table_schema || '.' || table_name FROM information_schema.columns "
            "WHERE column_name = 'bucket'"
        )
    return {row[0] for row in rows}


async def keys(pool: Pool) -> list[tuple[str, bool, list[str]]]:
    """Table, whether it is the primary key, columns: of every unique index."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT i.indrelid::regclass::text, i.indisprimary, "
            "array(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (n, o) "
            "INNER JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.n "
            "ORDER BY k.o) FROM pg_index AS i "
            "INNER JOIN pg_class AS c ON c.oid = i.indrelid "
            "INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE i.indisunique AND n.nspname NOT LIKE 'pg\\_%' "
            "AND n.nspname <> 'information_schema'"
        )
    return [(row[0], row[1], list(row[2])) for row in rows]


async def test_every_table_has_a_primary_key(pool: Pool) -> None:
    with_key = {table for table, primary, _ in await keys(pool) if primary}
    assert await all_tables(pool) == with_key


async def test_bucket_comes_first_in_every_key_of_a_divided_table(pool: Pool) -> None:
    divided = await bucketed_tables(pool)
    assert {"messages.message", "messages.content", "recipients.profile", "work.item"} <= divided
    for table, _, columns in await keys(pool):
        if table in divided:
            assert columns[0] == "bucket", f"{table} {columns}"


async def test_what_holds_a_fiscal_code_is_divided(pool: Pool) -> None:
    """A citizen's rows live in the citizen's bucket; an organisation is no citizen."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT table_schema || '.' || table_name FROM information_schema.columns "
            "WHERE column_name = 'fiscal_code'"
        )
    owned_by_citizens = {row[0] for row in rows} - {"services.institution"}
    assert owned_by_citizens <= await bucketed_tables(pool)


async def test_a_foreign_key_never_leaves_its_bucket(pool: Pool) -> None:
    divided = await bucketed_tables(pool)
    async with pool.connection() as conn:
        rows = await conn.raw.fetch(
            "SELECT conrelid::regclass::text AS a, confrelid::regclass::text AS b, "
            "pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE contype = 'f'"
        )
    for row in rows:
        if {row["a"], row["b"]} & divided:
            assert row["text"].startswith("FOREIGN KEY (bucket,"), row["text"]


async def test_there_are_no_triggers_and_no_sequences(pool: Pool) -> None:
    async with pool.connection() as conn:
        triggers = await conn.raw.fetchval("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
        sequences = await conn.raw.fetchval("SELECT count(*) FROM pg_sequences")
    assert (triggers, sequences) == (0, 0)


async def test_the_decision_functions_are_inlined(pool: Pool) -> None:
    """Docs/decisions/0002: they cost what the bare expression costs."""
    async with pool.connection() as conn:
        plan = await conn.raw.fetch(
            "EXPLAIN (VERBOSE, COSTS OFF) SELECT messages.refusal(true, p.is_inbox_enabled, p.mode, "
            "p.blocked -> $1 ? 'INBOX', NULL, 'STANDARD', NULL, NULL), "
            "messages.read_shared(p.mode, NULL), messages.by_push(p.is_webhook_enabled, "
            "messages.channel_open(p.mode, false, true)) FROM recipients.profile AS p",
            make("TSTSQL80A01Y001"),
        )
    text = "\n".join(row[0] for row in plan)
    for name in ("refusal", "read_shared", "by_push", "channel_open"):
        assert f"messages.{name}(" not in text
