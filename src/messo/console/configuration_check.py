"""Calling an institution's server as we would for a citizen, and saying what is wrong."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET
from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.base.turns import NoTurnError
from messo.console.configuration_words import CALLS, find, finding_of
from messo.console.visit import Afterwards, Visit, institution_page
from messo.content import wire
from messo.content.advice import advise
from messo.content.check import Check
from messo.content.configuration_routes import add_advice
from messo.content.lookup import loaded
from messo.content.pdf import PdfBusyError
from messo.login import FiscalCode

_PATH = "/configurations/{configuration}/check"
_LONGEST = 1000
_OK = 200


@dataclass(frozen=True)
class Finding:
    """`place`: where in the answer, as developers call it. `is_advice`: it works all the same."""

    place: str
    text: str
    is_advice: bool


@dataclass(frozen=True)
class Part:
    """What was asked for in one way. `calls`: the status of each answer, and how long it took."""

    name: str
    title: str
    sentence: str
    calls: list[tuple[int | None, int]]
    findings: list[Finding]

    @property
    def outcome(self) -> str:
        """`bad`: something is wrong; `wait`: only advice; `good`; `plain`: not asked for."""
        if any(not one.is_advice for one in self.findings):
            return "bad"
        if self.findings:
            return "wait"
        return "good" if self.calls or self.name == "configuration" else "plain"


def routes() -> list[Route]:
    """A form, and its answer. Whose content it is travels in the form, never in an address."""
    return [
        institution_page(_PATH, "console.configuration_checking", "administer", show),
        institution_page(_PATH, "console.configuration_check", "administer", run, ("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """The form."""
    given = await find(visit)
    return _page(visit, given, "", "", {})


async def run(visit: Visit) -> Response | Afterwards:
    """Ask once the transaction is over: a slow server may take a minute."""
    given = await find(visit)
    remote_id = short_text(visit.form.get("content_id"), _LONGEST)
    fiscal_code = short_text(visit.form.get("fiscal_code"), _LONGEST).upper()
    errors = {}
    if not remote_id:
        errors["content_id"] = visit.texts.text("Say which content to ask for.")
    try:
        msgspec.convert(fiscal_code, FiscalCode)
    except msgspec.ValidationError:
        errors["fiscal_code"] = visit.texts.text("This is no fiscal code.")
    if errors:
        return _page(visit, given, remote_id, fiscal_code, errors)

    async def ask() -> Response:
        try:
            async with (
                # One at a time of an institution: its server may hang, and places are few.
                visit.site.turns.one(f"check:{visit.access.institution_id}", 1, 0),
                visit.site.pdf_check.place() as place,
            ):
                check = Check(visit.site.ask, place, loaded(given))
                report = await check.run(remote_id, fiscal_code)
        except (PdfBusyError, NoTurnError):
            busy = visit.texts.text("A check is under way already: try again soon.")
            return _page(visit, given, remote_id, fiscal_code, {"": busy}, 503)
        add_advice(report, advise(given, visit.site.networks))
        return _page(visit, given, remote_id, fiscal_code, {}, 200, report)

    return ask


def _page(
    visit: Visit,
    given: wire.Configuration,
    remote_id: str,
    fiscal_code: str,
    errors: dict[str, str],
    status: int = 400,
    report: wire.CheckReport | None = None,
) -> Response:
    return visit.page(
        "configuration_check.html",
        status if errors else 200,
        one=given,
        content_id=remote_id,
        fiscal_code=fiscal_code,
        errors=errors,
        report=report,
        parts=[] if report is None else _parts(visit, report),
        ok=_OK,
    )


def _parts(visit: Visit, report: wire.CheckReport) -> list[Part]:
    texts = visit.texts
    return [
        Part(
            name,
            texts.text(title),
            texts.text(sentence),
            [
                (None if call.status is UNSET else call.status, call.ms)
                for call in report.calls
                if call.call == name
            ],
            [
                Finding(found.field, finding_of(texts, found), found.is_advice)
                for found in report.findings
                if found.call == name
            ],
        )
        for name, (title, sentence) in CALLS.items()
    ]
