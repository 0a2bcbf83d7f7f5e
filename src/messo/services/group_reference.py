"""What the reference says of the routes to groups and manage keys, beside where they are."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from messo.base.http import Answer, Parameter, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import GatewayError, ProblemDocument, Ulid
from messo.services import group_wire as wire

Function = Callable[[Request], Awaitable[Answer]]
GROUPS = "/messo/v1/groups"
_GROUP = GROUPS + "/{group_id}"
_MANAGE_KEY = "/messo/v1/manage-key"


class Functions(Protocol):
    """What answers each of them."""

    @property
    def create(self) -> Function: ...
    @property
    def list_all(self) -> Function: ...
    @property
    def read(self) -> Function: ...
    @property
    def change(self) -> Function: ...
    @property
    def delete(self) -> Function: ...
    @property
    def move(self) -> Function: ...
    @property
    def read_keys(self) -> Function: ...
    @property
    def replace_key(self) -> Function: ...
    @property
    def read_networks(self) -> Function: ...
    @property
    def put_networks(self) -> Function: ...
    @property
    def read_master_keys(self) -> Function: ...
    @property
    def replace_master_key(self) -> Function: ...


_Answers = dict[int, tuple[Any, str]]
_REFUSALS: _Answers = {
    401: (GatewayError, "No key, or one that is not valid."),
    403: (ProblemDocument, "Not the institution's own manage key, nor an administrator."),
    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
}
_OF_ONE: _Answers = {
    400: (ProblemDocument, "A parameter is not valid; `field` names it."),
    404: (ProblemDocument, "Your institution has no such group."),
    **_REFUSALS,
}
_WITH_BODY: _Answers = {
    400: (ProblemDocument, "The body does not follow the rules; `field` names the place."),
    **OF_BODY,
}
_ID = Parameter("group_id", "path", "The group's id.", type=Ulid)
_SLOT = Parameter(
    "key_type", "path", "`primary` or `secondary`.", type=Literal["primary", "secondary"]
)


def described(functions: Functions) -> list[Route]:
    """All of them, as served and as documented."""
    return [*_set(functions), *_one(functions), *_group_keys(functions), *_master(functions)]


def _set(functions: Functions) -> list[Route]:
    return [
        Route(
            "POST",
            GROUPS,
            "createGroup",
            functions.create,
            "Make a group of services",
            "With two manage keys of its own, which are good for the services in it and no others. "
            "It is empty at first. If the answer got lost, ask again: the name is taken then, and "
            "the group is in the list.",
            wire.NewGroup,
            {
                201: (wire.Group, "Made. Location names it."),
                409: (ProblemDocument, "The name is taken, or there are a hundred groups."),
                **_WITH_BODY,
                **_REFUSALS,
            },
        ),
        Route(
            "GET",
            GROUPS,
            "listGroups",
            functions.list_all,
            "All groups of the institution",
            answers={200: (wire.GroupList, "All of them, by name."), **_REFUSALS},
        ),
        Route(
            "PUT",
            "/messo/v1/services/{service_id}/group",
            "putServiceIntoGroup",
            functions.move,
            "Put a service into a group, or out of it",
            "In force at once: the keys of the group that it was in are no longer good for it. The "
            "keys of the service itself stay as they are; replace them if they are known to those "
            "who should no longer use them.",
            wire.GroupOfService,
            {
                204: (None, "It is there."),
                404: (ProblemDocument, "Your institution has no such service, or no such group."),
                **_WITH_BODY,
                **_REFUSALS,
            },
            (Parameter("service_id", "path", "The service's id."),),
        ),
    ]


def _one(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _GROUP,
            "getGroup",
            functions.read,
            "One group",
            answers={200: (wire.Group, "With the number of its services."), **_OF_ONE},
            parameters=(_ID,),
        ),
        Route(
            "PUT",
            _GROUP,
            "changeGroup",
            functions.change,
            "Rename a group, or say where its keys are taken from",
            "All of it: networks that are left out are gone. In force within a second.",
            wire.GroupSettings,
            {
                200: (wire.Group, "As it is now."),
                409: (ProblemDocument, "Another group has this name."),
                **_OF_ONE,
                **_WITH_BODY,
            },
            (_ID,),
        ),
        Route(
            "DELETE",
            _GROUP,
            "deleteGroup",
            functions.delete,
            "Delete an empty group",
            "Its keys die within a second.",
            answers={
                204: (None, "It is gone."),
                409: (ProblemDocument, "There are services in it."),
                **_OF_ONE,
            },
            parameters=(_ID,),
        ),
    ]


def _group_keys(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _GROUP + "/keys",
            "getGroupKeys",
            functions.read_keys,
            "The manage keys of a group",
            answers={200: (wire.ManageKeys, "Both."), **_OF_ONE},
            parameters=(_ID,),
        ),
        Route(
            "PUT",
            _GROUP + "/keys/{key_type}",
            "replaceGroupKey",
            functions.replace_key,
            "Replace a manage key of a group",
            "The old one dies within a second; the other one is good as before.",
            answers={200: (wire.ManageKeys, "Both, as they are now."), **_OF_ONE},
            parameters=(_ID, _SLOT),
        ),
    ]


def _master(functions: Functions) -> list[Route]:
    without = {**_REFUSALS, 404: (ProblemDocument, "The institution has no manage keys yet.")}
    return [
        Route(
            "GET",
            _MANAGE_KEY,
            "getManageNetworks",
            functions.read_networks,
            "Where the master manage keys are taken from",
            answers={200: (wire.ManageNetworks, "The list."), **_REFUSALS},
        ),
        Route(
            "PUT",
            _MANAGE_KEY,
            "putManageNetworks",
            functions.put_networks,
            "Say where the master manage keys are taken from",
            "The whole list, in force within a second. Groups have lists of their own. A list "
            "without the address that a key asks from is refused.",
            wire.ManageNetworks,
            {
                200: (wire.ManageNetworks, "As it is now."),
                409: (ProblemDocument, "It would shut out the key that asks; `detail` says why."),
                **_WITH_BODY,
                **_REFUSALS,
            },
        ),
        Route(
            "GET",
            _MANAGE_KEY + "/keys",
            "getManageKeys",
            functions.read_master_keys,
            "The master manage keys",
            answers={200: (wire.ManageKeys, "Both."), **without},
        ),
        Route(
            "PUT",
            _MANAGE_KEY + "/keys/{key_type}",
            "replaceManageKey",
            functions.replace_master_key,
            "Replace one of the master manage keys",
            "The old one dies within a second, also if it is the one you ask with: go on with the "
            "other one, or with the new one in the answer.",
            answers={
                200: (wire.ManageKeys, "Both, as they are now."),
                400: (ProblemDocument, "`key_type` is neither primary nor secondary."),
                **without,
            },
            parameters=(_SLOT,),
        ),
    ]
