"""The operators' first page: what needs somebody now, and how the installation is otherwise."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.base.db import Connection
from messo.console.visit import Visit, operator_page
from messo.events.dead_letters import count_dead
from messo.messages import guard
from messo.messages.failed import count_failed
from messo.messages.report_shares import Share, shares
from messo.operations import audit, doctor, health
from messo.payments.intake import count_dead_letters
from messo.services import overseen, review

_MOST = 100  # what is counted no further
_OLD_SECONDS = 60  # of what waits to be done
_SEALED_WITHIN = timedelta(minutes=5)
_FEW = 5  # reported services that are named
_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Tile:
    """A number with what it counts, and the page where something can be done about it."""

    number: str
    label: str
    href: str
    more: str
    needs_care: bool


def routes() -> list[Route]:
    """The pages of this file."""
    return [operator_page("", "console.operate", show)]


async def show(visit: Visit) -> Response:
    """Everything at a glance; what is quiet is said in one line."""
    conn = visit.conn
    reported = [
        one for one in await shares(conn) if one.share > visit.site.settings.guard_reports_share
    ]
    checks = [one for one in await doctor.of_database(conn) if one.what != "reviews"]
    tiles = [
        await _reviews(visit),
        await _held(visit),
        await _failed(visit),
        await _dead(visit),
        await _queues(visit),
        _reported(visit, reported),
        await _suspended(visit),
        await _seals(visit),
    ]
    return visit.page(
        "operate.html",
        tiles=tiles,
        quiet=not any(one.needs_care for one in tiles),
        reported=reported[:_FEW],
        checks=len(checks),
        findings=[one for one in checks if one.state != "ok"],
        is_sandbox=visit.site.settings.sandbox,
    )


async def _reviews(visit: Visit) -> Tile:
    texts = visit.texts
    waiting = await doctor.count_reviews(visit.conn)
    first = await review.list_page(visit.conn, None, 1)
    since = first[0]["changed_at"] if first else None
    return Tile(
        str(waiting),
        texts.count("service to review", "services to review", waiting),
        f"{visit.here}/reviews",
        texts.text("since %(day)s", day=texts.moment(since)) if since else "",
        since is not None and clock.now() - since > _A_DAY,
    )


async def _held(visit: Visit) -> Tile:
    since = clock.now() - _A_DAY
    held = [one for one in await guard.holds(visit.conn) if one["held_at"] > since]
    return Tile(
        _counted(len(held)),
        visit.texts.count("text held within a day", "texts held within a day", len(held)),
        f"{visit.here}/held",
        "",
        bool(held),
    )


async def _failed(visit: Visit) -> Tile:
    number = await count_failed(visit.conn, _MOST + 1)
    return Tile(
        _counted(number),
        visit.texts.count("failed message", "failed messages", number),
        f"{visit.here}/failed",
        "",
        number > 0,
    )


async def _dead(visit: Visit) -> Tile:
    letters = await count_dead(visit.conn, _MOST + 1)
    letters += await count_dead_letters(visit.conn, _MOST + 1)
    return Tile(
        _counted(letters),
        visit.texts.count("dead letter", "dead letters", letters),
        f"{visit.here}/failed",
        "",
        letters > 0,
    )


async def _queues(visit: Visit) -> Tile:
    texts = visit.texts
    oldest = await _longest_wait(visit.conn)
    if oldest < _OLD_SECONDS:
        said, more = texts.text("in time"), ""
    else:
        minutes = int(oldest // 60)
        said = texts.count("%(n)s minute", "%(n)s minutes", minutes)
        more = texts.text("the oldest waits; is a worker running?")
    return Tile(said, texts.text("work in queues"), f"{visit.here}/queues", more, bool(more))


async def _longest_wait(conn: Connection) -> float:
    """Of what is due in any queue, in seconds."""
    states = await health.queues(conn)
    return max((one["age_seconds"] for one in states.values()), default=0.0)


def _reported(visit: Visit, reported: list[Share]) -> Tile:
    number = len(reported)
    return Tile(
        str(number),
        visit.texts.count("service often reported", "services often reported", number),
        "#reported" if reported else f"{visit.here}/institutions",
        "",
        number > 0,
    )


async def _suspended(visit: Visit) -> Tile:
    institutions, services = await overseen.count_suspended(visit.conn)
    texts = visit.texts
    more = ""
    if services:
        more = texts.count("and %(n)s single service", "and %(n)s single services", services)
    return Tile(
        str(institutions),
        texts.count("suspended institution", "suspended institutions", institutions),
        f"{visit.here}/institutions?state=suspended",
        more,
        False,
    )


async def _seals(visit: Visit) -> Tile:
    """Whether entries get their seals; whether these hold is found out on the page of the log."""
    texts = visit.texts
    since: datetime | None = await audit.unsealed_since(visit.conn)
    is_late = since is not None and clock.now() - since > _SEALED_WITHIN
    more = ""
    if since is not None and is_late:
        more = texts.text("without a seal since %(moment)s", moment=texts.moment(since))
    return Tile(
        texts.text("late") if is_late else texts.text("sealed"),
        texts.text("audit log"),
        f"{visit.here}/audit",
        more,
        is_late,
    )


def _counted(number: int) -> str:
    return f"{_MOST}+" if number > _MOST else str(number)
