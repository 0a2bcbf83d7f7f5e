"""What the console's pages need of the process, put together by `messo.app`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from messo.base.addresses import Network
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.limits import RateLimit
from messo.base.outbound import Outbound
from messo.base.turns import Turns
from messo.console.rendering import Renderer
from messo.content import Ask, PdfCheck
from messo.events.webhooks import Webhooks
from messo.login import Flow
from messo.messages.guard import Guard
from messo.messages.reach import ProfileReader
from messo.messages.send import Send
from messo.messages.status import PaymentLookup
from messo.messages.wire import Content
from messo.pages.languages import Language
from messo.people.invitations import SendInvitation
from messo.people.staff_claims import Staff
from messo.people.staff_web import StaffWeb
from messo.services.catalog import Service
from messo.services.manage_routes import Rules as ServiceRules
from messo.settings import Settings
from messo.sso.registration import Rules as ClientRules

# Whole pages as citizens see them, by the room that shows them; no button in them does anything.
# When a message was sent: None while it is being written. The addresses of a service's logo and of
# its institution's: "" where there is none.
PreviewMessage = Callable[[Service, Content, Language, datetime | None], str]
PreviewService = Callable[[Service, Language, tuple[str, str]], str]
# Erases a citizen at once: connection, actor, fiscal code.
Erase = Callable[[Connection, str, str], Awaitable[None]]


@dataclass(frozen=True)
class Site:
    """What pages need of the process."""

    pool: Pool
    secrets: Secrets
    settings: Settings
    flow: Flow[Staff]
    web: StaffWeb
    render: Renderer
    guard: Guard
    send: Send
    profiles: ProfileReader
    writing: RateLimit  # of messages that one login writes
    previewing: RateLimit  # of pages that show one login how a message looks
    payment_state: PaymentLookup | None
    ask: Ask  # institutions' servers, to check configurations
    outbound: Outbound  # to try addresses of webhooks and configurations
    pdf_check: PdfCheck
    networks: tuple[Network, ...]  # private ones that may be asked
    webhooks: Webhooks
    service_rules: ServiceRules
    client_rules: ClientRules
    invite: SendInvitation | None  # None: no mail server
    preview_message: PreviewMessage
    preview_service: PreviewService
    erase: Erase
    turns: Turns  # of institutions: no one's forms, files and checks take all places
