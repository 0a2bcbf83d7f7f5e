"""What a webhook did not take: events that wait to be tried again, dead letters, and replay."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET
from starlette.responses import Response
from starlette.routing import Route

from messo.base import clock
from messo.base.http import Problem
from messo.console.csv_export import MOST, moment
from messo.console.refusals_shown import refused
from messo.console.visit import Visit, institution_page
from messo.console.webhook_words import find, id_of, kind_of, page_values, shown
from messo.events import deliveries, replay, wire
from messo.pages.edge import redirect

_PAGE = 50
_ROME = ZoneInfo("Europe/Rome")
_LARGEST = 2**63 - 1  # of positions
_DIGITS = 19
_FIELDS = {"from": "since", "to": "until"}
_LONGEST = 40  # characters of a moment


def routes() -> list[Route]:
    """Both lists, and what sends again."""
    one = "/webhooks/{webhook}"
    return [
        institution_page(f"{one}/waiting", "console.webhook_waiting", "administer", show_waiting),
        institution_page(f"{one}/dead", "console.webhook_dead", "administer", show_dead),
        institution_page(
            f"{one}/dead", "console.webhook_replay", "administer", replay_dead, ("POST",)
        ),
        institution_page(f"{one}/again", "console.webhook_again", "administer", show_again),
        institution_page(
            f"{one}/again", "console.webhook_stretch", "administer", replay_stretch, ("POST",)
        ),
    ]


async def show_waiting(visit: Visit) -> Response:
    """What is to be tried again: how often it was, when it will be, and why it was not taken."""
    row = await find(visit)
    if visit.wants_csv:
        items, _ = await deliveries.waiting(visit.conn, row, 0, MOST)
        return _waiting_file(visit, items)
    after = position_of(visit.query("after")) or 0
    items, beyond = await deliveries.waiting(visit.conn, row, after, _PAGE)
    return visit.page(
        "webhook_waiting.html",
        **{
            **page_values(visit, await shown(visit)),
            "items": items,
            "next": visit.link(after=str(beyond)) if beyond else "",
            "first": visit.link(after=None) if after else "",
        },
    )


async def show_dead(visit: Visit) -> Response:
    """What was given up, to be ticked and sent again."""
    return await _dead_page(visit, {})


async def replay_dead(visit: Visit) -> Response:
    """Send again what was ticked, or all of it."""
    everything = visit.form.get("which") == "all"
    given = [position_of(text) for text in visit.form.all("position")]
    positions = [one for one in given if one is not None]
    if not everything and not positions:
        return await _dead_page(visit, {"which": visit.texts.text("Tick what to send again.")})
    row = await _locked(visit)
    queued = await deliveries.send_again(visit.conn, row, None if everything else positions)
    await _record(visit, row["id"], queued.events)
    return redirect(f"{visit.here}/webhooks/{row['id']}/dead?done=replayed&number={queued.events}")


async def show_again(visit: Visit) -> Response:
    """The form that sends again what was published within a stretch of time."""
    return await _again_page(visit, "", "", {})


async def replay_stretch(visit: Visit) -> Response:
    """Queue all of a stretch, as far as one goes; the rest from where that ended."""
    since, until = (visit.form.get(name)[:_LONGEST].strip() for name in ("since", "until"))
    goes_on = visit.form.get("goes_on")[:_LONGEST]  # in UTC, as an earlier answer said
    wanted = wire.Replay(
        since=goes_on or _moment(since),
        until=_moment(until) if until else clock.now().isoformat(),
    )
    row = await _locked(visit)
    try:
        async with visit.conn.transaction():
            queued = await replay.replay(visit.conn, row, wanted)
            await _record(visit, row["id"], queued.events)
    except Problem as problem:
        if problem.field not in _FIELDS:
            raise
        return await _again_page(
            visit, since, until, {_FIELDS[problem.field]: _why(visit, problem)}
        )
    if queued.next_from is UNSET:
        place = f"{visit.here}/webhooks/{row['id']}/again"
        return redirect(f"{place}?done=replayed&number={queued.events}")
    return await _again_page(visit, since, until, {}, queued)


def position_of(text: str) -> int | None:
    """A position in a form or an address; None for what is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        return None
    return min(int(text), _LARGEST)


def _moment(typed: str) -> str:
    """What a field for a moment sends, by the clocks of Rome, as the API takes it."""
    try:
        moment = datetime.fromisoformat(typed)
        return moment.replace(tzinfo=moment.tzinfo or _ROME).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return typed


def _why(visit: Visit, problem: Problem) -> str:
    if "must be a moment" in problem.detail:
        return visit.texts.text("This is no day with an hour: it looks like 2026-11-30 09:00.")
    return refused(visit, problem)


async def _locked(visit: Visit) -> Any:  # noqa: ANN401  a row
    return await visit.site.webhooks.find_locked(
        visit.conn, visit.access.institution_id, id_of(visit)
    )


async def _record(visit: Visit, webhook_id: str, events: int) -> None:
    await visit.site.webhooks.record(
        visit.conn, visit.actor, "webhook.replay", webhook_id, events=events
    )


async def _dead_page(visit: Visit, errors: dict[str, str]) -> Response:
    row = await find(visit)
    if visit.wants_csv:
        found = await replay.dead_letters(visit.conn, row, None, MOST)
        return _dead_file(visit, found.items)
    after = visit.query("after")
    page = await replay.dead_letters(visit.conn, row, after or None, _PAGE)
    return visit.page(
        "webhook_dead.html",
        400 if errors else 200,
        **{
            **page_values(visit, await shown(visit)),
            "items": page.items,
            "moment_of": datetime.fromisoformat,
            "errors": errors,
            "next": visit.link(after=page.next) if page.next is not UNSET else "",
            "first": visit.link(after=None) if after else "",
            "done": _replayed(visit),
        },
    )


async def _again_page(
    visit: Visit,
    since: str,
    until: str,
    errors: dict[str, str],
    queued: wire.Replayed | None = None,
) -> Response:
    done = _replayed(visit)
    if queued is not None:
        done = _queued(visit, queued.events)
    return visit.page(
        "webhook_again.html",
        400 if errors else 200,
        **{
            **page_values(visit, await shown(visit)),
            "since": since,
            "until": until,
            "goes_on": "" if queued is None else queued.next_from,
            "errors": errors,
            "done": done,
        },
    )


def _replayed(visit: Visit) -> str:
    events = position_of(visit.query("number"))
    if visit.query("done") != "replayed" or events is None:
        return ""
    return _queued(visit, events)


def _queued(visit: Visit, events: int) -> str:
    if not events:
        return visit.texts.text("There was nothing to send again.")
    return visit.texts.count(
        "Done: %(n)s event is on its way again.",
        "Done: %(n)s events are on their way again.",
        events,
    )


def _waiting_file(visit: Visit, items: Any) -> Response:  # noqa: ANN401  rows
    _ = visit.texts.text
    header = [
        _("Event"),
        _("Kind"),
        _("Message"),
        _("Happened"),
        _("Tries"),
        _("Next try"),
        _("Last error"),
    ]
    rows: list[list[object]] = [
        [
            row["id"],
            kind_of(visit.texts, row["kind"]),
            row["message_id"],
            moment(row["at"]),
            row["attempts"],
            moment(row["due_at"]),
            row["last_error"] or "",
        ]
        for row in items
    ]
    return visit.csv("webhook-waiting", header, rows)


def _dead_file(visit: Visit, items: list[wire.DeadLetter]) -> Response:
    _ = visit.texts.text
    header = [
        _("Event"),
        _("Kind"),
        _("Message"),
        _("Happened"),
        _("Tries"),
        _("Given up"),
        _("Last error"),
    ]
    rows: list[list[object]] = [
        [
            one.event.id,
            kind_of(visit.texts, one.event.type),
            one.event.data.message_id,
            one.event.at,
            one.attempts,
            one.dead_at,
            one.error or "",
        ]
        for one in items
    ]
    return visit.csv("dead-letters", header, rows)
