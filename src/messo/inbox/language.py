"""The language of the pages, changed from any page: remembered in the browser and the profile."""

from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import read_form
from messo.inbox.visit import Visit, open_page
from messo.pages.edge import redirect
from messo.pages.languages import LANGUAGES, Language, keep_language, locale_of
from messo.recipients import choose_language


def routes() -> list[Route]:
    """Also for who is not logged in, so that there is no token to check: see `choose`."""
    return [open_page("/language", "inbox.language", choose, methods=("POST",))]


async def choose(visit: Visit) -> Response:
    """Remember the language, and go back to where the button was.

    Browsers say where a request comes from; one that another site causes changes nothing.
    """
    request = visit.request
    form = await read_form(request)
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return visit.error(403, "form")
    chosen = next((known for known in LANGUAGES if known == form.get("language")), None)
    if chosen is None:
        return visit.error(400, "problem")
    if visit.session is not None:
        async with visit.site.pool.transaction() as conn:
            await choose_language(conn, visit.session.fiscal_code, locale_of(chosen))
    response = redirect(local_path(form.get("back", "/")))
    remember(visit, response, chosen)
    return response


def remember(visit: Visit, response: Response, chosen: Language) -> None:
    """For when nobody is logged in: the same language in this browser."""
    secure = urlsplit(visit.site.settings.public_url).scheme == "https"
    keep_language(response, chosen, secure=secure)


def local_path(text: str) -> str:
    """`text` if it is a path of this site, the front page otherwise."""
    local = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if local and "\\" not in text else "/"
