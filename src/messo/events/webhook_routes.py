"""The institutions' routes to their webhooks. With a manage key: addresses are not a sender's affair."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, Protocol, TypeVar

import msgspec

from messo.base import parameters
from messo.base.db import Connection, Pool
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Problem, Request, Route
from messo.base.outbound import Outbound
from messo.base.wire import ULID
from messo.events import replay, wire
from messo.events.trial import try_once
from messo.events.webhook_reference import described
from messo.events.webhooks import Repeatable, Webhooks

T = TypeVar("T")

BODY_LIMIT = 16 * 1024
_ID = re.compile(ULID)
_new = msgspec.json.Decoder(wire.NewWebhook)
_change = msgspec.json.Decoder(wire.WebhookChange)
_replay = msgspec.json.Decoder(wire.Replay)


class Manager(Protocol):
    """Who asks: an institution, or, with a group, somebody for the services in it only."""

    @property
    def institution_id(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def group_id(self) -> str | None: ...


M = TypeVar("M", bound=Manager)


@dataclass(frozen=True)
class WebhookRoutes(Generic[M]):
    """The routes and what they need. `authenticate` gives who asks, or refuses.

    `must_manage` refuses a service that is not in the asking group; `among` says which ones are.
    """

    authenticate: Callable[[Request], Awaitable[M]]
    must_manage: Callable[[Connection, M, str], Awaitable[object]]
    among: Callable[[Connection, M, Sequence[str]], Awaitable[frozenset[str]]]
    pool: Pool
    webhooks: Webhooks
    outbound: Outbound

    async def create(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        new = await _body(request, _new)
        _must_be_storable(new.service_id)
        repeatable = _repeatable(request, new)
        async with self.pool.transaction() as conn:
            await self._must_manage(conn, manager, new.service_id)
            made = await self.webhooks.create(
                conn, manager.actor, manager.institution_id, new, repeatable
            )
        location = (b"location", f"/messo/v1/webhooks/{made.id}".encode())
        return Answer(201, msgspec.json.encode(made), [JSON, location])

    async def list_all(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        service = parameters.of_query(request).get("service_id")
        _must_be_storable(service)
        async with self.pool.connection() as conn:
            if service is not None:
                await self._must_manage(conn, manager, service)
            found = (await self.webhooks.list_all(conn, manager.institution_id, service)).items
            own = await self.among(conn, manager, [one.service_id for one in found])
        return _json(wire.WebhookList([one for one in found if one.service_id in own]))

    async def read(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        async with self.pool.connection() as conn:
            webhook_id = await self._own(conn, manager, request)
            return _json(await self.webhooks.read(conn, manager.institution_id, webhook_id))

    async def change(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        wanted = await _body(request, _change)
        async with self.pool.transaction() as conn:
            webhook_id = await self._own(conn, manager, request)
            changed = await self.webhooks.change(
                conn, manager.actor, manager.institution_id, webhook_id, wanted
            )
        return _json(changed)

    async def delete(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            webhook_id = await self._own(conn, manager, request)
            await self.webhooks.delete(conn, manager.actor, manager.institution_id, webhook_id)
        return Answer(204, b"", ())

    async def replace_secret(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            webhook_id = await self._own(conn, manager, request)
            replaced = await self.webhooks.replace_secret(
                conn, manager.actor, manager.institution_id, webhook_id
            )
        return _json(replaced)

    async def drop_old_secrets(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            webhook_id = await self._own(conn, manager, request)
            await self.webhooks.drop_old_secrets(
                conn, manager.actor, manager.institution_id, webhook_id
            )
        return Answer(204, b"", ())

    async def dead_letters(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        given = parameters.of_query(request)
        limit = parameters.number(given, "limit", 100, 1, 1000)
        async with self.pool.connection() as conn:
            webhook_id = await self._own(conn, manager, request)
            row = await self.webhooks.find(conn, manager.institution_id, webhook_id)
            return _json(await replay.dead_letters(conn, row, given.get("after"), limit))

    async def replay(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        wanted = await _body(request, _replay)
        async with self.pool.transaction() as conn:
            webhook_id = await self._own(conn, manager, request)
            row = await self.webhooks.find_locked(conn, manager.institution_id, webhook_id)
            answer = await replay.replay(conn, row, wanted)
            await self.webhooks.record(
                conn, manager.actor, "webhook.replay", row["id"], events=answer.events
            )
        return _json(answer)

    async def test(self, request: Request) -> Answer:
        manager = await self.authenticate(request)
        async with self.pool.connection() as conn:
            webhook_id = await self._own(conn, manager, request)
            tried = await self.webhooks.to_try(conn, manager.institution_id, webhook_id)
        return _json(await try_once(self.outbound, tried))

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)

    async def _own(self, conn: Connection, manager: M, request: Request) -> str:
        """The id of the webhook in the path, if this one may touch it."""
        webhook_id = _id(request)
        if manager.group_id is not None:
            row = await self.webhooks.find(conn, manager.institution_id, webhook_id)
            await self.must_manage(conn, manager, row["service_id"])
        return webhook_id

    async def _must_manage(self, conn: Connection, manager: M, service_id: str) -> None:
        # What the whole institution has is looked for with what hangs on it.
        if manager.group_id is not None:
            await self.must_manage(conn, manager, service_id)


async def _body(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    return decode(await request.json_body(BODY_LIMIT), decoder)


def _id(request: Request) -> str:
    text = request.path["id"]
    if not _ID.match(text):
        raise Problem(400, "Bad request", "The id of a webhook is a ULID.", field="id")
    return text.upper()


def _must_be_storable(service_id: str | None) -> None:
    if service_id is not None and not parameters.storable(service_id):
        raise Problem(400, "Bad request", "service_id is no id of ours.", field="service_id")


def _repeatable(request: Request, new: wire.NewWebhook) -> Repeatable | None:
    key = parameters.idempotency_key(request)
    if key is None:
        return None
    return Repeatable(key, sha256(msgspec.json.encode(new, order="sorted")).digest())


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body))
