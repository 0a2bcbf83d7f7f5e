"""What a browser remembers for who writes: the service used last, and their own fiscal code.

It is in an encrypted cookie that only this login can use; the server keeps none of it.
"""

import msgspec
from starlette.responses import Response

from messo.console.sealed import seal, unseal
from messo.console.visit import Visit

_SECONDS = 12 * 3600
_INSTITUTIONS = 5


class Memory(msgspec.Struct, frozen=True):
    """`services`: the one used last, by institution."""

    fiscal_code: str = ""
    services: dict[str, str] = {}


def recall(visit: Visit) -> Memory:
    """What this browser remembers; nothing if that is another login's."""
    found = unseal(visit.site.secrets, _login(visit), visit.cookie(_name(visit)), Memory)
    return found or Memory()


def last_service(visit: Visit) -> str:
    """The service of this institution that was used last, "" if none was."""
    return recall(visit).services.get(visit.access.institution_id, "")


def remember(
    visit: Visit, response: Response, *, service_id: str = "", fiscal_code: str = ""
) -> Response:
    """Give the browser something to remember, beside what it does."""
    memory = recall(visit)
    institution = visit.access.institution_id
    services = {one: of for one, of in memory.services.items() if one != institution}
    services[institution] = service_id or memory.services.get(institution, "")
    newest = dict(list(services.items())[-_INSTITUTIONS:])
    sealed = seal(
        visit.site.secrets,
        _login(visit),
        Memory(fiscal_code or memory.fiscal_code, newest),
    )
    cookie = visit.site.web.written(_name(visit), sealed, _SECONDS)
    response.headers.append("set-cookie", cookie)
    return response


def _name(visit: Visit) -> str:
    return f"{visit.site.web.session_cookie}-write"


def _login(visit: Visit) -> str:
    """Of this very login: whoever logs in next at a shared computer starts anew."""
    return f"{visit.visitor.login} {visit.visitor.digest.hex()}"
