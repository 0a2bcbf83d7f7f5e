"""The schema of a database as one readable file: `schema.sql`."""

import os
import shutil
import subprocess
from urllib.parse import unquote, urlsplit, urlunsplit

from messo.base.postgres_programs import PostgresError, find_bin


def dump_schema(url: str) -> str:
    """What pg_dump says of the schema, without what differs between versions of it."""
    program = find_bin(None) / "pg_dump"
    found = str(program) if program.exists() else shutil.which("pg_dump")
    if found is None:
        raise PostgresError("pg_dump is not installed")
    address = urlsplit(url)
    # The password travels by the environment: arguments are for everybody to see.
    bare = address._replace(netloc=address.netloc.replace(f":{address.password}@", "@"))
    done = subprocess.run(  # noqa: S603
        [found, "--schema-only", "--no-owner", "--no-privileges", "--dbname", urlunsplit(bare)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PGPASSWORD": unquote(address.password or "")},
    )
    if done.returncode:
        raise PostgresError(f"pg_dump failed: {done.stderr.strip().splitlines()[-1]}")
    told = done.stdout
    kept = [
        line
        for line in told.splitlines()
        if not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\"))
    ]
    lines: list[str] = []
    for line in kept:
        if line or (lines and lines[-1]):
            lines.append(line)
    return (
        "-- The migrated database, by `messo migrate --dump schema.sql`. Read this to know the data.\n\n"
        + ("\n".join(lines).strip() + "\n")
    )
