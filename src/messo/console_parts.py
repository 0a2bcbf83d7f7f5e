"""Puts together what the console needs, from what the process has."""

from messo.api import Senders, sending
from messo.base.db import Connection, Pool
from messo.base.limits import RateLimit
from messo.base.turns import Turns
from messo.console.parts import Site
from messo.console.rendering import Renderer
from messo.erasers import erasers
from messo.events.webhooks import Webhooks
from messo.inbox.preview import Preview
from messo.login import Flow, web_limits
from messo.operations import record
from messo.outside import Outside, networks
from messo.payments.sender_view import lookup
from messo.people.staff_claims import Staff
from messo.people.staff_web import StaffWeb
from messo.recipients.erase import erase_now
from messo.services.manage_routes import Rules as ServiceRules
from messo.settings import Settings
from messo.sso.registration import Rules as ClientRules

# For one login: a page for writing is rendered twice more, once for each language. Typing asks for two or
# three a second.
_PREVIEWS, _MOST_PREVIEWS = 10, 30  # a second, and at once


def make(
    settings: Settings, pool: Pool, senders: Senders, flow: Flow[Staff], outside: Outside
) -> Site:
    """What pages need. `pool`: of the process; the console takes the one for managing."""
    secrets = senders.secrets
    forget = erasers(outside.channels, secrets)
    allowed = networks(settings)
    can_pay = settings.sandbox or bool(settings.checkout_url)
    preview = Preview(on_loopback=settings.sandbox, can_pay=can_pay)

    async def erase(conn: Connection, actor: str, fiscal_code: str) -> None:
        await erase_now(conn, fiscal_code, forget, secrets, actor)

    return Site(
        pool=senders.managing,
        secrets=secrets,
        settings=settings,
        flow=flow,
        web=StaffWeb(secrets, settings.public_url, web_limits(settings)),
        render=Renderer(flow.issuer),
        guard=senders.guard,
        send=sending(settings, pool, senders),
        profiles=senders.profiles,
        writing=RateLimit(settings.rate_limit, settings.rate_burst),
        previewing=RateLimit(_PREVIEWS, _MOST_PREVIEWS),
        payment_state=lookup(senders.live),
        ask=senders.content.ask,
        outbound=senders.outbound,
        pdf_check=senders.content.pdf_check,
        networks=allowed,
        webhooks=Webhooks(secrets, record, allowed),
        service_rules=ServiceRules.of(settings),
        client_rules=ClientRules.of(settings, allowed),
        invite=outside.letters.queue_invitation if outside.mailer else None,
        preview_message=preview.message,
        preview_service=preview.service,
        erase=erase,
        turns=Turns(),
    )
