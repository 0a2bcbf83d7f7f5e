"""How long `messo up` takes from the second time on: most of it is loading the program."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.ground import Ground, Line
from messo.base.ports import free_port
from messo.base.postgres import EmbeddedPostgres

ROUNDS = 5


def run(made: Ground) -> None:
    """Interleaved: all of it; and PostgreSQL alone with the program loaded once."""
    with tempfile.TemporaryDirectory(prefix="messo-start-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        bare = EmbeddedPostgres(home / "bare", port=0)
        _postgres(bare)
        _up(home)
        rounds = [(_up(home), _postgres(bare) + _load("messo.serve")) for _ in range(ROUNDS)]
        commands = [(_load("messo.cli"), _load("asyncpg")) for _ in range(ROUNDS)]
        for database in (bare, EmbeddedPostgres(home / "var", port=0)):
            for place in database.homes:
                shutil.rmtree(place / database.digest, ignore_errors=True)
    for what, pairs, ceiling, bar in (
        ("second start of `messo up`", rounds, "PostgreSQL, and the program loaded once", "≤ 5 s"),
        ("loading a command", commands, "Python and its driver of PostgreSQL", ""),
    ):
        whole, least = (statistics.median(side) for side in zip(*pairs, strict=True))
        made.lines.append(
            Line(what, f"{whole:.2f} s", f"{least:.2f} s, {ceiling}", f"{least / whole:.2f}", bar)
        )


def _up(home: Path) -> float:
    """Seconds from the command to its word that everything is ready."""
    environment = {
        **os.environ,
        "MESSO_PORT": str(free_port()),
        "MESSO_OPS_PORT": str(free_port()),
        "MESSO_DATABASE_PORT": str(free_port()),
        "MESSO_SANDBOX_MAIL_PORT": str(free_port()),
    }
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "messo", "up"],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as started:
        assert started.stdout is not None
        said = ""
        for line in started.stdout:
            said += line
            if "Messo is ready" in line:
                break
        took = time.monotonic() - began
        started.terminate()
        started.stdout.read()
    if "Messo is ready" not in said:
        sys.exit(f"`messo up` did not start:\n{said}")
    return took


def _postgres(database: EmbeddedPostgres) -> float:
    began = time.monotonic()
    database.start()
    took = time.monotonic() - began
    database.stop()
    return took


def _load(module: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.monotonic() - began
