"""What pages and routes need of people's login sessions: cookies, the token of forms. No HTML."""

import hmac
from dataclasses import dataclass

from starlette.requests import cookie_parser

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.login import PENDING_SECONDS, Limits, cookies
from messo.people.sessions import Person, close_session, find_session, open_session
from messo.people.staff_claims import Staff


@dataclass(frozen=True)
class StaffWeb:
    """People's sessions in browsers: cookies of their own, so that they can be citizens beside."""

    secrets: Secrets
    public_url: str
    limits: Limits

    @property
    def session_cookie(self) -> str:
        """The name of the cookie with the session's token."""
        return "__Host-messo-staff" if cookies.is_secure(self.public_url) else "messo-staff"

    @property
    def pending_cookie(self) -> str:
        """The name of the cookie of a login that has begun."""
        return f"{self.session_cookie}-login"

    @property
    def invitation_cookie(self) -> str:
        """The name of the cookie of an invitation whose link was opened."""
        return f"{self.session_cookie}-invitation"

    def written(self, name: str, value: str, seconds: int | None = None) -> str:
        """The value of Set-Cookie for one of these; `seconds` 0 takes it away."""
        secure = cookies.is_secure(self.public_url)
        return cookies.written(name, value, secure=secure, seconds=seconds)

    def written_pending(self, value: str) -> str:
        """The value of Set-Cookie for a login that has begun."""
        return self.written(self.pending_cookie, value, PENDING_SECONDS)

    async def find(self, conn: Connection, header: str | None) -> Person | None:
        """Who asks, by the Cookie header of a request; None if nobody is logged in."""
        token = cookie_parser(header or "").get(self.session_cookie, "")
        return await find_session(conn, token, self.limits) if token else None

    async def open(self, conn: Connection, who: Staff, old_token: str | None) -> str:
        """A new session after a login; its token. What this browser had before is closed.

        A token that somebody planted before the login is worth nothing after it.
        """
        if old_token:
            await close_session(conn, old_token)
        return await open_session(conn, who.login, who.name, who.email, self.limits)

    def csrf_token(self, person: Person) -> str:
        """What the forms of one login carry, and no other site can know."""
        return self.secrets.keyed_digest(f"people.form:{person.digest.hex()}").hex()

    def is_csrf_token(self, person: Person, given: str) -> bool:
        """Whether a form came from a page of the same login; takes as long whatever is given."""
        expected = self.csrf_token(person).encode()
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected)
