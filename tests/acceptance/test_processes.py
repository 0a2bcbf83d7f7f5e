"""Servers and workers as an operator meets them: stopping, refusing, revoking, watching."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from messo.base import metrics
from tests.acceptance.installed import (
    Server,
    Site,
    in_database,
    migrated,
    must_refuse,
    run,
    status_of,
    wait_until,
)
from tests.acceptance.load import Client, Gone, body_of
from tests.world import AUTO, Caller, message

pytestmark = pytest.mark.acceptance

UNDER_WAY = 64


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    started = site.serve()
    yield started
    started.kill()


def headers(caller: Caller) -> dict[str, str]:
    return caller.headers | {"Content-Type": "application/json"}


def test_a_stopped_server_answers_what_it_has_begun(site: Site, server: Server) -> None:
    """Every request that waits for its commit when SIGTERM comes is kept and answered."""

    async def send(client: Client, number: int) -> tuple[int, bytes]:
        return await client.post(
            "/api/v1/messages", headers(site.world.anna), body_of(number, AUTO)
        )

    async def scenario() -> list[tuple[int, bytes]]:
        clients = [Client("127.0.0.1", server.port) for _ in range(UNDER_WAY)]
        with site.locked("messages.message"):  # nothing can be committed
            sending = [
                asyncio.create_task(send(client, number)) for number, client in enumerate(clients)
            ]
            await until_sent(clients)
            # As many as reach the queue are in the statement that waits, or behind it.
            await asyncio.to_thread(
                wait_until, lambda: site.waiting_for_locks() > 0, "the open batch waits"
            )
            server.signal(signal.SIGTERM)
            await asyncio.to_thread(
                wait_until, lambda: status_of(server.url) == 0, "no new connection is taken"
            )
            assert server.runs
        return await asyncio.gather(*sending)

    answers = asyncio.run(scenario())

    assert [status for status, _ in answers] == [201] * UNDER_WAY
    ids = [json.loads(document)["id"] for _, document in answers]
    kept = "SELECT count(*) FROM messages.message WHERE id = ANY($1::text[])"
    assert site.value(kept, ids) == UNDER_WAY
    assert server.wait() == 0


async def until_sent(clients: list[Client]) -> None:
    """Until each has a connection and wrote its request; the server reads it at once."""
    async with asyncio.timeout(30):
        while any(c.writer is None or c.writer.transport.get_write_buffer_size() for c in clients):
            await asyncio.sleep(0.01)


def test_a_server_stopped_under_load_keeps_what_it_answered(site: Site, server: Server) -> None:
    """No request sent before SIGTERM is left without an answer, and every 201 is on disk."""
    ids: list[str] = []
    unanswered: list[float] = []
    stopped_at = float("inf")

    async def client(number: int) -> None:
        connection = Client("127.0.0.1", server.port)
        while True:
            sent_at = time.monotonic()
            try:
                status, document = await connection.post(
                    "/api/v1/messages", headers(site.world.anna), body_of(number, AUTO)
                )
            except Gone:
                unanswered.append(sent_at)
                return
            assert status == 201, document
            ids.append(json.loads(document)["id"])
            number += UNDER_WAY

    async def scenario() -> None:
        nonlocal stopped_at
        clients = [asyncio.create_task(client(number)) for number in range(UNDER_WAY)]
        async with asyncio.timeout(60):
            while len(ids) < 10 * UNDER_WAY:
                await asyncio.sleep(0.01)
        stopped_at = time.monotonic()
        server.signal(signal.SIGTERM)
        await asyncio.gather(*clients)

    asyncio.run(scenario())

    assert server.wait() == 0
    kept = "SELECT count(*) FROM messages.message WHERE id = ANY($1::text[])"
    assert site.value(kept, ids) == len(ids)
    assert [sent_at for sent_at in unanswered if sent_at < stopped_at] == []


def test_a_stopped_worker_finishes_its_batch(site: Site, server: Server) -> None:
    with site.client(server) as client:
        for _ in range(100):
            assert client.post(
                "/api/v1/messages", json=message(), headers=site.world.anna.headers
            ).is_success
    waiting = site.value("SELECT count(*) FROM work.item")
    assert waiting >= 100
    with site.locked("recipients.profile"):
        worker = site.work(wait=False, MESSO_WORKER_BATCH="8")
        deciding = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE '%messages.refusal%'"
        )
        wait_until(lambda: site.value(deciding) == 1, "the batch waits for its lock")
        worker.signal(signal.SIGTERM)
        assert worker.runs

    assert worker.wait() == 0
    left = site.value("SELECT count(*) FROM work.item")
    assert 0 < left < waiting  # the batch under way is done, the others are left
    halfway = """
        SELECT count(*) FROM messages.message AS m
        FULL JOIN work.item AS i ON i.bucket = m.bucket AND i.reference = m.id
        WHERE m.id IS NULL OR (m.decided_at IS NULL) <> (i.reference IS NOT NULL)
    """
    assert site.value(halfway) == 0


# -- what production refuses


@pytest.fixture(params=["serve", "work"])
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def production(site: Site, **more: str) -> dict[str, str]:
    environment = site.environment(MESSO_PUBLIC_URL="https://messaggi.example.org") | more
    del environment["MESSO_SANDBOX"]
    return environment


def refused(command: str, environment: dict[str, str], *words: str) -> None:
    must_refuse(run(command, environment=environment), *words)


def test_production_needs_a_database(site: Site, command: str) -> None:
    refused(command, production(site, MESSO_DATABASE_URL=""), "MESSO_DATABASE_URL")


def test_production_needs_secrets(site: Site, command: str) -> None:
    refused(command, production(site, MESSO_SECRETS=""), "MESSO_SECRETS")
    refused(command, production(site, MESSO_SECRETS="1:c2hvcnQ="), "MESSO_SECRETS")


def test_production_needs_an_encrypted_public_address(site: Site, command: str) -> None:
    refused(command, production(site, MESSO_PUBLIC_URL="http://messaggi.example.org"), "https://")


def test_production_refuses_a_sandbox_database(site: Site, command: str) -> None:
    refused(command, production(site), "sandbox")


def test_a_sandbox_refuses_a_production_database(site: Site, command: str) -> None:
    url = site.database(f"production_{command}")
    migrated(url)
    refused(command, site.environment(MESSO_DATABASE_URL=url), "not a sandbox")


def test_an_empty_database_is_refused(site: Site, command: str) -> None:
    url = site.database(f"empty_{command}")
    refused(command, production(site, MESSO_DATABASE_URL=url), "messo migrate")


def test_an_older_schema_is_refused(site: Site, command: str) -> None:
    url = site.database(f"older_{command}")
    migrated(url)
    in_database(url, lambda conn: conn.script("DELETE FROM base.migration"))
    refused(command, production(site, MESSO_DATABASE_URL=url), "older", "messo migrate")


def test_a_newer_schema_is_refused(site: Site, command: str) -> None:
    url = site.database(f"newer_{command}")
    migrated(url)
    newer = "INSERT INTO base.migration (name, digest) VALUES ('9999_pre_future.sql', '')"
    in_database(url, lambda conn: conn.script(newer))
    refused(command, production(site, MESSO_DATABASE_URL=url), "newer", "9999_pre_future.sql")


def test_a_database_that_does_not_answer_is_named(site: Site, command: str) -> None:
    nowhere = "postgresql://messo@127.0.0.1:1/messo"
    refused(command, production(site, MESSO_DATABASE_URL=nowhere), "database")


def test_a_database_that_does_not_exist_is_named(site: Site, command: str) -> None:
    url = site.url.replace("/messo?", "/nowhere?")
    refused(command, production(site, MESSO_DATABASE_URL=url), "database")


def test_a_setting_that_cannot_be_read_is_named(site: Site, command: str) -> None:
    refused(command, production(site, MESSO_PORT="eighty"), "MESSO_PORT")


# -- a key that dies


@dataclass
class Asker:
    """Asks one server again and again with one key, and notes when it was last let in."""

    url: str
    headers: dict[str, str]
    accepted_at: float = 0.0
    statuses: set[int] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stop.is_set():
                sent_at = time.monotonic()
                answer = client.get(f"/api/v1/profiles/{AUTO}", headers=self.headers)
                self.statuses.add(answer.status_code)
                if answer.status_code == 200:
                    self.accepted_at = sent_at


@pytest.mark.parametrize("how", ["suspend", "rotate"])
def test_a_dead_key_is_refused_everywhere_within_a_second(site: Site, how: str) -> None:
    servers = [site.serve("serve-1"), site.serve("serve-2")]
    caller = site.world.bruno if how == "suspend" else site.world.special
    askers = [Asker(server.url, caller.headers) for server in servers]
    threads = [threading.Thread(target=asker.run) for asker in askers]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(a.accepted_at for a in askers), "the key is taken by both")
        if how == "suspend":
            told = site.run("service", "suspend", caller.id, "--reason", "stolen")
        else:
            told = site.run("service", "keys", caller.id, "--rotate", "primary")
        ended = time.monotonic()
        assert told.returncode == 0, told.stderr
        wait_until(lambda: all(401 in a.statuses for a in askers), "both refuse the key")
    finally:
        for asker in askers:
            asker.stop.set()
        for thread in threads:
            thread.join()
        for server in servers:
            server.kill()
    assert max(asker.accepted_at for asker in askers) - ended < 1.0
    assert [asker.statuses for asker in askers] == [{200, 401}, {200, 401}]


# -- what operators see


def test_the_operations_ports_show_what_moves(site: Site, server: Server) -> None:
    worker = site.work()
    with site.client(server) as client:
        before = figures(server.ops_url), figures(worker.ops_url)
        for _ in range(3):
            assert (
                client.post(
                    "/api/v1/messages", json=message(), headers=site.world.anna.headers
                ).status_code
                == 201
            )
    site.wait_decided()
    wait_until(
        lambda: (
            figures(worker.ops_url)['messo_messages_decided_total{outcome="processed"}']
            >= before[1].get('messo_messages_decided_total{outcome="processed"}', 0) + 3
        ),
        "the worker counts what it decided",
    )
    after = figures(server.ops_url)
    assert after["messo_messages_accepted_total"] == (
        before[0]["messo_messages_accepted_total"] + 3
    )
    answered = 'messo_requests_total{route="submitMessage",status="201"}'
    assert after[answered] == before[0].get(answered, 0) + 3

    wait_until(
        lambda: httpx.get(f"{worker.ops_url}/health").json()["queues"] == {},
        "nothing is left to do",
    )
    for url in (server.ops_url, worker.ops_url):
        text = httpx.get(f"{url}/metrics").text
        for family in metrics.registry.collect():
            assert f"# TYPE {family.name}" in text, family.name
        health = httpx.get(f"{url}/health").json()
        assert health["database"] == "ok"
        assert health["queues"] == {}
        assert health["now"]
        assert isinstance(health["pool_used"], int)
    assert httpx.get(f"{server.ops_url}/health").json()["process"] == "serve"
    assert httpx.get(f"{worker.ops_url}/health").json()["steps"] == [
        "messages.process",
        "notifications.dispatch",
        "notifications.remind",
        "payments.watch",
        "payments.paid",
        "reminders.plan",
        "reminders.replan",
        "messages.index",
        "notifications.deliver.web_push",
        "notifications.deliver.email",
        "payments.ask",
        "notifications.letter",
        "events.publish",
        "events.deliver",
        "sso.logout",
    ]
    assert worker.popen is not None
    worker.kill()


def figures(url: str) -> dict[str, float]:
    """Each line of /metrics: its name with labels, and its value."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def test_the_operations_ports_are_only_on_loopback(site: Site) -> None:
    server = site.serve(MESSO_HOST="0.0.0.0")  # noqa: S104
    worker = site.work()
    assert listening(server.ops_port) == {"127.0.0.1"}
    assert listening(worker.ops_port) == {"127.0.0.1"}
    assert listening(server.port) == {"0.0.0.0"}  # noqa: S104
    for page in ("/metrics", "/health"):
        assert status_of(server.url + page) == 404, page
    server.kill()
    worker.kill()


def listening(port: int) -> set[str]:
    """The addresses on which somebody listens at that port."""
    addresses = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            address, number = local.split(":")
            if state == "0A" and int(number, 16) == port:
                octets = bytes.fromhex(address)[::-1]
                addresses.add(".".join(map(str, octets)) if name == "tcp" else address)
    return addresses


def test_the_public_port_says_a_word(server: Server) -> None:
    live, ready = httpx.get(f"{server.url}/health/live"), httpx.get(f"{server.url}/health/ready")
    assert (live.status_code, live.text) == (200, "alive")
    assert (ready.status_code, ready.text) == (200, "ready")


def test_a_server_outlives_its_database(site: Site, server: Server) -> None:
    """Without the database it says so and when to try again; with it, it goes on by itself."""
    with site.client(server) as client:

        def submit() -> httpx.Response:
            return client.post("/api/v1/messages", json=message(), headers=site.world.anna.headers)

        assert submit().status_code == 201
        site.postgres.stop()
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.text) == (503, "not ready")
        assert client.get("/health/live").text == "alive"
        refusal = submit()
        assert refusal.status_code == 503
        assert int(refusal.headers["retry-after"]) >= 1
        assert refusal.json()["title"] == "Service unavailable"
        assert httpx.get(f"{server.ops_url}/health").status_code == 503
        wait_until(
            lambda: submit().status_code == 503, "the cached key is no way around", seconds=5
        )

        site.postgres.start()
        wait_until(lambda: client.get("/health/ready").status_code == 200, "it is ready again")
        wait_until(lambda: submit().status_code == 201, "messages are accepted again", seconds=5)
    server.must_run()
