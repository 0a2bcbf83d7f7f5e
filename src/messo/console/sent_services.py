"""Which services a list is about: all of the institution, or one that was chosen.

Lists take so many services at once and not more; an institution that has more picks one first, by
its id or by words of its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from messo.base.forms import short_text
from messo.base.http import Problem
from messo.console.visit import Visit
from messo.messages.sent import MOST_SERVICES
from messo.services.listed import ServiceName, find_name, find_named, names_of

_MOST_FOUND = 50
_LONGEST = 200  # characters


@dataclass(frozen=True)
class Chosen:
    """`among`: the institution's services, empty where there are more than a list takes (`many`).

    `one`: the chosen one. `sought`: what was typed to find one, None if nothing was; `found`: what
    that found.
    """

    among: Sequence[ServiceName]
    many: bool
    one: ServiceName | None
    sought: str | None
    found: Sequence[ServiceName]

    @property
    def ids(self) -> list[str]:
        """Of those that the list is about; none while one has to be picked."""
        return [self.one.id] if self.one else [service.id for service in self.among]

    @property
    def must_pick(self) -> bool:
        """Whether there is no list before one is picked."""
        return self.many and self.one is None


async def choose(visit: Visit) -> Chosen:
    """By the parameter `service`, or, of a form, by what its field `find` finds.

    `Problem` 404 for a service that the institution does not have.
    """
    institution = visit.access.institution_id
    among = await names_of(visit.conn, institution, MOST_SERVICES + 1)
    many = len(among) > MOST_SERVICES
    one, wanted = None, visit.query("service")
    if wanted:
        one = await find_name(visit.conn, institution, wanted)
        if one is None:
            raise Problem(404, "Not found", "There is no such service.")
    sought, found = None, list[ServiceName]()
    if "find" in visit.form.fields:
        sought = short_text(visit.form.get("find"), _LONGEST)
        found = list(await find_named(visit.conn, institution, sought, _MOST_FOUND))
    return Chosen([] if many else among, many, one, sought, found)
