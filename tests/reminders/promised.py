"""The simulation is run, and what was shown on devices compared with what is promised."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.reminders.simulated import ROME, Citizen, Scenario, Simulated, Told, told


async def live(sim: Simulated, scenarios: list[Scenario], until: str) -> None:
    """Let them live, and see that each was shown what is promised, and that every promise was kept."""
    for scenario in scenarios:
        await sim.enter(scenario)
    await sim.run(until)
    assert sim.push.wrong == []
    reminders = {one.fiscal_code: await told(sim, one) for one in sim.citizens}
    wrong = []
    for citizen in sim.citizens:
        scenario, got = citizen.scenario, reminders[citizen.fiscal_code]
        sent = ", ".join(sorted(str(one) for one in got))
        if sent != scenario.sent:
            wrong.append(f"{scenario.name}: {scenario.sent!r} is promised, {sent!r} was sent")
        wrong += [f"{scenario.name}: {what}" for what in _broken(citizen, got)]
    assert not wrong, "\n" + "\n".join(wrong)


def _broken(citizen: Citizen, reminders: list[Told]) -> list[str]:
    """The promises that hold for every reminder, whatever the list."""
    broken = []
    by_subject: dict[str, list[Told]] = defaultdict(list)
    for one in reminders:
        by_subject[one.subject].append(one)
        here = one.at.astimezone(ROME)
        minute = here.hour * 60 + here.minute
        if not 8 * 60 <= minute < 20 * 60:
            broken.append(f"{one} at {here}, at night")
        if here.date() != one.day:
            broken.append(f"{one} at {here}, on another day")
        if _is_quiet(citizen.scenario.citizen, minute):
            broken.append(f"{one} at {here}, in quiet hours")
        if _clock(one.at) - _clock(one.processed_at) < timedelta(days=3):
            broken.append(f"{one} at {here}, too soon after {one.processed_at}")
        if one.paid_at is not None and one.at >= one.paid_at:
            broken.append(f"{one} at {here}, after it was paid at {one.paid_at}")
    for of_one in by_subject.values():
        for before, after in pairwise(of_one):
            apart = 1 if "last" in (before.kind, after.kind) else 3
            if (after.day - before.day).days < apart:
                broken.append(f"{after} is too near to {before}")
    return broken


def _clock(moment: datetime) -> datetime:
    """What Rome's clocks show."""
    return moment.astimezone(ROME).replace(tzinfo=None, second=0, microsecond=0)


def _is_quiet(profile: Any, minute: int) -> bool:
    since, until = profile.get("quiet_from"), profile.get("quiet_until")
    if since is None:
        return False
    if since <= until:
        return bool(since <= minute < until)
    return bool(minute >= since or minute < until)
