"""What operators change of an institution: what it may do, and whether it may do anything."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import short_text
from messo.console import institution_page
from messo.console.visit import Visit, operator_page
from messo.pages.edge import redirect
from messo.people.members import lock_people
from messo.services import Permission, oversight

LONGEST_REASON = 500  # characters, as the API takes them


def routes() -> list[Route]:
    """The forms of this file."""
    one = "/institutions/{institution}"
    return [
        operator_page(
            f"{one}/permissions", "console.institution.permissions", set_permissions, ("POST",)
        ),
        operator_page(f"{one}/suspension", "console.institution.suspend", suspend, ("POST",)),
    ]


async def set_permissions(visit: Visit) -> Response:
    """Let it do exactly what is ticked, if nobody has changed that meanwhile."""
    wanted = visit.request.path_params["institution"]
    await lock_people(visit.conn, wanted)
    found = await institution_page.find(visit)
    ticked = sorted(set(visit.form.all("permission")) & set(Permission))
    if visit.form.get("seen") != " ".join(sorted(found.permissions)):
        alert = visit.texts.text(
            "Somebody changed the permissions meanwhile. Nothing was changed now: below they are "
            "as they are."
        )
        return await institution_page.page(visit, 409, alert=alert)
    put = await oversight.set_permissions(visit.conn, visit.actor, wanted, ticked)
    done = "permissions" if put.added or put.removed else "same"
    return redirect(f"{visit.here}/institutions/{wanted}?done={done}")


async def suspend(visit: Visit) -> Response:
    """Suspend or restore it, for a reason."""
    wanted = visit.request.path_params["institution"]
    reason, wrong = reason_of(visit)
    if wrong:
        return await institution_page.page(
            visit, 400, errors={"reason": wrong}, typed={"reason": reason}
        )
    return redirect(
        f"{visit.here}/institutions/{wanted}?done={await decide(visit, 'institution', wanted, reason)}"
    )


async def decide(visit: Visit, kind: oversight.Kind, wanted: str, reason: str) -> str:
    """Suspend or restore, as the form says; the word for what came of it."""
    if visit.form.get("do") == "restore":
        changed = await oversight.restore(visit.conn, visit.actor, kind, wanted, reason)
        return "restored" if changed else "same"
    changed = await oversight.suspend(visit.conn, visit.actor, kind, wanted, reason)
    return "suspended" if changed else "same"


def reason_of(visit: Visit) -> tuple[str, str]:
    """The reason that was typed, and what is wrong with it."""
    reason = short_text(visit.form.get("reason"), LONGEST_REASON + 1)
    if not reason or len(reason) > LONGEST_REASON:
        return reason, visit.texts.text("Say why, in up to 500 characters. Name no person.")
    return reason, ""
