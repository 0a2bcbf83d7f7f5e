"""The institutions' routes to the relying parties of their services. With a manage key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Request, Route
from messo.sso import client_wire as wire
from messo.sso import registration
from messo.sso.client_reference import PATH, described
from messo.sso.registration import Asked, Rules, environment_of, service_id_of

BODY_LIMIT = 64 * 1024
_settings = msgspec.json.Decoder(wire.SsoSettings)
# Secrets are in some of these answers.
_PRIVATE = [JSON, (b"cache-control", b"no-store")]


class Manager(Protocol):
    """Who asks: an institution."""

    @property
    def institution_id(self) -> str: ...


@dataclass(frozen=True)
class ClientRoutes:
    """The routes and what they need. `authenticate` gives the asking institution, or refuses."""

    authenticate: Callable[[Request], Awaitable[Manager]]
    pool: Pool
    rules: Rules

    async def list_all(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        service = service_id_of(request.path["id"])
        async with self.pool.connection() as conn:
            return _json(await registration.list_all(conn, self.rules, institution, service))

    async def read(self, request: Request) -> Answer:
        asked, _ = await self._asked(request)
        async with self.pool.connection() as conn:
            return _json(await registration.read(conn, self.rules, asked))

    async def put(self, request: Request) -> Answer:
        asked, actor = await self._asked(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _settings)
        async with self.pool.transaction() as conn:
            client, made = await registration.put(conn, self.rules, actor, asked, wanted)
        if not made:
            return _json(client)
        path = PATH.format(id=asked.service_id)
        location = (b"location", f"{path}/{asked.environment}".encode())
        return Answer(201, msgspec.json.encode(client), [*_PRIVATE, location])

    async def delete(self, request: Request) -> Answer:
        asked, actor = await self._asked(request)
        async with self.pool.transaction() as conn:
            await registration.delete(conn, actor, asked)
        return Answer(204, b"", ())

    async def replace_secret(self, request: Request) -> Answer:
        asked, actor = await self._asked(request)
        async with self.pool.transaction() as conn:
            return _json(await registration.replace_secret(conn, self.rules, actor, asked))

    async def drop_old_secret(self, request: Request) -> Answer:
        asked, actor = await self._asked(request)
        async with self.pool.transaction() as conn:
            await registration.drop_old_secret(conn, actor, asked)
        return Answer(204, b"", ())

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)

    async def _asked(self, request: Request) -> tuple[Asked, str]:
        """What the path names, and who asks, as the audit log calls them."""
        institution = (await self.authenticate(request)).institution_id
        service = service_id_of(request.path["id"])
        asked = Asked(institution, service, environment_of(request.path["environment"]))
        return asked, f"institution:{institution}"


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body), _PRIVATE)
