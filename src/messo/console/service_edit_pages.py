"""Making and changing a service, beside what citizens will see of it and what a review would say."""

from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.forms import whole_number
from messo.base.http import Problem
from messo.console import service_form, service_shown
from messo.console.explained import gettext
from messo.console.service_form import Typed
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.pages.languages import LANGUAGES, Language
from messo.services import contacts, logos, manage, owned, payload, review_checks
from messo.services.lifecycle import LIFECYCLE
from messo.services.payload import Data
from messo.services.topics import OTHER, TOPICS

_SHOW = "show"  # the button for those without JavaScript
_CHANGED = gettext(
    "Somebody changed this service while you were writing. Nothing of yours is lost, and nothing "
    "is saved yet: look at the differences, then save again to put your version in its place."
)
_NOT_NOW = gettext(
    "The service cannot be changed right now: it went into review, or was deleted, while you were "
    "writing. What you typed is still here. Withdraw it from review, then save again."
)


def routes() -> list[Route]:
    """`new` before what takes any id."""
    return [
        institution_page("/services/new", "console.service_new", "edit", show_new),
        institution_page("/services/new", "console.service_make", "edit", make, ("POST",)),
        institution_page(
            "/services/new/preview",
            "console.service_preview",
            "edit",
            preview_new,
            ("POST",),
            changes=False,
        ),
        institution_page("/services/{id}/edit", "console.service_edit", "edit", show_edit),
        institution_page("/services/{id}/edit", "console.service_save", "edit", save, ("POST",)),
        institution_page(
            "/services/{id}/preview",
            "console.service_preview_of",
            "edit",
            preview,
            ("POST",),
            changes=False,
        ),
    ]


async def show_new(visit: Visit) -> Response:
    """An empty form."""
    service_shown.writing_manager(visit)
    data = Data(name="", metadata={"scope": "LOCAL"})
    return await _form(visit, None, _typed_of(visit, data))


async def make(visit: Visit) -> Response:
    """A new draft, or the form again."""
    manager = service_shown.writing_manager(visit)
    typed = _read(visit, None)
    if visit.form.get("act") == _SHOW:
        return await _form(visit, None, typed)
    if typed.errors:
        return await _form(visit, None, typed, HTTPStatus.BAD_REQUEST)
    made = await manage.create(visit.conn, visit.site.secrets, manager, typed.data)
    return redirect(f"{visit.here}/services/{made['id']}?done=made")


async def show_edit(visit: Visit) -> Response:
    """The working version in the form. `Problem` 409 while it is reviewed or once it is deleted."""
    row = await _own(visit)
    if row["status"] not in LIFECYCLE["edit"]:
        raise Problem(409, "Conflict", f"It cannot be changed: it is {row['status']}.")
    return await _form(visit, row, _typed_of(visit, payload.read(row["data"])))


async def save(visit: Visit) -> Response:
    """Replace the working version, unless somebody else did meanwhile."""
    manager = service_shown.writing_manager(visit)
    row = await _own(visit)
    typed = _read(visit, row)
    if visit.form.get("act") == _SHOW:
        return await _form(visit, row, typed, opened=_opened(visit))
    if typed.errors:
        return await _form(visit, row, typed, HTTPStatus.BAD_REQUEST, opened=_opened(visit))
    try:
        await manage.edit(visit.conn, manager, row["id"], typed.data, _opened(visit))
    except Problem as problem:
        if problem.status not in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
            raise
        now = await _own(visit)
        is_free = now["status"] in LIFECYCLE["edit"]
        notice = visit.texts.text(_CHANGED if is_free else _NOT_NOW)
        return await _form(visit, now, typed, problem.status, notice=notice)
    return redirect(f"{visit.here}/services/{row['id']}?done=saved")


async def preview_new(visit: Visit) -> Response:
    """What citizens would see of what is in the form now."""
    return await _preview(visit, None, _read(visit, None))


async def preview(visit: Visit) -> Response:
    """The same for a service that there is."""
    row = await _own(visit)
    return await _preview(visit, row, _read(visit, row))


async def shown(visit: Visit, row: Row | None, data: Data, language: Language) -> str:
    """The card of a version, as a whole page; `row`: None of a service that is not made yet."""
    access = visit.access
    of = (access.institution_id, access.name, access.fiscal_code)
    nameless = visit.texts.text("Name of the service")
    service_id, category = (row["id"], row["category"]) if row else ("", "STANDARD")
    service = service_form.shown_service(data, service_id, of, nameless, category)
    drawn = await logos.addresses(visit.conn, service_id, of[0], of[2])
    return visit.site.preview_service(service, language, drawn)


async def _own(visit: Visit) -> Row:
    manager = service_shown.writing_manager(visit)
    return await owned.find_own(visit.conn, manager, visit.request.path_params["id"])


def _read(visit: Visit, row: Row | None) -> Typed:
    before = payload.read(row["data"]) if row else None
    return service_form.read(visit.form, before, visit.site.service_rules.sandbox_fiscal_code)


def _typed_of(visit: Visit, data: Data) -> Typed:
    code = visit.site.service_rules.sandbox_fiscal_code
    return Typed(service_form.values_of(data, code), data, {})


def _opened(visit: Visit) -> int:
    """The version that the form was opened with; what is no number is none of any service."""
    return whole_number(visit.form.get("version")) or 0


def _language(visit: Visit) -> Language:
    """In which the preview is shown: the one chosen beside it, or the visitor's."""
    chosen = visit.form.get("shown_in")
    return next((one for one in LANGUAGES if one == chosen), visit.texts.language)


async def _preview(visit: Visit, row: Row | None, typed: Typed) -> Response:
    return visit.page("service_preview.html", **await _seen(visit, row, typed))


async def _seen(visit: Visit, row: Row | None, typed: Typed) -> dict[str, Any]:
    """What the preview needs; a field that is wrong is not shown as empty, but left out."""
    language = _language(visit)
    data = typed.data
    for name in ("name", "description"):
        if name in typed.errors:  # what stands there now was put in its place
            setattr(data, name, "")
    lacking = [
        line
        for line in review_checks.shortcomings(data)
        if line.partition(":")[0].rpartition(".")[2] not in typed.errors
    ]
    return {
        "card": await shown(visit, row, data, language),
        "shown_in": language,
        "lacking": service_shown.shortcomings(visit.texts, lacking),
    }


async def _form(  # of a new service without `row`
    visit: Visit,
    row: Row | None,
    typed: Typed,
    status: int = 200,
    *,
    notice: str = "",
    opened: int | None = None,
) -> Response:
    text = visit.texts.text
    meanwhile = []
    if row is not None and notice:
        changed = review_checks.differences(payload.read(row["data"]), typed.data)
        meanwhile = service_shown.differences(visit.texts, changed)
    version = (row["version"] if row else 0) if opened is None else opened
    return visit.page(
        "service_form.html",
        status,
        service=row,
        version=version,
        values=typed.values,
        errors={
            name: text(typed.errors[name]) for name in service_form.FIELDS if name in typed.errors
        },
        advice=_advice(visit, typed),
        topics=_topics(visit),
        scopes=[(value, text(label)) for value, label in service_shown.SCOPES.items()],
        label=_label(visit),
        most=visit.site.service_rules.most,
        notice=notice,
        meanwhile=meanwhile,
        **await _seen(visit, row, typed),
    )


def _advice(visit: Visit, typed: Typed) -> dict[str, str]:
    """Of contacts that are kept and that a review would refuse, what each must be."""
    found = {}
    for name, value in typed.data.metadata.items():
        if name in contacts.NAMES and name not in typed.errors and contacts.refusal(name, value):
            italian, english = contacts.expected(name)
            must = italian if visit.texts.language == "it" else english
            found[name] = visit.texts.text("A review would refuse this: it %(must)s.", must=must)
    return found


def _label(visit: Visit) -> dict[str, str]:
    """What the fields are called, by their names in the form."""
    labels = service_shown.LABELS
    return {name.rpartition(".")[2]: visit.texts.text(label) for name, label in labels.items()}


def _topics(visit: Visit) -> list[tuple[str, str]]:
    """What services are about, what belongs nowhere else last."""
    in_order = [*(topic for topic in TOPICS if topic is not OTHER), OTHER]
    is_italian = visit.texts.language == "it"
    return [
        ("", visit.texts.text("Choose…")),
        *((str(topic.id), topic.name if is_italian else topic.english) for topic in in_order),
    ]
