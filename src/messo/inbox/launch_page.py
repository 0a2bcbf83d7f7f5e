"""Buttons of institutions as pages show them, and the way out to a site that signs citizens on.

A button with single sign-on is a form: what it leaves here lets the site ask who the citizen is
without another question, so no link on another page may do it.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.inbox.visit import Visit, citizen_page
from messo.messages import buttons, mailbox
from messo.messages.buttons import Button
from messo.services import catalog
from messo.sso import launch

# Where the citizen was is nobody's business there, and "back" does not come upon this page.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True)
class Shown:
    """Buttons and the page of ours they stand on. `seal`: of an address, for its form."""

    buttons: tuple[Button, ...]
    place: str
    seal: Callable[[str], str]


def routes() -> list[Route]:
    """Addresses carry the id of the message or service, and nothing of who leaves or for where."""
    return [
        citizen_page("/messages/{id}/open", "inbox.open", open_message, methods=("POST",)),
        citizen_page("/services/{id}/open", "services.open", open_service, methods=("POST",)),
    ]


def of_message(visit: Visit, message_id: str, markdown: str) -> Shown:
    """The buttons of a message, from its own text or from what its institution serves."""
    return _shown(visit, f"/messages/{message_id}", markdown)


def of_service(visit: Visit, service_id: str, cta: str) -> Shown:
    """The buttons of a service: its `cta` is front matter like a message's."""
    return _shown(visit, f"/services/{quote(service_id, safe='')}", cta)


async def open_message(visit: Visit) -> Response:
    """On to the site of a message's button, if this citizen was shown it in this login."""
    message = await mailbox.read_message(
        visit.conn, visit.fiscal_code, visit.request.path_params["id"]
    )
    if message is None:
        raise Problem(404, "Not found", "")
    line = message.line
    place = f"/messages/{line.id}"
    return await _leave(visit, place, line.service_id, line.organization_name, line.id)


async def open_service(visit: Visit) -> Response:
    """The same for a button on the page of a service."""
    service = await catalog.read_service(
        visit.conn, visit.request.path_params["id"], visit.fiscal_code
    )
    if service is None:
        raise Problem(404, "Not found", "")
    place = f"/services/{quote(service.id, safe='')}"
    return await _leave(visit, place, service.id, service.institution_name, None)


def _shown(visit: Visit, place: str, markdown: str) -> Shown:
    found = buttons.of_message(
        markdown, visit.texts.language, sso_on_loopback=visit.site.settings.sandbox
    )
    return Shown(found, place, lambda address: _seal(visit, place, address))


def _seal(visit: Visit, place: str, address: str) -> str:
    """That we showed this address on that page in this login.

    What an institution serves is not kept, so the form brings the address back.
    """
    shown = f"inbox.button:{_digest(visit).hex()}:{place}:{address}"
    return visit.site.secrets.keyed_digest(shown).hex()


async def _leave(
    visit: Visit, place: str, service_id: str, organization: str, message_id: str | None
) -> Response:
    address, seal = visit.form.get("address"), visit.form.get("seal")
    expected = _seal(visit, place, address).encode()
    if not hmac.compare_digest(seal.encode("utf-8", "replace"), expected):
        return visit.error(403, "form")
    link = buttons.sso_link(address, on_loopback=visit.site.settings.sandbox)
    if link is None:
        raise Problem(400, "Bad request", "")
    tickets = await launch.leave(visit.conn, _digest(visit), service_id, link.href, message_id)
    # Not a redirect: the policy for forms would have to name every site on the way from there.
    response = visit.page(
        "leaving.html",
        href=link.href,
        host=buttons.called(link),
        organization=organization,
        back=place,
        is_known=tickets > 0,
    )
    response.headers.update(_HEADERS)
    return response


def _digest(visit: Visit) -> bytes:
    assert visit.session is not None, "this page has no citizen"  # noqa: S101
    return visit.session.digest
