"""Preferences that hold for every service: who may write, and the language."""

from typing import Literal

from starlette.responses import Response
from starlette.routing import Route

from messo.inbox import notices
from messo.inbox.language import remember
from messo.inbox.visit import Visit, citizen_page
from messo.pages.edge import redirect
from messo.pages.languages import LANGUAGES, locale_of
from messo.recipients import Wishes, amend, choose_language, choose_mode, count_choices


def routes() -> list[Route]:
    """Changing the mode voids what was chosen before, so that it is asked twice."""
    return [
        citizen_page("/preferences", "preferences.show", show),
        citizen_page("/preferences", "preferences.change", change, methods=("POST",)),
        citizen_page("/preferences/mode", "preferences.ask_mode", ask_mode),
        citizen_page("/preferences/mode", "preferences.mode", change_mode, methods=("POST",)),
    ]


async def show(visit: Visit) -> Response:
    """What holds now."""
    return await notices.page(visit)


async def ask_mode(visit: Visit) -> Response:
    """What the other mode does, and what it forgets, before it is done."""
    mode = _mode(visit.request.query_params.get("mode"))
    if mode is None or mode == visit.profile.mode:
        return redirect("/preferences")
    return visit.page(
        "preferences_mode.html",
        mode=mode,
        choices=await count_choices(visit.conn, visit.fiscal_code),
        settings_version=visit.profile.settings_version,
    )


async def change_mode(visit: Visit) -> Response:
    """Change it, unless another device did so since the question was read."""
    mode = _mode(visit.form.get("mode"))
    if mode is None:
        return visit.error(400, "problem")
    if visit.form.get("settings_version") != str(visit.profile.settings_version):
        return visit.error(409, "problem")
    await choose_mode(visit.conn, visit.fiscal_code, mode)
    return redirect("/preferences?done=saved-1")


async def change(visit: Visit) -> Response:
    """Another language, or an inbox that was closed with a client application opened again."""
    if visit.form.get("action") == "open":
        await amend(visit.conn, visit.fiscal_code, Wishes(is_inbox_enabled=True))
        return redirect("/preferences?done=saved-1")
    chosen = next((known for known in LANGUAGES if known == visit.form.get("language")), None)
    if chosen is None:
        return visit.error(400, "problem")
    await choose_language(visit.conn, visit.fiscal_code, locale_of(chosen))
    response = redirect("/preferences?done=saved-1")
    remember(visit, response, chosen)
    return response


def _mode(text: str | None) -> Literal["AUTO", "MANUAL"] | None:
    if text == "AUTO":
        return "AUTO"
    return "MANUAL" if text == "MANUAL" else None
