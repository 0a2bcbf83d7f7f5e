"""Institutions and people as the API gives and takes them. The OpenAPI document uses these types."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Text, Timestamp, Ulid
from messo.people.roles import Role

FiscalCode = Annotated[
    str, Meta(pattern=r"^[0-9]{11}\Z", description="An organisation's: 11 digits.")
]
Email = Annotated[
    str,
    Meta(min_length=3, max_length=254, description="An e-mail address in plain ASCII."),
]
Named = Annotated[str, Meta(min_length=1, max_length=200, description="On one line.")]
PermissionName = Annotated[
    str, Meta(min_length=1, max_length=100, examples=["ApiMessageWrite", "ApiServiceWrite"])
]


class MembershipView(Struct):
    """What you are, and where."""

    member_id: Ulid
    institution_id: Ulid
    institution_name: Text
    fiscal_code: FiscalCode
    role: Role
    suspended: bool


class Me(Struct):
    """Who is logged in. `login` is what the identity provider calls you."""

    login: Text
    name: str
    email: str
    operator: bool
    memberships: list[MembershipView]


class InstitutionView(Struct):
    """An institution. `role` is yours there; operators may have none."""

    id: Ulid
    fiscal_code: FiscalCode
    name: Text
    email: Text
    permissions: list[str]
    suspended: bool
    created_at: Timestamp
    role: Role | UnsetType = UNSET


class InstitutionPage(Struct):
    """Oldest first. `next` is there if there may be more: send it as `after`."""

    items: list[InstitutionView]
    next: Ulid | UnsetType = UNSET


class NewInstitution(Struct, forbid_unknown_fields=True):
    """An institution that is to use this installation."""

    fiscal_code: FiscalCode
    name: Named
    email: Email


class ManageKeys(Struct):
    """Two equal keys, so that one can be replaced while the other works."""

    primary: Text
    secondary: Text


class CreatedInstitution(InstitutionView, kw_only=True):
    """With its manage keys, which no other answer of these routes holds."""

    manage_keys: ManageKeys


class PermissionSet(Struct, forbid_unknown_fields=True):
    """All that the institution may do: what is not named is taken away."""

    permissions: Annotated[list[PermissionName], Meta(max_length=100)]


class PermissionsSet(Struct):
    """What it may do now, and what is new of it. Not `changed`: it was so already."""

    permissions: list[str]
    added: list[str]
    removed: list[str]
    changed: bool


class Suspension(Struct, forbid_unknown_fields=True):
    """Why, for the audit log: name no person."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Suspended(Struct):
    """Whether it is suspended now. Not `changed`: it was so already."""

    suspended: bool
    changed: bool


class MemberView(Struct):
    """Somebody of the institution. `you`: it is who asks."""

    id: Ulid
    name: str
    email: str
    role: Role
    added_at: Timestamp
    you: bool


class MemberList(Struct):
    """In the order in which they came."""

    items: list[MemberView]


class RoleWanted(Struct, forbid_unknown_fields=True):
    """The role that somebody shall have."""

    role: Role


class RoleSet(Struct):
    """The role they have now. Not `changed`: they had it already."""

    id: Ulid
    role: Role
    changed: bool


class NewInvitation(Struct, forbid_unknown_fields=True):
    """Who shall be invited, and as what."""

    email: Email
    role: Role


class InvitationView(Struct):
    """An open invitation."""

    id: Ulid
    email: Email
    role: Role
    expires_at: Timestamp


class InvitationList(Struct):
    """Those that can still be accepted, oldest first."""

    items: list[InvitationView]


class CreatedInvitation(InvitationView, kw_only=True):
    """`sent`: a mail with the link is on its way.

    `link` is there only where the installation has no mail server: hand it over yourself. Whoever
    has it becomes a member.
    """

    sent: bool
    link: Text | UnsetType = UNSET


class Acceptance(Struct, forbid_unknown_fields=True):
    """The token of the link in the mail."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
