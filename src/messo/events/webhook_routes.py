"""The institutions' routes to their webhooks. With a manage key: addresses are not a sender's affair."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeVar

import msgspec

from messo.base import parameters
from messo.base.db import Pool
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
    """Who asks: an institution."""

    @property
    def institution_id(self) -> str: ...


@dataclass(frozen=True)
class WebhookRoutes:
    """The routes and what they need. `authenticate` gives the asking institution, or refuses."""

    authenticate: Callable[[Request], Awaitable[Manager]]
    pool: Pool
    webhooks: Webhooks
    outbound: Outbound

    async def create(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        new = await _body(request, _new)
        _must_be_storable(new.service_id)
        repeatable = _repeatable(request, new)
        async with self.pool.transaction() as conn:
            made = await self.webhooks.create(
                conn, _actor(institution), institution, new, repeatable
            )
        location = (b"location", f"/messo/v1/webhooks/{made.id}".encode())
        return Answer(201, msgspec.json.encode(made), [JSON, location])

    async def list_all(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        service = parameters.of_query(request).get("service_id")
        _must_be_storable(service)
        async with self.pool.connection() as conn:
            return _json(await self.webhooks.list_all(conn, institution, service))

    async def read(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.connection() as conn:
            return _json(await self.webhooks.read(conn, institution, _id(request)))

    async def change(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        wanted = await _body(request, _change)
        async with self.pool.transaction() as conn:
            changed = await self.webhooks.change(
                conn, _actor(institution), institution, _id(request), wanted
            )
        return _json(changed)

    async def delete(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.transaction() as conn:
            await self.webhooks.delete(conn, _actor(institution), institution, _id(request))
        return Answer(204, b"", ())

    async def replace_secret(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.transaction() as conn:
            replaced = await self.webhooks.replace_secret(
                conn, _actor(institution), institution, _id(request)
            )
        return _json(replaced)

    async def drop_old_secrets(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.transaction() as conn:
            await self.webhooks.drop_old_secrets(
                conn, _actor(institution), institution, _id(request)
            )
        return Answer(204, b"", ())

    async def dead_letters(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        given = parameters.of_query(request)
        limit = parameters.number(given, "limit", 100, 1, 1000)
        async with self.pool.connection() as conn:
            row = await self.webhooks.find(conn, institution, _id(request))
            return _json(await replay.dead_letters(conn, row, given.get("after"), limit))

    async def replay(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        wanted = await _body(request, _replay)
        async with self.pool.transaction() as conn:
            row = await self.webhooks.find_locked(conn, institution, _id(request))
            answer = await replay.replay(conn, row, wanted)
            await self.webhooks.record(
                conn, _actor(institution), "webhook.replay", row["id"], events=answer.events
            )
        return _json(answer)

    async def test(self, request: Request) -> Answer:
        institution = (await self.authenticate(request)).institution_id
        async with self.pool.connection() as conn:
            tried = await self.webhooks.to_try(conn, institution, _id(request))
        return _json(await try_once(self.outbound, tried))

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)


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


def _actor(institution: str) -> str:
    return f"institution:{institution}"


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body))
