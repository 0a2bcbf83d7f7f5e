"""The audit log: who did what, newest first, and whether its seals hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.base.parameters import storable
from messo.console.audit_verification import show_verification, verify
from messo.console.audit_words import Names, what
from messo.console.csv_export import MOST, moment
from messo.console.visit import Visit, operator_page
from messo.login import FISCAL_CODE
from messo.operations import audit_list
from messo.operations.audit import Place
from messo.operations.audit_list import Entry, Wanted
from messo.pages.edge import redirect

_FISCAL_CODE = re.compile(FISCAL_CODE.removeprefix("^").removesuffix(r"\Z"))
_SEAL = re.compile(r"(\d{1,4})-(\d{1,18})", re.ASCII)
_YEARS = range(2000, 3000)  # of days that somebody may look for


@dataclass(frozen=True)
class _Shown:
    """An entry as the page shows it."""

    entry: Entry
    what: str
    detail: list[tuple[str, str]]


def routes() -> list[Route]:
    """The pages of this file."""
    return [
        operator_page("/audit", "console.audit", show),
        operator_page("/audit/find", "console.audit_find", find, ("POST",)),
        operator_page("/audit/verify", "console.audit_verification", show_verification),
        operator_page("/audit/verify", "console.audit_verify", verify, ("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """The entries that are looked for, 50 a page."""
    about = _without_fiscal_code(visit, visit.query("about"))
    if about != visit.query("about"):
        # Somebody wrote it into the address by hand: at least it does not stay there.
        return redirect(visit.link(about=about, before=None))
    return await _list(visit)


async def find(visit: Visit) -> Response:
    """From the form to an address. A fiscal code becomes the keyed hash that the log knows."""
    about = _without_fiscal_code(visit, short_text(visit.form.get("about"), 200))
    day = short_text(visit.form.get("day"), 20)
    if day and _day(day) is None:
        return await _list(visit, wrong_day=True)
    action = short_text(visit.form.get("action"), 100)
    return redirect(f"{visit.here}/audit{_query(action=action, about=about, day=day)}")


async def _list(visit: Visit, *, wrong_day: bool = False) -> Response:
    wanted = _wanted(visit)
    limit = MOST if visit.wants_csv else 50
    before = None if visit.wants_csv else visit.query("before")
    page = await audit_list.entries(visit.conn, wanted, before or None, limit)
    names = await Names.of(
        visit, [word for entry in page.rows for word in (entry.actor, entry.subject)]
    )
    if visit.wants_csv:
        return _csv(visit, page.rows, names)
    texts = visit.texts
    return visit.page(
        "audit.html",
        400 if wrong_day else 200,
        rows=[_Shown(one, what(texts, one.action), _detail(one)) for one in page.rows],
        names=names,
        wanted=wanted,
        wrong_day=wrong_day,
        actions=[
            ("", texts.text("All")),
            *((one, _named(visit, one)) for one in await audit_list.actions(visit.conn)),
        ],
        next=visit.link(before=page.next) if page.next else "",
        first=visit.link(before=None) if before else "",
        query=_query,
    )


def _wanted(visit: Visit) -> Wanted:
    """What the address asks for; what it says wrongly is as not said."""
    if visit.request.method == "POST":
        return Wanted(
            short_text(visit.form.get("action"), 100), short_text(visit.form.get("about"), 200)
        )
    found = _SEAL.fullmatch(visit.query("seal"))
    about, action = visit.query("about"), visit.query("action", 100)
    return Wanted(
        action if storable(action) else "",
        about if storable(about) else "",
        _day(visit.query("day")),
        Place(int(found[1]), int(found[2])) if found else None,
    )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def _without_fiscal_code(visit: Visit, about: str) -> str:
    """What somebody looks for; a fiscal code, with blanks in it or words beside it, as its hash."""
    together = "".join(about.split()).upper()
    # No id has blanks, so only a text with some can hide a fiscal code among other signs.
    found = _FISCAL_CODE.search(together) if together != about.upper() else None
    found = found or _FISCAL_CODE.fullmatch(together)
    return visit.site.secrets.keyed_hash(found[0]) if found else about


def _query(**values: str) -> str:
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode(given)}" if given else ""


def _named(visit: Visit, action: str) -> str:
    text = what(visit.texts, action)
    return text if text == action else f"{text} ({action})"


def _detail(entry: Entry) -> list[tuple[str, str]]:
    """The particulars, by name."""
    return [(name, _said(value)) for name, value in entry.detail.items()]


def _said(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return msgspec.json.encode(value).decode()


def _csv(visit: Visit, rows: Sequence[Entry], names: Names) -> Response:
    _ = visit.texts.text
    header = [_("When"), _("Actor"), _("Who"), _("Action"), _("What"), _("Subject"), _("About")]
    return visit.csv(
        "audit",
        [*header, _("Particulars"), _("Seal"), _("Id")],
        [
            [
                *(moment(one.at), one.actor, names.actor(one.actor).text),
                *(one.action, what(visit.texts, one.action)),
                *(one.subject, names.subject(one.subject, one.action).text),
                msgspec.json.encode(one.detail).decode(),
                f"{one.seal.bucket}-{one.seal.number}" if one.seal else "",
                one.id,
            ]
            for one in rows
        ],
    )
