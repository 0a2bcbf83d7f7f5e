"""The pages put together: one line per file of pages."""

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from messo.base import metrics
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.limits import RateLimit
from messo.content import Fetch, PdfCheck
from messo.inbox import (
    about,
    attachment_page,
    email_pages,
    entrance,
    language,
    launch_page,
    message_list,
    message_page,
    my_data,
    notices,
    payment_pages,
    preferences,
    reminders_page,
    remote_page,
    services_pages,
    sessions,
    sso_history,
    sso_logout,
    sso_pages,
    welcome,
    worker_script,
)
from messo.inbox.rendering import Renderer
from messo.inbox.turns import Turns
from messo.inbox.visit import Site, Visit, Welcome, open_page
from messo.login import LoginFlow, Web, web_limits
from messo.pages import assets
from messo.payments import Live
from messo.recipients.email import SendValidation
from messo.settings import Settings
from messo.sso.keys import Keys

_ASKED_ANEW = 1  # a second for each citizen, and ten at once
_csp_reports = Counter(
    "messo_csp_reports_total",
    "Things on our pages that browsers refused because the policy forbids them.",
    registry=metrics.registry,
)


def make(
    pool: Pool,
    secrets: Secrets,
    settings: Settings,
    flow: LoginFlow,
    welcome: Welcome,
    send_validation: SendValidation | None,
    fetch: Fetch,
    pdf_check: PdfCheck,
    live: Live,
    checkout_url: str,
    keys: Keys,
) -> Site:
    """What pages need, from what the process has."""
    limits = web_limits(settings)
    web = Web(secrets, settings.public_url, limits)
    return Site(
        pool,
        secrets,
        settings,
        flow,
        web,
        limits,
        Renderer(flow.issuer),
        welcome,
        send_validation,
        fetch,
        Turns(pdf_check),
        live,
        checkout_url,
        RateLimit(_ASKED_ANEW, _ASKED_ANEW * 10),
        keys,
    )


def routes() -> list[BaseRoute]:
    """Every page, its assets, and the last resort for addresses that lead nowhere."""
    return [
        *assets.routes(),
        Route("/csp-report", take_report, methods=["POST"]),
        *entrance.routes(),
        *message_list.routes(),
        *message_page.routes(),
        *remote_page.routes(),
        *launch_page.routes(),
        *payment_pages.routes(),
        *reminders_page.routes(),
        *attachment_page.routes(),
        *welcome.routes(),
        *services_pages.routes(),
        *preferences.routes(),
        *notices.routes(),
        *email_pages.routes(),
        worker_script.route(),
        *my_data.routes(),
        *sso_history.routes(),
        *sessions.routes(),
        *sso_pages.routes(),
        *sso_logout.routes(),
        *language.routes(),
        *about.routes(),
        open_page("/{rest:path}", "inbox.nothing", show_nothing, methods=("GET", "POST")),
    ]


async def show_nothing(visit: Visit) -> Response:
    """There is nothing here."""
    return visit.error(404, "problem")


async def take_report(_: Request) -> Response:
    """Count what a browser refused. Its body is not read: it quotes addresses."""
    _csp_reports.inc()
    return Response(status_code=204)
