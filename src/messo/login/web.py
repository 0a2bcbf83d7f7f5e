"""What pages need of sessions: cookies, the token of forms, opening one. No HTML."""

import hmac
from dataclasses import dataclass

from starlette.responses import Response

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.login import cookies
from messo.login.flow import PENDING_SECONDS
from messo.login.sessions import (
    Identity,
    Limits,
    Session,
    close_token,
    find_session,
    open_session,
)

# The first that a browser's description of itself contains: many name others they resemble.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Web:
    """Sessions in browsers. Over https cookies have the prefix that only we can set them with."""

    secrets: Secrets
    public_url: str
    limits: Limits

    @property
    def session_cookie(self) -> str:
        """The name of the cookie with the session's token."""
        return "__Host-messo" if self._is_secure else "messo"

    @property
    def pending_cookie(self) -> str:
        """The name of the cookie of a login that has begun."""
        return f"{self.session_cookie}-login"

    def sso_cookie(self, access_id: str) -> str:
        """The name of the cookie with what a site asked for, while the citizen decides."""
        return f"{'__Secure-' if self._is_secure else ''}messo-sso-{access_id}"

    def sso_header(self, access_id: str, value: str, seconds: int, path: str) -> str:
        """The value of Set-Cookie for it, sent to this path alone.

        Whoever makes a browser ask very often fills it with these: they must not come with every
        request. So its name cannot have the prefix for cookies of a whole host; what is in it is
        ours to read anyway, and says under which id it counts.
        """
        return self._cookie(self.sso_cookie(access_id), value, seconds, path)

    def session_header(self, token: str) -> str:
        """The value of Set-Cookie for a session. It ends with the browser at the latest."""
        return self._cookie(self.session_cookie, token)

    def pending_header(self, value: str) -> str:
        """The value of Set-Cookie for a login that has begun."""
        return self._cookie(self.pending_cookie, value, PENDING_SECONDS)

    def set_session(self, response: Response, token: str) -> None:
        response.headers.append("set-cookie", self.session_header(token))

    def clear_session(self, response: Response) -> None:
        response.headers.append("set-cookie", self._cookie(self.session_cookie, "", 0))

    def set_pending(self, response: Response, value: str) -> None:
        response.headers.append("set-cookie", self.pending_header(value))

    def clear_pending(self, response: Response) -> None:
        response.headers.append("set-cookie", self._cookie(self.pending_cookie, "", 0))

    async def open_session(
        self, conn: Connection, identity: Identity, user_agent: str, old_token: str | None
    ) -> str:
        """A new session after a login; its token. What this browser had before is closed.

        A token that somebody planted before the login is worth nothing after it. The same citizen's
        session goes on under its id, which other sites may have been told: only its token is new.
        """
        old = await find_session(conn, old_token, self.limits) if old_token else None
        if old_token:
            await close_token(conn, old_token)
        is_same = old is not None and old.fiscal_code == identity.fiscal_code
        return await open_session(
            conn,
            identity,
            "web",
            label(user_agent),
            self.limits,
            session_id=old.id if old and is_same else None,
        )

    def csrf_token(self, session: Session) -> str:
        """What the forms of one login carry, and no other site can know."""
        return self.secrets.keyed_digest(f"login.form:{session.digest.hex()}").hex()

    def is_csrf_token(self, session: Session, given: str) -> bool:
        """Whether a form came from a page of the same login; takes as long whatever is given."""
        expected = self.csrf_token(session).encode()
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected)

    @property
    def _is_secure(self) -> bool:
        return cookies.is_secure(self.public_url)

    def _cookie(self, name: str, value: str, seconds: int | None = None, path: str = "/") -> str:
        return cookies.written(name, value, secure=self._is_secure, seconds=seconds, path=path)


def label(user_agent: str) -> str:
    """What a citizen recognises a browser by: `Firefox, Linux`. Names of products only."""
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), "Browser")
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), None)
    return browser if system is None else f"{browser}, {system}"
