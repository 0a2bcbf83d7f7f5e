"""Login by OpenID Connect, and the sessions it opens, in browsers and in client applications.

Owns: login.session, login.code. Others may call what is listed here.
"""

from messo.login.sessions import (
    Identity,
    Limits,
    Session,
    close_all_sessions,
    close_session,
    erase,
    find_session,
    forget_expired,
    list_sessions,
    open_session,
)

__all__ = [
    "Identity",
    "Limits",
    "Session",
    "close_all_sessions",
    "close_session",
    "erase",
    "find_session",
    "forget_expired",
    "list_sessions",
    "open_session",
]
