"""What people may do for their institution, by the role they have there: the one table of it."""

from collections.abc import Mapping
from typing import Literal

from messo.base.http import Problem
from messo.services import Need

Role = Literal["admin", "editor", "sender", "reader"]

# `edit`: services. `send`: write to citizens, and see what was written. `administer`: people, keys
# and whatever else has secrets in it. Who looks after services needs to see no citizen, and who
# writes to citizens need not change services (docs/decisions/0018).
MAY: Mapping[Role, frozenset[Need]] = {
    "admin": frozenset({"read", "edit", "send", "administer"}),
    "editor": frozenset({"read", "edit"}),
    "sender": frozenset({"read", "send"}),
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
