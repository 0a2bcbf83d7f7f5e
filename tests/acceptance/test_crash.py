"""Killing any process at any moment loses nothing and doubles nothing.

Load runs against a server and a worker while they and the database are killed with -9, one after
the other, at random moments; then SQL proves what the promise says. `MESSO_CRASH_SEED` repeats the
order of victims and the lengths of the pauses between them.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from messo.base import db
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox import fiscal_codes
from tests.acceptance.installed import CHECKOUT, PATIENCE, Server, Site, Worker, wait_until
from tests.events.told import FACTS

pytestmark = pytest.mark.acceptance

KILLS = 20
MESSAGES = 20_000  # at least
CLIENTS = 64
CITIZENS = 6_000
STRANGER_EVERY = 6  # one citizen in so many is not enrolled
BETWEEN_KILLS = (50, 1500)  # messages answered since the last victim was back: from, to
VICTIMS = ("server", "worker", "database", "backend")


class Progress:
    """The load's process, and how many of its messages are answered."""

    def __init__(self, wish: dict[str, Any]) -> None:
        self.answered = 0
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.load"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(wish) + "\n")
        self.popen.stdin.flush()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.answered = int(line)

    def wait_for(self, more: int) -> None:
        """Until so many more are answered: after a crash that is the proof of recovery, too."""
        wanted = self.answered + more

        def reached() -> bool:
            assert self.popen.poll() is None, "the load has stopped"
            return self.answered >= wanted

        wait_until(reached, f"{wanted} messages are answered", every=0.005)

    def finish(self) -> None:
        """Send no new ones, and wait until each has its answer."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        assert self.popen.wait(PATIENCE) == 0
        self.thread.join()
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@dataclass
class Victims:
    site: Site
    server: Server
    worker: Worker
    chance: random.Random

    def kill(self, victim: str) -> None:
        """Kill -9, start again, wait until it is ready."""
        if victim == "server":
            self.server.kill()
            self.server.start().must_run()
        elif victim == "worker":
            self.worker.kill()
            self.worker.start().must_run()
        elif victim == "database":
            postgres = self.site.postgres.process
            assert postgres is not None
            postgres.kill()
            postgres.wait()
            self.site.postgres.start()
        else:
            # PostgreSQL cannot trust its shared memory then, and starts all backends anew.
            backends = self.site.rows(
                "SELECT pid FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            os.kill(self.chance.choice(backends)["pid"], signal.SIGKILL)
            wait_until(self._has_recovered, "the database has recovered")
        # Nobody starts the others again: they have to live with a database that was away.
        self.server.wait_ready()
        self.worker.wait_ready()

    def _has_recovered(self) -> bool:
        async def ask() -> bool:
            conn = await db.connect(self.site.url)
            await conn.close()
            return True

        with contextlib.suppress(Exception):
            return asyncio.run(ask())
        return False


def test_twenty_kills_under_load_lose_and_double_nothing(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("MESSO_CRASH_SEED") or random.SystemRandom().randrange(10**6))
    print(f"MESSO_CRASH_SEED={seed}")
    chance = random.Random(seed)
    enrolled = enrol_citizens(site)
    server = site.serve(MESSO_GUARD_RECIPIENTS="1000000000")
    worker = site.work()
    victims = Victims(site, server, worker, chance)
    order = list(VICTIMS) * (KILLS // len(VICTIMS))
    order += chance.choices(VICTIMS, k=KILLS - len(order))
    chance.shuffle(order)

    began = time.monotonic()
    load = Progress(
        {
            "seed": seed,
            "port": server.port,
            "clients": CLIENTS,
            "messages": MESSAGES,
            "outcome": str(tmp_path / "outcome"),
            "recipients": fiscal_codes.many(CITIZENS),
            "services": [(who.id, who.key) for who in (site.world.anna, site.world.bruno)],
        }
    )
    try:
        for victim in order:
            load.wait_for(chance.randint(*BETWEEN_KILLS))
            victims.kill(victim)
        load.finish()
    finally:
        load.popen.kill()
        load.popen.wait()
    sending = time.monotonic() - began
    site.wait_decided()
    took = time.monotonic() - began

    *sent, counts = map(json.loads, (tmp_path / "outcome").read_text().splitlines())
    prove_nothing_is_lost(site, sent)
    prove_nothing_is_doubled(site, len(sent))
    prove_each_is_decided_once(site, sent, enrolled)
    later, again = counts.pop("503", 0), counts.pop("asked again", 0)
    # A connection that dies while it commits leaves us in doubt; the database is asked once it is back.
    doubted = counts.pop("503 though kept", 0)
    assert doubted == 0
    assert set(counts) - {c for c in counts if c.startswith("no answer")} == {"201"}, counts
    with capsys.disabled():
        print(
            f"\ncrash test, seed {seed}: {len(sent)} messages from {CLIENTS} clients in "
            f"{sending:.1f} s, all decided after {took:.1f} s; kills {dict(Counter(order))}; "
            f"{later} answers 503 ({doubted} of a message that was kept), {again} retries, {counts}"
        )


def enrol_citizens(site: Site) -> set[str]:
    codes = fiscal_codes.many(CITIZENS)
    enrolled = [code for place, code in enumerate(codes) if place % STRANGER_EVERY]
    profiles = [
        Profile(
            code,
            mode="AUTO",
            settings_version=0,
            is_inbox_enabled=True,
            is_webhook_enabled=True,
        )
        for code in enrolled
    ]
    assert site.do(lambda conn: create_profiles(conn, profiles)) == len(enrolled)
    return set(enrolled)


def prove_nothing_is_lost(site: Site, sent: list[dict[str, Any]]) -> None:
    """What was answered with 201 is there, once, under the key and for the citizen of its request."""
    assert len(sent) >= MESSAGES
    kept = {
        row["id"]: (row["reference"], row["service_id"], row["fiscal_code"])
        for row in site.rows("SELECT id, reference, service_id, fiscal_code FROM messages.message")
    }
    for outcome in sent:
        ids = set(outcome["ids"])
        assert len(ids) == 1, f"one key, two answers: {outcome}"
        assert kept.get(ids.pop()) == (
            f"crash-{outcome['number']}",
            outcome["service"],
            outcome["recipient"],
        )


def prove_nothing_is_doubled(site: Site, sent: int) -> None:
    """As many messages as keys, and each belongs to its key, answered or not."""
    assert site.value("SELECT count(*) FROM messages.message") == sent
    # The reference is written by another statement than the key: two witnesses.
    assert site.value("SELECT count(DISTINCT reference) FROM messages.message") == sent
    assert site.value("SELECT count(*) FROM messages.idempotency") == sent
    matching = """
        SELECT count(*) FROM messages.message AS m
        INNER JOIN messages.idempotency AS i ON i.bucket = m.bucket AND i.message_id = m.id
        WHERE i.key = m.reference AND i.service_id = m.service_id
          AND i.fiscal_code = m.fiscal_code
    """
    assert site.value(matching) == sent


def prove_each_is_decided_once(site: Site, sent: list[dict[str, Any]], enrolled: set[str]) -> None:
    """Each has the outcome of its citizen, one event that says so, and a text only if PROCESSED."""
    rows = site.rows(
        f"""
        SELECT
            m.fiscal_code, m.status, m.rejection_reason, m.subject IS NOT NULL AS has_subject,
            m.decided_at IS NOT NULL AS has_time,
            EXISTS (
                SELECT FROM messages.content AS c WHERE c.bucket = m.bucket AND c.id = m.id
            ) AS has_content,
            told.events
        FROM messages.message AS m
        LEFT JOIN (
            SELECT facts.message_id, array_agg(facts.kind ORDER BY facts.kind) AS events
            FROM {FACTS} GROUP BY facts.message_id
        ) AS told ON told.message_id = m.id
        """
    )
    expected: tuple[object, ...]
    for row in rows:
        if row["fiscal_code"] in enrolled:
            expected = ("PROCESSED", None, True, True, True, ["accepted", "processed"])
        else:
            expected = ("REJECTED", "USER_NOT_FOUND", False, True, False, ["accepted", "rejected"])
        assert tuple(row.values())[1:] == expected
    assert len(rows) == len(sent)
    assert site.value(f"SELECT count(*) FROM {FACTS}") == 2 * len(sent)
    assert site.value("SELECT count(*) FROM work.item") == 0
    strays = (
        "SELECT count(*) FROM messages.content WHERE id NOT IN (SELECT id FROM messages.message)"
    )
    assert site.value(strays) == 0
