"""Who can write: the list of services, and one service with what the citizen allows it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from urllib.parse import quote, urlencode

from starlette.responses import Response
from starlette.routing import Route

from messo.base.db import Row
from messo.base.forms import short_text
from messo.base.http import Problem
from messo.inbox import launch_page
from messo.inbox.visit import Visit, citizen_page
from messo.messages import markdown
from messo.pages.edge import redirect
from messo.recipients import ServiceChoice, put_choice, read_choice
from messo.recipients.standing import standings
from messo.services import catalog, logos
from messo.services.catalog import Service
from messo.services.topics import BY_ID, OTHER, Topic

_ON_A_PAGE = 20
_LAST_PAGE = 5000  # nobody leafs so far, and the database counts every row it skips
CONTACTS = ("email", "pec", "phone", "address", "support_url", "web_url")


def routes() -> list[Route]:
    """Addresses carry the service's id and nothing of who looks."""
    return [
        citizen_page("/services", "services.list", show_list),
        citizen_page("/services/{id}", "services.show", show),
        citizen_page("/services/{id}", "services.choose", choose, methods=("POST",)),
    ]


async def show_list(visit: Visit) -> Response:
    """A page of services by institution, each with whether it may write."""
    query = visit.request.query_params
    words = short_text(query.get("q", ""), 100)
    topic = _topic(query.get("topic", ""))
    page = _page(query.get("page", "1"))
    counts = await catalog.count_by_topic(visit.conn, words)
    count = counts.get(topic, 0) if topic else sum(counts.values())
    here = await catalog.search_services(
        visit.conn, words, _ON_A_PAGE, (page - 1) * _ON_A_PAGE, topic.id if topic else None
    )
    return visit.page(
        "services.html",
        groups=[
            (institution, list(services))
            for institution, services in groupby(here, key=_institution)
        ],
        marks=await _marks(visit, here),
        topics=[  # the chosen one first, for a narrow screen; what belongs nowhere else last
            (one, name_of(visit.texts.language, one), counts[one])
            for one in sorted(counts, key=lambda one: (one != topic, one == OTHER, one.id))
        ],
        topic=topic,
        topic_name=name_of(visit.texts.language, topic) if topic else "",
        count=count,
        standings=await standings(
            visit.conn, visit.fiscal_code, [row["service_id"] for row in here]
        ),
        mode=visit.profile.mode,
        inbox_open=visit.profile.is_inbox_enabled,
        words=words,
        page=page,
        more=count > page * _ON_A_PAGE and page < _LAST_PAGE,
        link=lambda chosen, number=1: _link(words, chosen, number),
    )


async def show(visit: Visit) -> Response:
    """What a service is, how to reach it, and what it may do."""
    service = await _read(visit)
    own, whole = await logos.addresses(
        visit.conn, service.id, service.institution_id, service.fiscal_code
    )
    return visit.page(
        "service_page.html",
        service=service,
        logo=own,
        institution_logo=whole,
        letters=letters_of(service.institution_name),
        topic_name="" if service.topic == OTHER else name_of(visit.texts.language, service.topic),
        description=markdown.render(service.description) if service.description else "",
        shown=launch_page.of_service(visit, service.id, service.metadata["cta"]),
        can_be_reached=any(service.metadata[name] for name in CONTACTS),
        choice=await read_choice(visit.conn, visit.fiscal_code, service.id),
        inbox_open=visit.profile.is_inbox_enabled,
        done=visit.request.query_params.get("done", ""),
    )


async def choose(visit: Visit) -> Response:
    """Store the switches."""
    service = await _read(visit)
    before = await read_choice(visit.conn, visit.fiscal_code, service.id)
    version = visit.form.get("settings_version")
    if not (version.isascii() and version.isdigit() and len(version) < 10):  # noqa: PLR2004
        raise Problem(400, "Bad request", "")
    inbox = before.is_inbox_enabled if service.category == "SPECIAL" else visit.form.ticked("inbox")
    wanted = replace(
        before,
        is_inbox_enabled=inbox,
        # Nothing is told about messages that do not come.
        can_access_message_read_status=inbox and visit.form.ticked("read_status"),
        is_email_enabled=visit.form.ticked("email"),
        is_webhook_enabled=visit.form.ticked("webhook"),
        settings_version=int(version),
    )
    await put_choice(
        visit.conn, visit.fiscal_code, service.id, await _opened(visit, before, service, wanted)
    )
    return redirect(f"/services/{quote(service.id, safe='')}?done=saved-1")


async def _opened(
    visit: Visit, before: ServiceChoice, service: Service, wanted: ServiceChoice
) -> ServiceChoice:
    """A service that is let in for the first time may use every channel the citizen has.

    In MANUAL mode the page shows all its channels as off before, which nobody has chosen.
    """
    if before.is_inbox_enabled:
        return wanted
    standing = await standings(visit.conn, visit.fiscal_code, [service.id])
    if not wanted.is_inbox_enabled or standing[service.id].is_chosen:
        return wanted
    return replace(wanted, is_email_enabled=True, is_webhook_enabled=True)


async def _read(visit: Visit) -> Service:
    service = await catalog.read_service(
        visit.conn, visit.request.path_params["id"], visit.fiscal_code
    )
    if service is None:
        raise Problem(404, "Not found", "")
    return service


def _page(text: str) -> int:
    known = text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004
    return min(max(int(text), 1), _LAST_PAGE) if known else 1


def _topic(text: str) -> Topic | None:
    known = text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004
    return BY_ID.get(int(text)) if known else None


def name_of(language: str, topic: Topic) -> str:
    """What a topic is called."""
    return topic.english if language == "en" else topic.name


def _institution(row: Row) -> tuple[str, str]:
    """Its id and name."""
    return row["institution_id"], row["institution_name"]


async def _marks(visit: Visit, services: Sequence[Row]) -> dict[str, tuple[str, str]]:
    """The address of each institution's logo, "" where it has none, and the letters for it."""
    versions = await logos.versions(visit.conn, list({row["institution_id"] for row in services}))
    marks = {}
    for row in services:
        version = versions.get(row["institution_id"])
        address = logos.institution_address(row["fiscal_code"], version) if version else ""
        marks[row["institution_id"]] = (address, letters_of(row["institution_name"]))
    return marks


def letters_of(name: str) -> str:
    """`CP` for Comune di Pontelungo: where half of all names begin with C, one letter tells little."""
    found = [word[0] for word in name.split() if word[0].isalnum() and not word[0].islower()]
    return "".join(found[:1] + found[1:][-1:]) or name[:1].upper()


def _link(words: str, topic: Topic | None, page: int) -> str:
    values = {
        "q": words,
        "topic": str(topic.id) if topic else "",
        "page": str(page) if page > 1 else "",
    }
    query = urlencode({name: value for name, value in values.items() if value})
    return f"/services?{query}" if query else "/services"
