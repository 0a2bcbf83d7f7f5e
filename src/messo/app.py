"""Builds the HTTP application: what the routes need, in the order it depends on each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from messo import console_parts, documents
from messo.api import (
    Content,
    Fetchers,
    Senders,
    citizen_routes,
    institution_routes,
    people_routes,
    pushed_routes,
    welcome,
)
from messo.base import migrate
from messo.base.coalesce import Coalescer
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.limits import RateLimit
from messo.base.outbound import Outbound
from messo.console import site as console
from messo.content import Ask, Configurations, Fetch, PdfCheck, make_outbound
from messo.front import App
from messo.inbox import site
from messo.login import (
    LoginFlow,
    Provider,
    citizen_registration,
    web_limits,
)
from messo.messages.guard import Guard
from messo.messages.reach import ProfileReader
from messo.messages.status import MessageReader
from messo.messages.submit import Accept
from messo.operations import health, reference
from messo.outside import Outside, networks
from messo.payments import Live, Node
from messo.payments import make_outbound as to_node
from messo.people.authenticate import AuthenticatePeople
from messo.people.staff_login import staff_flow
from messo.people.staff_web import StaffWeb
from messo.sandbox import payment_node
from messo.sandbox.served import Sandbox
from messo.services import Directory
from messo.services.logo_routes import LogoFiles
from messo.settings import Settings
from messo.sso.keys import Keys
from messo.sso.routes import provider_routes

_MANAGING = 4  # connections for institutions that manage services, and for their people
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
    pool = await Pool.open(database_url, connections, statement_seconds=10, impatient=True)
    # Whoever manages waits for others who do, and no citizen waits for them.
    managing = await Pool.open(database_url, _MANAGING, statement_seconds=10, impatient=True)
    await _check(pool)
    directory = Directory(pool)
    await directory.refresh()
    guard = Guard(pool, directory, secrets, settings.guard_recipients, settings.guard_share)
    accept = Accept(pool, settings.accept_connections, settings.accept_queue)
    messages = MessageReader(pool, _READERS, settings.accept_queue)
    profiles = ProfileReader(pool, _READERS, settings.accept_queue)
    outside = Outside.of(settings, secrets)
    # Places and circuit of its own: no institution's address may shut the citizens' door.
    to_provider = Outbound(networks(settings), open_s=2, longest_s=10)
    flow = LoginFlow(
        settings.public_url, secrets, Provider(citizen_registration(settings), to_provider)
    )
    # And another one for people's, whose provider must not shut it either.
    to_staff = Outbound(networks(settings), open_s=2, longest_s=10)
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
    senders = Senders(
        directory,
        guard,
        accept,
        messages,
        profiles,
        secrets,
        outside.institutions,
        content,
        live,
        _people(settings, managing, secrets),
        managing,
    )
    institutions = institution_routes(settings, pool, senders)
    # Without a mail server nobody could follow the link of a mail.
    letters = outside.letters if outside.mailer else None
    send_validation = letters.queue_validation if letters else None
    of_people = people_routes(
        settings, managing, secrets, senders.people, letters.queue_invitation if letters else None
    )
    citizens = citizen_routes(
        settings, pool, secrets, flow, Fetchers(send_validation, fetch, live, test)
    )
    sandbox = Sandbox(settings, secrets, pool) if settings.sandbox else None
    pages = Starlette(
        routes=[
            *reference.pages(documents.for_institutions(institutions, settings)),
            *reference.pages(documents.for_citizens(citizens, settings), "/docs/citizens"),
            *reference.pages(documents.for_people(of_people, settings), "/docs/people"),
            *health.public_routes(pool),
            *(sandbox.routes() if sandbox else ()),
            *console.routes(),
            *site.routes(),
        ]
    )
    pages.state.console = console_parts.make(
        settings, pool, senders, staff_flow(settings, secrets, to_staff), outside
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
        asyncio.create_task(directory.uses.write_for_ever()),
    ]
    try:
        if sandbox:
            await sandbox.start()
        served = [
            *institutions,
            *citizens,
            *of_people,
            *pushed_routes(settings, pool, secrets),
            *provider_routes(settings, pool, secrets, keys),
            *LogoFiles(pool).routes(),
        ]
        app = App(served, pages, settings.attachments_url)
        yield Server(app, pool, directory, guard, accept, messages, profiles)
    finally:
        for queue in queues:
            await queue.close()
        await _stop(background, guard, directory)
        if sandbox:
            await sandbox.stop()
        for one in (
            to_provider,
            to_staff,
            to_content,
            to_check,
            live,
            test,
            outside,
            managing,
            pool,
        ):
            if one is not None:
                await one.close()


async def _check(pool: Pool) -> None:
    async with pool.connection() as conn:
        await migrate.check(conn)


async def _stop(
    background: Sequence[asyncio.Task[None]], guard: Guard, directory: Directory
) -> None:
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    with contextlib.suppress(Exception):  # a database that is gone cannot take it
        await guard.close()
    with contextlib.suppress(Exception):
        await directory.uses.write()


def _people(settings: Settings, pool: Pool, secrets: Secrets) -> AuthenticatePeople:
    web = StaffWeb(secrets, settings.public_url, web_limits(settings))
    return AuthenticatePeople(pool, web, RateLimit(settings.rate_limit, settings.rate_burst))


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
