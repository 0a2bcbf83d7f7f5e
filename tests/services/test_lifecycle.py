"""Every transition of both state machines, from the contract's tables: what it becomes, or why not."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.services import review
from tests.conftest import Running
from tests.services import managing
from tests.services.managing import MOST, Managing, approve, payload, reject, version_of
from tests.world import World

# A state that it becomes, or the status of the refusal. `withdraw` is the contract's abort.
LIFECYCLE = """
action   | none | draft     | submitted | approved | rejected | deleted
edit     | 404  | draft     | 409       | draft    | draft    | 409
submit   | 404  | submitted | 409       | 409      | 409      | 409
approve  | 404  | 409       | approved  | 409      | 409      | 409
reject   | 404  | 409       | rejected  | 409      | 409      | 409
withdraw | 404  | 409       | draft     | 409      | 409      | 409
delete   | 404  | deleted   | 409       | deleted  | deleted  | 409
"""
# `quietly`: with auto_publish false. Where the contract hides what was published, it stays (ours).
PUBLICATION = """
action            | none        | unpublished | published
approve           | published   | published   | published
approve quietly   | unpublished | unpublished | published
release           | 404         | published   | published
unpublish         | 404         | unpublished | unpublished
delete            | 404         | 404         | 404
"""
NAMES = itertools.count()


def cells(table: str) -> list[tuple[str, str, str]]:
    """(action, from, to) of each cell."""
    head, *rows = [
        [cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()
    ]
    return [
        (action, state, becomes)
        for action, *found in rows
        for state, becomes in zip(head[1:], found, strict=True)
    ]


@pytest.fixture(scope="module")
def anna(running: Running, world: World) -> Managing:
    return managing.of(running, world)


class Bench:
    """Services in any state, and all that can be done to them."""

    def __init__(self, anna: Managing, pool: Pool) -> None:
        self.anna, self.pool = anna, pool

    async def make(self) -> str:
        return await self.anna.make(name=f"Servizio {next(NAMES)}")

    async def in_state(self, state: str) -> str:
        """A service whose working version is there."""
        if state == "none":
            return new_id()
        service = await self.make()
        if state == "deleted":
            await self.do("delete", service)
        elif state != "draft":
            await self.do("submit", service)
            if state != "submitted":
                await self.do({"approved": "approve", "rejected": "reject"}[state], service)
        assert (await self.anna.status(service))["value"] == state
        return service

    async def in_publication(self, state: str) -> str:
        """A service whose live version is there."""
        service = await self.make()
        if state != "none":
            await self.approved(service, auto_publish=state == "published")
        return service

    async def approved(self, service: str, *, auto_publish: bool) -> None:
        await self.anna.ask("PUT", f"/{service}", payload(name=f"Servizio {next(NAMES)}"))
        await self.anna.ask("PUT", f"/{service}/review", {"auto_publish": auto_publish}, 204)
        await approve(self.pool, service)

    async def do(self, action: str, service: str) -> int:
        """The status that the action is answered with."""
        if action in {"approve", "reject"}:
            decide: Callable[[Pool, str], Awaitable[None]]
            decide = {"approve": approve, "reject": reject}[action]
            try:
                await decide(self.pool, service)
            except Problem as problem:
                return problem.status
            return 204
        method, path, body = {
            "edit": ("PUT", "", payload(name=f"Servizio {next(NAMES)}")),
            "submit": ("PUT", "/review", {"auto_publish": False}),
            "delete": ("DELETE", "", None),
            "release": ("POST", "/release", None),
            "unpublish": ("DELETE", "/release", None),
            "withdraw": ("DELETE", "/review", None),
        }[action]
        if action == "withdraw":
            answer = await self.anna.client.delete(
                f"/messo/v1/services/{service}/review",
                headers={"Ocp-Apim-Subscription-Key": self.anna.key},
            )
        else:
            answer = await self.anna.send(method, f"/{service}{path}", body)
        if answer.status_code == 409:
            assert answer.json()["title"] == "Conflict"
            assert answer.json()["detail"].startswith("No transition matched: it is ")
        return answer.status_code


@pytest.fixture(scope="module")
def bench(anna: Managing, pool: Pool) -> Bench:
    return Bench(anna, pool)


@pytest.mark.parametrize(("action", "state", "becomes"), cells(LIFECYCLE))
async def test_the_working_version(bench: Bench, action: str, state: str, becomes: str) -> None:
    service = await bench.in_state(state)
    status = await bench.do(action, service)
    if becomes.isdigit():
        assert status == int(becomes)
        becomes = state
    else:
        assert status in {200, 204}
    if state != "none":
        assert (await bench.anna.status(service))["value"] == becomes


@pytest.mark.parametrize(("action", "state", "becomes"), cells(PUBLICATION))
async def test_the_publication(bench: Bench, action: str, state: str, becomes: str) -> None:
    service = await bench.in_publication(state)
    if action.startswith("approve"):
        await bench.approved(service, auto_publish=action == "approve")
    else:
        status = await bench.do(action, service)
        assert status == (204 if not becomes.isdigit() or action == "delete" else int(becomes))
    answer = await bench.anna.send("GET", f"/{service}/release")
    if becomes.isdigit():
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith(f"no item with id {service} found: ")
    else:
        assert answer.json()["status"] == becomes


async def test_what_is_not_in_the_table_is_only_what_never_was(bench: Bench) -> None:
    """`create` is the one action that begins with nothing."""
    service = await bench.make()
    assert await bench.anna.status(service) == {"value": "draft"}


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [
        ("approve", "reject", "submitted"),
        ("approve", "approve", "submitted"),
        ("approve", "withdraw", "submitted"),
        ("delete", "delete", "draft"),
        ("delete", "submit", "draft"),
        ("submit", "submit", "draft"),
    ],
)
async def test_two_at_once_have_one_winner(bench: Bench, one: str, other: str, state: str) -> None:
    service = await bench.in_state(state)
    answers = await asyncio.gather(bench.do(one, service), bench.do(other, service))
    assert sorted(answers) == [204, 409]
    won = (one, other)[answers.index(204)]
    ended = {"withdraw": "draft", "delete": "deleted", "submit": "submitted"}
    ended |= {"approve": "approved", "reject": "rejected"}
    assert (await bench.anna.status(service))["value"] == ended[won]


async def test_whoever_comes_second_waits_and_sees_what_the_first_has_done(
    bench: Bench, pool: Pool
) -> None:
    service = await bench.in_state("submitted")
    version = await version_of(pool, service)
    async with pool.transaction() as conn:
        await review.approve(conn, "operator:tests", service, version, MOST)
        later = [asyncio.ensure_future(bench.do(what, service)) for what in ("reject", "withdraw")]
        await asyncio.sleep(0.1)
        assert not any(one.done() for one in later)
    assert await asyncio.gather(*later) == [409, 409]
    assert await bench.anna.status(service) == {"value": "approved"}
