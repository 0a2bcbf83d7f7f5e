"""The institutions' routes to their services: authenticate, parse, call, answer."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET

from messo.base import parameters
from messo.base.crypto import Secrets
from messo.base.db import Pool, Row
from messo.base.decode import decode
from messo.base.http import JSON, Answer, Problem, Request, Route
from messo.services import keys, manage, owned, payload, review, versions
from messo.services import manage_wire as wire
from messo.services.authenticate import AuthenticateManager
from messo.services.manage_reference import described
from messo.services.topics import TOPICS
from messo.settings import Settings

_review_request = msgspec.json.Decoder(wire.ReviewRequest)
_ETAG = re.compile(r'"([0-9]{1,9})"\Z', re.ASCII)
_FURTHEST = 1_000_000  # offset
_NOTHING = Answer(204, b"", ())


@dataclass(frozen=True)
class Rules:
    """What this installation says of all services. `most`: see `MESSO_SERVICE_MAX_AMOUNT`."""

    sandbox_fiscal_code: str
    most: int
    body_limit: int

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        return cls(settings.sandbox_fiscal_code, settings.service_max_amount, settings.body_limit)


@dataclass(frozen=True)
class ManageRoutes:
    """The routes and what they need. `anyone` lets any key pass, and refuses whoever has none."""

    authenticate: AuthenticateManager
    anyone: Callable[[Request], Awaitable[object]]
    pool: Pool
    secrets: Secrets
    rules: Rules

    async def topics(self, request: Request) -> Answer:
        await self.anyone(request)
        return _json(wire.Topics([wire.TopicName(topic.id, topic.name) for topic in TOPICS]))

    async def create(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        data = await self._data(request, "Invalid CreateServicePayload")
        repeatable = parameters.idempotency_key(request)
        async with self.pool.transaction() as conn:
            made = await manage.create(conn, self.secrets, manager, data, repeatable)
        return _service(made, 201)

    async def list_all(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "read")
        query = parameters.of_query(request)
        limit = parameters.number(query, "limit", 20, 1, 100)
        offset = parameters.number(query, "offset", 0, 0, _FURTHEST)
        async with self.pool.connection() as conn:
            rows = await manage.list_page(conn, manager, limit, offset)
        page = [versions.working(row) for row in rows]
        return _json(wire.ServiceList(page, wire.Pagination(offset, limit, len(page))))

    async def read(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "read")
        async with self.pool.connection() as conn:
            return _service(await owned.find_own(conn, manager, _id(request)))

    async def edit(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        data = await self._data(request, "Invalid ServicePayload")
        async with self.pool.transaction() as conn:
            return _service(await manage.edit(conn, manager, _id(request), data, _seen(request)))

    async def delete(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        async with self.pool.transaction() as conn:
            await manage.delete(conn, manager, _id(request), _seen(request))
        return _NOTHING

    async def history(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "read")
        query = parameters.of_query(request)
        order = query.get("order", "DESC")
        if order not in {"ASC", "DESC"}:
            raise Problem(400, "Bad request", "order must be ASC or DESC.", field="order")
        limit = parameters.number(query, "limit", 10, 1, 100)
        beyond = parameters.number(query, "continuationToken", 0, 1, 2**31 - 1) or None
        async with self.pool.connection() as conn:
            items, more = await manage.history(
                conn, manager, _id(request), ascending=order == "ASC", limit=limit, beyond=beyond
            )
        return _json(wire.History(items, UNSET if more is None else str(more)))

    async def read_keys(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "administer")
        async with self.pool.connection() as conn:
            await owned.find_live(conn, manager, _id(request))
            pair = await keys.read_pair(conn, self.secrets, _id(request))
        return _keys(pair)

    async def replace_key(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "administer")
        slot = request.path["key_type"]
        if slot not in keys.SLOTS:
            raise Problem(
                400, "Invalid SubscriptionKeyType", "It is primary or secondary.", field="key_type"
            )
        service = _id(request)
        async with self.pool.transaction() as conn:
            await owned.find_live(conn, manager, service)
            await keys.rotate(conn, self.secrets, manager.actor, service, slot)
            pair = await keys.read_pair(conn, self.secrets, service)
        return _keys(pair)

    async def submit(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        asked = decode(
            await request.json_body(self.rules.body_limit),
            _review_request,
            "Invalid Exact<ReviewRequest>",
        )
        async with self.pool.transaction() as conn:
            await review.submit(
                conn,
                manager,
                _id(request),
                auto_publish=asked.auto_publish,
                most=self.rules.most,
                version=_seen(request),
            )
        return _NOTHING

    async def withdraw(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        async with self.pool.transaction() as conn:
            await review.withdraw(conn, manager, _id(request), _seen(request))
        return _NOTHING

    async def read_release(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "read")
        async with self.pool.connection() as conn:
            return _json(
                versions.published(await review.find_released(conn, manager, _id(request)))
            )

    async def release(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        async with self.pool.transaction() as conn:
            await review.release(
                conn, manager, _id(request), most=self.rules.most, version=_seen(request)
            )
        return _NOTHING

    async def unpublish(self, request: Request) -> Answer:
        manager = await self.authenticate(request, "edit")
        async with self.pool.transaction() as conn:
            await review.unpublish(conn, manager, _id(request), _seen(request))
        return _NOTHING

    def routes(self) -> list[Route]:
        """As served and as documented."""
        return described(self)

    async def _data(self, request: Request, title: str) -> payload.Data:
        body = await request.json_body(self.rules.body_limit)
        return payload.parse(body, title, self.rules.sandbox_fiscal_code)


def _id(request: Request) -> str:
    return request.path["service_id"]


def _seen(request: Request) -> int | None:
    """The version in If-Match (RFC 9110, section 13.1.1), if there is one."""
    given = request.header(b"if-match")
    if given is None or given == "*":
        return None
    match = _ETAG.match(given)
    if match is None:
        raise Problem(
            400,
            "Bad parameters",
            'If-Match is an ETag of the service as it came, with its quotes: "14".',
            field="If-Match",
        )
    return int(match[1])


def _service(row: Row, status: int = 200) -> Answer:
    etag = (b"etag", b'"%d"' % row["version"])
    return Answer(status, msgspec.json.encode(versions.working(row)), [JSON, etag])


def _keys(pair: Mapping[str, str]) -> Answer:
    body = msgspec.json.encode(wire.KeyPair(pair["primary"], pair["secondary"]))
    return Answer(200, body, [JSON, (b"cache-control", b"no-store")])


def _json(body: Any) -> Answer:  # noqa: ANN401  a struct of the wire
    return Answer(200, msgspec.json.encode(body))
