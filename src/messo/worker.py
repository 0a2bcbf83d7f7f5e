"""Builds the worker: one line per background step, with its batch size or period."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from messo.base import migrate
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.outward import Outward
from messo.base.work import Periodic, Step, Worker
from messo.content import forget as forget_announced
from messo.erasers import erasers
from messo.events import figures, hand_on, publish
from messo.events import upkeep as events_upkeep
from messo.login import forget as forget_logins
from messo.messages import archive, process, retention, search
from messo.notifications import DISPATCH, Channel, deliver, dispatch, letters, upkeep
from messo.notifications.channels import BounceMailbox
from messo.operations import audit, samples
from messo.outside import Outside
from messo.payments import Node, ask, watch
from messo.payments import upkeep as payments_upkeep
from messo.people import invitations
from messo.people.sessions import forget as forget_people
from messo.recipients import count_enrolled
from messo.recipients.archive import Others, forget_old
from messo.recipients.carry_out import CarryOut
from messo.reminders import Window, hand_over, not_any_more, plan
from messo.reminders import upkeep as reminders_upkeep
from messo.sandbox import habits
from messo.settings import Settings
from messo.sso import discovery, keys, logout_step
from messo.sso import upkeep as sso_upkeep

# Steps that send, besides the channels, and the keys that one of them signs with: at most a
# connection each.
_SENDING = 6


def steps(settings: Settings, channels: Sequence[Channel]) -> list[Step]:
    """Steps with a row per item. A step is queued only where its worker is listed here."""
    return [
        process.step(
            {
                DISPATCH: process.every,
                watch.WATCH: process.with_notice,
                plan.PLAN: process.to_remind_of,
            }
        ),
        dispatch.step(channels),
        dispatch.remind_step(channels),
        watch.step(),
        watch.paid_step(),
        plan.step(window(settings)),
        plan.replan_step(),
        search.step(),
    ]


def outward(
    settings: Settings, secrets: Secrets, outside: Outside, signing_keys: keys.Keys
) -> list[Outward[Any, Any]]:
    """Steps that send something to others."""
    return [
        *(deliver.step(channel, not_any_more) for channel in outside.channels),
        *([ask.step(outside.node, settings.payment_node_minute)] if outside.node else []),
        letters.step(outside.mailer, secrets, settings),
        publish.step(),
        hand_on.step(
            outside.institutions, secrets, outside.letters.queue_webhook_stopped, audit.record
        ),
        logout_step.step(
            signing_keys, outside.institutions, secrets, discovery.issuer(settings.public_url)
        ),
    ]


def window(settings: Settings) -> Window:
    """When reminders may be sent."""
    return Window(settings.reminders_from * 60, settings.reminders_until * 60)


def periodics(settings: Settings, secrets: Secrets, outside: Outside) -> list[Periodic]:
    """Steps that run once per period, by whichever worker comes first."""
    keep_keys = retention.keys_kept(settings.keep_idempotency_hours)
    asked = CarryOut(
        archive.letters,
        others(secrets),
        erasers(outside.channels, secrets),
        secrets,
        timedelta(days=settings.archive_days),
    )
    return [
        Periodic("operations.seal", timedelta(seconds=10), audit.seal),
        Periodic(samples.STEP, samples.EVERY, samples.sampling(figures.totals)),
        Periodic("recipients.count", timedelta(minutes=5), count_enrolled),
        Periodic("recipients.data_requests", timedelta(seconds=10), asked.run),
        Periodic("recipients.forget", timedelta(minutes=1), forget_old),
        Periodic("content.forget", timedelta(minutes=1), forget_announced),
        Periodic("login.forget", timedelta(minutes=5), forget_logins(settings)),
        Periodic("people.forget", timedelta(minutes=10), forget_people(settings)),
        Periodic(
            "people.forget_invitations", timedelta(minutes=10), invitations.forget_invitations
        ),
        Periodic("messages.forget", timedelta(minutes=1), retention.forget(keep_keys)),
        Periodic("events.forget", timedelta(minutes=10), events_upkeep.forget_old),
        Periodic("notifications.forget", timedelta(minutes=10), upkeep.forget_old),
        Periodic("payments.forget", timedelta(minutes=10), payments_upkeep.forget_old),
        Periodic(
            hand_over.HAND_OVER,
            hand_over.EVERY,
            hand_over.run(window(settings), has_node=outside.node is not None),
        ),
        Periodic("reminders.forget", timedelta(minutes=10), reminders_upkeep.forget_old),
        Periodic("sso.keys", timedelta(minutes=10), partial(keys.tend, secrets=secrets)),
        Periodic("sso.forget", timedelta(minutes=10), sso_upkeep.forget_old),
        *payments(settings, outside.node),
        *bounces(settings, secrets),
        *habits.periodics(settings),
    ]


def payments(settings: Settings, node: Node | None) -> list[Periodic]:
    """Asking for notices that nobody has asked for, where there is a node to ask."""
    if node is None:
        return []
    sweep = ask.sweep(settings.payment_node_minute)
    return [Periodic("payments.sweep", ask.SWEEP_EVERY, sweep)]


def others(secrets: Secrets) -> Others:
    """What rooms above the citizens' own put into the archive of somebody's data."""
    notices = upkeep.export(secrets)

    async def gather(conn: Connection, fiscal_code: str) -> dict[str, Any]:
        reminders = await reminders_upkeep.export(conn, fiscal_code)
        accesses = await sso_upkeep.export(conn, fiscal_code)
        return {**await notices(conn, fiscal_code), "reminders.json": reminders, **accesses}

    return gather


def bounces(settings: Settings, secrets: Secrets) -> list[Periodic]:
    """Reading what mail servers sent back, where there is a mailbox for it."""
    if not settings.mail_bounces:
        return []
    found = BounceMailbox(Path(settings.mail_bounces), secrets, settings.mail_return_path)
    return [Periodic("notifications.bounces", timedelta(seconds=30), found.run)]


@contextlib.asynccontextmanager
async def start(settings: Settings, database_url: str, secrets: Secrets) -> AsyncIterator[Worker]:
    """A worker on its own pool; `run` it, set `stopping` to end it."""
    outside = Outside.of(settings, secrets)
    connections = settings.worker_tasks + 3 + len(outside.channels) + _SENDING
    pool = await Pool.open(database_url, connections, custom_plans=True)
    try:
        async with pool.connection() as conn:
            await migrate.check(conn)
        yield Worker(
            pool,
            pool.buckets,
            steps(settings, outside.channels),
            periodics(settings, secrets, outside),
            settings.worker_batch,
            outward(settings, secrets, outside, keys.Keys(pool, secrets)),
        )
    finally:
        await outside.close()
        await pool.close()


def stop_at_signals(running: Worker) -> None:
    """SIGINT and SIGTERM end the worker after the batches it has under way."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.stopping.set)
