"""What the reference says of the routes to people and invitations, beside where they are."""

from typing import Protocol

from messo.base.http import Parameter, Route
from messo.base.wire import ProblemDocument, Ulid
from messo.people import people_wire as wire
from messo.people.institution_reference import (
    INSTITUTION,
    NOBODY_ELSES,
    ONE,
    REFUSALS,
    WITH_BODY,
    Answers,
    Function,
)

_PEOPLE = ONE + "/people"
_MEMBER = _PEOPLE + "/{member_id}"
_INVITATIONS = ONE + "/invitations"
_MEMBER_ID = Parameter("member_id", "path", "Their id, as the list says it.", type=Ulid)
_INVITATION_ID = Parameter("invitation_id", "path", "The invitation's id.", type=Ulid)
_LAST_ADMIN: Answers = {409: (ProblemDocument, "It is the only admin that the institution has.")}


class Functions(Protocol):
    """What answers each of them."""

    @property
    def me(self) -> Function: ...
    @property
    def list_people(self) -> Function: ...
    @property
    def put_person(self) -> Function: ...
    @property
    def delete_person(self) -> Function: ...
    @property
    def list_invitations(self) -> Function: ...
    @property
    def invite(self) -> Function: ...
    @property
    def withdraw(self) -> Function: ...
    @property
    def accept(self) -> Function: ...


def described(functions: Functions) -> list[Route]:
    """All of them, as served and as documented."""
    return [*_people(functions), *_invitations(functions)]


def _people(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            "/messo/v1/me",
            "getMe",
            functions.me,
            "Who is logged in, and where they may do what",
            answers={200: (wire.Me, "You."), **NOBODY_ELSES},
        ),
        Route(
            "GET",
            _PEOPLE,
            "listPeople",
            functions.list_people,
            "Who is of an institution",
            "For everybody of it, and for operators.",
            answers={200: (wire.MemberList, "All of them."), **REFUSALS},
            parameters=(INSTITUTION,),
        ),
        Route(
            "PUT",
            _MEMBER,
            "putPerson",
            functions.put_person,
            "Give somebody another role",
            "For admins and operators. It holds for their next request.",
            wire.RoleWanted,
            {
                200: (wire.RoleSet, "The role they have now."),
                **_LAST_ADMIN,
                **REFUSALS,
                **WITH_BODY,
            },
            (INSTITUTION, _MEMBER_ID),
        ),
        Route(
            "DELETE",
            _MEMBER,
            "removePerson",
            functions.delete_person,
            "Take somebody off, or leave",
            "For admins and operators, and for everybody about themselves. The invitations that they "
            "made end.",
            answers={
                204: (None, "Their next request is refused."),
                **_LAST_ADMIN,
                **REFUSALS,
            },
            parameters=(INSTITUTION, _MEMBER_ID),
        ),
    ]


def _invitations(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _INVITATIONS,
            "listInvitations",
            functions.list_invitations,
            "The open invitations of an institution",
            "For admins and operators.",
            answers={200: (wire.InvitationList, "All of them."), **REFUSALS},
            parameters=(INSTITUTION,),
        ),
        Route(
            "POST",
            _INVITATIONS,
            "invite",
            functions.invite,
            "Invite somebody by e-mail",
            "For admins and operators. The link is good once, for 7 days. An older invitation to "
            "the same address ends.",
            wire.NewInvitation,
            {
                201: (wire.CreatedInvitation, "Invited. Location names the invitation."),
                409: (ProblemDocument, "50 are open, or were made within the last hour."),
                **REFUSALS,
                **WITH_BODY,
            },
            (INSTITUTION,),
        ),
        Route(
            "DELETE",
            _INVITATIONS + "/{invitation_id}",
            "withdrawInvitation",
            functions.withdraw,
            "Withdraw an invitation",
            "For admins and operators.",
            answers={204: (None, "Its link is worth nothing any more."), **REFUSALS},
            parameters=(INSTITUTION, _INVITATION_ID),
        ),
        Route(
            "POST",
            "/messo/v1/invitations/acceptance",
            "acceptInvitation",
            functions.accept,
            "Accept an invitation",
            "Whoever is logged in becomes a member, whatever address they log in with. Who is one "
            "already gets the role of the invitation instead of the one they had.",
            wire.Acceptance,
            {
                200: (wire.MembershipView, "What you are now."),
                409: (ProblemDocument, "The institution is suspended, or you are its only admin."),
                **REFUSALS,
                **WITH_BODY,
                404: (ProblemDocument, "The token is unknown, expired, withdrawn or used."),
            },
        ),
    ]
