"""After a session with every kind of trouble, no log, metric or audit entry names a person."""

import re

import httpx
import pytest

from messo.base.crypto import new_api_key
from messo.sandbox import fiscal_codes
from tests.acceptance.installed import Server, Site, Worker, wait_until
from tests.world import AUTO, CLOSED, SANDBOX, STRANGER, message

pytestmark = pytest.mark.acceptance

CITIZEN = fiscal_codes.make("TSTPRV80A01Y060")
BROKEN = fiscal_codes.make("TSTPRV80A01Y061")  # the worker cannot decide this one's message
UNKEPT = fiscal_codes.make("TSTPRV80A01Y062")  # the database refuses this one's message
IN_SUBJECT, IN_BODY = "Colonscopia", "Tachipirina"
WRONG_KEY = new_api_key()
REFERENCE = "Fascicolo-di-Giovannino"


def body(fiscal_code: str | None = AUTO) -> dict[str, object]:
    return message(
        fiscal_code,
        subject=f"{IN_SUBJECT}: esito per {CITIZEN}",
        markdown=f"Ciao! Prendi {IN_BODY}. "
        + f"Il referto di {CITIZEN} è pronto allo sportello. " * 2,
    )


@pytest.fixture(scope="module")
def server(site: Site) -> Server:
    return site.serve(MESSO_LOG_LEVEL="debug")


@pytest.fixture(scope="module")
def worker(site: Site) -> Worker:
    return site.work(MESSO_LOG_LEVEL="debug")


@pytest.fixture(scope="module")
def traces(site: Site, server: Server, worker: Worker) -> dict[str, str]:
    """Everything that was written down about a session, by where."""
    assert site.run("citizen", "create", CITIZEN).returncode == 0
    assert site.run("citizen", "create", BROKEN).returncode == 0
    site.run("citizen", "create", "NOTACODE" + CITIZEN)
    site.run("citizen", "show", STRANGER)
    headers = site.world.anna.headers
    with site.client(server) as client:
        good_and_bad(client, headers, site.world.manage_key)
        site.wait_decided()
        errors_of_the_database(site, client, headers)
        site.postgres.stop()
        assert client.post("/api/v1/messages", json=body(), headers=headers).status_code == 503
        assert client.get(f"/api/v1/profiles/{AUTO}", headers=headers).status_code == 503
        site.postgres.start()
        wait_until(lambda: client.get("/health/ready").status_code == 200, "it is ready again")
    site.run("service", "suspend", site.world.draft.id, "--reason", "a test")
    metrics = {
        f"{process.arguments[0]} {page}": httpx.get(process.ops_url + page).text
        for process in (server, worker)
        for page in ("/metrics", "/health")
    }
    audit = site.rows("SELECT * FROM operations.audit")
    logs = {
        path.name: path.read_text(errors="replace") for path in site.postgres.log.parent.iterdir()
    }
    return logs | metrics | {"audit": "\n".join(str(dict(row)) for row in audit)}


def good_and_bad(client: httpx.Client, headers: dict[str, str], manage_key: str) -> None:
    more = headers | {"Idempotency-Key": "one", "X-Messo-Reference": REFERENCE}

    def post(path: str = "", given: object = None, status: int = 201, **extra: str) -> None:
        sent = client.post(f"/api/v1/messages{path}", json=given or body(), headers=headers | extra)
        assert sent.status_code == status, sent.text

    for code in (AUTO, CITIZEN, CLOSED, STRANGER, SANDBOX):
        post(given=body(code))
        post(f"/{code}", body(None))
        client.get(f"/api/v1/profiles/{code}", headers=headers)
        client.post("/api/v1/profiles", json={"fiscal_code": code}, headers=headers)
        client.get(f"/api/v1/messages/{code}/01ARZ3NDEKTSV4RRFFQ69G5FAV", headers=headers)
        client.get(f"/api/v1/nothing/{code}", headers=headers)
        client.get(f"/nothing/{code}?citizen={code}", headers=headers)
        client.put(f"/api/v1/messages/{code}", headers=headers)
    post(f"/{CITIZEN.lower()}", body(None), 400)
    post(f"/{CITIZEN}X", body(None), 400)
    post(f"/{CITIZEN}", {"content": {"subject": IN_SUBJECT, "markdown": IN_BODY}}, 400)
    post("", body() | {"fiscal_code": f"{CITIZEN}{IN_BODY}"}, 400)
    post("", body() | {"time_to_live": CITIZEN}, 400)
    for text in (
        f'{{"fiscal_code": "{CITIZEN}", "content": {{"subject": "{IN_SUBJECT}"',
        f'{{"fiscal_code": {CITIZEN}}}',
        f'["{CITIZEN}", "{IN_BODY}"]',
        f'{{"{CITIZEN}": "{IN_BODY}"}}',
        f'"{CITIZEN}\\ud800"',
        CITIZEN + IN_BODY,
    ):
        sent = client.post(
            "/api/v1/messages",
            content=text.encode(),
            headers=headers | {"Content-Type": "application/json"},
        )
        assert sent.status_code == 400, (text, sent.text)
    client.post("/api/v1/messages", content=IN_BODY, headers=headers | {"Content-Type": CITIZEN})
    for key in (WRONG_KEY, manage_key, CITIZEN):
        refused = client.post(
            "/api/v1/messages", json=body(), headers={"Ocp-Apim-Subscription-Key": key}
        )
        assert refused.status_code in {401, 403}
    # The same key for another message, and what the database could trip over.
    assert client.post("/api/v1/messages", json=body(), headers=more).status_code == 201
    other = body() | {"time_to_live": 7200}
    assert client.post("/api/v1/messages", json=other, headers=more).status_code == 422
    found = client.get(f"/messo/v1/messages?reference={REFERENCE}", headers=headers)
    assert len(found.json()["items"]) == 1
    zero = message(CITIZEN, subject=f"{IN_SUBJECT}\0 e altro", markdown=f"{IN_BODY}\0" * 10)
    assert client.post("/api/v1/messages", json=zero, headers=headers).status_code < 500


def errors_of_the_database(site: Site, client: httpx.Client, headers: dict[str, str]) -> None:
    """Errors whose messages quote rows: for the server that accepts and the worker that decides."""
    site.execute(
        f"""
        ALTER TABLE messages.message ADD CONSTRAINT unkept CHECK (fiscal_code <> '{UNKEPT}');
        ALTER TABLE messages.message ADD CONSTRAINT broken
        CHECK (fiscal_code <> '{BROKEN}' OR status <> 'PROCESSED');
        """
    )
    try:
        assert (
            client.post("/api/v1/messages", json=body(UNKEPT), headers=headers).status_code == 500
        )
        assert (
            client.post("/api/v1/messages", json=body(BROKEN), headers=headers).status_code == 201
        )
        throttled = "SELECT count(*) FROM messages.message WHERE status = 'THROTTLED'"
        wait_until(lambda: site.value(throttled) == 1, "the worker has put the message off")
    finally:
        site.execute(
            """
            ALTER TABLE messages.message DROP CONSTRAINT unkept;
            ALTER TABLE messages.message DROP CONSTRAINT broken;
            """
        )


def test_the_session_left_traces(traces: dict[str, str]) -> None:
    """Else the tests below would prove nothing."""
    assert {"serve.log", "work.log", "postgres.log", "audit"} <= set(traces)
    assert "CheckViolationError 23514" in traces["serve.log"]
    assert "CheckViolationError 23514" in traces["work.log"]
    assert '"event": "refused"' in traces["serve.log"]
    assert "shut" in traces["postgres.log"]
    assert "messo_requests_total" in traces["serve /metrics"]
    assert "citizen.create" in traces["audit"]


@pytest.mark.parametrize(
    "who", [AUTO, CITIZEN, CLOSED, STRANGER, BROKEN, UNKEPT, SANDBOX], ids=lambda code: code[3:6]
)
def test_no_fiscal_code_is_written_down(traces: dict[str, str], who: str) -> None:
    for place, text in traces.items():
        assert who.lower() not in text.lower(), place


def test_nothing_of_the_shape_of_a_fiscal_code_is_written_down(traces: dict[str, str]) -> None:
    shape = re.compile(r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", re.IGNORECASE)
    for place, text in traces.items():
        assert shape.findall(text) == [], place


@pytest.mark.parametrize("text", [IN_SUBJECT, IN_BODY, "referto", REFERENCE])
def test_no_text_is_written_down(traces: dict[str, str], text: str) -> None:
    for place, written in traces.items():
        assert text.lower() not in written.lower(), place


def test_no_key_and_no_secret_is_written_down(site: Site, traces: dict[str, str]) -> None:
    cast = site.world
    secrets = [who.key for who in (cast.anna, cast.bruno, cast.draft)]
    secrets += [WRONG_KEY, cast.manage_key, site.secret_text, site.postgres.password]
    for place, written in traces.items():
        for secret in secrets:
            assert secret not in written, place
