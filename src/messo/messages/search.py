"""Full-text search of a citizen's own messages, in Italian and in English.

Accepting and deciding do not pay for it: a citizen's messages are indexed when they log in, and
what came since when they search.
"""

import re
from collections.abc import Callable

from messo.base import clock, work
from messo.base.db import Connection
from messo.messages.submit import queries

STEP = "messages.index"
_MOST = 200  # characters of a query that are looked at
_AT_ONCE = 500  # messages indexed while somebody waits
_BATCH = 2000  # messages indexed in one transaction of the worker
# PostgreSQL takes no more than 32 negations in a row; nobody means so many, in a row or not.
_MOST_DASHES = 20
# Said in a search, these mean something: then the last word is taken as it is.
_OPERATOR = re.compile(r'["-]|\bor\b', re.IGNORECASE)
_LAST_WORD = re.compile(r"(?:^|\s)([^\W_]{3,})\Z")


async def prepare(conn: Connection, fiscal_code: str, words: str) -> str:
    """The query that these words stand for, the newest messages indexed; empty: finds nothing.

    `words` is what somebody typed: any text, of which the first 200 characters count. Quotation
    marks, `or` and `-` mean what they mean in a web search; the last word may be a beginning.
    """
    text = "".join(sign if sign.isprintable() else " " for sign in words[:_MOST]).strip()
    if text.count("-") > _MOST_DASHES:
        text = text.replace("-", " ").strip()
    if not text:
        return ""
    start, head = "", ""
    last = _LAST_WORD.search(text)
    if last and not _OPERATOR.search(text):
        start, head = last.group(1), text[: last.start()]
    query = str(await conn.value(queries.make_query, words=text, head=head, start=start))
    if query and await index_new(conn, fiscal_code, _AT_ONCE) == _AT_ONCE:
        await queue_indexing(conn, fiscal_code)
    return query


async def index_new(conn: Connection, fiscal_code: str, limit: int = _AT_ONCE) -> int:
    """Index this citizen's messages that are not yet, the newest first; how many were."""
    return await conn.run(
        queries.index_messages,
        bucket=conn.bucket(fiscal_code),
        fiscal_codes=[fiscal_code],
        limit=limit,
    )


async def queue_indexing(conn: Connection, fiscal_code: str) -> None:
    """Have a worker index this citizen's messages soon. Asked twice within a minute, once."""
    await _queue(conn, conn.bucket(fiscal_code), [fiscal_code])


async def _queue(conn: Connection, bucket: int, fiscal_codes: list[str]) -> None:
    # Of the minute, so that the same wish is the same item.
    due = clock.now().replace(second=0, microsecond=0)
    lanes = [work.lane_of(code) for code in fiscal_codes]
    await work.queue(conn, bucket, STEP, fiscal_codes, lanes, due)


def step() -> work.Step:
    """The step that indexes; the reference is a fiscal code."""
    return work.Step(STEP, _run, _postponed)


async def _run(conn: Connection, bucket: int, fiscal_codes: list[str]) -> Callable[[], None]:
    asked = sorted(set(fiscal_codes))
    if await conn.run(queries.index_messages, bucket=bucket, fiscal_codes=asked, limit=_BATCH):
        rows = await conn.rows(queries.still_to_index, bucket=bucket, fiscal_codes=asked)
        if rows:
            await _queue(conn, bucket, [row["fiscal_code"] for row in rows])
    return _nothing_to_count


async def _postponed(_conn: Connection, _bucket: int, _fiscal_code: str, _attempts: int) -> bool:
    return False  # the search itself indexes what is missing


def _nothing_to_count() -> None:
    return
