"""Child processes: as another account, without a shell, and gone when we are gone."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# PyDLL keeps the interpreter lock: nothing else may run between fork and exec.
LIBC = ctypes.PyDLL(None) if sys.platform == "linux" else None


class ChildError(Exception):
    """A program ended with a failure; the message has its last lines."""


@dataclass(frozen=True)
class Account:
    """A system user, by number."""

    uid: int
    gid: int


def spawn(
    command: list[str | Path],
    account: Account | None,
    streams: tuple[int, int],
    farewell: signal.Signals,
    cwd: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Run a child as `account` in `cwd`; it gets `farewell` if this process is killed.

    `streams` are its standard input and output. It has its own session, so that Ctrl-C
    in a terminal leaves stopping it to us, and a bare environment unless one is given: ours may
    hold secrets, and variables that change what it does.
    """
    parent = os.getpid()

    def prepare() -> None:  # in the child, after the change of user, which clears a death signal
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
            if os.getppid() != parent:  # killed before the line above
                os._exit(1)
        os.chdir(cwd)  # fails where that user may not enter

    bare = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)}
    return subprocess.Popen(  # noqa: S603 - paths and numbers of ours, no shell
        command,
        stdin=streams[0],
        stdout=streams[1],
        stderr=subprocess.STDOUT,
        env=bare if environment is None else environment,
        start_new_session=True,
        umask=0o077,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        preexec_fn=prepare,  # noqa: PLW1509 - takes no lock that another thread could hold
    )


def run(
    command: list[str | Path],
    account: Account | None,
    text: str = "",
    cwd: Path = Path("/"),
) -> str:
    """Run a program to its end and return its output.

    Raises ChildError with its last lines when it fails, OSError or SubprocessError when it
    cannot be run.
    """
    process = spawn(command, account, (subprocess.PIPE, subprocess.PIPE), signal.SIGKILL, cwd)
    output = process.communicate(text.encode())[0].decode(errors="replace")
    if process.returncode != 0:
        end = "\n".join(output.splitlines()[-15:])
        raise ChildError(f"{command[0]} failed with status {process.returncode}:\n{end}")
    return output
