"""What citizens, creditors and operators do in the simulation, each at its moment."""

from dataclasses import replace

from messo.messages import mailbox
from messo.payments import intake
from messo.recipients.choices import put_choice, read_choice
from messo.recipients.update import Wishes, amend, choose_mode
from messo.reminders.schedules import change_days
from tests.reminders.simulated import Act, Citizen, Simulated


async def read(sim: Simulated, who: Citizen) -> None:
    """They open all their messages."""
    async with sim.pool.transaction() as conn:
        await mailbox.mark(conn, who.fiscal_code, who.messages, read=True)


def archive(*numbers: int, archived: bool = True) -> Act:
    """They put messages away, all or those with these places in the order of coming."""

    async def act(sim: Simulated, who: Citizen) -> None:
        chosen = [who.messages[number] for number in numbers] or who.messages
        async with sim.pool.transaction() as conn:
            await mailbox.mark(conn, who.fiscal_code, chosen, archived=archived)

    return act


restore = archive(archived=False)


def wish(wishes: Wishes) -> Act:
    """They change their profile."""

    async def act(sim: Simulated, who: Citizen) -> None:
        async with sim.pool.transaction() as conn:
            await amend(conn, who.fiscal_code, wishes)

    return act


consent = wish(Wishes(reminder_status="ENABLED"))
no_consent = wish(Wishes(reminder_status="DISABLED"))
devices_on = wish(Wishes(is_webhook_enabled=True))
devices_off = wish(Wishes(is_webhook_enabled=False))
open_inbox = wish(Wishes(is_inbox_enabled=True))
close_inbox = wish(Wishes(is_inbox_enabled=False))


async def block_pushes_as_legacy(sim: Simulated, who: Citizen) -> None:
    """In LEGACY mode: devices are told nothing of this service any more."""
    await wish(Wishes(blocked={sim.world.anna.id: ["WEBHOOK"]}))(sim, who)


async def let_in_only_chosen(sim: Simulated, who: Citizen) -> None:
    """They change to MANUAL mode, and choose no service."""
    async with sim.pool.transaction() as conn:
        await choose_mode(conn, who.fiscal_code, "MANUAL")


def service_pushes(*, on: bool) -> Act:
    """They have their devices told of this service's messages, or not."""

    async def act(sim: Simulated, who: Citizen) -> None:
        service_id = sim.world.anna.id
        async with sim.pool.transaction() as conn:
            now = await read_choice(conn, who.fiscal_code, service_id)
            await put_choice(conn, who.fiscal_code, service_id, replace(now, is_webhook_enabled=on))

    return act


async def paid_event(sim: Simulated, who: Citizen) -> None:
    """The creditor's payment event is pushed to us."""
    assert who.notice
    event = {
        "id": f"event-{who.notice.number}",
        "debtorPosition": {"noticeNumber": who.notice.number},
        "creditor": {"idPA": who.notice.payee},
        "paymentInfo": {"amount": "123.45"},
    }
    async with sim.pool.transaction() as conn:
        assert (await intake.take(conn, sim.secrets, [event])).dead == 0


async def look(sim: Simulated, who: Citizen) -> None:
    """They look at their notice, which asks the node."""
    assert who.notice
    await sim.live.look(who.notice, 0.3)


async def same_notice_again(sim: Simulated, who: Citizen) -> None:
    """Another message with the same notice comes."""
    await sim.send(who, who.notice)


async def another_notice(sim: Simulated, who: Citizen) -> None:
    """A message with another notice comes."""
    await sim.send(who, sim.notice(f"{who.scenario.name}, the other"))


def schedule(kind: str, *days: int) -> Act:
    """The operator reminds on other days from now on."""

    async def act(sim: Simulated, who: Citizen) -> None:
        async with sim.pool.transaction() as conn:
            await change_days(conn, "tests", kind, days)

    return act
