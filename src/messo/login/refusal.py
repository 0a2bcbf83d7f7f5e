"""Why a login did not work out."""

from typing import Literal

Reason = Literal[
    "cancelled",  # by the person, at the provider
    "expired",  # not begun in this browser, or too long ago
    "level",  # of assurance: too low
    "no_fiscal_code",  # somebody without an Italian one
    "no_login",  # somebody of an institution whom the provider does not name, or not for good
    "provider_down",
    "refused",  # the provider's answer does not hold
    "not_configured",
]


class LoginError(Exception):
    """No login. `detail` is for our log: fixed words, never what the provider sent.

    `redirect`: where the browser of a client application is sent back to, with the error.
    `return_to`: the page here that the login was for.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.detail = detail
        self.redirect: str | None = None
        self.return_to = "/"
