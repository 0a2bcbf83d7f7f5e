"""The routes to groups of services and to manage keys, for the institution's own key.

Or for its administrator; a group's key decides nothing about groups.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool, Row
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Problem, Request, Route
from messo.base.wire import ULID
from messo.services import group_wire as wire
from messo.services import groups
from messo.services.authenticate import KEY_HEADER, AuthenticateManager, not_allowed
from messo.services.directory import Manager
from messo.services.group_reference import GROUPS, described
from messo.services.keys import SLOTS

BODY_LIMIT = 16 * 1024
_ID = re.compile(ULID)
_new = msgspec.json.Decoder(wire.NewGroup)
_settings = msgspec.json.Decoder(wire.GroupSettings)
_group_of_service = msgspec.json.Decoder(wire.GroupOfService)
_networks = msgspec.json.Decoder(wire.ManageNetworks)
# Keys are in some of these answers.
_PRIVATE = [JSON, (b"cache-control", b"no-store")]


@dataclass(frozen=True)
class GroupRoutes:
    """The routes and what they need. `authenticate`: who manages, or a refusal.

    `trusted_proxies`: whose X-Forwarded-For is believed.
    """

    authenticate: AuthenticateManager
    pool: Pool
    secrets: Secrets
    trusted_proxies: Sequence[object]

    async def create(self, request: Request) -> Answer:
        manager = await self._administrator(request)
        new = decode(await request.json_body(BODY_LIMIT), _new)
        async with self.pool.transaction() as conn:
            made = _shown(
                await groups.create(conn, self.secrets, manager, new.name, new.authorized_cidrs)
            )
        location = (b"location", f"{GROUPS}/{made.id}".encode())
        return Answer(201, msgspec.json.encode(made), [*_PRIVATE, location])

    async def list_all(self, request: Request) -> Answer:
        manager = await self._administrator(request)
        async with self.pool.connection() as conn:
            rows = await groups.list_all(conn, manager)
        return _json(wire.GroupList([_shown(row) for row in rows]))

    async def read(self, request: Request) -> Answer:
        manager, group_id = await self._administrator(request), _id(request)
        async with self.pool.connection() as conn:
            return _json(_shown(await groups.read(conn, manager, group_id)))

    async def change(self, request: Request) -> Answer:
        manager, group_id = await self._administrator(request), _id(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _settings)
        async with self.pool.transaction() as conn:
            row = await groups.change(conn, manager, group_id, wanted.name, wanted.authorized_cidrs)
        return _json(_shown(row))

    async def delete(self, request: Request) -> Answer:
        manager, group_id = await self._administrator(request), _id(request)
        async with self.pool.transaction() as conn:
            await groups.delete(conn, manager, group_id)
        return Answer(204, b"", ())

    async def move(self, request: Request) -> Answer:
        manager = await self._administrator(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _group_of_service)
        group_id = wanted.group_id.upper() if wanted.group_id else None
        async with self.pool.transaction() as conn:
            await groups.move(conn, manager, request.path["service_id"], group_id)
        return Answer(204, b"", ())

    async def read_keys(self, request: Request) -> Answer:
        manager, group_id = await self._administrator(request), _id(request)
        async with self.pool.connection() as conn:
            return _pair(await groups.read_keys(conn, self.secrets, manager, group_id))

    async def replace_key(self, request: Request) -> Answer:
        manager, group_id = await self._administrator(request), _id(request)
        slot = _slot(request)
        async with self.pool.transaction() as conn:
            pair = await groups.rotate(conn, self.secrets, manager, group_id, slot)
        return _pair(pair)

    async def read_networks(self, request: Request) -> Answer:
        manager = await self._administrator(request)
        async with self.pool.connection() as conn:
            return _json(wire.ManageNetworks(await groups.read_networks(conn, manager)))

    async def put_networks(self, request: Request) -> Answer:
        manager = await self._administrator(request)
        wanted = decode(await request.json_body(BODY_LIMIT), _networks).authorized_cidrs
        if request.header(KEY_HEADER):  # a person's login is good from anywhere
            groups.must_reach(request.client_address(self.trusted_proxies), wanted)
        async with self.pool.transaction() as conn:
            return _json(wire.ManageNetworks(await groups.put_networks(conn, manager, wanted)))

    async def read_master_keys(self, request: Request) -> Answer:
        manager = await self._administrator(request)
        async with self.pool.connection() as conn:
            return _pair(await groups.read_keys(conn, self.secrets, manager, None))

    async def replace_master_key(self, request: Request) -> Answer:
        manager, slot = await self._administrator(request), _slot(request)
        async with self.pool.transaction() as conn:
            return _pair(await groups.rotate(conn, self.secrets, manager, None, slot))

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)

    async def _administrator(self, request: Request) -> Manager:
        manager = await self.authenticate(request, "administer")
        if manager.group_id is not None:
            raise not_allowed(
                "This is the key of a group, which is good for its services only. Use the "
                "institution's own manage key."
            )
        return manager


def _id(request: Request) -> str:
    text = request.path["group_id"]
    if not _ID.match(text):
        raise Problem(400, "Bad request", "The id of a group is a ULID.", field="group_id")
    return text.upper()


def _slot(request: Request) -> str:
    slot = request.path["key_type"]
    if slot not in SLOTS:
        raise Problem(
            400, "Bad request", "A key is the primary or the secondary one.", field="key_type"
        )
    return slot


def _shown(row: Row) -> wire.Group:
    return wire.Group(
        row["id"],
        row["name"],
        row["authorized_cidrs"],
        row["services"],
        clock.to_wire(row["created_at"]),
    )


def _pair(pair: Mapping[str, str]) -> Answer:
    return _json(wire.ManageKeys(pair["primary"], pair["secondary"]))


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body), _PRIVATE)
