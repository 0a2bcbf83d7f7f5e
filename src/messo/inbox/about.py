"""The texts that stand still: terms of service, privacy, accessibility."""

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from messo.inbox.visit import Visit, open_page


def routes() -> list[Route]:
    """For everybody, before and after the login."""
    return [
        open_page("/terms", "about.terms", show_terms),
        open_page("/privacy", "about.privacy", show_privacy),
        open_page("/accessibility", "about.accessibility", show_accessibility),
    ]


async def show_terms(visit: Visit) -> Response:
    """The terms of service, or the way to the operator's own."""
    settings = visit.site.settings
    if settings.terms_url:
        return RedirectResponse(settings.terms_url)
    return visit.page("terms.html", terms_version=settings.terms_version)


async def show_privacy(visit: Visit) -> Response:
    """What is known about a citizen and why, or the way to the operator's own notice."""
    settings = visit.site.settings
    if settings.privacy_url:
        return RedirectResponse(settings.privacy_url)
    return visit.page("privacy.html", settings=settings)


async def show_accessibility(visit: Visit) -> Response:
    """What works for whom, and what does not yet."""
    return visit.page("accessibility.html")
