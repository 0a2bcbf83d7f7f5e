"""Remote-content configurations of an institution: which there are, and how one of them is."""

from urllib.parse import urlsplit

from msgspec import UNSET
from starlette.responses import Response
from starlette.routing import Route

from messo.console import configuration_check, configuration_form
from messo.console.configuration_words import (
    PRECONDITION_WORDS,
    PRECONDITIONS,
    advice_of,
    find,
)
from messo.console.csv_export import MOST
from messo.console.explained import gettext
from messo.console.visit import Visit, institution_page
from messo.content import wire
from messo.content.advice import advise
from messo.content.configuration_list import page_of

_PAGE = 50
_DONE = {
    "made": gettext("Done: the configuration is made. Messages can name it from now on."),
    "changed": gettext("Done: it is changed, also for messages that were sent before."),
}
_SILENT = {
    "prod": gettext("No server answered at the address of production just now."),
    "test": gettext("No server answered at the address for tests just now."),
}


def routes() -> list[Route]:
    """All pages of configurations. There is no way to delete one: messages name it."""
    return [
        institution_page("/configurations", "console.configurations", "administer", show_all),
        *configuration_form.routes(),
        *configuration_check.routes(),
        institution_page(
            "/configurations/{configuration}", "console.configuration", "administer", show
        ),
    ]


async def show_all(visit: Visit) -> Response:
    """A page of them, or all in a file."""
    institution, secrets = visit.access.institution_id, visit.site.secrets
    if visit.wants_csv:
        items, _ = await page_of(visit.conn, secrets, institution, "", MOST)
        return _file(visit, items)
    items, beyond = await page_of(visit.conn, secrets, institution, visit.query("after"), _PAGE)
    words = {name: visit.texts.text(text) for name, text in PRECONDITION_WORDS.items()}
    return visit.page(
        "configurations.html",
        items=[
            (
                one,
                _host(one.prod_environment),
                _host(one.test_environment),
                len(_advice(visit, one)),
            )
            for one in items
        ],
        preconditions=words,
        next=visit.link(after=beyond) if beyond else "",
        first=visit.link(after=None) if visit.query("after") else "",
    )


async def show(visit: Visit) -> Response:
    """One of them, without its keys, and what will not work with it."""
    one = await find(visit)
    asked = visit.query("silent").split(",")
    silent = [visit.texts.text(_SILENT[name]) for name in asked if name in _SILENT]
    label, sentence = PRECONDITIONS[one.has_precondition]
    environments = [
        (visit.texts.text(title), environment)
        for title, environment in (
            (gettext("Production"), one.prod_environment),
            (gettext("Tests"), one.test_environment),
        )
        if environment is not UNSET
    ]
    return visit.page(
        "configuration_one.html",
        one=one,
        environments=environments,
        precondition=(visit.texts.text(label), visit.texts.text(sentence)),
        has_cert=lambda environment: environment.details_authentication.cert is not UNSET,
        advice=[advice_of(visit.texts, found) for found in _advice(visit, one)] + silent,
        done=visit.done(_DONE),
    )


def _advice(visit: Visit, one: wire.Configuration) -> list[wire.Advice]:
    return advise(one, visit.site.networks)


def _host(environment: object) -> str:
    """Of an environment, for a list: its whole address stands on the page of the configuration."""
    if not isinstance(environment, wire.Environment):
        return ""
    try:
        return urlsplit(environment.base_url).netloc.rpartition("@")[2] or environment.base_url
    except ValueError:
        return environment.base_url


def _file(visit: Visit, items: list[wire.Configuration]) -> Response:
    _ = visit.texts.text
    header = [_("Name"), _("Id"), _("Description"), _("Precondition"), _("Production"), _("Tests")]
    lines: list[list[object]] = [
        [
            one.name,
            one.configuration_id,
            one.description,
            one.has_precondition,
            _host(one.prod_environment),
            _host(one.test_environment),
        ]
        for one in items
    ]
    return visit.csv("configurations", header, lines)
