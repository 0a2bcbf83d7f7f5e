"""Erase a citizen, and how citizens' own wishes stand. No address and no page has a fiscal code."""

import re

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.console import sealed
from messo.console.csv_export import moment
from messo.console.explained import gettext
from messo.console.visit import Visit, operator_page
from messo.login import FISCAL_CODE
from messo.pages.edge import redirect
from messo.recipients.data_requests import count_requests

_FISCAL_CODE = re.compile(FISCAL_CODE)
_CONFLICT = 409
_DONE = {
    "erased": gettext(
        "Done: whatever there was under this fiscal code is erased. What was under way at that "
        "moment follows in five minutes."
    ),
    "old": gettext("That took too long, and nothing was erased. Begin again."),
}
_NOT_A_CODE = gettext("A fiscal code has 16 letters and digits. Check what you typed.")


class _Chosen(msgspec.Struct, frozen=True, tag="console.erase"):
    """Who is to be erased, between the first page and the second."""

    fiscal_code: str


def routes() -> list[Route]:
    """The pages of this file."""
    return [
        operator_page("/citizens", "console.citizens", show),
        operator_page("/citizens", "console.citizens_choose", choose, ("POST",)),
        operator_page("/citizens/erase", "console.citizens_erase", erase, ("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """Whom to erase, and the wishes that citizens have stated themselves."""
    return await _first(visit)


async def choose(visit: Visit) -> Response:
    """The second page, which asks once more."""
    code = _typed(visit, "fiscal_code")
    if not _FISCAL_CODE.fullmatch(code):
        return await _first(visit, 400, wrong=visit.texts.text(_NOT_A_CODE))
    return _second(visit, code)


async def erase(visit: Visit) -> Response:
    """Erase whatever there is, if the same fiscal code was typed again."""
    secrets, login = visit.site.secrets, visit.visitor.login
    chosen = sealed.unseal(secrets, login, visit.form.get("chosen"), _Chosen)
    if chosen is None:
        return redirect(f"{visit.here}/citizens?done=old")
    if _typed(visit, "again") != chosen.fiscal_code:
        wrong = gettext("This is not the fiscal code of the page before. Nothing was erased.")
        return _second(visit, chosen.fiscal_code, wrong=visit.texts.text(wrong))
    try:
        await visit.site.erase(visit.conn, visit.actor, chosen.fiscal_code)
    except Problem as problem:
        if problem.status != _CONFLICT:
            raise
        return await _first(visit, _CONFLICT, is_under_way=True)
    return redirect(f"{visit.here}/citizens?done=erased")


async def _first(
    visit: Visit, status: int = 200, *, wrong: str = "", is_under_way: bool = False
) -> Response:
    counts = await count_requests(visit.conn)
    if visit.wants_csv:
        _ = visit.texts.text
        return visit.csv(
            "data-requests",
            [_("Wish"), _("State"), _("How many"), _("Longest unchanged since")],
            [
                [
                    visit.explain("wish", row["choice"]).label,
                    visit.explain("wish_state", row["status"]).label,
                    *(row["requests"], moment(row["oldest"])),
                ]
                for row in counts
            ],
        )
    return visit.page(
        "citizens.html",
        status,
        done=visit.done(_DONE),
        wrong=wrong,
        is_under_way=is_under_way,
        counts=counts,
    )


def _second(visit: Visit, code: str, *, wrong: str = "") -> Response:
    return visit.page(
        "citizens_confirm.html",
        400 if wrong else 200,
        wrong=wrong,
        chosen=sealed.seal(visit.site.secrets, visit.visitor.login, _Chosen(code)),
    )


def _typed(visit: Visit, name: str) -> str:
    """As people copy it: with spaces, in small letters."""
    return "".join(visit.form.get(name)[:100].split()).upper()
