"""Trying a webhook: one event that says nothing is sent at once, and what came of it is shown."""

from starlette.responses import Response
from starlette.routing import Route

from messo.console.visit import Afterwards, Visit, institution_page
from messo.console.webhook_words import id_of, page_values, shown
from messo.events.trial import try_once


def routes() -> list[Route]:
    """A button on the webhook's page."""
    return [
        institution_page(
            "/webhooks/{webhook}/test", "console.webhook_test", "administer", test, ("POST",)
        )
    ]


async def test(visit: Visit) -> Afterwards:
    """Send it once the transaction is over: the address may take seconds to answer."""
    tried = await visit.site.webhooks.to_try(visit.conn, visit.access.institution_id, id_of(visit))
    values = page_values(visit, await shown(visit))

    async def send() -> Response:
        tested = await try_once(visit.site.outbound, tried)
        return visit.page(
            "webhook.html",
            **{**values, "tested": tested, "tested_error": tested.error or ""},
        )

    return send
