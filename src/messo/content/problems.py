"""Why content could not be fetched: one status, title and sentence for each reason."""

import math
from typing import Literal

from messo.base import clock
from messo.base.http import Problem
from messo.base.outbound import BusyError, OutboundError, TooLargeError, UnreachableError
from messo.base.retry_after import retry_after_s

Reason = Literal[
    "slow",  # nothing, or not all of it, in time
    "down",  # no connection, or the server says that it cannot
    "busy",  # we do not ask now, for a bound of ours
    "busy-here",  # too many files are being looked at
    "not-ready",  # the server says: later
    "wrong",  # what came is not what the protocol says
    "not-pdf",
    "dangerous",  # these four are of a file: what it could do, or why that is not known
    "broken",
    "locked",
    "unchecked",
    "too-large",
    "bad-request",  # these four are what the server says
    "refused",
    "not-found",
    "too-often",
]

_TITLES = {
    400: "Bad request",
    403: "You are not allowed here",
    404: "Not found",
    415: "Unsupported Media Type",
    429: "Too many requests",
    502: "Bad Gateway",
    503: "Service temporarily unavailable",
    504: "Gateway Timeout",
}
_STATUS: dict[Reason, int] = {
    "slow": 504,
    "down": 502,
    "busy": 503,
    "not-ready": 503,
    "wrong": 502,
    "busy-here": 503,
    "not-pdf": 415,
    "dangerous": 415,
    "broken": 415,
    "locked": 415,
    "unchecked": 415,
    "too-large": 502,
    "bad-request": 400,
    "refused": 403,
    "not-found": 404,
    "too-often": 429,
}
_SAID: dict[int, tuple[Reason, str]] = {
    400: ("bad-request", "The institution's server did not understand what was asked."),
    403: ("refused", "The institution's server does not give this to this citizen."),
    404: ("not-found", "The institution's server does not have this."),
    410: ("not-found", "The institution's server does not have this any more."),
    429: ("too-often", "The institution's server is asked too often."),
    503: ("not-ready", "The institution's server is not ready to give this."),
    504: ("slow", "A server behind the institution's did not answer in time."),
}
_OK = 200
_LATER_S = 10  # where the server does not say when


class NotServedProblem(Problem):
    """Content that its institution did not serve. `reason`: one of a few words that never change.

    `after_s`: in how many seconds it is worth another try, where that is known.
    """

    def __init__(self, reason: Reason, detail: str, after_s: float | None = None) -> None:
        status = _STATUS[reason]
        seconds = None if after_s is None else max(1, math.ceil(after_s))
        super().__init__(
            status,
            _TITLES[status],
            detail,
            type_uri=f"urn:messo:remote-content:{reason}",
            headers=[] if seconds is None else [(b"retry-after", b"%d" % seconds)],
        )
        self.reason = reason
        self.after_s = seconds


def wrong(detail: str) -> NotServedProblem:
    """What came is not what the protocol says; `detail` is for the institution."""
    return NotServedProblem("wrong", detail)


def of_status(status: int, retry_after: str | None) -> NotServedProblem | None:
    """What an answer's status means; None if it is the content. `retry_after`: its header.

    The server's 401 is about our key, not about the citizen's session, so nobody is logged out
    for it; neither is its 500 ours.
    """
    if status == _OK:
        return None
    known = _SAID.get(status)
    if known is None:
        said = "A redirect is not followed." if status // 100 == 3 else "That is no content."  # noqa: PLR2004
        if status == 401:  # noqa: PLR2004
            said = "It does not take the key of the configuration."
        reason: Reason = "down" if status >= 500 else "wrong"  # noqa: PLR2004
        return NotServedProblem(reason, f"The institution's server answered {status}. {said}")
    reason, detail = known
    if reason not in {"not-ready", "too-often"}:
        return NotServedProblem(reason, detail)
    after_s = retry_after_s(retry_after, clock.now())
    return NotServedProblem(reason, detail, _LATER_S if after_s is None else after_s)


def of_error(error: OutboundError) -> NotServedProblem:
    """What a failed request means. It is not said whom we asked, nor at which address."""
    if isinstance(error, BusyError):
        return NotServedProblem(
            "busy", "The institution's server has trouble, and is left alone.", error.after_s
        )
    if isinstance(error, TooLargeError):
        if error.reason == "encoding":
            return NotServedProblem("too-large", "The institution's answer is packed, unasked.")
        return NotServedProblem("too-large", "The institution's answer is larger than allowed.")
    if isinstance(error, UnreachableError):
        if error.reason == "timeout":
            return NotServedProblem("slow", "The institution's server did not answer in time.")
        return NotServedProblem(
            "down", f"The institution's server cannot be reached ({error.reason})."
        )
    return wrong(f"The institution's address or key cannot be used ({error.reason}).")
