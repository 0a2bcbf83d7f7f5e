"""What people may do for their institution, by the role they have there: the one table of it."""

from collections.abc import Mapping
from typing import Literal

from messo.base.http import Problem
from messo.services import Need

Role = Literal["admin", "editor", "sender", "reader"]

# `edit`: services. `administer`: people, keys and networks. Nobody sends with a login yet, so a
# sender may what a reader may; the role is kept for whoever is to write from the console.
MAY: Mapping[Role, frozenset[Need]] = {
    "admin": frozenset({"read", "edit", "administer"}),
    "editor": frozenset({"read", "edit"}),
    "sender": frozenset({"read"}),
    "reader": frozenset({"read"}),
}


def check_role(role: Role, need: Need) -> None:
    """`Problem` 403 saying which role is needed, if this one may not."""
    if need in MAY[role]:
        return
    able = " or ".join(one for one, needs in MAY.items() if need in needs)
    raise Problem(
        403,
        "You are not allowed here",
        f"This needs the role {able}; yours is {role}. Ask an admin of your institution.",
    )
