"""What an institution's functions fail with: logged by kind and place, never by message.

A message quotes values, and so may be personal.
"""

import logging
import traceback

logger = logging.getLogger("messo_client.remote")


class BrokenOffError(Exception):
    """An answer that has begun cannot be finished; the server is to break the connection.

    Says nothing of the cause, which servers would log with its message.
    """


def describe(fault: BaseException) -> str:
    """Its type, and the last places it came through, outermost first."""
    places = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(fault.__traceback__)
    ]
    return f"{type(fault).__name__} at " + (", ".join(places[-8:]) or "an unknown place")


def log(doing: str, fault: BaseException) -> None:
    """Write that this failed. `doing` is a fixed word or two."""
    logger.error("%s failed: %s", doing, describe(fault))
