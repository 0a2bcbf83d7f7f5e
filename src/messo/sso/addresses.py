"""Which addresses a relying party may have, by what they say alone.

An address is compared as it was registered, byte for byte (RFC 9700, section 2.1), so one that two
readers could take for different places is refused: OpenID Connect Core 1.0, section 3.1.2.1,
RFC 6749, section 3.1.2, Back-Channel Logout 1.0, section 2.2.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from messo.base.addresses import Network, Permitted, Target, parse
from messo.base.http import Problem
from messo.base.outbound_errors import ForbiddenAddressError

LONGEST = 500

_HTTPS = "must begin with https://"
# In this order: what is said first should be what the person who wrote it got wrong.
_WRONG = tuple(
    (re.compile(pattern, re.IGNORECASE | re.ASCII), said)
    for pattern, said in (
        (
            r"[^\x00-\x7f]",
            "must be plain ASCII: write a host as xn--…, and percent-encode the rest",
        ),
        (
            r'[\x00-\x20\x7f\\"<>^`{|}]',
            "holds a space, a backslash or another character that no address has: percent-encode it",
        ),
        (r"\A(?!https?:)", _HTTPS),
        (r"\A(?!https?://[^/?#])", "must name its host: https://host/path"),
        (r"\A[^/]*//[^/?#]*@", "must not hold a user name or a password"),
        ("#", "must have no fragment: leave out the # and what follows it"),
        (r"\*", "must be one address, without *: list each one that you need"),
        (r"%(?![0-9a-f]{2})", "holds a % without two hexadecimal digits: write %25 for the sign"),
        (
            r"\A[^/]*//[^/?#]*(?:/[^?#]*)?/(?:\.|%2e){1,2}(?=[/?#]|\Z)",
            "must not hold the path segments . and ..: write where they lead to",
        ),
    )
)
_PARSED = {
    "url": "needs a host that there can be and, if it has a port, one from 1 to 65535",
    "address": "must name its host, or give its IP address in the usual form",
}
# The only hosts that are reached without encryption: what is sent to them stays on one machine.
_PLAIN = frozenset({"127.0.0.1", "::1", "localhost"})


def check(text: str, field: str, *, loopback: bool) -> Target:
    """The parts of an address that browsers are sent to. `Problem` 400, with `field`, for a bad one.

    `loopback`: whether it may lead to the machine on which the browser runs, as those who try
    things out need it. Only then it may do without encryption.
    """
    target = _parsed(text, field)
    if _is_loopback(target):
        if not loopback:
            raise refusal(
                field,
                "leads to the machine of whoever opens it: a live client needs an address on the "
                "internet; register this one for the environment test",
            )
        if target.scheme == "https" or target.host in _PLAIN:
            return target
    if target.scheme != "https":
        raise refusal(
            field, f"{_HTTPS}; http is only for 127.0.0.1, [::1] and localhost, where one tries"
        )
    return target


def check_called(text: str, field: str, allowed: Sequence[Network], *, loopback: bool) -> None:
    """As `check`, for an address that we call ourselves: what is not public must be in `allowed`.

    Names are looked up when they are called, each time, and what they lead to is checked then.
    """
    target = check(text, field, loopback=loopback)
    permitted = Permitted(allowed, public=target.scheme == "https")
    if target.is_literal:
        good = target.host in permitted
    else:
        good = not _is_loopback(target) or "127.0.0.1" in permitted or "::1" in permitted
    if not good:
        raise refusal(
            field, "leads to an address that may not be called from here: give one on the internet"
        )


def refusal(field: str, wrong: str) -> Problem:
    """400 that names the place, and says what is wrong there."""
    return Problem(400, "Bad request", f"{field} {wrong}.", field=field)


def _parsed(text: str, field: str) -> Target:
    for pattern, said in _WRONG:
        if pattern.search(text):
            raise refusal(field, said)
    try:
        return parse(text)
    except ForbiddenAddressError as error:
        raise refusal(field, _PARSED.get(error.reason, _HTTPS)) from None


def _is_loopback(target: Target) -> bool:
    """Whether it leads to the machine itself, however that is written."""
    if not target.is_literal:
        name = target.host.removesuffix(".")
        return name == "localhost" or name.endswith(".localhost")
    address = ip_address(target.host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified
