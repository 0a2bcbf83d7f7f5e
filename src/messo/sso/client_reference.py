"""What the reference says of the routes to relying parties, beside where they are."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from messo.base.http import Answer, Parameter, Request, Route
from messo.base.refusals import OF_BODY
from messo.base.wire import GatewayError, ProblemDocument, Ulid
from messo.sso import client_wire as wire
from messo.sso.clients import Environment

Function = Callable[[Request], Awaitable[Answer]]
PATH = "/messo/v1/services/{id}/sso"
_ONE = PATH + "/{environment}"


class Functions(Protocol):
    """What answers each of them."""

    @property
    def list_all(self) -> Function: ...
    @property
    def read(self) -> Function: ...
    @property
    def put(self) -> Function: ...
    @property
    def delete(self) -> Function: ...
    @property
    def replace_secret(self) -> Function: ...
    @property
    def drop_old_secret(self) -> Function: ...


_Answers = dict[int, tuple[Any, str]]
_REFUSALS: _Answers = {
    400: (ProblemDocument, "A parameter is not valid; `field` names it."),
    401: (GatewayError, "No key, or one that is not valid."),
    403: (ProblemDocument, "No manage key, or one of a group that the service is not in."),
    404: (ProblemDocument, "Your institution has no such service, or it has no such client."),
    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
}
_WITH_BODY: _Answers = {
    400: (ProblemDocument, "The body does not follow the rules; `field` names the place."),
    **OF_BODY,
}
_SERVICE = Parameter("id", "path", "The service's id.", type=Ulid)
_ENVIRONMENT = Parameter(
    "environment",
    "path",
    "`live` or `test`. The client for tests signs on only the service's authorized recipients.",
    type=Environment,
)
_OF_ONE = (_SERVICE, _ENVIRONMENT)


def described(functions: Functions) -> list[Route]:
    """All of them, as served and as documented."""
    return [*_clients(functions), *_secrets(functions)]


def _clients(functions: Functions) -> list[Route]:
    return [
        Route(
            "GET",
            PATH,
            "listSsoClients",
            functions.list_all,
            "The sites of a service that citizens are signed on to",
            "Ask with a manage key.",
            answers={200: (wire.SsoClientList, "None, one or two of them."), **_REFUSALS},
            parameters=(_SERVICE,),
        ),
        Route(
            "GET",
            _ONE,
            "getSsoClient",
            functions.read,
            "One of them",
            answers={200: (wire.SsoClient, "Without its secret."), **_REFUSALS},
            parameters=_OF_ONE,
        ),
        Route(
            "PUT",
            _ONE,
            "putSsoClient",
            functions.put,
            "Register a site for single sign-on, or replace its settings",
            "Asking again changes nothing. The secret is in the answer that makes the client, or "
            "that takes it from keys back to secrets; if that answer is lost, replace the secret. "
            "What could be safer is said in `advice`.",
            wire.SsoSettings,
            {
                200: (wire.SsoClient, "Replaced; it keeps the secret that it has."),
                201: (wire.SsoClient, "Made, with its `client_secret`. Location names it."),
                **_REFUSALS,
                **_WITH_BODY,
            },
            _OF_ONE,
        ),
        Route(
            "DELETE",
            _ONE,
            "deleteSsoClient",
            functions.delete,
            "Sign nobody on there any more",
            answers={204: (None, "It is gone."), **_REFUSALS},
            parameters=_OF_ONE,
        ),
    ]


def _secrets(functions: Functions) -> list[Route]:
    return [
        Route(
            "POST",
            _ONE + "/secret",
            "replaceSsoClientSecret",
            functions.replace_secret,
            "Replace the secret of a client",
            "The old one is good for another 24 hours, or until it is dropped. While an old one is "
            "still good, it stays so, and the one that was made in between ends at once.",
            answers={
                200: (wire.SsoClient, "With the new `client_secret`."),
                409: (ProblemDocument, "The client has keys instead."),
                **_REFUSALS,
            },
            parameters=_OF_ONE,
        ),
        Route(
            "DELETE",
            _ONE + "/secret",
            "dropOldSsoClientSecret",
            functions.drop_old_secret,
            "Drop the old secret of a client",
            "Only the newest is good from now on.",
            answers={204: (None, "Dropped, or there was none."), **_REFUSALS},
            parameters=_OF_ONE,
        ),
    ]
