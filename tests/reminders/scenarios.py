"""Citizens' stories, and the reminders that each must get: written by hand from what is promised.

Where nothing else is said, a notice without a due date is processed on Monday 10-05 at noon, of a
citizen who consents, and nobody pays: the promise is 10-08, 10-11, 10-14 and 10-17. Facts change at
07:00 or 20:30, outside the hours of reminders, so that a list does not depend on the hour.
"""

from messo.recipients.update import Wishes
from tests.reminders import acts
from tests.reminders.scenarios_of_notices import (
    ALL,
    DUE_19,
    NODE,
    SCHEDULE,
    SHARED,
    WITHOUT_CONSENT,
)
from tests.reminders.simulated import Scenario

UNREAD = "10-08 unread, 10-11 unread, 10-14 unread"
NIGHT, DAY = 7 * 60, 21 * 60

DUE_DATES = [
    Scenario(
        "due far away",
        "11-02 due, 11-05 due, 11-08 due, 11-11 due, 11-14 last",
        processed="09-28 12:00",
        due="11-15",
    ),
    Scenario(
        "due in 17 days",
        "10-09 due, 10-12 due, 10-15 due, 10-18 due, 10-21 last",
        due="10-22",
    ),
    Scenario(
        "due in 16 days: the first is three full days later",
        "10-08 due, 10-11 due, 10-14 due, 10-17 due, 10-20 last",
        due="10-21",
    ),
    Scenario("due in 14 days", DUE_19, due="10-19"),
    Scenario("due in 10 days", "10-08 due, 10-11 due, 10-14 last", due="10-15"),
    Scenario("due in 7 days", "10-08 due, 10-11 last", due="10-12"),
    Scenario("due in 5 days", "10-09 last", due="10-10"),
    Scenario("due in 4 days", "10-08 last", due="10-09"),
    Scenario("due in 4 days, in the evening", "", processed="10-05 20:30", due="10-09"),
    Scenario("due in 3 days", "", due="10-08"),
    Scenario("due in 2 days", "", due="10-07"),
    Scenario("due in 1 day", "", due="10-06"),
    Scenario("due today", "", due="10-05"),
    Scenario("due long ago", "", due="09-01"),
    Scenario(
        "due over the change of clocks",
        "10-25 due, 10-28 due, 10-31 due, 11-03 last",
        processed="10-22 12:00",
        due="11-04",
    ),
    Scenario(
        "no due date, over the change of clocks",
        "10-27 undated, 10-30 undated, 11-02 undated, 11-05 undated",
        processed="10-24 12:00",
    ),
    Scenario(
        "unread on the day of the change of clocks",
        "10-25 unread, 10-28 unread, 10-31 unread",
        processed="10-22 09:00",
        notice=None,
    ),
    Scenario("no due date", ALL),
    Scenario("no notice", UNREAD, notice=None),
    Scenario("no notice, soon out of date", "10-08 unread", notice=None, due="10-10"),
    Scenario("no notice, out of date at last", UNREAD, notice=None, due="11-30"),
]

HOURS = [
    Scenario("processed before the window", ALL, processed="10-05 07:59"),
    Scenario("processed just after midnight", ALL, processed="10-05 00:30"),
    Scenario("processed in the window's last minute", ALL, processed="10-05 19:59"),
    Scenario(
        "processed after the window",
        "10-11 undated, 10-14 undated, 10-17 undated",
        processed="10-05 20:30",
    ),
    Scenario(
        "processed before midnight",
        "10-11 undated, 10-14 undated, 10-17 undated",
        processed="10-05 23:50",
    ),
    Scenario("unread, in the window's last minute", UNREAD, processed="10-05 19:59", notice=None),
    Scenario(
        "unread, after the window",
        "10-11 unread, 10-14 unread",
        processed="10-05 20:30",
        notice=None,
    ),
    Scenario("always quiet", "", citizen={"quiet_from": NIGHT, "quiet_until": DAY}),
    Scenario("quiet until three", ALL, citizen={"quiet_from": 8 * 60, "quiet_until": 15 * 60}),
    Scenario("quiet over night", ALL, citizen={"quiet_from": 18 * 60, "quiet_until": 10 * 60}),
    Scenario(
        "quiet for what is left of the third day",
        "10-11 undated, 10-14 undated, 10-17 undated",
        processed="10-05 17:00",
        citizen={"quiet_from": 16 * 60, "quiet_until": DAY},
    ),
    Scenario(
        "quiet for some days",
        "10-08 undated, 10-11 undated, 10-17 undated",
        then=[
            ("10-12 07:00", acts.wish(Wishes(quiet_from=NIGHT, quiet_until=DAY))),
            ("10-16 07:00", acts.wish(Wishes(quiet_from=None, quiet_until=None))),
        ],
    ),
]

# Read at that moment, and what is sent of a message without a notice.
_READ = [
    ("10-05 13:00", ""),
    ("10-06 07:00", ""),
    ("10-07 07:00", ""),
    ("10-08 07:00", ""),
    ("10-09 07:00", "10-08 unread"),
    ("10-10 07:00", "10-08 unread"),
    ("10-11 07:00", "10-08 unread"),
    ("10-12 07:00", "10-08 unread, 10-11 unread"),
    ("10-13 07:00", "10-08 unread, 10-11 unread"),
    ("10-14 07:00", "10-08 unread, 10-11 unread"),
    ("10-14 20:30", UNREAD),
]
READ = [
    *(Scenario(f"read at {at}", sent, notice=None, then=[(at, acts.read)]) for at, sent in _READ),
    Scenario("read, with a notice, at once", ALL, then=[("10-05 13:00", acts.read)]),
    Scenario("read, with a notice, on the fifth day", ALL, then=[("10-10 07:00", acts.read)]),
    Scenario("read, with a due date", DUE_19, due="10-19", then=[("10-13 07:00", acts.read)]),
]

# Paid at that moment, and what is sent of a notice without a due date.
_PAID = [
    ("10-05 13:00", ""),
    ("10-06 07:00", ""),
    ("10-07 07:00", ""),
    ("10-08 07:00", ""),
    ("10-09 07:00", "10-08 undated"),
    ("10-10 07:00", "10-08 undated"),
    ("10-11 07:00", "10-08 undated"),
    ("10-12 07:00", "10-08 undated, 10-11 undated"),
    ("10-13 07:00", "10-08 undated, 10-11 undated"),
    ("10-14 07:00", "10-08 undated, 10-11 undated"),
    ("10-15 07:00", "10-08 undated, 10-11 undated, 10-14 undated"),
    ("10-16 07:00", "10-08 undated, 10-11 undated, 10-14 undated"),
    ("10-17 07:00", "10-08 undated, 10-11 undated, 10-14 undated"),
    ("10-18 07:00", ALL),
]
PAID = [
    # The node says so from then on, when it is asked.
    *(Scenario(f"paid at the node, {at}", sent, node={at: "paid"}) for at, sent in _PAID),
    # The node is late: it never learns of it.
    *(Scenario(f"paid by event, {at}", sent, then=[(at, acts.paid_event)]) for at, sent in _PAID),
    # The node says so to the citizen, and forgets it.
    *(
        Scenario(
            f"paid as seen by the citizen, {at}",
            sent,
            node={at: "paid", f"{at[:-1]}5": "unpaid"},
            then=[(at, acts.look)],
        )
        for at, sent in _PAID
    ),
    Scenario(
        "paid between two due reminders",
        "10-09 due",
        due="10-19",
        then=[("10-10 07:00", acts.paid_event)],
    ),
    Scenario(
        "paid on the last day but one",
        "10-09 due, 10-12 due, 10-15 due",
        due="10-19",
        node={"10-18 07:00": "paid"},
    ),
    Scenario("paid before the message", "", then=[("10-01 12:00", acts.paid_event)]),
]

WISHES = [
    Scenario("never consented", "", citizen=WITHOUT_CONSENT),
    *(
        Scenario(f"consent {at}", sent, citizen=WITHOUT_CONSENT, then=[(at, acts.consent)])
        for at, sent in [
            ("10-07 07:00", ALL),
            ("10-08 07:00", ALL),
            ("10-08 20:30", "10-11 undated, 10-14 undated, 10-17 undated"),
            ("10-09 07:00", "10-11 undated, 10-14 undated, 10-17 undated"),
            ("10-12 07:00", "10-14 undated, 10-17 undated"),
            ("10-17 07:00", "10-17 undated"),
            ("10-17 20:30", ""),
        ]
    ),
    Scenario(
        "consent late, unread",
        "10-11 unread, 10-14 unread",
        notice=None,
        citizen=WITHOUT_CONSENT,
        then=[("10-10 07:00", acts.consent)],
    ),
    Scenario(
        "consent late, with a due date",
        "10-15 due, 10-18 last",
        due="10-19",
        citizen=WITHOUT_CONSENT,
        then=[("10-14 07:00", acts.consent)],
    ),
    Scenario("consent withdrawn at once", "", then=[("10-08 07:00", acts.no_consent)]),
    Scenario("consent withdrawn", "10-08 undated", then=[("10-09 07:00", acts.no_consent)]),
    Scenario(
        "consent withdrawn and given again",
        "10-08 undated, 10-14 undated, 10-17 undated",
        then=[("10-09 07:00", acts.no_consent), ("10-13 07:00", acts.consent)],
    ),
    Scenario("devices off", "10-08 undated", then=[("10-09 07:00", acts.devices_off)]),
    Scenario(
        "devices off and on",
        "10-08 undated, 10-14 undated, 10-17 undated",
        then=[("10-09 07:00", acts.devices_off), ("10-13 07:00", acts.devices_on)],
    ),
    Scenario(
        "service off and on",
        "10-08 undated, 10-17 undated",
        then=[
            ("10-09 07:00", acts.service_pushes(on=False)),
            ("10-16 07:00", acts.service_pushes(on=True)),
        ],
    ),
    Scenario(
        "inbox closed and opened",
        "10-08 undated, 10-11 undated, 10-17 undated",
        then=[("10-12 07:00", acts.close_inbox), ("10-15 07:00", acts.open_inbox)],
    ),
    Scenario("archived", "10-08 undated", then=[("10-09 07:00", acts.archive())]),
    Scenario(
        "archived and restored",
        "10-08 undated, 10-14 undated, 10-17 undated",
        then=[("10-09 07:00", acts.archive()), ("10-12 07:00", acts.restore)],
    ),
    Scenario(
        "unread, archived and restored",
        "10-08 unread, 10-14 unread",
        notice=None,
        then=[("10-09 07:00", acts.archive()), ("10-13 07:00", acts.restore)],
    ),
    Scenario("MANUAL, and the service let in", ALL, citizen={"mode": "MANUAL"}),
    Scenario(
        "MANUAL since, and the service not let in",
        "10-08 undated",
        then=[("10-09 07:00", acts.let_in_only_chosen)],
    ),
    Scenario("LEGACY", ALL, citizen={"mode": "LEGACY"}),
    Scenario(
        "LEGACY, and devices blocked for the service",
        "10-08 undated",
        citizen={"mode": "LEGACY"},
        then=[("10-09 07:00", acts.block_pushes_as_legacy)],
    ),
    Scenario(
        "LEGACY, and devices blocked before",
        "",
        citizen={"mode": "LEGACY"},
        then=[("10-05 07:00", acts.block_pushes_as_legacy)],
    ),
    Scenario("a special service", UNREAD, notice=None, service="special"),
    Scenario("a service with secrets", UNREAD, notice=None, service="secure"),
]

AUTUMN = [*DUE_DATES, *HOURS, *READ, *PAID, *WISHES, *SHARED, *NODE, *SCHEDULE]
