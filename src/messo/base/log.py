"""Logs: one JSON object a line on standard error, and never a person's data.

Three habits keep it so: callers log ids and keyed hashes; exceptions are written without their
message or local values (a driver's message quotes rows); and whatever still looks like a fiscal
code is blotted out at the very end.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

# The shape of a citizen's fiscal code, upper or lower case, wherever it stands.
# But in an id of ours, which may look like one by chance: it begins as all ULIDs until 2039 do.
_FISCAL_CODE = re.compile(
    r"(?<![0-9A-Z])(01[0-9A-HJKMNP-TV-Z]{24})(?![0-9A-Z])|"
    r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with every fiscal code blotted out."""
    return _FISCAL_CODE.sub(lambda found: found[1] or "[fiscal code]", text)


def _describe_exception(
    _: Any,  # noqa: ANN401  structlog's logger
    __: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if error is not None:
        event["error"] = describe(error)
        event["where"] = [
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ][-12:]
    return event


def _mark(process: str) -> Any:  # noqa: ANN401
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
        event["process"] = process
        return event

    return add


def describe(error: BaseException) -> str:
    """The kind of an error, with its SQLSTATE if it has one; never its message."""
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ + (f" {state}" if state else "")


def _redacted_json(*arguments: Any) -> str:  # noqa: ANN401
    return redact(str(structlog.processors.JSONRenderer()(*arguments)))


class _Forward(logging.Handler):
    """What libraries log goes the same way, as ours does."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(record.name)
        error = record.exc_info[1] if record.exc_info else None
        logger.log(record.levelno, record.getMessage() if not error else record.msg, exc_info=error)


def configure(level: str, process: str) -> None:
    """Set up logging. `level`: debug, info, warning or error; `process` marks every line."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _describe_exception,
            _mark(process),
            _redacted_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=max(number, logging.WARNING), force=True)
    sys.excepthook = lambda _, error, __: structlog.get_logger("messo").critical(
        "stopped by an error", exc_info=error
    )


def get(name: str) -> Any:  # noqa: ANN401  structlog's loggers are made at first use
    """The logger of a module."""
    return structlog.get_logger(name)
