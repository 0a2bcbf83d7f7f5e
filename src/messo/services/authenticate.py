"""The first gates of every institutions' route: the key, the address, the rate, the permission."""

from collections.abc import Sequence

from messo.base.crypto import key_digest
from messo.base.http import GatewayProblem, Problem, Request
from messo.base.limits import RateLimit
from messo.services.directory import Directory, ManageKey, Sender
from messo.services.permissions import Permission

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
        if isinstance(found, ManageKey):
            raise not_allowed(
                "This is a manage key. Use the key of the service on whose behalf you ask."
            )
        if found.networks and not found.accepts_address(
            request.client_address(self.trusted_proxies)
        ):
            raise not_allowed(
                "Your address is not in this service's list of allowed networks (authorized_cidrs)."
            )
        self._limit(request, found.rate_key)
        if not found.permissions.isdisjoint(any_of):
            return found
        if found.permissions.isdisjoint(_KNOWN):
            raise Problem(
                403,
                "User has no valid scopes",
                "Your institution has no permission yet. Ask the operator of this installation.",
            )
        raise _lacks(any_of)

    async def manager(self, request: Request, *any_of: Permission) -> ManageKey:
        """The institution whose manage key was sent. 401, 403 and 429 as for `sender`.

        Without `any_of` no permission is needed.
        """
        key, found = await self._find(request)
        if not isinstance(found, ManageKey):
            raise not_allowed("This is a service's key. Use a manage key of your institution.")
        self._limit(request, key_digest(key).hex())
        if any_of and found.permissions.isdisjoint(any_of):
            raise _lacks(any_of)
        return found

    async def _find(self, request: Request) -> tuple[str, Sender | ManageKey]:
        key = request.header(KEY_HEADER)
        if not key:
            raise GatewayProblem(401, _NO_KEY)
        found = await self.directory.find(key)
        if found is None:
            raise GatewayProblem(401, _BAD_KEY)
        return key, found

    def _limit(self, request: Request, key: str) -> None:
        if seconds := self.limit.charge(request, key):
            raise GatewayProblem(
                429,
                f"Rate limit is exceeded. Try again in {seconds} seconds.",
                [(b"retry-after", b"%d" % seconds)],
            )


def _lacks(any_of: Sequence[Permission]) -> Problem:
    return not_allowed(f"Your institution lacks the permission {' or '.join(any_of)}.")


def not_allowed(detail: str) -> Problem:
    """The contract's usual 403."""
    return Problem(403, "You are not allowed here", detail)
