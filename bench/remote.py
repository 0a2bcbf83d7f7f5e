"""Content that stays with the institution: texts and attachments through one server process.

The ceiling is the same client asking the institution's server itself. That server is a bare one in a
process of its own; all of them share the machine's processors.
"""

import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from tests import world
from tests.acceptance.installed import tree_mb

from bench import institution
from bench.ground import (
    CHOOSY,
    SENDERS,
    Ground,
    Line,
    console,
    key_line,
    load,
    median,
    server,
    worker,
)
from messo.base import db
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.login import Identity, Limits, open_session

ROUNDS = 5
SECONDS = 3
AT_ONCE = 100  # attachments under way together
PACE = 2_500_000  # bytes a second, each of them
WAITING = 16  # citizens whose institution does not answer
BESIDE_SECONDS = 6  # longer than we wait for a text
AGAIN_S = 1  # after which those citizens try again
GROWTH_MB = 100

_MESSAGE = "/api/communication/v1/messages/{}"
_THIRD = "/api/communication/v1/third-party-messages/{}"
_DIRECT = "/remote/messages/42"
_KEY = "X-API-Key: key"

Requests = list[tuple[str, str, str, str]]


@dataclass
class Reader:
    """A citizen: how their client application says who asks, and their messages by configuration."""

    fiscal_code: str
    bearer: str
    messages: dict[str, str] = field(default_factory=dict)

    def detail(self, configuration: str = "well") -> tuple[str, str, str, str]:
        return ("GET", _THIRD.format(self.messages[configuration]), self.bearer, "")


def run(made: Ground) -> None:
    with _institution() as ports:
        readers = _write(made, ports)
        with server(made) as (port, pid):
            _hold(made, port, pid, readers)
        with server(made) as (port, _):
            _texts(made, port, ports["well"], readers[:16])
            _files(made, port, ports["well"], readers[:8])
            _beside(made, port, readers)


@contextlib.contextmanager
def _institution() -> Iterator[dict[str, int]]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.institution"], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            yield json.loads(child.stdout.readline())
        finally:
            child.kill()


def _hold(made: Ground, port: int, pid: int, readers: list[Reader]) -> None:
    """Many attachments at once, read at a moderate pace: what they cost in memory."""
    load(port, [one.detail() for one in readers], 1)
    before = most = tree_mb(pid)
    digest = hashlib.sha256(institution.pdf(institution.LARGE)).hexdigest()
    spec = {
        "port": port,
        "requests": [_attachment(one, "large") for one in readers],
        "connections": AT_ONCE,
        "files": AT_ONCE,
        "pace": PACE,
        "digest": digest,
        "seconds": 120,
    }
    with _downloading(spec) as child:
        while child.poll() is None:
            most = max(most, tree_mb(pid))
            time.sleep(0.1)
        assert child.stdout is not None
        told = json.load(child.stdout)
    console.print(f"  {AT_ONCE} attachments: {told}; {before:.0f} MB before, {most:.0f} MB at most")
    if told["files"] != {"whole": AT_ONCE} or told["at_once"] != AT_ONCE:
        raise RuntimeError(f"attachments: {told}")
    grown = most - before
    if grown > GROWTH_MB:
        console.print(f"[red]memory grows by {grown:.0f} MB, the bar is {GROWTH_MB} MB[/red]")
    made.lines.append(
        Line(
            f"{AT_ONCE} attachments of 20 MiB at once, each whole",
            f"memory grows by {grown:.0f} MB, from {before:.0f} to {most:.0f} MB",
            bar=f"≤ {GROWTH_MB} MB",
        )
    )


def _texts(made: Ground, port: int, direct: int, readers: list[Reader]) -> None:
    remote = [one.detail() for one in readers]
    own = [("GET", _MESSAGE.format(one.messages["well"]), one.bearer, "") for one in readers]
    sides: dict[str, tuple[int, Requests]] = {
        "remote": (port, remote),
        "direct": (direct, [("GET", _DIRECT, _KEY, "")]),
        "own": (port, own),
    }
    for connections in (1, 16):
        told: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for number in range(ROUNDS + 1):
            for name, (asked, requests) in sides.items():
                got = _ask(asked, requests[:connections], SECONDS if number else 1, connections)
                if number:  # the first is to warm up
                    told[name].append(got)
            console.print(f"  texts, {connections}: { {n: t[-1] for n, t in told.items() if t} }")
        if connections == 1:
            _tell_times(made, told)
        else:
            _tell_rates(made, told, connections)


def _tell_times(made: Ground, told: dict[str, list[dict[str, Any]]]) -> None:
    at = {
        (name, share): median([one[f"{share}_ms"] for one in rounds])
        for name, rounds in told.items()
        for share in ("p50", "p99")
    }
    for other, words in (
        ("direct", "asked of the institution itself"),
        ("own", "the message without its remote text"),
    ):
        more = [at["remote", share] - at[other, share] for share in ("p50", "p99")]
        made.lines.append(
            Line(
                "a remote text, 1 connection",
                f"p50 {at['remote', 'p50']:.2f}, p99 {at['remote', 'p99']:.2f} ms",
                f"p50 {at[other, 'p50']:.2f}, p99 {at[other, 'p99']:.2f} ms, {words}",
                f"{more[0]:.2f} ms more at p50, {more[1]:.2f} at p99",
            )
        )


def _tell_rates(made: Ground, told: dict[str, list[dict[str, Any]]], connections: int) -> None:
    rates = {name: [one["per_second"] for one in rounds] for name, rounds in told.items()}
    late = median([one["p99_ms"] for one in told["remote"]])
    for other, words in (
        ("direct", "asked of the institution itself"),
        ("own", "the message without its remote text"),
    ):
        made.lines.append(
            Line(
                f"remote texts, {connections} connections",
                f"{median(rates['remote']):,.0f}/s, p99 {late:.1f} ms",
                f"{median(rates[other]):,.0f}/s, {words}",
                f"{_ratio(rates['remote'], rates[other]):.2f}",
            )
        )


def _files(made: Ground, port: int, direct: int, readers: list[Reader]) -> None:
    _ask(port, [one.detail() for one in readers], 1, len(readers))  # what they may open
    for name, size, bar in (("large", "20 MiB", "≥ 0.30"), ("small", "200 kB", "")):
        through = [_attachment(one, name) for one in readers]
        straight = [(f"{_DIRECT}/attachments/{name}", _KEY)]
        for connections in (1, 8):
            ours: list[float] = []
            tops: list[float] = []
            for number in range(ROUNDS + 1):
                for asked, requests, rates in ((port, through, ours), (direct, straight, tops)):
                    # `busy` is the client's share of a processor: below one, it is not what limits.
                    told = _download(asked, requests, connections, SECONDS if number else 1)
                    if number:
                        rates.append(told["mb_per_second"])
                    side = "through" if rates is ours else "straight"
                    console.print(f"  {size}, {connections}, {side}: {told}")
            made.lines.append(
                Line(
                    f"attachments of {size}, {connections} connection{'s'[: connections - 1]}",
                    f"{median(ours):,.0f} MB/s",
                    f"{median(tops):,.0f} MB/s from the institution itself",
                    f"{_ratio(ours, tops):.2f}",
                    bar,
                )
            )


def _beside(made: Ground, port: int, readers: list[Reader]) -> None:
    """One institution's texts, while citizens of another wait for theirs."""
    waiting, others = readers[:WAITING], [one.detail() for one in readers[WAITING:][:8]]
    alone: list[float] = []
    beside: dict[str, list[float]] = {"hangs": [], "drips": []}
    _ask(port, others, 1, 8)
    for number in range(ROUNDS):
        alone.append(_ask(port, others, BESIDE_SECONDS, 8)["per_second"])
        for how, rates in beside.items():
            # Each time a configuration that was never asked, for then it costs most.
            spec = {
                "port": port,
                "requests": [one.detail(f"{how}{number}") for one in waiting],
                "connections": WAITING,
                "seconds": BESIDE_SECONDS + 0.5,
                "pause": AGAIN_S,
            }
            with _process("bench.load", spec) as child:
                time.sleep(0.5)
                rates.append(_ask(port, others, BESIDE_SECONDS, 8)["per_second"])
                assert child.stdout is not None
                console.print(f"  {how}: {rates[-1]} beside {alone[-1]}; {json.load(child.stdout)}")
    for how, rates in beside.items():
        made.lines.append(
            Line(
                f"remote texts, 8 connections, beside {WAITING} citizens of an institution whose "
                f"server {how}",
                f"{median(rates):,.0f}/s",
                f"{median(alone):,.0f}/s alone",
                f"{_ratio(rates, alone):.2f} (median of {ROUNDS} pairs)",
                "≥ 0.80",
            )
        )


def _ratio(ours: list[float], tops: list[float]) -> float:
    return median([one / top for one, top in zip(ours, tops, strict=True)])


def _ask(port: int, requests: Requests, seconds: float, connections: int) -> dict[str, Any]:
    told = load(port, requests, seconds, connections)
    if set(told["codes"]) != {"200"}:
        raise RuntimeError(f"{requests[0][1]}: {told['codes']}")
    return told


def _attachment(reader: Reader, name: str) -> tuple[str, str]:
    path = _THIRD.format(reader.messages["well"])
    return f"{path}/attachments/attachments/{name}", reader.bearer


def _download(
    port: int, requests: list[tuple[str, str]], connections: int, seconds: float
) -> dict[str, Any]:
    spec = {"port": port, "requests": requests, "connections": connections, "seconds": seconds}
    with _downloading(spec) as child:
        assert child.stdout is not None
        told: dict[str, Any] = json.load(child.stdout)
    if set(told["codes"]) != {"200"} or set(told["files"]) - {"whole"}:
        raise RuntimeError(f"attachments: {told}")
    return told


def _downloading(
    spec: dict[str, Any],
) -> "contextlib.AbstractContextManager[subprocess.Popen[str]]":
    return _process("bench.download", spec)


@contextlib.contextmanager
def _process(module: str, spec: dict[str, Any]) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        child.stdin.write(json.dumps(spec))
        child.stdin.close()
        yield child


def _write(made: Ground, ports: dict[str, int]) -> list[Reader]:
    """Everybody has a message of the institution that is well; some, of those that are not."""
    bases = {"well": ports["well"]}
    for how in ("hangs", "drips"):
        bases |= {f"{how}{number}": ports[how] for number in range(ROUNDS)}
    configurations, readers = asyncio.run(_prepare(made, bases))
    with (
        worker(made),
        server(made) as (port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
        console.status("Writing to those who will read …"),
    ):
        for number, one in enumerate(readers):
            for name in bases if number < WAITING else ("well",):
                body = world.message(
                    one.fiscal_code,
                    third_party_data={
                        "id": "42",
                        "configuration_id": configurations[name],
                        "has_remote_content": True,
                        "has_attachments": True,
                    },
                )
                key = made.senders[_sender(name)][1]
                sent = client.post(
                    "/api/v1/messages",
                    json=body | {"feature_level_type": "ADVANCED"},
                    headers=dict([key_line(key).split(": ", 1)]),
                )
                sent.raise_for_status()
                one.messages[name] = sent.json()["id"]
        asyncio.run(_decided(made, [id_ for one in readers for id_ in one.messages.values()]))
    return readers


def _sender(name: str) -> int:
    """The one that is well, the one that hangs and the one that drips are three institutions."""
    return {"w": 0, "h": 1, "d": 2}[name[0]] % SENDERS


async def _prepare(made: Ground, bases: dict[str, int]) -> tuple[dict[str, str], list[Reader]]:
    pool = await Pool.open(made.url, 2)
    secrets = Secrets.parse(made.secrets)
    codes = [code for n, code in enumerate(made.citizens) if n % CHOOSY][:AT_ONCE]
    async with pool.transaction() as conn:
        configurations = {
            name: await world.add_configuration(
                conn,
                secrets,
                await _institution_of(conn, made.senders[_sender(name)][0]),
                f"http://127.0.0.1:{port}/remote",
            )
            for name, port in bases.items()
        }
        readers = [await _reader(conn, code) for code in codes]
    await pool.close()
    return configurations, readers


async def _institution_of(conn: Connection, service: str) -> str:
    return str(
        await conn.raw.fetchval(
            "SELECT institution_id FROM services.service WHERE id = $1", service
        )
    )


async def _reader(conn: Connection, code: str) -> Reader:
    identity = Identity(code, "Giulia", "Ferretti", "https://www.spid.gov.it/SpidL2")
    limits = Limits(timedelta(hours=12), timedelta(hours=12))
    token = await open_session(conn, identity, "client", "bench", limits)
    return Reader(code, f"Authorization: Bearer {token}")


async def _decided(made: Ground, ids: list[str]) -> None:
    conn = await db.connect(made.url)
    while len(ids) > await conn.raw.fetchval(
        "SELECT count(*) FROM messages.message WHERE id = ANY($1) AND status = 'PROCESSED'", ids
    ):
        await asyncio.sleep(0.05)
    await conn.close()
