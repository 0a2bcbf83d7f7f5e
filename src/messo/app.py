"""Builds the HTTP application: what the routes need, in the order it depends on each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette

from messo import documents
from messo.base import migrate
from messo.base.coalesce import Coalescer
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.http import Request, Route
from messo.base.limits import RateLimit
from messo.base.outbound import Outbound
from messo.content import Ask, Configurations, Fetch, PdfCheck, make_outbound
from messo.content.configuration_routes import ConfigurationRoutes
from messo.events.feed_routes import EventFeedRoutes
from messo.events.webhook_routes import WebhookRoutes
from messo.events.webhooks import Webhooks
from messo.front import App
from messo.inbox import site
from messo.inbox.sessions import log_out
from messo.login import (
    BearerAuthenticate,
    Identity,
    LoginFlow,
    LoginRoutes,
    Provider,
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
from messo.messages.status import MessageReader
from messo.messages.submit import Accept
from messo.notifications.channels import BounceRoutes
from messo.operations import health, record, reference
from messo.outside import Outside, networks
from messo.payments import Live, Node
from messo.payments import make_outbound as to_node
from messo.payments.event_routes import EventRoutes
from messo.payments.info_routes import InfoRoutes
from messo.payments.sender_view import lookup
from messo.recipients import enrol_at_login
from messo.recipients.citizen_routes import CitizenRoutes
from messo.recipients.email import SendValidation
from messo.recipients.feed_routes import FeedRoutes
from messo.reminders.routes import ReminderRoutes
from messo.sandbox import payment_node
from messo.sandbox.served import Sandbox
from messo.services import Authenticate, Directory, ManageKey, Permission, Sender
from messo.services.catalog_routes import CatalogRoutes
from messo.settings import Settings
from messo.sso.client_routes import ClientRoutes
from messo.sso.history_routes import HistoryRoutes
from messo.sso.keys import Keys
from messo.sso.known_sites import KnownSites
from messo.sso.registration import Rules
from messo.sso.routes import provider_routes

_BOUNCES = 20  # a second, from one mail server
_EVENTS = 100  # requests a second with payment events, each of up to a thousand
_NOTICES = 2  # a second that one citizen may ask for, and thirty times that at once
_READERS = 2  # statements under way at once for each kind of read


@dataclass(frozen=True)
class Server:
    """A started application and what operators ask of it."""

    app: App
    pool: Pool
    directory: Directory
    guard: Guard
    accept: Accept
    messages: MessageReader
    profiles: ProfileReader


@contextlib.asynccontextmanager
async def start(settings: Settings, database_url: str, secrets: Secrets) -> AsyncIterator[Server]:
    """The application with its background tasks, stopped in the reverse order at the end.

    Leaving it commits what is queued before the connections go.
    """
    connections = settings.pool_size + settings.accept_connections + _READERS * 2
    pool = await Pool.open(database_url, connections, statement_seconds=10)
    async with pool.connection() as conn:
        await migrate.check(conn)
    directory = Directory(pool)
    await directory.refresh()
    guard = Guard(pool, directory, secrets, settings.guard_recipients, settings.guard_share)
    accept = Accept(pool, settings.accept_connections, settings.accept_queue)
    messages = MessageReader(pool, _READERS, settings.accept_queue)
    profiles = ProfileReader(pool, _READERS, settings.accept_queue)
    outside = Outside.of(settings, secrets)
    # Places and circuit of its own: no institution's address may shut the citizens' door.
    to_provider = Outbound(networks(settings), open_s=2, longest_s=10)
    provider = Provider(settings, to_provider)
    flow = LoginFlow(settings, secrets, provider)
    to_content = make_outbound(networks(settings))
    configurations = Configurations(pool, directory, secrets)
    # Who looks what is wrong may ask again and again, and opens no circuit for citizens.
    to_check = make_outbound(networks(settings), open_s=0)
    # Two at a time, and none of them in a place that a citizen waits for.
    content = Content(Ask(to_check), configurations, to_check, PdfCheck(at_once=2))
    fetch = Fetch(configurations, Ask(to_content))
    live = Live(pool, outside.node)
    test = _test_node(settings)
    keys = Keys(pool, secrets)
    institutions = institution_routes(
        settings,
        pool,
        Senders(
            directory,
            guard,
            accept,
            messages,
            profiles,
            secrets,
            outside.institutions,
            content,
            live,
        ),
    )
    # Without a mail server nobody could follow the link of a mail.
    send_validation = outside.letters.queue_validation if outside.mailer else None
    citizens = citizen_routes(
        settings, pool, secrets, flow, Fetchers(send_validation, fetch, live, test)
    )
    sandbox = Sandbox(settings, secrets, pool) if settings.sandbox else None
    pages = Starlette(
        routes=[
            *reference.pages(documents.for_institutions(institutions, settings)),
            *reference.pages(documents.for_citizens(citizens, settings), "/docs/citizens"),
            *health.public_routes(pool),
            *(sandbox.routes() if sandbox else ()),
            *site.routes(),
        ]
    )
    pages.state.site = site.make(
        pool,
        secrets,
        settings,
        flow,
        welcome,
        send_validation,
        fetch,
        PdfCheck(),
        live,
        _checkout_url(settings),
        keys,
    )
    queues: list[Coalescer[Any, Any]] = [accept.queue, messages.queue, profiles.queue]
    for queue in queues:
        queue.start()
    background = [
        asyncio.create_task(directory.keep_fresh()),
        asyncio.create_task(guard.record_for_ever()),
    ]
    try:
        if sandbox:
            await sandbox.start()
        routes = [
            *institutions,
            *citizens,
            *pushed_routes(settings, pool, secrets),
            *provider_routes(settings, pool, secrets, keys),
        ]
        app = App(routes, pages, settings.attachments_url)
        yield Server(app, pool, directory, guard, accept, messages, profiles)
    finally:
        for queue in queues:
            await queue.close()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        with contextlib.suppress(Exception):  # a database that is gone cannot take it
            await guard.close()
        if sandbox:
            await sandbox.stop()
        for one in (to_provider, to_content, to_check, live, test, outside, pool):
            if one is not None:
                await one.close()


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


@dataclass(frozen=True)
class Fetchers:
    """What citizens' routes ask others with. `test`: a sandbox's second payment node."""

    send_validation: SendValidation | None
    fetch: Fetch
    live: Live
    test: Node | None = None


def _test_node(settings: Settings) -> Node | None:
    """What `test=true` asks; in production there is none, whatever is configured."""
    if not settings.sandbox or not settings.payment_node_test_url:
        return None
    return Node(
        settings.payment_node_test_url,
        settings.payment_node_test_key,
        to_node(networks(settings)),
    )


def _checkout_url(settings: Settings) -> str:
    if settings.sandbox and not settings.checkout_url:
        return payment_node.checkout_template(settings)
    return settings.checkout_url


def institution_routes(settings: Settings, pool: Pool, senders: Senders) -> list[Route]:
    """The API of the institutions, one line per room."""
    authenticate = Authenticate(
        senders.directory,
        RateLimit(settings.rate_limit, settings.rate_burst),
        settings.trusted_proxies,
    )

    async def feed_reader(request: Request) -> str:
        return (await authenticate.sender(request, Permission.SUBSCRIPTIONS_FEED_READ)).service_id

    async def event_reader(request: Request) -> Sender:
        return await authenticate.sender(request, Permission.MESSAGE_READ)

    async def content_manager(request: Request) -> ManageKey:
        return await authenticate.manager(request, Permission.REMOTE_CONTENT_WRITE)

    content = senders.content
    return [
        *MessageRoutes(
            authenticate=authenticate,
            configurations=content.configurations,
            guard=senders.guard,
            accept=senders.accept,
            advise=Advise(KnownSites(pool, lambda: senders.directory.version), settings.sandbox),
            messages=senders.messages,
            profiles=senders.profiles,
            pool=pool,
            body_limit=settings.body_limit,
            check_digits=settings.check_notice_numbers,
            payment_state=lookup(senders.live),
        ).routes(),
        *ReminderRoutes(event_reader, pool).routes(),
        *FeedRoutes(feed_reader, pool).routes(),
        *EventFeedRoutes(event_reader, pool).routes(),
        *WebhookRoutes(
            authenticate.manager,
            pool,
            Webhooks(senders.secrets, record, networks(settings)),
            senders.outbound,
        ).routes(),
        *ConfigurationRoutes(
            content_manager,
            pool,
            senders.secrets,
            content.outbound,
            content.ask,
            content.pdf_check,
            settings.body_limit,
            networks(settings),
        ).routes(),
        *ClientRoutes(authenticate.manager, pool, Rules.of(settings, networks(settings))).routes(),
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
