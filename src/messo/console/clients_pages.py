"""Single sign-on: the sites of an institution where citizens are let in from here."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.console import client_form, client_secrets
from messo.console.client_page import asked_for, client_page
from messo.console.client_words import ENVIRONMENTS, METHODS, label
from messo.console.csv_export import MOST, moment
from messo.console.explained import gettext
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.sso import registration
from messo.sso.client_list import page_of
from messo.sso.clients import read_redirects

_PAGE = 50
_DONE = {
    "deleted": gettext("Done: nobody is let in there from here any more."),
    "changed": gettext("Done: the site's settings are changed."),
    "dropped": gettext("Done: only the newest secret is good from now on."),
}


def routes() -> list[Route]:
    """All pages of clients; `new` comes before what looks like an id."""
    one = "/clients/{service}/{environment}"
    return [
        institution_page("/clients", "console.clients", "administer", show_all),
        *client_form.routes(),
        institution_page(one, "console.client", "administer", show),
        *client_secrets.routes(),
        institution_page(f"{one}/delete", "console.client_deleting", "administer", ask_deletion),
        institution_page(f"{one}/delete", "console.client_delete", "administer", delete, ("POST",)),
    ]


async def show_all(visit: Visit) -> Response:
    """A page of them, or all in a file."""
    institution = visit.access.institution_id
    if visit.wants_csv:
        rows, _ = await page_of(visit.conn, institution, "", MOST)
        return _file(visit, rows)
    rows, beyond = await page_of(visit.conn, institution, visit.query("after"), _PAGE)
    texts = visit.texts
    return visit.page(
        "clients.html",
        items=[
            (
                row,
                _names(visit, row),
                label(texts, ENVIRONMENTS, row["environment"]),
                label(texts, METHODS, row["auth_method"]),
            )
            for row in rows
        ],
        issuer=visit.site.client_rules.issuer,
        next=visit.link(after=beyond) if beyond else "",
        first=visit.link(after=None) if visit.query("after") else "",
        done=visit.done(_DONE),
    )


async def show(visit: Visit) -> Response:
    """One of them, and what whoever builds the site needs."""
    client = await registration.read(visit.conn, visit.site.client_rules, asked_for(visit))
    return await client_page(visit, client, done=visit.done(_DONE))


async def ask_deletion(visit: Visit) -> Response:
    """What is lost with it."""
    client = await registration.read(visit.conn, visit.site.client_rules, asked_for(visit))
    return visit.page("client_delete.html", client=client, error="")


async def delete(visit: Visit) -> Response:
    """Away with it, once that was ticked."""
    asked = asked_for(visit)
    if not visit.form.ticked("sure"):
        client = await registration.read(visit.conn, visit.site.client_rules, asked)
        error = visit.texts.text("Tick this to delete it.")
        return visit.page("client_delete.html", 400, client=client, error=error)
    await registration.delete(visit.conn, visit.actor, asked)
    return redirect(f"{visit.here}/clients?done=deleted")


def _names(visit: Visit, row: Row) -> str:
    """How citizens know the places of a site."""
    places = read_redirects(row["redirects"])
    return ", ".join(dict.fromkeys(place.name(visit.texts.language) for place in places))


def _file(visit: Visit, rows: Sequence[Row]) -> Response:
    _ = visit.texts.text
    header = [
        _("Client id"),
        _("Service"),
        _("Environment"),
        _("Names"),
        _("Addresses"),
        _("How it proves who it is"),
        _("Made"),
        _("Changed"),
    ]
    lines: list[list[object]] = [
        [
            row["id"],
            row["service_name"],
            row["environment"],
            _names(visit, row),
            " ".join(place.uri for place in read_redirects(row["redirects"])),
            row["auth_method"],
            moment(row["created_at"]),
            moment(row["changed_at"]),
        ]
        for row in rows
    ]
    return visit.csv("clients", header, lines)
