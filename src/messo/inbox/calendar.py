"""A due date for the citizen's own calendar: a file, or a link to a calendar on the web."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

from icalendar import Alarm, Calendar, Event

from messo.base import clock, log
from messo.messages.characters import on_one_line
from messo.pages.languages import Language, catalogue

_LONGEST = 200  # characters of a summary or a title


def ics(
    message_id: str,
    subject: str,
    organization: str,
    due_date: datetime,
    url: str,
    now: datetime | None = None,
) -> bytes:
    """An iCalendar file with one event at the due moment and an alarm a day before.

    `due_date` and `now` are aware; `url` is the message's page. Written in UTC: each calendar shows
    its owner's time. The same message has the same UID, so a second import moves the event.
    Fiscal codes that a subject contains are blotted out.
    Source: RFC 5545.
    """
    summary = _shareable(subject)
    event = Event()
    event.add("uid", f"{message_id}@{urlsplit(url).hostname or 'messo'}")
    event.add("dtstamp", (now or clock.now()).astimezone(UTC))
    # No end and no duration: the event takes up no time (section 3.6.1).
    event.add("dtstart", due_date.astimezone(UTC))
    event.add("summary", summary)
    event.add("description", f"{_shareable(organization)}\n{url}")
    event.add("url", url)
    event.add("transp", "TRANSPARENT")
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", timedelta(days=-1))
    event.add_component(alarm)
    calendar = Calendar()
    calendar.add("prodid", "-//Messo//Messo//IT")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def calendar_links(
    organization: str, due_date: datetime, language: Language
) -> list[tuple[str, str]]:
    """(name, address) of calendars on the web where the due date can be added.

    The subject may tell of health or debts and would go to a third party in an address, so
    the title says only that something is due, and to whom.
    """
    due = catalogue(language, "messo.inbox").gettext("Due")
    title = f"{due} – {_shareable(organization)}"  # noqa: RUF001
    moment = due_date.astimezone(UTC).replace(microsecond=0)
    compact = moment.strftime("%Y%m%dT%H%M%SZ")
    google = {"action": "TEMPLATE", "text": title, "dates": f"{compact}/{compact}"}
    written = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    outlook = {
        "path": "/calendar/action/compose",
        "rru": "addevent",
        "subject": title,
        "startdt": written,
        "enddt": written,
    }
    return [
        ("Google Calendar", f"https://calendar.google.com/calendar/render?{urlencode(google)}"),
        (
            "Outlook.com",
            f"https://outlook.live.com/calendar/0/deeplink/compose?{urlencode(outlook)}",
        ),
    ]


def _shareable(text: str) -> str:
    """One line without fiscal codes: calendars are shown to family and colleagues."""
    return log.redact(on_one_line(text, _LONGEST))
