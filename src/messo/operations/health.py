"""How this process is doing: a word for load balancers, detail for operators."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from messo.base import clock, db, log, metrics, work
from messo.base.db import Connection, Pool

logger = log.get(__name__)


def public_routes(pool: Pool) -> list[Route]:
    """`/health/live` and `/health/ready`: a word each, no detail."""

    async def live(_: Request) -> Response:
        return PlainTextResponse("alive")

    async def ready(_: Request) -> Response:
        try:
            # Not the schema: while a release is rolled out it is ahead of the older processes.
            async with asyncio.timeout(2), pool.connection() as conn:
                await conn.value(db.queries.read_database)
        except Exception as error:
            logger.warning("not ready", exc_info=error)
            return PlainTextResponse("not ready", 503)
        return PlainTextResponse("ready")

    return [Route("/health/live", live), Route("/health/ready", ready)]


def operations_app(pool: Pool, detail: Callable[[], Awaitable[dict[str, Any]]]) -> Starlette:
    """The operations port: `/metrics` for Prometheus, `/health` with detail for people."""

    async def show_metrics(_: Request) -> Response:
        try:
            await measure(pool)
        except Exception as error:
            logger.warning("queues not measured", exc_info=error)
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")

    async def show_health(_: Request) -> Response:
        body = {"now": clock.to_wire(clock.now()), **await detail(), **await _database(pool)}
        status = 200 if body["database"] == "ok" else 503
        return Response(msgspec.json.encode(body), status, media_type="application/json")

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/health", show_health)])


async def measure(pool: Pool) -> None:
    """Bring the gauges up to date: queue depth and age by step, connections lent out."""
    metrics.pool_used.set(pool.used)
    metrics.queue_depth.clear()
    metrics.queue_age.clear()
    for step, state in (await queue_state(pool)).items():
        metrics.queue_depth.labels(step).set(state["depth"])
        metrics.queue_age.labels(step).set(state["age_seconds"])


async def queue_state(pool: Pool) -> dict[str, dict[str, float]]:
    """The same with a connection of its own."""
    async with pool.connection() as conn:
        return await queues(conn)


async def queues(conn: Connection) -> dict[str, dict[str, float]]:
    """For each step with work: `depth`, and `age_seconds` of the item that is due longest."""
    rows = await conn.rows(work.queries.queue_state)
    now = clock.now()
    return {
        row["step"]: {
            "depth": row["depth"],
            "age_seconds": max(0.0, round((now - row["oldest"]).total_seconds(), 3)),
        }
        for row in rows
    }


async def _database(pool: Pool) -> dict[str, Any]:
    try:
        return {"database": "ok", "pool_used": pool.used, "queues": await queue_state(pool)}
    except Exception as error:  # noqa: BLE001  it is what the operator wants to know
        return {"database": log.describe(error), "pool_used": pool.used}
