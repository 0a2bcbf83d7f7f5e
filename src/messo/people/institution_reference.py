"""What the reference says of the routes to institutions, beside where they are."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from msgspec import Meta

from messo.base.http import Answer, Parameter, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import ProblemDocument, Ulid
from messo.people import people_wire as wire

Function = Callable[[Request], Awaitable[Answer]]
Answers = dict[int, tuple[Any, str]]
PATH = "/messo/v1/institutions"
ONE = PATH + "/{institution_id}"
_SERVICE = "/messo/v1/services/{service_id}/suspension"


class Functions(Protocol):
    """What answers each of them."""

    @property
    def list_all(self) -> Function: ...
    @property
    def create(self) -> Function: ...
    @property
    def read(self) -> Function: ...
    @property
    def put_permissions(self) -> Function: ...
    @property
    def suspend_institution(self) -> Function: ...
    @property
    def restore_institution(self) -> Function: ...
    @property
    def suspend_service(self) -> Function: ...
    @property
    def restore_service(self) -> Function: ...


REFUSALS: Answers = {
    401: (ProblemDocument, "Nobody is logged in."),
    403: (ProblemDocument, "You may not: `detail` says which role may. Or another site asked."),
    404: (ProblemDocument, "There is no such thing, or you are not of its institution."),
    429: (ProblemDocument, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
}
WITH_BODY: Answers = {
    400: (ProblemDocument, "The body does not follow the rules; `field` names the place."),
    **OF_BODY,
}
NOBODY_ELSES: Answers = {status: REFUSALS[status] for status in (401, 429, 503)}
INSTITUTION = Parameter("institution_id", "path", "The institution's id.", type=Ulid)
_OF_OPERATORS = "For operators."
_OPERATORS: Answers = {
    **REFUSALS,
    403: (ProblemDocument, "You are no operator, or another site asked."),
    404: (ProblemDocument, "There is no such thing."),
}
_SERVICE_ID = Parameter("service_id", "path", "The service's id.", type=Ulid)
_PAGE = (
    Parameter(
        "search",
        "query",
        "A part of the name, or the first digits of the fiscal code.",
        type=Annotated[str, Meta(max_length=200)],
    ),
    Parameter(
        "limit", "query", "At most so many; usually 50.", type=Annotated[int, Meta(ge=1, le=100)]
    ),
    Parameter("after", "query", "What `next` of the page before says.", type=Ulid),
)


def described(functions: Functions) -> list[Route]:
    """All of them, as served and as documented."""
    return [*_institutions(functions), *_suspensions(functions)]


def _institutions(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            PATH,
            "listInstitutions",
            functions.list_all,
            "Your institutions",
            "Operators see all of them.",
            answers={
                200: (wire.InstitutionPage, "A page of them."),
                400: (ProblemDocument, "A parameter is not valid; `field` names it."),
                **NOBODY_ELSES,
            },
            parameters=_PAGE,
        ),
        Route(
            "POST",
            PATH,
            "createInstitution",
            functions.create,
            "Take an institution in",
            f"{_OF_OPERATORS} It starts with the usual permissions and with manage keys; invite "
            "its first admin next.",
            wire.NewInstitution,
            {
                201: (wire.CreatedInstitution, "It is there. Location names it."),
                409: (ProblemDocument, "There is one with this fiscal code."),
                **{status: _OPERATORS[status] for status in (401, 403, 429, 503)},
                **WITH_BODY,
            },
        ),
        Route(
            "GET",
            ONE,
            "getInstitution",
            functions.read,
            "An institution",
            answers={200: (wire.InstitutionView, "As it is now."), **REFUSALS},
            parameters=(INSTITUTION,),
        ),
        Route(
            "PUT",
            ONE + "/permissions",
            "putPermissions",
            functions.put_permissions,
            "Say all that an institution may do",
            f"{_OF_OPERATORS} In force within a second, for all its keys.",
            wire.PermissionSet,
            {200: (wire.PermissionsSet, "In force."), **_OPERATORS, **WITH_BODY},
            (INSTITUTION,),
        ),
    ]


def _suspensions(functions: Functions) -> list[Route]:
    kinds = (
        (
            "institution",
            ONE + "/suspension",
            INSTITUTION,
            "Its people may look and change nothing.",
            functions.suspend_institution,
            functions.restore_institution,
        ),
        (
            "service",
            _SERVICE,
            _SERVICE_ID,
            "What it has sent stays.",
            functions.suspend_service,
            functions.restore_service,
        ),
    )
    return [
        route
        for kind, path, parameter, about, suspend, restore in kinds
        for route in (
            Route(
                "PUT",
                path,
                f"suspend{kind.capitalize()}",
                suspend,
                f"Refuse all keys of this {kind}",
                f"{_OF_OPERATORS} In force within a second. {about}",
                wire.Suspension,
                {200: (wire.Suspended, "Suspended."), **_OPERATORS, **WITH_BODY},
                (parameter,),
            ),
            Route(
                "DELETE",
                path,
                f"restore{kind.capitalize()}",
                restore,
                f"Take the keys of this {kind} again",
                f"{_OF_OPERATORS} In force within a second.",
                answers={200: (wire.Suspended, "Not suspended."), **_OPERATORS},
                parameters=(parameter,),
            ),
        )
    ]
