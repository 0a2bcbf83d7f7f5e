"""What only the institution knew is nowhere here afterwards: not in the database's files, not in a
log, a metric, an audit entry or the data folder.
"""

import contextlib
import json
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import httpx
import pikepdf
import pytest

from messo.login import Identity, client_limits, open_session
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox import fiscal_codes
from messo.settings import Settings
from tests.acceptance.installed import Server, Site, Worker
from tests.world import REMOTE_KEY, add_configuration, message

pytestmark = pytest.mark.acceptance

MARKER = "Xq7ZuccherinoKw3"  # in everything that the institution's server says
CITIZEN = fiscal_codes.make("TSTRMT80A01Y063")


def pdf(*, script: bool) -> bytes:
    file = pikepdf.new()
    file.add_blank_page()
    file.docinfo["/Title"] = MARKER
    if script:
        action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=f"app.alert('{MARKER}')")
        file.Root.OpenAction = action
    held = BytesIO()
    file.save(held, compress_streams=False)
    return held.getvalue()


TEXT = f"{MARKER} è il valore del tuo esame, e qui c'è tutto quello che serve sapere. " * 2
LISTED = [
    {"id": f"{one}-{MARKER}", "url": f"attachments/{one}-{MARKER}", "name": f"{MARKER}.pdf"}
    for one in ("uno", "programma", "testo", "manca")
]
JSON = "application/json"
# By the end of the path; errors quote the marker, too.
TOLD: dict[str, tuple[int, str, bytes]] = {
    "precondition": (200, JSON, json.dumps({"title": MARKER, "markdown": TEXT}).encode()),
    f"uno-{MARKER}": (200, "application/pdf", pdf(script=False)),
    f"programma-{MARKER}": (200, "application/pdf", pdf(script=True)),
    f"testo-{MARKER}": (200, "text/plain", MARKER.encode() * 100),
    f"manca-{MARKER}": (404, JSON, json.dumps({"title": MARKER}).encode()),
    "sbagliato": (200, JSON, f'{{"details": "{MARKER}", {MARKER}'.encode()),
    "incoerente": (200, JSON, json.dumps({"attachments": MARKER, MARKER: MARKER}).encode()),
    "errore": (500, JSON, json.dumps({"detail": MARKER}).encode()),
    "42": (
        200,
        JSON,
        json.dumps(
            {
                "details": {"subject": f"Esito {MARKER}", "markdown": TEXT, "x": MARKER},
                "attachments": LISTED,
            }
        ).encode(),
    ),
}


class Institution(BaseHTTPRequestHandler):
    """Answers as `TOLD` says, with the marker in a header as well."""

    def do_GET(self) -> None:
        status, kind, body = TOLD[self.path.rsplit("/", 1)[-1]]
        self.send_response(status, MARKER)
        for name, value in (("Content-Type", kind), ("X-Note", MARKER), ("Retry-After", "1")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def institution() -> Iterator[str]:
    """Its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Institution)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def server(site: Site) -> Server:
    return site.serve(MESSO_LOG_LEVEL="debug")


@pytest.fixture(scope="module")
def worker(site: Site) -> Worker:
    return site.work(MESSO_LOG_LEVEL="debug")


def read_everything(site: Site, server: Server, base_url: str) -> list[int]:
    """As a client application and in a browser, what works and what fails; the statuses."""
    cast = site.world
    configuration = site.do(
        lambda conn: add_configuration(conn, cast.secrets, cast.anna.institution, base_url)
    )
    profile = Profile(
        CITIZEN,
        "AUTO",
        0,
        is_inbox_enabled=True,
        accepted_tos_version=1.0,
    )
    site.do(lambda conn: create_profiles(conn, [profile]))
    identity = Identity(CITIZEN, "Anna", "Prova", "https://www.spid.gov.it/SpidL2")
    limits = client_limits(Settings())
    token = site.do(lambda conn: open_session(conn, identity, "client", "tests", limits))
    cookie = site.do(lambda conn: open_session(conn, identity, "web", "tests", limits))
    statuses = []
    with site.client(server) as client:
        for remote_id in ("42", "sbagliato", "incoerente", "errore"):
            third = {
                "id": remote_id,
                "configuration_id": configuration,
                "has_remote_content": True,
                "has_attachments": True,
                "has_precondition": "ALWAYS",
            }
            body = message(CITIZEN, third_party_data=third) | {"feature_level_type": "ADVANCED"}
            sent = client.post("/api/v1/messages", json=body, headers=cast.anna.headers)
            assert sent.status_code == 201, sent.text
            site.wait_decided()
            statuses += as_application(client, token, sent.json()["id"])
            statuses += in_browser(server, cookie, sent.json()["id"])
        told = site.run(
            "service", "check-remote", configuration, "--message", "42", "--citizen", CITIZEN
        )
        assert told.returncode == 1, told.stderr
        assert "JavaScript" in told.stdout
        assert MARKER not in told.stdout + told.stderr
    return statuses


def as_application(client: httpx.Client, token: str, message_id: str) -> list[int]:
    base = f"/api/communication/v1/third-party-messages/{message_id}"
    headers = {"Authorization": f"Bearer {token}"}
    answers = [
        client.get(f"{base}/precondition", headers=headers),
        client.get(base, headers=headers),
    ]
    for one in ("uno", "programma", "testo", "manca"):
        path = f"{base}/attachments/attachments/{one}-{MARKER}"
        answers.append(client.get(path, headers=headers))
    return [answer.status_code for answer in answers]


def in_browser(server: Server, cookie: str, message_id: str) -> list[int]:
    found = []
    with httpx.Client(base_url=server.url, cookies={"messo": cookie}, timeout=60) as browser:
        page = browser.get(f"/messages/{message_id}")
        found.append(page.status_code)
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf is not None, page.text[:500]
        browser.post(f"/messages/{message_id}/continue", data={"csrf": csrf[1]})
        page = browser.get(f"/messages/{message_id}")
        found.append(page.status_code)
        paths = sorted(set(re.findall(r"/messages/\w+/attachments/\w+", page.text)))
        found += [browser.get(path).status_code for path in paths]
    return found


def files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file())


def test_nothing_that_only_the_institution_knew_is_left(
    site: Site, server: Server, worker: Worker, institution: str
) -> None:
    statuses = read_everything(site, server, institution)
    # Else this would prove nothing: each kind of success and of failure was there.
    assert {200, 404, 415, 502} <= set(statuses), statuses
    assert statuses.count(200) > 8
    metrics = "".join(
        httpx.get(process.ops_url + page).text
        for process in (server, worker)
        for page in ("/metrics", "/health")
    )
    assert "getThirdPartyMessage" in metrics
    assert MARKER not in metrics
    for process in (server, worker):
        process.signal(signal.SIGTERM)
        process.wait()
    site.execute("CHECKPOINT")
    site.postgres.stop()
    try:
        looked_at = 0
        for path in files(site.folder, site.postgres.data):
            with contextlib.suppress(FileNotFoundError):
                content = path.read_bytes()
                looked_at += len(content)
                for secret in (MARKER, REMOTE_KEY):
                    assert secret.encode() not in content, path.name
        assert looked_at > 10_000_000  # the database's files are among them
        assert any(path.name == "serve.log" for path in files(site.folder))
    finally:
        site.postgres.start()
