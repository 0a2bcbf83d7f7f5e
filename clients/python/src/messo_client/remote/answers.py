"""What goes back: a status, a few headers, and a body."""

import json
import math
from dataclasses import dataclass

from messo_client.remote.pieces import AsyncPieces, Pieces

# Personal texts are kept nowhere on the way.
_ALWAYS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


@dataclass(frozen=True)
class Answer:
    """`body` is whole, or comes in pieces that have begun; whoever sends them closes them."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Pieces | AsyncPieces


class RefusedError(Exception):
    """The request gets this problem document (RFC 9457) instead."""

    def __init__(self, status: int, title: str, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers

    def answer(self) -> Answer:
        """It as an answer."""
        document = {"title": self.title, "status": self.status, "detail": self.detail}
        return _json(self.status, "application/problem+json", document, *self.headers)


def json_answer(document: object) -> Answer:
    """200 with this document."""
    return _json(200, "application/json", document)


def pdf_answer(pieces: Pieces | AsyncPieces) -> Answer:
    """200 with these bytes, and their length where it is known."""
    length = pieces.length
    headers = () if length is None else (("Content-Length", str(length)),)
    return Answer(200, (("Content-Type", "application/pdf"), *headers, *_ALWAYS), pieces)


def missing(what: str) -> RefusedError:
    """404. `what` is a fixed sentence."""
    return RefusedError(404, "Not found", what)


def not_ready(after_s: float) -> RefusedError:
    """503 with `Retry-After`, in whole seconds and never 0, which would be asked again at once."""
    seconds = max(1, math.ceil(after_s))
    detail = f"The content is not ready yet, come again in {seconds} s."
    return RefusedError(503, "Not ready", detail, ("Retry-After", str(seconds)))


def failed() -> RefusedError:
    """500, for whatever went wrong here: the log says more."""
    return RefusedError(500, "Internal error", "The request could not be answered.")


def _json(status: int, content_type: str, document: object, *headers: tuple[str, str]) -> Answer:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    length = ("Content-Length", str(len(body)))
    return Answer(status, (("Content-Type", content_type), length, *headers, *_ALWAYS), body)
