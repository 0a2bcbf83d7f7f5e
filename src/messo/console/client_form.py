"""Registering a site for single sign-on, and replacing its settings."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.console import service_choice
from messo.console.client_page import asked_for, client_page
from messo.console.client_typed import Typed, errors_of, read, typed_of
from messo.console.client_words import (
    ALGORITHMS,
    CLAIMS,
    ENVIRONMENTS,
    METHODS,
    PROTECTIONS,
    SUBJECTS,
    choices,
)
from messo.console.service_choice import ServiceChoice
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.sso import registration
from messo.sso.registration import Asked, environment_of


def routes() -> list[Route]:
    """A new one, and other settings for one that is there."""
    new, change = "/clients/new", "/clients/{service}/{environment}/change"
    return [
        institution_page(new, "console.client_new", "administer", show_new),
        institution_page(new, "console.client_make", "administer", make, ("POST",)),
        institution_page(change, "console.client_changing", "administer", show_change),
        institution_page(change, "console.client_change", "administer", change_it, ("POST",)),
    ]


async def show_new(visit: Visit) -> Response:
    """The form with what is recommended, once it is known for which service."""
    choice = await service_choice.choose(visit, visit.query("service"))
    return _page(visit, Typed(), choice)


async def make(visit: Visit) -> Response:
    """Register it, and show its secret this once."""
    choice = await service_choice.choose(visit, visit.form.get("service"))
    typed = read(visit.form)
    if visit.form.ticked("more"):
        return _page(visit, typed.with_more_rows(), choice)
    wanted = typed.settings(visit)
    asked = await _place(visit, typed, choice)
    if wanted is None or asked is None or typed.errors:
        return _page(visit, typed, choice)
    try:
        async with visit.conn.transaction():
            client, _ = await registration.put(
                visit.conn, visit.site.client_rules, visit.actor, asked, wanted
            )
    except Problem as problem:
        typed.errors |= errors_of(visit, typed, problem)
        return _page(visit, typed, choice)
    return await client_page(visit, client, status=201, is_new=True)


async def show_change(visit: Visit) -> Response:
    """The form as the client is."""
    client = await registration.read(visit.conn, visit.site.client_rules, asked_for(visit))
    return _page(visit, typed_of(client), None)


async def change_it(visit: Visit) -> Response:
    """Replace all settings. Its secret stays; one that had keys gets its first, shown this once."""
    asked, rules = asked_for(visit), visit.site.client_rules
    await registration.read(visit.conn, rules, asked)
    typed = read(visit.form)
    if visit.form.ticked("more"):
        return _page(visit, typed.with_more_rows(), None)
    wanted = typed.settings(visit)
    if wanted is None:
        return _page(visit, typed, None)
    try:
        async with visit.conn.transaction():
            client, _ = await registration.put(visit.conn, rules, visit.actor, asked, wanted)
    except Problem as problem:
        typed.errors |= errors_of(visit, typed, problem)
        return _page(visit, typed, None)
    if client.client_secret:
        return await client_page(visit, client)
    place = f"{visit.here}/clients/{asked.service_id}/{asked.environment}"
    return redirect(f"{place}?done=changed")


async def _place(visit: Visit, typed: Typed, choice: ServiceChoice) -> Asked | None:
    """Which client is to be made; a service has one of each kind, and none is replaced by mistake."""
    texts = visit.texts
    if choice.one is None:
        typed.errors["service"] = texts.text("Choose one of your services.")
        return None
    if typed.environment not in ENVIRONMENTS:
        typed.errors["environment"] = texts.text("Choose one.")
        return None
    institution, service = visit.access.institution_id, choice.one.id
    there = await registration.list_all(visit.conn, visit.site.client_rules, institution, service)
    if any(one.environment == typed.environment for one in there.items):
        typed.errors["environment"] = texts.text(
            "This service has one of this kind already: change that one."
        )
        return None
    return Asked(institution, service, environment_of(typed.environment))


def _page(visit: Visit, typed: Typed, choice: ServiceChoice | None) -> Response:
    """`choice`: None where the client is there, and its service is known."""
    texts = visit.texts
    return visit.page(
        "client_form.html",
        400 if typed.errors else 200,
        choice=choice,
        back=visit.request.path_params,
        typed=typed,
        errors=typed.errors,
        environments=choices(texts, ENVIRONMENTS),
        methods=choices(texts, METHODS),
        algorithms=choices(texts, ALGORITHMS),
        protections=choices(texts, PROTECTIONS),
        subjects=choices(texts, SUBJECTS),
        claims=choices(texts, CLAIMS),
        levels=[
            ("", texts.text("Whatever the login had")),
            *((one, one) for one in visit.site.client_rules.levels),
        ],
    )
