"""How many requests may be under way at one host, and in all; who waits, and who is turned away.

A host that hangs must cost the others nothing, so it may not keep a queue: whoever finds no place
waits only where the host has answered just now, and only for a moment.
"""

import asyncio
import time
from collections import OrderedDict
from typing import Literal

from messo.base.breaker import Breaker, soon_s
from messo.base.outbound_errors import BusyError

Key = tuple[str, str, int]  # scheme, host and port
Outcome = Literal["answered", "failed", "neither"]

_GRACE_S = 1.0  # without an answer for so long, a host is suspect
_SOON_S = 0.5  # to come again, where nothing is known against a host
_WAITING = 32  # for each place, those who may wait for it


class Host:
    """What we know of one host, in times of the monotonic clock, in seconds."""

    __slots__ = ("answer_s", "answered_at", "breaker", "since", "under_way", "waiting")

    def __init__(self, open_s: float, longest_s: float) -> None:
        self.breaker = Breaker(open_s, longest_s)
        self.under_way = 0
        # In the order of their coming.
        self.waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self.since = self.answered_at = float("-inf")
        self.answer_s = _GRACE_S  # how long an answer takes, lately

    def has_answered(self, now: float) -> bool:
        """Whether it has answered just now."""
        return now - self.answered_at < _GRACE_S

    def is_new(self, now: float) -> bool:
        """Whether it has only just begun to be asked."""
        return now - self.since < _GRACE_S


class Place:
    """One request under way. It has to be left."""

    __slots__ = ("_began", "_host", "_places", "_probe")

    def __init__(self, places: "Places", host: Host, *, probe: bool) -> None:
        self._places = places
        self._host = host
        self._probe = probe
        self._began = time.monotonic()

    def answered(self) -> None:
        """Note that an answer has begun, though it may take long to come."""
        self._host.answered_at = time.monotonic()

    def leave(self, outcome: Outcome) -> None:
        """Say what came of it. `neither`: nothing that tells whether the host is well."""
        host, now = self._host, time.monotonic()
        if outcome == "answered":
            host.answered_at = now
            host.answer_s += (now - self._began - host.answer_s) / 8
            host.breaker.answered()
        elif outcome == "failed" and host.breaker.failed(now, probe=self._probe):
            self._places.turn_away(host)
        elif self._probe:
            host.breaker.abandoned()
        self._places.hand_on(host)


class Places:
    """The places of all hosts."""

    def __init__(
        self, per_host: int, in_all: int, open_s: float, hosts: int, longest_s: float = 600
    ) -> None:
        """`open_s` and `longest_s`: of a breaker, at first and at most.

        `hosts`: known at most; the longest idle are forgotten.
        """
        self._per_host = per_host
        self._in_all = in_all
        self._open_s = open_s
        self._longest_s = longest_s
        self._most_hosts = max(hosts, in_all + 1)
        self._hosts: OrderedDict[Key, Host] = OrderedDict()
        self._under_way = 0

    async def enter(self, key: Key, wait_s: float) -> Place:
        """A place at this host, `wait_s` seconds from now at the latest; or `BusyError`."""
        host, now = self._host(key), time.monotonic()
        _check(host, now)
        if not host.under_way and not host.breaker.failures:
            host.since = now  # after a pause it is as good as new
        if host.under_way < self._per_host and not host.waiting:
            self._take(host, now)
            return Place(self, host, probe=host.breaker.begin())
        hopeful = host.has_answered(now) or host.is_new(now)
        if not hopeful or len(host.waiting) >= _WAITING * self._per_host:
            raise BusyError("places", soon_s())
        if not await self._wait(host, wait_s):
            _check(host, time.monotonic())
            raise BusyError("places", soon_s())
        return Place(self, host, probe=False)

    def room(self, key: Key) -> tuple[int, float]:
        """How many more may begin at this host now, and how long others better wait, in seconds.

        For who has many to send and can order them. A host that hangs is given few, one that
        answers as many as it takes in half a second: a slow one then keeps no other waiting.
        """
        host, now = self._hosts.get(key), time.monotonic()
        if host is None:
            return self._per_host, _GRACE_S
        if wait_s := host.breaker.wait_s(now):
            return 0, wait_s
        if host.breaker.is_open:
            return 1, soon_s()  # the probe
        room = self._per_host - host.under_way - len(host.waiting)
        rests = not host.under_way and not host.breaker.failures
        if host.has_answered(now) or (rests and host.answer_s < _GRACE_S):
            rounds = min(_SOON_S / max(host.answer_s, 0.001), _WAITING)
            return max(0, room + int(rounds * self._per_host)), _SOON_S
        return max(0, room), _GRACE_S if rests or host.is_new(now) else soon_s()

    def hand_on(self, host: Host) -> None:
        """A place is free: the first of those who wait has it, or nobody."""
        while host.waiting:
            waiter, _ = host.waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_result(True)
                return
        host.under_way -= 1
        self._under_way -= 1

    def turn_away(self, host: Host) -> None:
        """Nobody waits any longer for a host that has just failed once too often."""
        for waiter in host.waiting:
            if not waiter.done():
                waiter.set_result(False)
        host.waiting.clear()

    def _take(self, host: Host, now: float) -> None:
        # The last half is for hosts that answer, and one place for each that has yet to: however
        # many hang, the others find room.
        crowded = self._under_way >= self._in_all // 2
        unproven = host.under_way > 0 and not host.has_answered(now)
        if self._under_way >= self._in_all or (crowded and unproven):
            raise BusyError("places", soon_s())
        host.under_way += 1
        self._under_way += 1

    async def _wait(self, host: Host, wait_s: float) -> bool:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        host.waiting[waiter] = None
        timer = loop.call_later(wait_s, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.hand_on(host)  # got it in the moment it went
            raise
        finally:
            timer.cancel()
            host.waiting.pop(waiter, None)

    def _host(self, key: Key) -> Host:
        host = self._hosts.get(key)
        if host is None:
            if len(self._hosts) >= self._most_hosts:
                idle = next(key for key, host in self._hosts.items() if not host.under_way)
                del self._hosts[idle]
            host = self._hosts[key] = Host(self._open_s, self._longest_s)
        else:
            self._hosts.move_to_end(key)
        return host


def _check(host: Host, now: float) -> None:
    if wait_s := host.breaker.wait_s(now):
        raise BusyError("circuit", wait_s)


def _give_up(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
