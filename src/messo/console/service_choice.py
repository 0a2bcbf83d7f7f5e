"""Which service something new is for: one of a few, or one that is found among many."""

from collections.abc import Sequence
from dataclasses import dataclass

from messo.console.visit import Visit
from messo.services.listed import ServiceName, find_name, find_named, names_of

FEW = 50  # services of a list to choose from
_FOUND = 50


@dataclass(frozen=True)
class ServiceChoice:
    """`few`: all of the institution that can be chosen, empty where there are more. `one`: chosen.

    `sought`: what was typed to find one; `found`: what that found.
    """

    few: Sequence[ServiceName]
    one: ServiceName | None
    sought: str
    found: Sequence[ServiceName]
    is_empty: bool

    @property
    def must_find(self) -> bool:
        """Whether one has to be found before there is a form."""
        return not self.few and self.one is None


async def choose(visit: Visit, wanted: str) -> ServiceChoice:
    """`wanted`: the id of the one that was chosen, if one was; another institution's is none."""
    institution = visit.access.institution_id
    names = await names_of(visit.conn, institution, FEW + 1)
    one = await find_name(visit.conn, institution, wanted) if wanted else None
    live = [name for name in names if name.state != "deleted"]
    few = live if len(names) <= FEW else []
    if one is not None and one.state == "deleted":
        one = None
    if not wanted and len(few) == 1:
        one = few[0]
    sought = "" if few else visit.query("find")
    found: Sequence[ServiceName] = []
    if sought:
        named = await find_named(visit.conn, institution, sought, _FOUND)
        found = [name for name in named if name.state != "deleted"]
    return ServiceChoice(few, one, sought, found, not live and len(names) <= FEW)
