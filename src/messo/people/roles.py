"""What people may do for their institution, by the role they have there: the one table of it."""

from collections.abc import Mapping
from typing import Literal

from messo.base.http import Problem

Role = Literal["admin", "editor", "sender", "reader"]
# `edit`: services. `send`: messages. `administer`: people, keys and networks.
Need = Literal["read", "send", "edit", "administer"]

MAY: Mapping[Role, frozenset[Need]] = {
    "admin": frozenset({"read", "send", "edit", "administer"}),
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
