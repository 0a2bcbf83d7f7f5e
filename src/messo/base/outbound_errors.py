"""What can be foreseen when something outside is asked. None of it says whom, or what was said."""


class OutboundError(Exception):
    """Nothing came of it. `reason` is one of a few short words that never change.

    Of this very kind is a header that cannot be sent (`header`), which is a caller's mistake.
    """

    kind = "refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ForbiddenAddressError(OutboundError):
    """This address is never asked, so trying again is of no use.

    `url`: not an absolute http or https address in plain ASCII. `scheme`: neither of the two, or
    http where only https will do. `credentials`: a name or password in it. `address`: it leads
    to an address that is not public, and that the operator has not listed.
    """

    kind = "forbidden"


class UnreachableError(OutboundError):
    """The other side could not be asked, or gave no whole answer.

    `name`: it has no address. `refused`: no connection. `tls`: nobody we trust. `timeout`.
    `reset`: the connection ended before the answer did. `malformed`: what came is not HTTP.
    """

    kind = "unreachable"


class TooLargeError(OutboundError):
    """An answer that is larger than the bound (`too large`), or packed unasked (`encoding`)."""

    kind = "too large"


class BusyError(OutboundError):
    """Not asked, for a bound of ours. `after_s`: in how many seconds it is worth another try.

    `places`: this host, or all together, have as many requests under way as they may. `circuit`:
    this host has failed too often of late.
    """

    kind = "busy"

    def __init__(self, reason: str, after_s: float) -> None:
        super().__init__(reason)
        self.after_s = after_s
