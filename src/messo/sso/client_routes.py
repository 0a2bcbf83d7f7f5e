"""The institutions' routes to the relying parties of their services, for their manage keys.

A group's key is good for the services of its group.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from messo.base.db import Connection, Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Request, Route
from messo.services import Manager
from messo.services.owned import find_own
from messo.sso import client_wire as wire
from messo.sso import registration
from messo.sso.client_reference import PATH, described
from messo.sso.registration import Asked, Rules, environment_of, service_id_of

BODY_LIMIT = 64 * 1024
_settings = msgspec.json.Decoder(wire.SsoSettings)
# Secrets are in some of these answers.
_PRIVATE = [JSON, (b"cache-control", b"no-store")]


@dataclass(frozen=True)
class ClientRoutes:
    """The routes and what they need. `authenticate` gives who manages, or refuses."""

    authenticate: Callable[[Request], Awaitable[Manager]]
    pool: Pool
    rules: Rules

    async def list_all(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        service = service_id_of(request.path["id"])
        async with self.pool.connection() as conn:
            await _must_be_in_group(conn, manager, service)
            found = await registration.list_all(conn, self.rules, manager.institution_id, service)
        return _json(found)

    async def read(self, request: Request) -> Answer:
        manager, asked = await self._asked(request)
        async with self.pool.connection() as conn:
            await _must_be_in_group(conn, manager, asked.service_id)
            return _json(await registration.read(conn, self.rules, asked))

    async def put(self, request: Request) -> Answer:
        manager, asked = await self._asked(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _settings)
        async with self.pool.transaction() as conn:
            await _must_be_in_group(conn, manager, asked.service_id)
            client, made = await registration.put(conn, self.rules, manager.actor, asked, wanted)
        if not made:
            return _json(client)
        path = PATH.format(id=asked.service_id)
        location = (b"location", f"{path}/{asked.environment}".encode())
        return Answer(201, msgspec.json.encode(client), [*_PRIVATE, location])

    async def delete(self, request: Request) -> Answer:
        manager, asked = await self._asked(request)
        async with self.pool.transaction() as conn:
            await _must_be_in_group(conn, manager, asked.service_id)
            await registration.delete(conn, manager.actor, asked)
        return Answer(204, b"", ())

    async def replace_secret(self, request: Request) -> Answer:
        manager, asked = await self._asked(request)
        async with self.pool.transaction() as conn:
            await _must_be_in_group(conn, manager, asked.service_id)
            return _json(await registration.replace_secret(conn, self.rules, manager.actor, asked))

    async def drop_old_secret(self, request: Request) -> Answer:
        manager, asked = await self._asked(request)
        async with self.pool.transaction() as conn:
            await _must_be_in_group(conn, manager, asked.service_id)
            await registration.drop_old_secret(conn, manager.actor, asked)
        return Answer(204, b"", ())

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)

    async def _asked(self, request: Request) -> tuple[Manager, Asked]:
        """Who asks, and what the path names."""
        manager = await self.authenticate(request)
        service = service_id_of(request.path["id"])
        environment = environment_of(request.path["environment"])
        return manager, Asked(manager.institution_id, service, environment)


async def _must_be_in_group(conn: Connection, manager: Manager, service_id: str) -> None:
    """What the whole institution has is looked for with what hangs on it."""
    if manager.group_id is not None:
        await find_own(conn, manager, service_id)


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body), _PRIVATE)
