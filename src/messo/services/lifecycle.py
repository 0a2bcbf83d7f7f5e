"""The two state machines of a service: its working version, and its publication. One table each.

Whoever moves a service holds the row of its working version, so that of two at once the second sees
what the first has made of it.
"""

from collections.abc import Mapping
from typing import Literal

from messo.base.http import Problem

Status = Literal["draft", "submitted", "approved", "rejected", "deleted"]
Action = Literal["edit", "submit", "withdraw", "approve", "reject", "delete"]
Publication = Literal["unpublished", "published"]

LIFECYCLE: Mapping[Action, Mapping[Status, Status]] = {
    "edit": {"draft": "draft", "approved": "draft", "rejected": "draft"},
    "submit": {"draft": "submitted"},
    "withdraw": {"submitted": "draft"},
    "approve": {"submitted": "approved"},
    "reject": {"submitted": "rejected"},
    "delete": {"draft": "deleted", "approved": "deleted", "rejected": "deleted"},
}

# What the state of the live version says of the publication; without one there is nothing to move.
PUBLICATION: Mapping[str, Publication] = {"approved": "unpublished", "published": "published"}


def after(action: Action, status: Status) -> Status:
    """What becomes of a working version. `Problem` 409 where the action is not allowed."""
    moved = LIFECYCLE[action].get(status)
    if moved is None:
        raise Problem(409, "Conflict", f"No transition matched: {_WAYS_OUT[status]}.")
    return moved


# What a service that does not allow something is, and what it does allow.
_WAYS_OUT: Mapping[Status, str] = {
    "draft": "it is a draft, which is not in review",
    "submitted": "it is in review; to change it, first take it back with DELETE "
    "/messo/v1/services/{id}/review",
    "approved": "it is approved; edit it before you ask for another review",
    "rejected": "it is rejected; edit it before you ask for another review",
    "deleted": "it is deleted, and stays so",
}


def approved_state(
    state: str, *, auto_publish: bool
) -> tuple[Literal["published", "approved"], bool]:
    """The live version's state once a working version is approved, and whether that one waits.

    A version that is published stays as it is until the approved one is released.
    """
    if auto_publish:
        return "published", False
    return ("published", True) if state == "published" else ("approved", False)
