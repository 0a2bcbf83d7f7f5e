"""Which addresses a webhook may have, by what they say alone.

Names are looked up when they are called, each time, and what they lead to is checked then.
"""

from collections.abc import Sequence

from messo.base.addresses import Network, Permitted, parse
from messo.base.http import Problem
from messo.base.outbound_errors import ForbiddenAddressError

_HTTPS = "must begin with https://"
_WRONG = {
    "scheme": _HTTPS,
    "encryption": _HTTPS,
    "credentials": "must not hold a name or a password",
    "address": "leads to an address that may not be called",
}


def check(url: str, allowed: Sequence[Network]) -> None:
    """`Problem` 400 for an address that can never be called.

    Without encryption only networks in `allowed` are called: where there are none, no name can
    lead into one.
    """
    try:
        target = parse(url)
        if target.is_literal:
            Permitted(allowed, public=target.scheme == "https").require(target.host)
    except ForbiddenAddressError as error:
        wrong = _WRONG.get(error.reason, "must be an absolute https address in plain ASCII")
    else:
        if target.scheme == "https" or allowed:
            return
        wrong = _HTTPS
    raise Problem(400, "Bad request", f"url {wrong}.", field="url")
