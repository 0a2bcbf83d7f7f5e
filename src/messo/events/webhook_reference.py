"""What the reference says of the routes to webhooks, beside where they are."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from msgspec import Meta

from messo.base.http import Answer, Parameter, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import GatewayError, IdempotencyKey, ProblemDocument, Ulid
from messo.events import wire

Function = Callable[[Request], Awaitable[Answer]]
_PATH = "/messo/v1/webhooks"
_ONE = _PATH + "/{id}"


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
    def replace_secret(self) -> Function: ...
    @property
    def drop_old_secrets(self) -> Function: ...
    @property
    def dead_letters(self) -> Function: ...
    @property
    def replay(self) -> Function: ...
    @property
    def test(self) -> Function: ...


_Answers = dict[int, tuple[Any, str]]
_REFUSALS: _Answers = {
    401: (GatewayError, "No key, or one that is not valid."),
    403: (ProblemDocument, "No manage key, or one of a group that the service is not in."),
    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
}
_BAD: _Answers = {400: (ProblemDocument, "A parameter is not valid; `field` names it.")}
_OF_ONE: _Answers = {
    **_BAD,
    404: (ProblemDocument, "Your institution has no such webhook."),
    **_REFUSALS,
}
_WITH_BODY: _Answers = {
    400: (ProblemDocument, "The body does not follow the rules; `field` names the place."),
    **OF_BODY,
}
_ID = Parameter("id", "path", "The webhook's id.", type=Ulid)
_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "1 to 255 visible ASCII characters. The same key with the same body gets the webhook that was "
    "made the first time, as long as it exists; with another body, 422. The secret is answered again "
    "for 24 hours, unless it was replaced.",
    type=IdempotencyKey,
)
_LIMIT = Annotated[int, Meta(ge=1, le=1000)]


def described(functions: Functions) -> list[Route]:
    """All of them, as served and as documented."""
    return [*_set(functions), *_one(functions), *_secrets(functions), *_deliveries(functions)]


def _set(functions: Functions) -> list[Route]:
    return [
        Route(
            "POST",
            _PATH,
            "createWebhook",
            functions.create,
            "Be told of the events of a service",
            "Events from now on are posted to the address, signed after Standard Webhooks. The "
            "secret is in this answer only. Ask with a manage key.",
            wire.NewWebhook,
            {
                201: (wire.Webhook, "Made. Location names it."),
                404: (ProblemDocument, "Your institution has no such service."),
                409: (ProblemDocument, "The service has as many as it may."),
                422: (ProblemDocument, "The Idempotency-Key was used for another webhook."),
                **_WITH_BODY,
                **_REFUSALS,
            },
            (_KEY,),
        ),
        Route(
            "GET",
            _PATH,
            "listWebhooks",
            functions.list_all,
            "All webhooks of the institution",
            "With the manage key of a group: those of the services in it.",
            answers={200: (wire.WebhookList, "All of them, oldest first."), **_BAD, **_REFUSALS},
            parameters=(Parameter("service_id", "query", "Only those of this service."),),
        ),
    ]


def _one(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _ONE,
            "getWebhook",
            functions.read,
            "One webhook and how deliveries go",
            answers={200: (wire.Webhook, "With `health`."), **_OF_ONE},
            parameters=(_ID,),
        ),
        Route(
            "PATCH",
            _ONE,
            "changeWebhook",
            functions.change,
            "Change a webhook",
            "What is not named stays. Switched off, it keeps its place, and goes on from there when "
            "it is switched on within 30 days. Switching on, or another address, ends a pause.",
            wire.WebhookChange,
            {200: (wire.Webhook, "As it is now."), **_OF_ONE, **_WITH_BODY},
            (_ID,),
        ),
        Route(
            "DELETE",
            _ONE,
            "deleteWebhook",
            functions.delete,
            "Delete a webhook",
            answers={204: (None, "It is gone, and so are its dead letters."), **_OF_ONE},
            parameters=(_ID,),
        ),
        Route(
            "POST",
            _ONE + "/test",
            "testWebhook",
            functions.test,
            "Send a test event now",
            "An event of the type `test`, signed like the others; what the address says is in the "
            "answer. It is sent once, also to a webhook that is off.",
            answers={200: (wire.Tested, "What came of it."), **_OF_ONE},
            parameters=(_ID,),
        ),
    ]


def _secrets(functions: Functions) -> list[Route]:
    return [
        Route(
            "POST",
            _ONE + "/secret",
            "replaceWebhookSecret",
            functions.replace_secret,
            "Replace the signing secret",
            "Every event is signed with both for 24 hours, or until the old one is dropped.",
            answers={
                200: (wire.Webhook, "With the new `secret`."),
                409: (ProblemDocument, "Too many sign already: drop the old ones first."),
                **_OF_ONE,
            },
            parameters=(_ID,),
        ),
        Route(
            "DELETE",
            _ONE + "/secret",
            "dropOldWebhookSecret",
            functions.drop_old_secrets,
            "Drop the old signing secret",
            "Only the newest signs from now on.",
            answers={204: (None, "Dropped, or there was none."), **_OF_ONE},
            parameters=(_ID,),
        ),
    ]


def _deliveries(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            _ONE + "/dead-letters",
            "listDeadLetters",
            functions.dead_letters,
            "Events that were given up",
            "What was refused for 3 days; kept for 30. Replay them once the address is well again. A "
            "page may be empty although there is a next one.",
            answers={200: (wire.DeadLetters, "A page."), **_OF_ONE},
            parameters=(
                _ID,
                Parameter("after", "query", "The `next` of the page before.", type=wire.Cursor),
                Parameter("limit", "query", "Entries of one page; 100 if not given.", type=_LIMIT),
            ),
        ),
        Route(
            "POST",
            _ONE + "/replay",
            "replayEvents",
            functions.replay,
            "Send events again",
            "One event, or those published from one moment to another within the last 30 days, at "
            "most 10,000 at a time. They carry the ids they had.",
            wire.Replay,
            {
                200: (wire.Replayed, "They are sent from now on."),
                **_OF_ONE,
                404: (ProblemDocument, "There is no such webhook, or no such event."),
                **_WITH_BODY,
            },
            (_ID,),
        ),
    ]
