"""Who asks, by the token of a client application (RFC 6750)."""

from messo.base.db import Pool
from messo.base.http import Answer, Problem, Request
from messo.base.limits import RateLimit
from messo.login.sessions import Limits, Session, find_session

_LONGEST = 200  # characters; our tokens have 43


class UnauthorizedProblem(Problem):
    """No session, in the contract's shape: a word as plain text, no problem document."""

    def __init__(self) -> None:
        super().__init__(401, "Unauthorized", "No session, or one that has ended.")

    def answer(self) -> Answer:
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"www-authenticate", b'Bearer realm="messo"'),
        ]
        return Answer(401, b"Unauthorized", headers)


class BearerAuthenticate:
    """Turns a request of a client application into the session it belongs to, or refuses it."""

    def __init__(self, pool: Pool, limit: RateLimit, limits: Limits) -> None:
        """`limit`: requests of each citizen; `limits`: of client applications' sessions."""
        self.pool = pool
        self.limit = limit
        self.limits = limits

    async def __call__(self, request: Request) -> Session:
        """The session of the bearer token. `Problem` 401 or 429 otherwise.

        A browser's session is none here: its token belongs into its cookie.
        """
        scheme, _, token = (request.header(b"authorization") or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST:
            raise UnauthorizedProblem
        async with self.pool.connection() as conn:
            session = await find_session(conn, token, self.limits, "client")
        if session is None:
            raise UnauthorizedProblem
        self._limit(request, session.fiscal_code)
        return session

    def _limit(self, request: Request, key: str) -> None:
        if seconds := self.limit.charge(request, key):
            raise Problem(
                429,
                "Too many requests",
                f"Try again in {seconds} seconds.",
                headers=[(b"retry-after", b"%d" % seconds)],
            )
