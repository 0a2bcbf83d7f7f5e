"""When the other side says to come again (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE_S = 3600  # whatever is asked for
_SECONDS = re.compile(r"[0-9]{1,9}\Z")


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait, from a `Retry-After` header: 0 to `LONGEST_PAUSE_S`.

    `header` is delta-seconds ("120") or an HTTP date. None when it is absent or neither of them:
    whoever cannot say when is not asked again sooner for it.
    Source: RFC 9110, section 10.2.3.
    """
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.match(text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
            # "-0000" is read as a time without a zone; it is UTC all the same.
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE_S)
