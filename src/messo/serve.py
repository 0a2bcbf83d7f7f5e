"""One server process: the public port, and beside it the operations port."""

import asyncio
import signal
from typing import Any

import uvloop

from messo import app, worker
from messo.base import log, migrate, server
from messo.base.crypto import Secrets
from messo.base.db import connect
from messo.front import host_of
from messo.messages import process
from messo.operations import health
from messo.sandbox import world
from messo.settings import RefusedError, Settings

logger = log.get(__name__)


def check(settings: Settings) -> Secrets:
    """What every process needs. Production also refuses what only a sandbox may have."""
    if not settings.database_url:
        raise RefusedError(
            "set MESSO_DATABASE_URL to your PostgreSQL, or run `messo up` for the embedded one"
        )
    if not settings.secrets:
        raise RefusedError(
            "set MESSO_SECRETS; `messo doctor --new-secret` prints a value to keep safe"
        )
    if not settings.sandbox and not settings.public_url.startswith("https://"):
        raise RefusedError(
            "MESSO_PUBLIC_URL must begin with https:// (a proxy in front of Messo ends TLS)"
        )
    issuer = settings.login_issuer
    if not settings.sandbox and issuer and not issuer.startswith("https://"):
        raise RefusedError(
            "MESSO_LOGIN_ISSUER must begin with https://: who citizens are must not be read or "
            "changed on the way"
        )
    staff = settings.staff_issuer
    if not settings.sandbox and staff and not staff.startswith("https://"):
        raise RefusedError(
            "MESSO_STAFF_ISSUER must begin with https://: who manages services must not be read or "
            "changed on the way"
        )
    apart = settings.attachments_url
    if not settings.sandbox and apart and not apart.startswith("https://"):
        raise RefusedError("MESSO_ATTACHMENTS_URL must begin with https://")
    checkout = settings.checkout_url
    if not settings.sandbox and checkout and not checkout.startswith("https://"):
        raise RefusedError("MESSO_CHECKOUT_URL must begin with https://")
    if apart and host_of(apart) == host_of(settings.public_url):
        raise RefusedError("MESSO_ATTACHMENTS_URL must have another host than MESSO_PUBLIC_URL")
    return Secrets.parse(settings.secrets)


async def check_database(settings: Settings) -> None:
    """A sandbox's database never serves production, nor the other way round."""
    conn = await connect(settings.database_url)
    try:
        await migrate.check(conn)  # a database without tables cannot even be asked
        marked = await world.is_sandbox(conn)
    finally:
        await conn.close()
    if marked and not settings.sandbox:
        raise RefusedError("this database was made as a sandbox; production needs its own")
    if settings.sandbox and not marked:
        raise RefusedError("this database is not a sandbox: unset MESSO_SANDBOX")


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are answered, the open batch committed."""
    secrets = check(settings)
    log.configure(settings.log_level, "serve")
    uvloop.run(_serve(settings, secrets))


def work(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM; the batches under way are finished."""
    secrets = check(settings)
    log.configure(settings.log_level, "work")
    uvloop.run(_work(settings, secrets))


async def _serve(settings: Settings, secrets: Secrets) -> None:
    await check_database(settings)
    async with app.start(settings, settings.database_url, secrets) as started:

        async def detail() -> dict[str, Any]:
            return {"process": "serve", "waiting_for_commit": started.accept.queue.size}

        public = server.public_server(
            started.app, settings.host, settings.port, settings.body_seconds
        )
        beside = server.beside_server(
            health.operations_app(started.pool, detail), settings.ops_host, settings.ops_port
        )
        operations = asyncio.create_task(beside.serve())
        server.calm_collector()
        # uvicorn raises the signal that stopped it once more; by default that would kill us here,
        # before the queues and the mass guard have written what they hold.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stay)
        logger.info("serving", url=settings.public_url)
        try:
            await public.serve()
        finally:
            beside.should_exit = True
            await operations
    logger.info("stopped")


def _stay(*_: object) -> None:
    """Let the shutdown that has begun go on."""


async def _work(settings: Settings, secrets: Secrets) -> None:
    await check_database(settings)
    async with worker.start(settings, settings.database_url, secrets) as running:

        async def detail() -> dict[str, Any]:
            names = [step.name for step in running.steps]
            names += [sending.step.name for sending in running.sendings]
            failed = await process.count_failed(running.pool)
            return {"process": "work", "steps": names, "failed_messages": failed}

        beside = server.beside_server(
            health.operations_app(running.pool, detail), settings.ops_host, settings.ops_port + 1
        )
        operations = asyncio.create_task(beside.serve())
        server.calm_collector()
        worker.stop_at_signals(running)
        logger.info("working")
        try:
            await running.run(settings.worker_tasks)
        finally:
            beside.should_exit = True
            await operations
    logger.info("stopped")
