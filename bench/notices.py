"""Delivering notices, against a bare loop that sends the same bytes to the same sink.

The worker's step claims, renders, encrypts, sends and records; the bare loop has everything made
beforehand and only sends. What encryption alone costs is measured apart.

Then the same beside 10,000 notices for a push service that hangs: what is left of the rate, and what
it costs in memory.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import aiosmtplib
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.notifications.push_service import encoded

from bench.ground import CHOOSY, Ground, Line, console, median, resident_mb
from messo.base import clock, server
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.ids import new_id
from messo.base.mailer import Mailer, parse_server
from messo.base.outward import Sending
from messo.notifications import deliver, dispatch
from messo.notifications.channels import Channel, Delivery
from messo.notifications.channels.email.channel import Target
from messo.notifications.channels.web_push.channel import WebPush, encrypt
from messo.notifications.channels.web_push.devices import Subscription, put_device
from messo.notifications.channels.web_push.text import notice
from messo.outside import Outside
from messo.recipients import Wishes, amend
from messo.reminders import not_any_more
from messo.settings import Settings

ROUNDS = 3
NOTICES = 8000  # by each side in each round
PEOPLE = 200
PAIRS = 5  # of a run alone and one beside a host that hangs
HANGING = 10_000  # notices for that host
BESIDE = 20_000  # for the other one, in each run
CONNECTIONS = 4  # to the mail server, on both sides

Send = Callable[[int], Awaitable[None]]


@dataclass
class Bench:
    made: Ground
    pool: Pool
    outside: Outside
    people: list[str]  # fiscal codes
    subscriptions: list[Subscription]
    ports: dict[str, int]

    def channel(self, name: str) -> Channel:
        return next(one for one in self.outside.channels if one.name == name)


def run(made: Ground) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.sinks"], stdout=subprocess.PIPE, text=True
    ) as sinks:
        try:
            assert sinks.stdout is not None
            ports = json.loads(sinks.stdout.readline())
            uvloop.run(_run(made, ports))
        finally:
            sinks.kill()


async def _run(made: Ground, ports: dict[str, int]) -> None:
    settings = replace(
        Settings(
            sandbox=True,
            contact="bench@example.org",
            mail_connections=CONNECTIONS,
            mail_domain_minute=10**9,
        ),
        mail_server=f"smtp+plain://127.0.0.1:{ports['mail']}",
    )
    server.calm_collector()  # as in the worker's process
    secrets = Secrets.parse(made.secrets)
    pool = await Pool.open(made.url, 6, custom_plans=True)
    # Who has closed their inbox for the service is told nothing.
    people = [code for n, code in enumerate(made.citizens) if n % CHOOSY][: 2 * PEOPLE]
    bench = Bench(made, pool, Outside.of(settings, secrets), people, [], ports)
    await _enrol(bench, secrets)
    for name, what in (("web_push", "web push"), ("email", "e-mail")):
        rates: dict[str, list[float]] = {"worker": [], "bare": []}
        costs = []
        for number in range(ROUNDS):
            with console.status(f"{what}, round {number + 1} of {ROUNDS} …"):
                await _fill(bench, name)
                sent = await _kept(bench, name)
                rates["worker"].append(await _deliver(bench, name))
                rates["bare"].append(await sent.bare())
                costs.append(sent.encryption_s)
        _tell(made, what, median(rates["worker"]), median(rates["bare"]), median(costs))
    await bench.outside.close()
    await _isolate(bench, settings, secrets)
    await pool.close()


async def _isolate(bench: Bench, settings: Settings, secrets: Secrets) -> None:
    alone: list[float] = []
    beside: list[float] = []
    grown: list[float] = []
    for number in range(PAIRS):
        with console.status(f"beside a host that hangs, pair {number + 1} of {PAIRS} …"):
            for hanging, rates in ((False, alone), (True, beside)):
                # Each run meets the host for the first time, which is when it costs most.
                bench.outside = Outside.of(settings, secrets)
                if hanging:
                    await _fill(bench, "web_push", HANGING, hanging=True)
                await _fill(bench, "web_push", BESIDE)
                before = resident_mb(os.getpid())
                rates.append(await _deliver(bench, "web_push", BESIDE, bench.ports["push"]))
                if hanging:
                    grown.append(resident_mb(os.getpid()) - before)
                    async with bench.pool.connection() as conn:
                        await conn.script("DELETE FROM work.item")
                await bench.outside.close()
    shares = [b / a for a, b in zip(alone, beside, strict=True)]
    bench.made.lines.append(
        Line(
            f"web push beside {HANGING:,} notices for a host that hangs",
            f"{median(beside):,.0f}/s; memory grows by {median(grown):.0f} MB",
            f"{median(alone):,.0f}/s alone",
            f"{median(shares):.2f} (median of {PAIRS} pairs)",
            "≥ 0.80",
        )
    )


def _tell(made: Ground, what: str, worker: float, bare: float, encryption_s: float) -> None:
    # Encryption is left out of the comparison, since the bare loop does none: said beside it.
    without = 1 / (1 / worker - encryption_s)
    apart = f", {encryption_s * 1e6:.0f} µs of it encryption" if encryption_s else ""
    made.lines.append(
        Line(
            f"{what}: notices delivered by one worker",
            f"{worker:,.0f}/s ({1e6 / worker:.0f} µs each{apart})",
            f"{bare:,.0f}/s bare loop, same bytes",
            f"{without / bare:.2f} without encryption, {worker / bare:.2f} with it",
            "≥ 0.50",
        )
    )


async def _enrol(bench: Bench, secrets: Secrets) -> None:
    """Twice as many people: the second half has browsers whose push service hangs."""
    async with bench.pool.transaction() as conn:
        for number, code in enumerate(bench.people):
            port = bench.ports["push" if number < PEOPLE else "hang"]
            key = ec.generate_private_key(ec.SECP256R1())
            point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            subscription = Subscription(
                f"http://localhost:{port}/{number}",
                encoded(point),
                encoded(bytes(16)),
            )
            bench.subscriptions.append(subscription)
            await put_device(conn, secrets, code, subscription, label="x", session_id="S")
            await amend(
                conn,
                code,
                Wishes(
                    email=f"p{number}@example{number % 50}.org",
                    is_email_enabled=True,
                    push_notifications_content_type="FULL",
                ),
            )
        await conn.raw.execute(
            "UPDATE recipients.profile SET is_email_validated = true WHERE email IS NOT NULL"
        )


async def _fill(bench: Bench, channel: str, count: int = NOTICES, *, hanging: bool = False) -> None:
    """Messages that have been decided, and their deliveries by one channel."""
    ids = [new_id() for _ in range(count)]
    first = PEOPLE if hanging else 0
    async with bench.pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO messages.sender VALUES (1, 'Servizio', 'Comune di Prova', '00000000001', "
            "'-', false, 'STANDARD', '') ON CONFLICT DO NOTHING"
        )
        await conn.raw.execute(
            "INSERT INTO messages.message (bucket, id, fiscal_code, service_id, sender_id, subject,"
            " status, feature_level_type, require_secure_channels, time_to_live, created_at,"
            " decided_at) SELECT 0, u.id, u.code, $3, 1, 'La tua pratica è pronta', 'PROCESSED',"
            " 'STANDARD', false, 3600, now(), now()"
            " FROM unnest($1::text[], $2::text[]) AS u (id, code)",
            ids,
            [bench.people[first + i % PEOPLE] for i in range(count)],
            bench.made.senders[0][0],
        )
        await conn.raw.execute(
            "INSERT INTO messages.content SELECT 0, u, $2, '{}' FROM unnest($1::text[]) AS u",
            ids,
            "Ciao, la tua pratica è pronta e puoi ritirarla allo sportello. " * 12,
        )
    occasions = [dispatch.Occasion(one) for one in ids]
    for start in range(0, count, 1000):
        async with bench.pool.transaction() as conn:
            await dispatch.dispatch(
                conn, 0, occasions[start : start + 1000], [bench.channel(channel)]
            )
    async with bench.pool.connection() as conn:
        await conn.script("ANALYZE work.item; ANALYZE notifications.delivery")


async def _deliver(
    bench: Bench, channel: str, count: int = NOTICES, port: int | None = None
) -> float:
    """Notices a second, from the first claim to the last record. `port`: only those sent there."""
    sending = Sending(deliver.step(bench.channel(channel), not_any_more), bench.pool, 1)
    stopping = asyncio.Event()
    began = time.perf_counter()
    running = asyncio.create_task(sending.run(stopping))
    while True:
        await asyncio.sleep(0.05)
        async with bench.pool.connection() as conn:
            left = await conn.raw.fetchval(
                "SELECT EXISTS (SELECT FROM work.item WHERE step = $1 AND reference LIKE $2)",
                dispatch.deliver_step(channel),
                "%" if port is None else f"%:{port}",
            )
        if not left:
            break
    took = time.perf_counter() - began
    stopping.set()
    if port is not None:  # what hangs is not waited for
        running.cancel()
        return count / took
    await running
    async with bench.pool.connection() as conn:
        wrong = await conn.raw.fetchval(
            "SELECT count(*) FROM notifications.delivery WHERE state <> 'SENT'"
        )
    assert wrong == 0, f"{wrong} were not sent"
    return count / took


@dataclass
class Kept:
    """Everything made beforehand, and how to send one of it."""

    send: Send
    at_once: int
    close: Callable[[], Awaitable[Any]]
    encryption_s: float = 0.0

    async def bare(self) -> float:
        numbers = iter(range(NOTICES))

        async def loop() -> None:
            for number in numbers:
                await self.send(number)

        began = time.perf_counter()
        await asyncio.gather(*(loop() for _ in range(self.at_once)))
        took = time.perf_counter() - began
        await self.close()
        return NOTICES / took


async def _kept(bench: Bench, name: str) -> Kept:
    """The bytes that the channel sends, recorded from it, so that both send the same."""
    channel = bench.channel(name)
    delivery = Delivery(
        new_id(),
        new_id(),
        "new",
        "a",
        "FULL",
        "it",
        clock.now().replace(year=2099),
        bench.people[0],
        "La tua pratica è pronta",
        "S",
        "Servizio",
        "Comune di Prova",
    )
    if isinstance(channel, WebPush):
        return _kept_push(bench, delivery)
    return await _kept_mail(bench, channel, delivery)


def _kept_push(bench: Bench, delivery: Delivery) -> Kept:
    content = notice(delivery, "FULL")
    began = time.perf_counter()
    bodies = [encrypt(content, bench.subscriptions[i % PEOPLE]) for i in range(1000)]
    encryption_s = (time.perf_counter() - began) / 1000
    connector = aiohttp.TCPConnector(limit=128, limit_per_host=32)
    session = aiohttp.ClientSession(connector=connector)
    headers = {
        "Authorization": "vapid t=" + "x" * 240 + ", k=" + "y" * 87,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": "86400",
        "Urgency": "normal",
        "Topic": "t" * 32,
    }

    async def send(number: int) -> None:
        url = bench.subscriptions[number % PEOPLE].endpoint
        async with session.post(url, data=bodies[number % 1000], headers=headers) as answer:
            await answer.read()
            assert answer.status == 201

    return Kept(send, 128, session.close, encryption_s)


async def _kept_mail(bench: Bench, channel: Any, delivery: Delivery) -> Kept:
    taken: list[tuple[str, str, bytes]] = []

    class Recorder(Mailer):
        async def send(self, sender: str, recipient: str, message: bytes) -> None:
            taken.append((sender, recipient, message))

    server = parse_server(f"smtp+plain://127.0.0.1:{bench.ports['mail']}")
    before, channel._mailer = channel._mailer, Recorder(server)
    await channel.send(delivery, Target("p1@example1.org", "Ciao, la tua pratica è pronta. " * 20))
    channel._mailer = before
    sender, _, message = taken[0]
    connections: asyncio.Queue[aiosmtplib.SMTP] = asyncio.Queue()
    opened = []
    for _ in range(CONNECTIONS):
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=bench.ports["mail"], use_tls=False, start_tls=False
        )
        await client.connect()
        opened.append(client)
        connections.put_nowait(client)

    async def send(number: int) -> None:
        client = await connections.get()
        await client.sendmail(sender, [f"p{number % PEOPLE}@example{number % 50}.org"], message)
        connections.put_nowait(client)

    async def close() -> None:
        for client in opened:
            await client.quit()

    return Kept(send, CONNECTIONS, close)
