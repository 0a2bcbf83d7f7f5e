"""Bounds for each host: one that hangs or fails costs its own callers a refusal, others nothing."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from messo.base.outbound import BusyError, Limits, Outbound, OutboundError, UnreachableError
from messo.base.places import Places
from tests.base.test_outbound import OK, Server, client, reset, serving, silent

PATIENT = Limits(total_s=30, wait_s=5)
UNABLE = OK.replace(b"200 OK", b"503 Unavailable")


async def until(condition: Callable[[], bool], awaited: str) -> None:
    try:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"waited in vain for {awaited}")


async def outcome(sending: Awaitable[object]) -> str:
    try:
        await sending
    except OutboundError as error:
        return f"{error.kind}: {error.reason}"
    return "answered"


async def _cancel(tasks: list[asyncio.Task[str]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def gated(server_of: Callable[[], Server]) -> Callable[..., Awaitable[None]]:
    """Answers only once the server is released."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server_of().release.wait()
        writer.write(OK)
        await writer.drain()

    return answer


async def test_a_host_has_so_many_requests_under_way_and_no_more() -> None:
    """The others wait for a place while the host is new, and get one each."""
    async with serving(gated(lambda: server)) as server, client(per_host=3) as outbound:
        tasks = [
            asyncio.create_task(outcome(outbound.send("GET", server.url, limits=PATIENT)))
            for _ in range(20)
        ]
        await until(lambda: len(server.heads) == 3, "three requests")
        server.release.set()
        assert Counter(await asyncio.gather(*tasks)) == {"answered": 20}
        assert server.connections == 3


async def test_nobody_waits_longer_than_they_said() -> None:
    async with serving(silent) as server, client(per_host=1) as outbound:
        first = asyncio.create_task(outcome(outbound.send("GET", server.url)))
        await until(lambda: bool(server.heads), "the first request")
        with pytest.raises(BusyError) as busy:
            await outbound.send("GET", server.url, limits=Limits(wait_s=0.05))
        assert busy.value.reason == "places"
        assert 2 <= busy.value.after_s <= 4
        await _cancel([first])


async def test_a_host_that_answers_nothing_is_suspect_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten thousand callers are turned away within the moment they come, and none is kept."""
    monkeypatch.setattr("messo.base.places._GRACE_S", 0.1)
    async with serving(silent) as dead, serving(OK) as well, client() as outbound:
        hanging = [
            asyncio.create_task(outcome(outbound.send("GET", dead.url, limits=PATIENT)))
            for _ in range(32)
        ]
        await until(lambda: len(dead.heads) == 32, "all places taken")
        host = outbound._places._hosts["http", "127.0.0.1", dead.port]
        await until(lambda: not host.is_new(time.monotonic()), "the grace to be over")

        callers = [
            asyncio.create_task(outcome(outbound.send("GET", dead.url, limits=PATIENT)))
            for _ in range(10_000)
        ]
        await asyncio.sleep(0)  # each has run until the first thing that it waits for
        await asyncio.sleep(0)
        assert {task.result() for task in callers} == {"busy: places"}
        assert not host.waiting
        assert host.under_way == 32
        assert await outcome(outbound.send("GET", well.url)) == "answered"
        await _cancel(hanging)


async def test_a_new_host_that_hangs_keeps_a_short_queue_only() -> None:
    async with serving(silent) as server, client(per_host=2) as outbound:
        tasks = [
            asyncio.create_task(outcome(outbound.send("GET", server.url, limits=PATIENT)))
            for _ in range(1000)
        ]
        await until(lambda: len(server.heads) == 2, "all places taken")
        host = outbound._places._hosts["http", "127.0.0.1", server.port]
        assert len(host.waiting) == 64
        assert sum(task.done() for task in tasks) == 1000 - 2 - 64
        await _cancel(tasks)
        assert not host.waiting
        assert host.under_way == 0


async def test_one_host_hangs_and_another_answers_all_the_same() -> None:
    """Hundreds wait for the one; every request to the other is answered before any of them ends."""
    async with serving(silent) as hanging, serving(OK) as well, client() as outbound:
        stuck = [
            asyncio.create_task(outcome(outbound.send("GET", hanging.url, limits=PATIENT)))
            for _ in range(500)
        ]
        await until(lambda: len(hanging.heads) == 32, "all places of the first taken")
        for _ in range(20):
            answered = await asyncio.gather(
                *(outcome(outbound.send("GET", well.url)) for _ in range(25))
            )
            assert set(answered) == {"answered"}
        assert not any(task.done() for task in stuck)
        await _cancel(stuck)


async def test_hosts_that_hang_leave_half_of_all_places_to_the_others() -> None:
    async with (
        serving(silent) as one,
        serving(silent) as two,
        serving(OK) as well,
        client(per_host=6, connections=8) as outbound,
    ):
        stuck = [
            asyncio.create_task(outcome(outbound.send("GET", server.url, limits=Limits(wait_s=0))))
            for server in (one, two)
            for _ in range(6)
        ]
        await until(lambda: sum(not task.done() for task in stuck) == 5, "refusals")
        assert outbound._places._under_way == 5  # half for the first, and one for the second
        for _ in range(3):
            assert await outcome(outbound.send("GET", well.url)) == "answered"
        await _cancel(stuck)
        assert outbound._places._under_way == 0


async def test_after_five_failures_in_a_row_a_host_is_left_alone() -> None:
    async with serving(reset) as server, client() as outbound:
        for _ in range(5):
            with pytest.raises(UnreachableError):
                await outbound.send("GET", server.url)
        with pytest.raises(BusyError) as busy:
            await outbound.send("GET", server.url)
        assert busy.value.reason == "circuit"
        assert 11 < busy.value.after_s < 20.1
        assert server.connections == 5


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_status_that_says_unable_is_an_answer_and_counts_as_a_failure(status: int) -> None:
    answer = UNABLE.replace(b"503", str(status).encode())
    async with serving(answer) as server, client() as outbound:
        for _ in range(5):
            assert (await outbound.send("GET", server.url)).status == status
        assert await outcome(outbound.send("GET", server.url)) == "busy: circuit"


async def test_other_refusals_do_not_count() -> None:
    """404 and 500 are answers; an answer too large says nothing of the host's health."""
    answers = [OK.replace(b"200 OK", status) for status in (b"404 None", b"500 Broken")]
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    for answer in (*answers, large):
        async with serving(answer) as server, client() as outbound:
            seen = {await outcome(outbound.send("GET", server.url)) for _ in range(7)}
            assert seen <= {"answered", "too large: too large"}


async def test_a_success_in_between_starts_the_count_anew() -> None:
    answers = [UNABLE] * 4 + [OK] + [UNABLE] * 4 + [OK]

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    async with serving(answer) as server, client() as outbound:
        for _ in range(10):
            await outbound.send("GET", server.url)


@pytest.fixture
async def failing() -> AsyncIterator[tuple[Outbound, Server, list[bytes]]]:
    """A host whose circuit has just opened, for a tenth of a second at first."""
    answers = [UNABLE]

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answers[-1] is OK:
            await server.release.wait()
        writer.write(answers[-1])

    async with serving(answer) as server, client(open_s=0.1) as outbound:
        for _ in range(5):
            await outbound.send("GET", server.url)
        yield outbound, server, answers


def is_over(outbound: Outbound, server: Server) -> bool:
    """Whether the pause of the open circuit is over."""
    host = outbound._places._hosts["http", "127.0.0.1", server.port]
    return time.monotonic() > host.breaker._until


async def test_one_probe_is_let_through_and_its_success_closes_the_circuit(
    failing: tuple[Outbound, Server, list[bytes]],
) -> None:
    outbound, server, answers = failing
    assert await outcome(outbound.send("GET", server.url)) == "busy: circuit"
    answers.append(OK)
    await until(lambda: is_over(outbound, server), "the end of the pause")
    probes = [asyncio.create_task(outcome(outbound.send("GET", server.url))) for _ in range(50)]
    await until(lambda: sum(probe.done() for probe in probes) == 49, "all but the probe")
    assert len(server.heads) == 6
    server.release.set()
    assert Counter(await asyncio.gather(*probes)) == {"busy: circuit": 49, "answered": 1}
    for _ in range(3):
        assert await outcome(outbound.send("GET", server.url)) == "answered"


async def test_each_probe_that_fails_doubles_the_pause(
    failing: tuple[Outbound, Server, list[bytes]],
) -> None:
    outbound, server, _ = failing
    breaker = outbound._places._hosts["http", "127.0.0.1", server.port].breaker
    for doubled in (0.2, 0.4):
        await until(lambda: is_over(outbound, server), "the end of the pause")
        before = time.monotonic()
        await outbound.send("GET", server.url)
        assert before + doubled * 0.8 <= breaker._until <= time.monotonic() + doubled * 1.2
        assert await outcome(outbound.send("GET", server.url)) == "busy: circuit"


async def test_a_probe_that_is_given_up_is_followed_by_another(
    failing: tuple[Outbound, Server, list[bytes]],
) -> None:
    outbound, server, answers = failing
    answers.append(OK)
    await until(lambda: is_over(outbound, server), "the end of the pause")
    probe = asyncio.create_task(outcome(outbound.send("GET", server.url)))
    await until(lambda: len(server.heads) == 6, "the probe")
    await _cancel([probe])
    server.release.set()
    assert await outcome(outbound.send("GET", server.url)) == "answered"


async def test_a_circuit_that_opens_turns_away_who_waits() -> None:
    async with serving(gated(lambda: server)) as server, client(per_host=5) as outbound:
        first = [
            asyncio.create_task(
                outcome(outbound.send("GET", server.url, limits=Limits(total_s=0.3)))
            )
            for _ in range(5)
        ]
        await until(lambda: len(server.heads) == 5, "all places taken")
        waiting = [
            asyncio.create_task(outcome(outbound.send("GET", server.url, limits=PATIENT)))
            for _ in range(20)
        ]
        assert set(await asyncio.gather(*first)) == {"unreachable: timeout"}
        # Four may have got a place before the fifth failure.
        await until(lambda: sum(task.done() for task in waiting) >= 16, "refusals")
        assert {task.result() for task in waiting if task.done()} == {"busy: circuit"}
        await _cancel(waiting)


@pytest.mark.parametrize("longest_s", [600, 10])
async def test_a_pause_that_keeps_doubling_has_an_end(longest_s: float) -> None:
    outbound = Outbound(open_s=2, longest_s=longest_s)
    places = outbound._places
    breaker = places._host(("https", "a", 443)).breaker
    for _ in range(5):
        breaker.failed(0, probe=False)
    for _ in range(100):
        assert breaker.failed(0, probe=True)
    assert longest_s * 0.8 <= breaker._until <= longest_s * 1.2
    await outbound.close()


async def test_room_at_a_host_is_what_it_answers_in_half_a_second() -> None:
    """A slow host keeps no other waiting, and a quick one is not kept waiting itself."""
    places, slow, other = Places(4, 400, open_s=15, hosts=10), ("https", "s", 1), ("https", "o", 1)
    assert places.room(slow)[0] == 4
    under_way = [await places.enter(slow, 0) for _ in range(4)]
    assert places.room(slow)[0] == 0, "nothing is known of it yet"
    places._hosts[slow].answer_s = 1.0
    under_way.pop().leave("answered")
    assert places.room(slow)[0] <= 4, "less than another round"
    begun = [asyncio.create_task(places.enter(slow, 30)) for _ in range(9)]
    host = places._hosts[slow]
    await until(lambda: len(host.waiting) == 8, "one more, and eight that wait")
    assert places.room(slow) == (0, 0.5)
    assert places.room(other)[0] == 4
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)
    for _ in range(60):  # it has become quick
        (await places.enter(other, 0)).leave("answered")
    assert places.room(other)[0] > 100


async def test_what_is_known_of_hosts_has_a_bound_and_who_is_asked_is_kept() -> None:
    places = Places(1, 10, open_s=15, hosts=20)
    busy = await places.enter(("https", "busy", 443), 0)
    for number in range(1000):
        place = await places.enter(("https", str(number), 443), 0)
        place.leave("answered")
    assert len(places._hosts) == 20
    with pytest.raises(BusyError):
        await places.enter(("https", "busy", 443), 0)
    busy.leave("neither")
    assert places._under_way == 0
