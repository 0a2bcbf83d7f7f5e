"""Stories of notices: shared by messages and citizens, and what a payment node may say of them."""

from tests.reminders import acts
from tests.reminders.simulated import Scenario

ALL = "10-08 undated, 10-11 undated, 10-14 undated, 10-17 undated"
DUE_19 = "10-09 due, 10-12 due, 10-15 due, 10-18 last"
WITHOUT_CONSENT = {"reminder_status": None}

SHARED = [
    Scenario("one notice twice", ALL, then=[("10-07 12:00", acts.same_notice_again)]),
    Scenario(
        "one notice twice, the first archived",
        ALL,
        then=[("10-07 12:00", acts.same_notice_again), ("10-09 07:00", acts.archive(0))],
    ),
    Scenario(
        "one notice twice, both archived",
        "10-08 undated",
        then=[("10-07 12:00", acts.same_notice_again), ("10-09 07:00", acts.archive())],
    ),
    Scenario("a notice of two, with consent", ALL, notice="of two"),
    Scenario("a notice of two, without", "", notice="of two", citizen=WITHOUT_CONSENT),
    Scenario(
        "paid for two, the first",
        "10-08 undated, 10-11 undated",
        notice="paid for two",
        node={"10-14 07:00": "paid"},
    ),
    Scenario(
        "paid for two, the second",
        "10-10 undated, 10-13 undated",
        processed="10-07 12:00",
        notice="paid for two",
    ),
    Scenario(
        "two notices",
        "10-08 undated, 10-09 undated, 10-11 undated, 10-12 undated, "
        "10-14 undated, 10-15 undated, 10-17 undated, 10-18 undated",
        then=[("10-06 12:00", acts.another_notice)],
    ),
]

NODE = [
    Scenario(
        "node unable for a week",
        "10-08 undated, 10-17 undated",
        node={"10-10 00:00": "unable", "10-17 00:00": "unpaid"},
    ),
    Scenario(
        "node unable on the last day but one",
        "10-09 due, 10-12 due, 10-15 due",
        due="10-19",
        node={"10-16 00:00": "unable"},
    ),
    Scenario(
        "node unable until the evening",
        ALL,
        node={"10-11 00:00": "unable", "10-11 19:30": "unpaid"},
    ),
    Scenario(
        "node answering garbage",
        "10-08 undated, 10-14 undated, 10-17 undated",
        node={"10-10 00:00": "garbage", "10-13 00:00": "unpaid"},
    ),
    Scenario("notice never known", "", node={"09-01 00:00": "unknown"}),
    Scenario(
        "notice not known at first",
        "10-11 undated, 10-14 undated, 10-17 undated",
        node={"09-01 00:00": "unknown", "10-09 00:00": "unpaid"},
    ),
    Scenario(
        "notice not known for a day",
        "10-08 undated, 10-14 undated, 10-17 undated",
        node={"10-11 00:00": "unknown", "10-12 00:00": "unpaid"},
    ),
    Scenario(
        "due later",
        "10-26 due, 10-29 due, 11-01 due, 11-04 due, 11-07 last",
        due="11-01",
        node={"10-15 00:00": "unpaid due=2026-11-08"},
    ),
    Scenario(
        "due later after two: four in all, and the last",
        "10-09 due, 10-12 due, 10-16 due, 10-19 due, 10-28 last",
        due="10-19",
        node={"10-13 00:00": "unpaid due=2026-10-29"},
    ),
    # Asked on 10-11, and a week later: the slow sweep.
    Scenario(
        "due later after the last: another last",
        "10-08 due, 10-11 last, 10-19 due, 10-22 due, 10-25 last",
        due="10-12",
        node={"10-12 00:00": "unpaid due=2026-10-26"},
    ),
    # Asked a week after a week, on 10-26.
    Scenario(
        "due earlier",
        "10-26 due, 10-29 last",
        due="11-20",
        node={"10-20 00:00": "unpaid due=2026-10-30"},
    ),
    Scenario(
        "due in the past, as it turns out",
        "10-09 due",
        due="10-19",
        node={"10-10 00:00": "unpaid due=2026-10-09"},
    ),
    Scenario(
        "due date from the node alone, and taken away again",
        "10-09 due, 10-12 due, 10-15 due, 10-18 due, 10-21 last",
        node={"09-01 00:00": "unpaid due=2026-10-22", "10-10 00:00": "unpaid"},
    ),
    Scenario("another amount", ALL, node={"10-10 00:00": "unpaid amount=500"}),
    Scenario(
        "being paid for a day, and not paid",
        "10-11 undated, 10-14 undated, 10-17 undated",
        node={"10-08 00:00": "in_progress", "10-09 00:00": "unpaid"},
    ),
    Scenario(
        "being paid until the evening, and not paid",
        ALL,
        node={"10-08 00:00": "in_progress", "10-08 19:30": "unpaid"},
    ),
    Scenario(
        "being paid, and paid",
        "10-08 undated",
        node={"10-11 00:00": "in_progress", "10-11 19:00": "paid"},
    ),
    Scenario("expired", "10-08 undated", node={"10-10 00:00": "expired"}),
    # Expired on 11-04, asked again a week later.
    Scenario(
        "expired for some days",
        "11-01 due, 11-13 last",
        due="11-14",
        node={"11-03 00:00": "expired", "11-08 00:00": "unpaid"},
    ),
    Scenario("cancelled", "10-08 undated", node={"10-10 00:00": "cancelled"}),
    Scenario(
        "cancelled, and not any more",
        "10-08 undated, 10-14 undated, 10-17 undated",
        node={"10-10 00:00": "cancelled", "10-13 00:00": "unpaid"},
        then=[("10-13 07:00", acts.look)],
    ),
]

# From 11-12 on, undated notices are reminded of after 4 and 8 days.
SCHEDULE = [
    Scenario(
        "planned before the days were changed",
        "11-14 undated, 11-17 undated, 11-20 undated, 11-23 undated",
        processed="11-11 12:00",
        then=[("11-12 07:00", acts.schedule("undated", 4, 8))],
    ),
    Scenario(
        "planned after the days were changed",
        "11-17 undated, 11-21 undated",
        processed="11-13 12:00",
    ),
    Scenario(
        "of another kind than the days that were changed",
        "11-17 due, 11-20 due, 11-23 last",
        processed="11-13 12:00",
        due="11-24",
    ),
]

# In spring the whole node is down from 03-20 to 03-27, and hangs on 03-30.
SPRING_NODE = {
    "03-20 00:00": "cut",
    "03-27 00:00": "",
    "03-30 00:00": "hang",
    "03-31 00:00": "",
}
SPRING = [
    Scenario("node down for a week", "03-18 undated, 03-27 undated", processed="03-15 12:00"),
    Scenario(
        "processed while the node is down",
        "03-28 undated, 03-31 undated, 04-03 undated, 04-06 undated",
        processed="03-25 12:00",
    ),
    Scenario(
        "due, and the node down",
        "03-29 due, 04-01 due, 04-04 last",
        processed="03-15 12:00",
        due="04-05",
    ),
    Scenario(
        "due on the day after the change of clocks",
        "03-16 due, 03-19 due, 03-28 last",
        processed="03-10 12:00",
        due="03-29",
    ),
    Scenario(
        "the node hanging",
        "04-02 undated, 04-05 undated, 04-08 undated",
        processed="03-27 12:00",
    ),
    Scenario(
        "looking while the node hangs",
        "03-31 undated, 04-03 undated, 04-06 undated, 04-09 undated",
        processed="03-28 12:00",
        then=[("03-30 10:00", acts.look)],
    ),
    Scenario(
        "paid while the node is down",
        "03-18 undated",
        processed="03-15 12:00",
        then=[("03-22 12:00", acts.paid_event)],
    ),
    Scenario(
        "unread while the node is down",
        "03-21 unread, 03-24 unread, 03-27 unread",
        processed="03-18 12:00",
        notice=None,
    ),
    Scenario(
        "unread on the day of the change of clocks",
        "03-28 unread, 03-31 unread, 04-03 unread",
        processed="03-25 15:00",
        notice=None,
    ),
    Scenario(
        "processed before midnight",
        "03-31 undated, 04-03 undated, 04-06 undated",
        processed="03-25 23:50",
    ),
    Scenario(
        "consent after the change of clocks",
        "03-31 unread, 04-03 unread",
        processed="03-25 12:00",
        notice=None,
        citizen=WITHOUT_CONSENT,
        then=[("03-29 07:00", acts.consent)],
    ),
]
