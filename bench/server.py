"""One server process for the benchmarks, as it is or with its database left out.

Left out means: the functions that the accept queue and the two read queues hand their batches to
answer at once; everything before and after them is the application itself.
"""

import sys
from typing import Any

import uvloop

from messo import app
from messo.base import log, server
from messo.base.crypto import Secrets
from messo.settings import Settings


async def run(mode: str) -> None:
    settings = Settings.read()
    log.configure("warning", f"bench {mode}")
    secrets = Secrets.parse(settings.secrets)
    async with app.start(settings, settings.database_url, secrets) as started:
        if mode == "no-database":
            _leave_out_the_database(started)
        if mode in {"no-database", "no-guard"}:
            _leave_out_the_guard(started, count=mode == "no-database")
        server.calm_collector()
        public = server.public_server(started.app, settings.host, settings.port, 10)
        await public.serve()


def _leave_out_the_database(started: app.Server) -> None:
    async def accepted(_: int, drafts: list[Any]) -> list[Any]:
        return [draft.id for draft in drafts]

    remembered: dict[str, Any] = {}
    from_database = started.messages.queue._work

    async def read(bucket: int, ids: list[str]) -> list[Any]:
        """Each message is fetched the first time, remembered after."""
        unknown = [message_id for message_id in ids if message_id not in remembered]
        if unknown:
            remembered.update(zip(unknown, await from_database(bucket, unknown), strict=True))
        return [remembered[message_id] for message_id in ids]

    async def checked(_: int, asked: list[Any]) -> list[Any]:
        return [{"refusal": None, "preferred_languages": ["it_IT"]} for _ in asked]

    started.accept.queue._work = accepted
    started.messages.queue._work = read
    started.profiles.queue._work = checked


def _leave_out_the_guard(started: app.Server, *, count: bool) -> None:
    async def nothing(*_: Any) -> None:
        """Let pass."""

    if count:  # the guard's own work stays; only its writing is left out

        async def forget() -> None:
            started.guard._pending.clear()

        started.guard.flush = forget  # type: ignore[method-assign]
    else:
        started.guard.admit = nothing  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1]))
