"""The first steps: the terms, who may write, the language. Nothing is kept before the last one."""

from typing import Literal
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from messo.inbox.visit import Visit, citizen_page, is_onboarded
from messo.pages.edge import redirect
from messo.pages.languages import LANGUAGES, Language, locale_of
from messo.recipients import Wishes, amend, onboard

Step = Literal["terms", "choose", "language"]
Mode = Literal["AUTO", "MANUAL"]
_PAGE: dict[Step, str] = {
    "terms": "welcome_terms.html",
    "choose": "welcome_choose.html",
    "language": "welcome_language.html",
}


def routes() -> list[Route]:
    """What was chosen on one page travels to the next in its address: going back loses nothing."""
    return [
        citizen_page("/welcome", "welcome.terms", show_terms, before_welcome=True),
        citizen_page("/welcome/choose", "welcome.choose", show_choose, before_welcome=True),
        citizen_page("/welcome/language", "welcome.language", show_language, before_welcome=True),
        citizen_page("/welcome", "welcome.finish", finish, methods=("POST",), before_welcome=True),
    ]


async def show_terms(visit: Visit) -> Response:
    """The terms; for who has accepted those in force elsewhere, the next step."""
    if is_onboarded(visit.profile, visit.site):
        return redirect("/")
    return _step(visit, _steps(visit)[0])


async def show_choose(visit: Visit) -> Response:
    """Who may write: everybody unless forbidden, or nobody unless allowed."""
    if is_onboarded(visit.profile, visit.site):
        return redirect("/")
    steps = _steps(visit)
    if "choose" not in steps or not visit.request.url.query:
        return redirect("/welcome")
    if not _accepts(visit, visit.request.query_params.get("terms")):
        return _step(visit, "terms", missing=True)
    return _step(visit, "choose")


async def show_language(visit: Visit) -> Response:
    """The language, and the button that ends it."""
    if is_onboarded(visit.profile, visit.site):
        return redirect("/")
    query = visit.request.query_params
    if "choose" not in _steps(visit) or not visit.request.url.query:
        return redirect("/welcome")
    if not _accepts(visit, query.get("terms")):
        return _step(visit, "terms", missing=True)
    if _mode(query.get("mode")) is None:
        return _step(visit, "choose", missing=True)
    return _step(visit, "language")


async def finish(visit: Visit) -> Response:
    """Record everything at once. Done twice, the second time changes nothing."""
    if is_onboarded(visit.profile, visit.site):
        return redirect("/")
    form = visit.form
    if not _accepts(visit, form.get("terms")):
        return _step(visit, "terms", missing=True)
    version = visit.site.settings.terms_version
    if "choose" not in _steps(visit):  # the terms grew; all else stays as it is
        wishes = Wishes(accepted_tos_version=float(version))
        await amend(visit.conn, visit.fiscal_code, wishes)
        return redirect("/")
    mode = _mode(form.get("mode"))
    if mode is None:
        return _step(visit, "choose", missing=True)
    await onboard(
        visit.conn,
        visit.fiscal_code,
        terms_version=version,
        mode=mode,
        language=locale_of(_language(visit, form.get("language"))),
    )
    return redirect("/")


def _steps(visit: Visit) -> list[Step]:
    accepted = visit.profile.accepted_tos_version
    current = accepted is not None and accepted >= visit.site.settings.terms_version
    first: list[Step] = [] if current else ["terms"]
    return [*first, "choose", "language"] if visit.profile.mode == "LEGACY" else first


def _step(visit: Visit, step: Step, *, missing: bool = False) -> Response:
    """One of the pages; `missing`: the one before could not be left, and this says why."""
    given = visit.form.get if visit.request.method == "POST" else visit.request.query_params.get
    terms = given("terms") or ""
    mode = _mode(given("mode"))
    steps = _steps(visit)
    state = {"terms": terms, **({"mode": mode} if mode else {})}
    return visit.page(
        _PAGE[step],
        400 if missing else 200,
        missing=missing,
        steps=steps,
        number=steps.index(step) + 1 if step in steps else 1,
        again=visit.profile.accepted_tos_version is not None,
        terms=terms,
        terms_version=visit.site.settings.terms_version,
        terms_url=visit.site.settings.terms_url,
        privacy_url=visit.site.settings.privacy_url,
        mode=mode,
        state=urlencode(state),
        languages=LANGUAGES,
    )


def _accepts(visit: Visit, terms: str | None) -> bool:
    """Whether the terms in force were ticked, here or once before."""
    return "terms" not in _steps(visit) or terms == str(visit.site.settings.terms_version)


def _mode(text: str | None) -> Mode | None:
    if text == "AUTO":
        return "AUTO"
    return "MANUAL" if text == "MANUAL" else None


def _language(visit: Visit, text: str) -> Language:
    return next((known for known in LANGUAGES if known == text), visit.texts.language)
