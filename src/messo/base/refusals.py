"""What the reference says of refusals that many routes share."""

from typing import Any

from messo.base.wire import ProblemDocument

OF_BODY: dict[int, tuple[Any, str]] = {
    408: (ProblemDocument, "The body came too slowly."),
    413: (ProblemDocument, "The body is too large."),
    415: (ProblemDocument, "The body is not JSON."),
}
