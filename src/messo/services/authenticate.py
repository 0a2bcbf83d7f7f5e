"""The first gates of every institutions' route: the key, the address, the rate, the permission."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Literal

from messo.base.crypto import key_digest
from messo.base.http import GatewayProblem, Problem, Request
from messo.base.limits import RateLimit
from messo.services.directory import Directory, Manager, Sender, is_within
from messo.services.permissions import Permission

# What is asked of people of an institution, who may what their role says. A manage key may all of it
# but send: messages are sent with a service's own key.
Need = Literal["read", "edit", "send", "administer"]
AuthenticateManager = Callable[[Request, Need], Awaitable[Manager]]

KEY_HEADER = b"ocp-apim-subscription-key"

_KNOWN = frozenset(Permission)
_NO_KEY = (
    "Access denied due to missing subscription key. "
    "Make sure to include subscription key when making requests to an API."
)
_BAD_KEY = (
    "Access denied due to invalid subscription key. "
    "Make sure to provide a valid key for an active subscription."
)


class Authenticate:
    """Turns a request into the sender it speaks for, or refuses it."""

    def __init__(
        self, directory: Directory, limit: RateLimit, trusted_proxies: Sequence[object]
    ) -> None:
        self.directory = directory
        self.limit = limit
        self.trusted_proxies = trusted_proxies

    async def sender(self, request: Request, *any_of: Permission) -> Sender:
        """The service whose use key was sent, if it has one of the permissions.

        Adds the RateLimit headers to whatever is answered. 401, 403 and 429 otherwise.
        """
        _, found = await self._find(request)
        if isinstance(found, Manager):
            raise not_allowed(
                "This is a manage key. Use the key of the service on whose behalf you ask."
            )
        self._check_address(request, found, "this service's list of allowed networks")
        self._limit(request, found.rate_key)
        request.again = lambda again: self.sender(again, *any_of)
        if found.permissions.isdisjoint(any_of):
            raise lacks(any_of, found.permissions)
        return found

    async def manager(self, request: Request, *any_of: Permission) -> Manager:
        """The institution, or its group, whose manage key was sent. 401, 403, 429 as for `sender`.

        Without `any_of` no permission is needed.
        """
        key, found = await self._find(request)
        if not isinstance(found, Manager):
            raise not_allowed("This is a service's key. Use a manage key of your institution.")
        self._check_address(request, found, "the list of allowed networks of this manage key")
        self._limit(request, key_digest(key).hex())
        request.again = lambda again: self.manager(again, *any_of)
        if any_of and found.permissions.isdisjoint(any_of):
            raise lacks(any_of, found.permissions)
        return found

    async def anyone(self, request: Request) -> None:
        """Let any key pass, of a service or of a manager. 401, 403 and 429 as for `sender`."""
        key, found = await self._find(request)
        self._check_address(request, found, "the list of allowed networks of this key")
        self._limit(request, key_digest(key).hex())

    async def _find(self, request: Request) -> tuple[str, Sender | Manager]:
        key = request.header(KEY_HEADER)
        if not key:
            raise GatewayProblem(401, _NO_KEY)
        found = await self.directory.find(key)
        if found is None:
            raise GatewayProblem(401, _BAD_KEY)
        return key, found

    def _check_address(self, request: Request, found: Sender | Manager, of: str) -> None:
        address = request.client_address(self.trusted_proxies)
        if not is_within(address, found.networks):
            who = f"Your address, {address}," if address else "Your address cannot be known, and"
            raise not_allowed(f"{who} is not in {of} (authorized_cidrs).")

    def _limit(self, request: Request, key: str) -> None:
        if request.again is not None:  # it has been charged
            return
        if seconds := self.limit.charge(request, key):
            raise GatewayProblem(
                429,
                f"Rate limit is exceeded. Try again in {seconds} seconds.",
                [(b"retry-after", b"%d" % seconds)],
            )


def lacks(any_of: Sequence[Permission], has: Collection[str]) -> Problem:
    """403: the institution needs one of these, and has others or none."""
    if _KNOWN.isdisjoint(has):
        return Problem(
            403,
            "User has no valid scopes",
            "Your institution has no permission yet. Ask the operator of this installation.",
        )
    return not_allowed(f"Your institution lacks the permission {' or '.join(any_of)}.")


def not_allowed(detail: str) -> Problem:
    """The contract's usual 403."""
    return Problem(403, "You are not allowed here", detail)
