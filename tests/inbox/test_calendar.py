"""A due date reaches any calendar as the moment that it is, and tells third parties little."""

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from icalendar import Calendar, Component

from messo.inbox.calendar import calendar_links, ics

ID = "01JD3ZKQ8YV5T9W2X4B6N7M8P0"
URL = f"https://messo.example.it/messages/{ID}"
DUE = datetime(2030, 1, 31, 23, 30, tzinfo=timezone(timedelta(hours=1)))
NOW = datetime(2030, 1, 1, 8, 0, 5, tzinfo=UTC)
SUBJECT = "Rata della mensa; scade, \\n domani"


def event_of(written: bytes) -> tuple[Component, Component]:
    calendar = Calendar.from_ical(written)
    (event,) = calendar.walk("VEVENT")
    return calendar, event


def test_the_file_says_when_what_and_where() -> None:
    calendar, event = event_of(ics(ID, SUBJECT, "Comune di Città", DUE, URL, NOW))
    assert calendar["version"] == "2.0"
    assert event["uid"] == f"{ID}@messo.example.it"
    assert event["summary"] == SUBJECT
    assert event["description"] == f"Comune di Città\n{URL}"
    assert event["url"] == URL
    assert event.decoded("dtstart") == datetime(2030, 1, 31, 22, 30, tzinfo=UTC)
    assert event.decoded("dtstamp") == NOW
    assert "dtend" not in event
    assert "duration" not in event


def test_the_alarm_rings_a_day_before() -> None:
    _, event = event_of(ics(ID, SUBJECT, "Comune", DUE, URL, NOW))
    (alarm,) = event.walk("VALARM")
    assert alarm["action"] == "DISPLAY"
    assert alarm["description"] == SUBJECT
    assert alarm.decoded("trigger") == timedelta(days=-1)


def test_the_same_message_makes_the_same_file() -> None:
    assert ics(ID, SUBJECT, "C", DUE, URL, NOW) == ics(ID, SUBJECT, "C", DUE, URL, NOW)


def test_lines_are_those_of_the_format() -> None:
    written = ics(ID, "à" * 120, "È" * 300, DUE, URL, NOW)
    assert written.endswith(b"\r\n")
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    assert b"\n" not in written.replace(b"\r\n", b"")


@pytest.mark.parametrize("trick", ["\r\nBEGIN:VEVENT", "\nATTACH:file:///x", "\u2028X:y", "\x00"])
def test_a_subject_adds_no_line(trick: str) -> None:
    calendar, event = event_of(ics(ID, "Rata" + trick, "Comune" + trick, DUE, URL, NOW))
    assert len(calendar.walk("VEVENT")) == 1
    assert str(event["summary"]).startswith("Rata")
    assert "attach" not in event


def test_no_fiscal_code_reaches_a_calendar() -> None:
    subject = "Pratica di AAAAAA00A00A000A e aaaaaa00a00a000a"
    assert b"00A00A000" not in ics(ID, subject, subject, DUE, URL, NOW).upper()
    assert not any("00A00A000" in url.upper() for _, url in calendar_links(subject, DUE, "en"))


def test_links_tell_the_moment_and_who_wrote_and_no_more() -> None:
    (google_name, google), (outlook_name, outlook) = calendar_links("Asl & Città", DUE, "en")
    assert (google_name, outlook_name) == ("Google Calendar", "Outlook.com")
    assert urlsplit(google).hostname == "calendar.google.com"
    assert parse_qs(urlsplit(google).query) == {
        "action": ["TEMPLATE"],
        "text": ["Due – Asl & Città"],
        "dates": ["20300131T223000Z/20300131T223000Z"],
    }
    assert urlsplit(outlook).hostname == "outlook.live.com"
    assert parse_qs(urlsplit(outlook).query) == {
        "path": ["/calendar/action/compose"],
        "rru": ["addevent"],
        "subject": ["Due – Asl & Città"],
        "startdt": ["2030-01-31T22:30:00Z"],
        "enddt": ["2030-01-31T22:30:00Z"],
    }


def test_the_title_of_a_link_is_in_the_language_of_the_page() -> None:
    ((_, google), _) = calendar_links("Comune", DUE, "it")
    assert parse_qs(urlsplit(google).query)["text"] == ["Scadenza – Comune"]
