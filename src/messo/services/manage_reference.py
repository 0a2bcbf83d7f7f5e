"""What the reference says of the routes to services, beside where they are."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from messo.base.http import Answer, Parameter, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import ETag, GatewayError, IdempotencyKey, ProblemDocument
from messo.services import manage_wire as wire

Function = Callable[[Request], Awaitable[Answer]]
PATH = "/api/v1/manage/services"
_ONE = PATH + "/{service_id}"
_REVIEW = "/messo/v1/services/{service_id}/review"


class Functions(Protocol):
    """What answers each of them."""

    @property
    def topics(self) -> Function: ...
    @property
    def create(self) -> Function: ...
    @property
    def list_all(self) -> Function: ...
    @property
    def read(self) -> Function: ...
    @property
    def edit(self) -> Function: ...
    @property
    def delete(self) -> Function: ...
    @property
    def history(self) -> Function: ...
    @property
    def read_keys(self) -> Function: ...
    @property
    def replace_key(self) -> Function: ...
    @property
    def submit(self) -> Function: ...
    @property
    def withdraw(self) -> Function: ...
    @property
    def read_release(self) -> Function: ...
    @property
    def release(self) -> Function: ...
    @property
    def unpublish(self) -> Function: ...


_Answers = dict[int, tuple[Any, str]]
_NOT_ALLOWED = (
    "No manage key, one of another group, one not taken from this address, or an institution "
    "without the permission ApiServiceWrite."
)
_BASE: _Answers = {
    401: (GatewayError, "No key, or one that is not valid."),
    403: (ProblemDocument, _NOT_ALLOWED),
    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
}
_REFUSALS: _Answers = {
    **_BASE,
    400: (ProblemDocument, "Something is not valid; `field` names it."),
    404: (ProblemDocument, "Your institution has no such service, or it has not what you ask for."),
}
_CHANGES: _Answers = {
    409: (ProblemDocument, "It is in a state that does not allow this."),
    412: (ProblemDocument, "It was changed since you read it (If-Match)."),
}
_SERVICE = Parameter("service_id", "path", "The service's id.")
_IF_MATCH = Parameter(
    "If-Match",
    "header",
    "The ETag of the version that you have seen, so that you overwrite nobody's work.",
    type=ETag,
)
_LIMIT = "1 to 100; {} when it is not given."


def described(functions: Functions) -> list[Route]:
    """All of them, as served and as documented."""
    return [
        *_lists(functions),
        *_one(functions),
        *_keys(functions),
        *_reviews(functions),
        *_releases(functions),
    ]


def _lists(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            PATH + "/topics",
            "getServiceTopics",
            functions.topics,
            "What services can be about",
            "With any key, of a service too.",
            answers={200: (wire.Topics, "All of them."), **_BASE},
        ),
        Route(
            "POST",
            PATH,
            "cmsCreateService",
            functions.create,
            "Make a service",
            "A draft, which sends to its authorized recipients alone until it is approved. Its "
            "keys are there at once. With a key of a group it is in that group. The name and the "
            "fiscal code of the institution are the ones we have of it, whatever is given.",
            wire.ServicePayload,
            {
                201: (wire.ServiceLifecycle, "Made."),
                422: (ProblemDocument, "The Idempotency-Key was used for another service."),
                **{code: said for code, said in _REFUSALS.items() if code != 404},  # noqa: PLR2004
                **OF_BODY,
            },
            (
                Parameter(
                    "Idempotency-Key",
                    "header",
                    "Anything of your own. Asked again with it, the same service is answered.",
                    type=IdempotencyKey,
                ),
            ),
        ),
        Route(
            "GET",
            PATH,
            "cmsGetServices",
            functions.list_all,
            "Services of the institution, or of the group",
            "The oldest first, deleted ones too, so that pages stay as they are.",
            answers={
                200: (wire.ServiceList, "A page; maybe an empty one."),
                **_BASE,
                400: _REFUSALS[400],
            },
            parameters=(
                Parameter("limit", "query", _LIMIT.format(20), type=int),
                Parameter("offset", "query", "How many to pass over.", type=int),
            ),
        ),
    ]


def _one(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _ONE,
            "cmsGetService",
            functions.read,
            "The version of a service that is worked at",
            answers={200: (wire.ServiceLifecycle, "Also of a deleted one."), **_REFUSALS},
            parameters=(_SERVICE,),
        ),
        Route(
            "PUT",
            _ONE,
            "cmsUpdateService",
            functions.edit,
            "Change a service",
            "It becomes a draft. What messages and citizens see changes only once it is approved "
            "and released; a service that was never approved changes at once.",
            wire.ServicePayload,
            {200: (wire.ServiceLifecycle, "Changed."), **_REFUSALS, **_CHANGES, **OF_BODY},
            (_SERVICE, _IF_MATCH),
        ),
        Route(
            "DELETE",
            _ONE,
            "cmsDeleteService",
            functions.delete,
            "Delete a service for good",
            "Its keys die within a second. What it has sent stays where it is.",
            answers={204: (None, "It is gone."), **_REFUSALS, **_CHANGES},
            parameters=(_SERVICE, _IF_MATCH),
        ),
        Route(
            "GET",
            _ONE + "/history",
            "cmsGetServiceHistory",
            functions.history,
            "What became of a service",
            answers={200: (wire.History, "A page."), **_REFUSALS},
            parameters=(
                _SERVICE,
                Parameter("order", "query", "`ASC` or `DESC`; the newest first without it."),
                Parameter("limit", "query", _LIMIT.format(10), type=int),
                Parameter("continuationToken", "query", "Of the page before."),
            ),
        ),
    ]


def _keys(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _ONE + "/keys",
            "cmsGetServiceKeys",
            functions.read_keys,
            "The keys that a service sends with",
            answers={200: (wire.KeyPair, "Both are equally good."), **_REFUSALS},
            parameters=(_SERVICE,),
        ),
        Route(
            "PUT",
            _ONE + "/keys/{key_type}",
            "cmsRegenerateServiceKey",
            functions.replace_key,
            "Replace one of the keys",
            "The old one dies within a second.",
            answers={200: (wire.KeyPair, "Both, as they are now."), **_REFUSALS},
            parameters=(
                _SERVICE,
                Parameter("key_type", "path", "Which of them.", type=wire.KeyType),
            ),
        ),
    ]


def _reviews(functions: Functions) -> list[Route]:
    return [
        Route(
            "PUT",
            _ONE + "/review",
            "cmsReviewService",
            functions.submit,
            "Ask for the review of a draft",
            "What it lacks is found at once: then it is rejected, and `reason` says all of it. "
            "Changes that leave name, description and scope as they are approved at once. All "
            "else waits for the operator of this installation.",
            wire.ReviewRequest,
            {204: (None, "Asked for, and maybe decided."), **_REFUSALS, **_CHANGES, **OF_BODY},
            (_SERVICE, _IF_MATCH),
        ),
        Route(
            "DELETE",
            _REVIEW,
            "withdrawReview",
            functions.withdraw,
            "Take a draft back from its review",
            answers={204: (None, "It is a draft again."), **_REFUSALS, **_CHANGES},
            parameters=(_SERVICE, _IF_MATCH),
        ),
    ]


def _releases(functions: Functions) -> list[Route]:
    path = _ONE + "/release"
    return [
        Route(
            "GET",
            path,
            "cmsGetPublishedService",
            functions.read_release,
            "The version of a service that messages and citizens see",
            answers={200: (wire.ServicePublication, "Published or not."), **_REFUSALS},
            parameters=(_SERVICE,),
        ),
        Route(
            "POST",
            path,
            "cmsReleaseService",
            functions.release,
            "Let citizens find the approved version",
            "Asking again changes nothing.",
            answers={204: (None, "It is released."), **_REFUSALS, **_CHANGES},
            parameters=(_SERVICE, _IF_MATCH),
        ),
        Route(
            "DELETE",
            path,
            "cmsUnpublishService",
            functions.unpublish,
            "Take a service out of the catalogue",
            "It goes on sending. Asking again changes nothing.",
            answers={204: (None, "It is no longer listed."), **_REFUSALS, **_CHANGES},
            parameters=(_SERVICE, _IF_MATCH),
        ),
    ]
