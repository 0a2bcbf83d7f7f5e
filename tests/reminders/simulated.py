"""A world whose clock a test moves: citizens with a device, institutions, and a scripted node.

Nothing of ours is replaced but the clock: messages come over HTTP, the worker does what is due at
each moment, the payment node and the push service are servers on loopback. Moments are written as
`10-05 12:00`, in Rome, of the simulated year.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from messo.base import ids
from messo.base.crypto import Secrets
from messo.base.db import Pool, Row
from messo.base.work import Worker
from messo.outside import Outside
from messo.payments import Live, Notice
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.payment_node import FAULTS, State
from messo.settings import Settings
from messo.sso.keys import Keys
from messo.worker import outward, periodics, steps
from messo_client import notices
from tests.conftest import Running
from tests.messages.mail import Mail
from tests.notifications.push_service import Device, PushService, subscribe
from tests.recipients.person import code
from tests.world import World

ROME = ZoneInfo("Europe/Rome")
_PAYEE = "00000000001"  # Anna's institution
_PERIODICS = ("payments.sweep", "reminders.hand_over")
_ROUNDS = 100
_CITIZENS, _NOTICES = count(1), count(1)  # several worlds may share a database
_SHORTLY = timedelta(seconds=5)
_ALWAYS_AT = ("02:30", "07:30", "12:30", "20:30")


@dataclass
class Citizen:
    """Somebody as the simulation knows them: what they have got, and on what."""

    scenario: "Scenario"
    fiscal_code: str
    device: Device
    notice: Notice | None
    messages: list[str] = field(default_factory=list)


Act = Callable[["Simulated", Citizen], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One citizen's story, and the reminders they must get: exactly `sent`, "10-08 undated, ...".

    `processed`: when the first message comes. `due`: its due date, at noon UTC. `notice`: None
    without one; scenarios with the same name share it. `node`: what the node says of it, from
    which moment on. `then`: what happens, and when. `citizen`: their profile, where it is not
    AUTO, open and with consent.
    """

    name: str
    sent: str
    processed: str = "10-05 12:00"
    due: str | None = None
    notice: str | None = ""
    node: Mapping[str, str] = field(default_factory=dict)
    then: Sequence[tuple[str, Act]] = ()
    service: str = "anna"
    citizen: Mapping[str, Any] = field(default_factory=dict)


class ScriptedNode:
    """A payment node whose answers are written beforehand, for each notice or for all.

    An answer is a state, after which `amount=500` and `due=2026-10-30` may follow: `unpaid`,
    `in_progress`, `paid`, `expired`, `cancelled`, `unknown`, and what is none: `unable`,
    `garbage`, `cut`, `hang`.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.script: dict[str, list[tuple[datetime, str]]] = {}
        self.of_all: list[tuple[datetime, str]] = []
        self.asked = 0
        self.url = ""
        self._now = now
        self._end = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/payment-requests/{rpt_id}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._end.set()
        if self._runner:
            await self._runner.cleanup()

    def says(self, rpt_id: str) -> str:
        """What it answers at this moment; what holds for all comes first."""
        now = self._now()
        for script in (self.of_all, self.script.get(rpt_id, [])):
            answer = next((text for since, text in reversed(script) if since <= now), "")
            if answer:
                return answer
        return "unpaid"

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        rpt_id = request.match_info["rpt_id"]
        word, *more = self.says(rpt_id).split()
        given = dict(part.split("=") for part in more)
        if word == "hang":
            await self._end.wait()
        if word == "cut" and request.transport:
            request.transport.abort()
        if word == "garbage":
            return web.Response(text='{"amount": "<html>', content_type="application/json")
        if word == "unable":
            fault = {"faultCodeCategory": "PAYMENT_UNAVAILABLE", "faultCodeDetail": "PPT_TIMEOUT"}
            return web.json_response(fault, status=503)
        if word == "unpaid":
            answer = {"rptId": rpt_id, "amount": int(given.get("amount", 12_345))}
            if "due" in given:
                answer["dueDate"] = given["due"]
            return web.json_response(answer)
        if word in set(State):
            status, category, detail = FAULTS[State(word)]
            return web.json_response(
                {"faultCodeCategory": category, "faultCodeDetail": detail}, status=status
            )
        return web.Response(status=500)


@dataclass
class Simulated:
    """The world. `now` is what every clock of the program says."""

    year: int
    pool: Pool
    running: Running
    world: World
    secrets: Secrets
    push: PushService
    now: datetime = field(init=False)
    node: ScriptedNode = field(init=False)
    outside: Outside = field(init=False)
    worker: Worker = field(init=False)
    mail: Mail = field(init=False)
    live: Live = field(init=False)
    citizens: list[Citizen] = field(default_factory=list)
    rounds: int = 0
    _notices: dict[str, Notice] = field(default_factory=dict)

    async def open(self, settings: Settings, since: str, patch: pytest.MonkeyPatch) -> None:
        """Start the servers and the worker, and stop the clocks at `since`."""
        self.now = self.moment(since)
        patch.setattr("messo.base.clock.now", lambda: self.now)
        # Ids are in order of time, and breakers and caches have their times too.
        patch.setattr(ids._Last, "value", 0)
        patch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: int(self._seconds() * 10**9)))
        monotonic = SimpleNamespace(monotonic=self._seconds)
        patch.setattr("messo.payments.node.time", monotonic)
        patch.setattr("messo.base.places.time", monotonic)
        self.node = ScriptedNode(lambda: self.now)
        await self.node.start()
        told = {"payment_node_url": self.node.url, "payment_node_key": "K"}
        settings = Settings(**{**vars(settings), **told, "payment_node_minute": 1_000_000})
        self.outside = Outside.of(settings, self.secrets)
        self.worker = Worker(
            self.pool,
            self.pool.buckets,
            steps(settings, self.outside.channels),
            [
                one
                for one in periodics(settings, self.secrets, self.outside)
                if one.name in _PERIODICS
            ],
            1000,
            outward(settings, self.secrets, self.outside, Keys(self.pool, self.secrets)),
        )
        assert len(self.worker.periodics) == len(_PERIODICS)
        self.mail = Mail(self.running, self.worker)
        self.live = Live(self.pool, self.outside.node)
        async with self.pool.transaction() as conn:
            # Another world in this database may have been later.
            await conn.raw.execute("DELETE FROM work.period")

    async def close(self) -> None:
        await self.live.close()
        await self.outside.close()
        await self.node.stop()

    def moment(self, text: str) -> datetime:
        """`10-05 12:00` in Rome."""
        here = datetime.strptime(f"{self.year}-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ROME)
        return here.astimezone(UTC)

    async def enter(self, scenario: Scenario) -> Citizen:
        """The citizen enrols, with one device, and the node learns its part."""
        fiscal_code = code(next(_CITIZENS), "SML")
        wanted: dict[str, Any] = {
            "mode": "AUTO",
            "settings_version": -1 if scenario.citizen.get("mode") == "LEGACY" else 0,
            "is_inbox_enabled": True,
            "is_webhook_enabled": True,
            "reminder_status": "ENABLED",
            **scenario.citizen,
        }
        async with self.pool.transaction() as conn:
            await create_profiles(conn, [Profile(fiscal_code, **wanted)])
            if wanted["mode"] == "MANUAL":
                await put_preferences(conn, [Preference(fiscal_code, self.world.anna.id, 0)])
            if scenario.service == "special":
                active = Activation(fiscal_code, self.world.special.id, "ACTIVE")
                await put_activations(conn, [active])
        device = self.push.device()
        await subscribe(self.pool, self.secrets, fiscal_code, device)
        notice = None
        if scenario.notice is not None:
            notice = self.notice(scenario.notice or scenario.name)
            if scenario.node:
                self.node.script[notice.rpt_id] = [
                    (self.moment(since), text) for since, text in scenario.node.items()
                ]
        self.citizens.append(Citizen(scenario, fiscal_code, device, notice))
        return self.citizens[-1]

    def notice(self, name: str) -> Notice:
        """The notice of this name, always the same."""
        if name not in self._notices:
            number = notices.make(f"{next(_NOTICES):013d}", code="01")
            self._notices[name] = Notice(_PAYEE, number)
        return self._notices[name]

    async def send(self, citizen: Citizen, notice: Notice | None, level: str = "STANDARD") -> None:
        """A message to this citizen, of their scenario's service."""
        content: dict[str, Any] = {}
        if notice is not None:
            content["payment_data"] = {"amount": 12_345, "notice_number": notice.number}
        if citizen.scenario.due is not None:
            content["due_date"] = f"{self.year}-{citizen.scenario.due}T12:00:00.000Z"
        caller = getattr(self.world, citizen.scenario.service)
        citizen.messages.append(await self.mail.post(caller, citizen.fiscal_code, level, **content))

    async def run(self, until: str) -> None:
        """Let the scenarios happen, up to a moment."""
        acts: list[tuple[datetime, int, Act, Citizen]] = []
        for number, one in enumerate(self.citizens):
            acts.append((self.moment(one.scenario.processed), number, first_message, one))
            acts += [(self.moment(at), number, act, one) for at, act in one.scenario.then]
        acts.sort(key=lambda entry: entry[:2])
        for at, _, act, citizen in acts:
            await self._pass(at)
            await act(self, citizen)
        await self._pass(self.moment(until))

    async def pass_until(self, text: str) -> None:
        """Let time pass: to each moment at which something is due."""
        await self._pass(self.moment(text))

    async def _pass(self, end: datetime) -> None:
        assert self.now <= end, f"{end} is past"
        while self.now < end:
            await self.round()
            self.now = min(self._next_look(), await self._next_due(), end)

    async def round(self) -> None:
        """Everything that is due at this moment."""
        self.rounds += 1
        await self.settle()
        for periodic in self.worker.periodics:
            await self.worker.run_periodic(periodic)
        await self.settle()

    async def settle(self) -> None:
        """All that is due now, and what comes of it. Steps that have nothing to do are not asked."""
        for _ in range(_ROUNDS):
            async with self.pool.connection() as conn:
                rows = await conn.raw.fetch(
                    "SELECT DISTINCT step FROM work.item WHERE due_at <= $1", self.now
                )
            due = {row["step"] for row in rows}
            if not due:
                return
            if due & {step.name for step in self.worker.steps}:
                await self.worker.work_once()
            for sending in self.worker.sendings:
                if sending.step.name in due:
                    await sending.once()
        raise AssertionError(f"at {self.now} there is always more to do: {due}")

    def _next_look(self) -> datetime:
        here = self.now.astimezone(ROME)
        looks = [
            self.moment(f"{day:%m-%d} {time}")
            for day in (here.date(), here.date() + timedelta(days=1))
            for time in _ALWAYS_AT
        ]
        return min(look for look in looks if look > self.now)

    async def _next_due(self) -> datetime:
        async with self.pool.connection() as conn:
            found: datetime | None = await conn.raw.fetchval(
                "SELECT least((SELECT min(due_at) FROM reminders.reminder WHERE state = 'planned'),"
                " (SELECT min(due_at) FROM work.item), (SELECT min(sweep_at) FROM payments.notice"
                " WHERE state <> 'paid'))"
            )
        return self.now + timedelta(days=1) if found is None else max(found, self.now + _SHORTLY)

    def _seconds(self) -> float:
        return self.now.timestamp()


@dataclass(frozen=True)
class Told:
    """A reminder that was shown on a device. `day` and `kind`: what it was planned as."""

    day: date
    kind: str
    subject: str
    at: datetime
    processed_at: datetime  # the first message about its subject
    paid_at: datetime | None  # when the ledger learnt of it

    def __str__(self) -> str:
        return f"{self.day:%m-%d} {self.kind}"


async def told(sim: Simulated, citizen: Citizen) -> list[Told]:
    """All reminders of one citizen that a device has taken, in order."""
    async with sim.pool.connection() as conn:
        rows: Sequence[Row] = await conn.raw.fetch(
            """
            SELECT d.occasion, d.state_at, r.subject, n.observed_at,
                   (SELECT min(f.decided_at) FROM messages.message AS f
                     INNER JOIN messages.content AS c ON c.id = f.id
                     WHERE f.fiscal_code = m.fiscal_code
                       AND (f.id = r.subject
                            OR c.parts #>> '{payment_data,notice_number}' = substr(r.subject, 12))
                   ) AS processed_at
            FROM notifications.delivery AS d
            INNER JOIN messages.message AS m ON m.id = d.message_id
            INNER JOIN reminders.reminder AS r
                ON r.fiscal_code = m.fiscal_code AND r.message_id = m.id
                AND r.kind || ':' || r.day = d.occasion
            LEFT JOIN payments.notice AS n
                ON n.payee || n.number = r.subject AND n.state = 'paid'
            WHERE m.fiscal_code = $1 AND d.state = 'SENT'
            ORDER BY d.state_at, r.subject
            """,
            citizen.fiscal_code,
        )
        shown = await conn.raw.fetchval(
            "SELECT count(*) FROM notifications.delivery AS d"
            " INNER JOIN messages.message AS m ON m.id = d.message_id"
            " WHERE m.fiscal_code = $1 AND d.state = 'SENT'",
            citizen.fiscal_code,
        )
    assert len(citizen.device.shown) == shown, "what is said to be sent, was shown"
    found = []
    for row in rows:
        kind, _, day = row["occasion"].partition(":")
        found.append(
            Told(
                date.fromisoformat(day),
                kind,
                row["subject"],
                row["state_at"],
                row["processed_at"],
                row["observed_at"],
            )
        )
    return found


async def first_message(sim: Simulated, citizen: Citizen) -> None:
    """The message that a scenario begins with."""
    await sim.send(citizen, citizen.notice)
