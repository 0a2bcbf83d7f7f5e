"""Groups, their keys and lists of networks, as institutions give and get them."""

from typing import Annotated

from msgspec import Meta, Struct

from messo.base.wire import Timestamp, Ulid
from messo.services.cidrs import MOST, PATTERN
from messo.services.groups import LONGEST_NAME

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_NAME,
        description="On one line; unique within the institution, whatever the case.",
        examples=["Anagrafe e stato civile"],
    ),
]
# Checked by cidrs.py, which says more than a pattern can.
Cidr = Annotated[
    str,
    Meta(
        description="An IPv4 address, or a network as address/bits.",
        extra_json_schema={"pattern": PATTERN.replace(r"\Z", "$")},
    ),
]
Cidrs = Annotated[
    list[Cidr],
    Meta(
        max_length=MOST,
        description="Where the keys are taken from. An empty list: from anywhere.",
        examples=[["192.0.2.0/24", "198.51.100.7"]],
    ),
]


class NewGroup(Struct, forbid_unknown_fields=True):
    """A group to make. Without a list of networks its keys are taken from anywhere."""

    name: Name
    authorized_cidrs: Cidrs = []


class GroupSettings(Struct, forbid_unknown_fields=True):
    """All that can be changed of a group."""

    name: Name
    authorized_cidrs: Cidrs


class Group(Struct):
    """A group. `services`: how many are in it."""

    id: Ulid
    name: Name
    authorized_cidrs: Cidrs
    services: int
    created_at: Timestamp


class GroupList(Struct):
    """All groups of an institution, by name."""

    groups: list[Group]


class GroupOfService(Struct, forbid_unknown_fields=True):
    """The group that a service is to be in; null: in none."""

    group_id: Ulid | None


class ManageKeys(Struct):
    """Both manage keys, equal in all they may do."""

    primary_key: str
    secondary_key: str


class ManageNetworks(Struct, forbid_unknown_fields=True):
    """Where the institution's own manage keys are taken from."""

    authorized_cidrs: Cidrs
