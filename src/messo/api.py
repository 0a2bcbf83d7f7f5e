"""The HTTP API: all of its routes, one line per room, for each of those who call it."""

from dataclasses import dataclass
from datetime import timedelta

from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Request, Route
from messo.base.limits import RateLimit
from messo.base.outbound import Outbound
from messo.content import Ask, Configurations, Fetch, PdfCheck
from messo.content.configuration_routes import ConfigurationRoutes
from messo.events.feed_routes import EventFeedRoutes
from messo.events.webhook_routes import WebhookRoutes
from messo.events.webhooks import Webhooks
from messo.inbox.sessions import log_out
from messo.login import (
    BearerAuthenticate,
    Identity,
    LoginFlow,
    LoginRoutes,
    Web,
    client_limits,
    web_limits,
)
from messo.messages import search
from messo.messages.advice import Advise
from messo.messages.guard import Guard
from messo.messages.mailbox_routes import MailboxRoutes
from messo.messages.reach import ProfileReader
from messo.messages.remote_routes import RemoteRoutes
from messo.messages.routes import MessageRoutes
from messo.messages.send import Send
from messo.messages.status import MessageReader
from messo.messages.submit import Accept
from messo.notifications.channels import BounceRoutes
from messo.operations import record
from messo.outside import networks
from messo.payments import Live, Node
from messo.payments.event_routes import EventRoutes
from messo.payments.info_routes import InfoRoutes
from messo.payments.sender_view import lookup
from messo.people.authenticate import AuthenticatePeople
from messo.people.invitations import SendInvitation
from messo.people.people_routes import PeopleRoutes
from messo.recipients import enrol_at_login
from messo.recipients.activation_routes import ActivationRoutes
from messo.recipients.citizen_routes import CitizenRoutes
from messo.recipients.email import SendValidation
from messo.recipients.feed_routes import FeedRoutes
from messo.reminders.routes import ReminderRoutes
from messo.services import Authenticate, Directory, Manager, Permission, Sender, groups
from messo.services.authenticate import KEY_HEADER, Need
from messo.services.catalog_routes import CatalogRoutes
from messo.services.group_routes import GroupRoutes
from messo.services.logo_routes import LogoRoutes
from messo.services.manage_routes import ManageRoutes
from messo.services.manage_routes import Rules as ServiceRules
from messo.services.owned import find_own
from messo.services.review_routes import ReviewRoutes
from messo.settings import Settings
from messo.sso.client_routes import ClientRoutes
from messo.sso.history_routes import HistoryRoutes
from messo.sso.known_sites import KnownSites
from messo.sso.registration import Rules

_BOUNCES = 20  # a second, from one mail server
_EVENTS = 100  # requests a second with payment events, each of up to a thousand
_NOTICES = 2  # a second that one citizen may ask for, and thirty times that at once


@dataclass(frozen=True)
class Content:
    """What institutions' servers are tried with in this process, and what is known of them."""

    ask: Ask
    configurations: Configurations
    outbound: Outbound
    pdf_check: PdfCheck


@dataclass(frozen=True)
class Senders:
    """What runs for institutions in this process."""

    directory: Directory
    guard: Guard
    accept: Accept
    messages: MessageReader
    profiles: ProfileReader
    secrets: Secrets
    outbound: Outbound
    content: Content
    live: Live
    people: AuthenticatePeople
    managing: Pool


@dataclass(frozen=True)
class Fetchers:
    """What citizens' routes ask others with. `test`: a sandbox's second payment node."""

    send_validation: SendValidation | None
    fetch: Fetch
    live: Live
    test: Node | None = None


@dataclass(frozen=True)
class _Managers:
    """Who manages: with a key; or, without one, with a login, at the institution that it names."""

    keys: Authenticate
    people: AuthenticatePeople

    async def any_of(self, request: Request, need: Need, *permissions: Permission) -> Manager:
        if self._is_login(request):
            return await self.people.manager(request, need, *permissions)
        return await self.keys.manager(request, *permissions)

    async def of_services(self, request: Request, need: Need) -> Manager:
        return await self.any_of(request, need, Permission.SERVICE_WRITE)

    # Secrets are in what these two answer.
    async def administrator(self, request: Request) -> Manager:
        return await self.any_of(request, "administer")

    async def of_content(self, request: Request) -> Manager:
        return await self.any_of(request, "administer", Permission.REMOTE_CONTENT_WRITE)

    async def anyone(self, request: Request) -> None:
        if self._is_login(request):
            await self.people.manager(request, "read")
        else:
            await self.keys.anyone(request)

    def _is_login(self, request: Request) -> bool:
        return request.header(KEY_HEADER) is None and self.people.asks(request)


def sending(settings: Settings, pool: Pool, senders: Senders) -> Send:
    """How a message is sent, by a key or by somebody who is logged in."""
    return Send(
        senders.content.configurations,
        senders.guard,
        senders.accept,
        Advise(KnownSites(pool, lambda: senders.directory.version), settings.sandbox),
        settings.check_notice_numbers,
    )


def institution_routes(settings: Settings, pool: Pool, senders: Senders) -> list[Route]:
    """The API of the institutions, one line per room."""
    authenticate = Authenticate(
        senders.directory,
        RateLimit(settings.rate_limit, settings.rate_burst),
        settings.trusted_proxies,
    )

    managers = _Managers(authenticate, senders.people)

    async def feed_reader(request: Request) -> str:
        return (await authenticate.sender(request, Permission.SUBSCRIPTIONS_FEED_READ)).service_id

    async def event_reader(request: Request) -> Sender:
        return await authenticate.sender(request, Permission.MESSAGE_READ)

    async def activator(request: Request) -> Sender:
        return await authenticate.sender(request, Permission.MESSAGE_WRITE)

    async def institution(request: Request) -> Sender:
        return await authenticate.sender(request, Permission.SERVICE_WRITE)

    content = senders.content
    return [
        *MessageRoutes(
            authenticate=authenticate,
            send=sending(settings, pool, senders),
            messages=senders.messages,
            profiles=senders.profiles,
            pool=pool,
            body_limit=settings.body_limit,
            payment_state=lookup(senders.live),
        ).routes(),
        *ReminderRoutes(event_reader, pool).routes(),
        *FeedRoutes(feed_reader, pool).routes(),
        *ActivationRoutes(activator, pool, senders.secrets).routes(),
        *EventFeedRoutes(event_reader, pool).routes(),
        *WebhookRoutes(
            managers.administrator,
            find_own,
            groups.among,
            pool,
            Webhooks(senders.secrets, record, networks(settings)),
            senders.outbound,
        ).routes(),
        *ConfigurationRoutes(
            managers.of_content,
            pool,
            senders.secrets,
            content.outbound,
            content.ask,
            content.pdf_check,
            settings.body_limit,
            networks(settings),
        ).routes(),
        *ClientRoutes(
            managers.administrator, pool, Rules.of(settings, networks(settings))
        ).routes(),
        *ManageRoutes(
            managers.of_services,
            managers.anyone,
            senders.managing,
            senders.secrets,
            ServiceRules.of(settings),
        ).routes(),
        *GroupRoutes(
            managers.of_services, senders.managing, senders.secrets, settings.trusted_proxies
        ).routes(),
        *LogoRoutes(managers.of_services, institution, senders.managing).routes(),
    ]


def people_routes(
    settings: Settings,
    pool: Pool,
    secrets: Secrets,
    people: AuthenticatePeople,
    send_invitation: SendInvitation | None,
) -> list[Route]:
    """The API of institutions' people and of operators, one line per room."""

    async def operator(request: Request) -> str:
        return (await people.operator(request))[1]

    return [
        *PeopleRoutes(people, pool, secrets, settings.public_url, send_invitation).routes(),
        *ReviewRoutes(operator, pool, settings.service_max_amount).routes(),
    ]


def pushed_routes(settings: Settings, pool: Pool, secrets: Secrets) -> list[Route]:
    """What mail servers and the payment node push to us, one line per room."""
    return [
        *BounceRoutes(
            pool,
            secrets,
            settings.mail_return_path,
            RateLimit(_BOUNCES, _BOUNCES * 10),
            settings.trusted_proxies,
        ).routes(),
        *EventRoutes(
            pool,
            secrets,
            settings.payment_events_key,
            RateLimit(_EVENTS, _EVENTS * 10),
            settings.trusted_proxies,
        ).routes(),
    ]


def citizen_routes(
    settings: Settings,
    pool: Pool,
    secrets: Secrets,
    flow: LoginFlow,
    ask: Fetchers,
) -> list[Route]:
    """The API of citizens' client applications, one line per room."""
    authenticate = BearerAuthenticate(
        pool, RateLimit(settings.rate_limit, settings.rate_burst), client_limits(settings)
    )
    web = Web(secrets, settings.public_url, web_limits(settings))
    erasure = timedelta(days=settings.erasure_days)
    return [
        *LoginRoutes(
            pool, secrets, flow, web, authenticate, welcome, log_out, settings.client_redirects
        ).routes(),
        *MailboxRoutes(authenticate, pool, settings.body_limit).routes(),
        *RemoteRoutes(authenticate, pool, secrets, ask.fetch, settings.public_url).routes(),
        *InfoRoutes(authenticate, ask.live, RateLimit(_NOTICES, _NOTICES * 30), ask.test).routes(),
        *CitizenRoutes(authenticate, pool, secrets, erasure, ask.send_validation).routes(),
        *CatalogRoutes(authenticate, pool).routes(),
        *HistoryRoutes(authenticate, pool).routes(),
    ]


async def welcome(conn: Connection, identity: Identity) -> None:
    """What every login brings about: the citizen is enrolled, and can search their messages."""
    await enrol_at_login(conn, identity.fiscal_code, identity.email)
    await search.queue_indexing(conn, identity.fiscal_code)
