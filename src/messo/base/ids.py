"""ULIDs (github.com/ulid/spec): 26 upper-case Crockford characters, in order of making."""

import os
import random
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_RANDOM_BITS = 80


class _Last:
    """The last id of this process, so that the next is larger even within a millisecond."""

    value = 0


def new_id() -> str:
    """A new ULID, larger than every other made by this process.

    Within one millisecond, and if the clock steps back, the random part counts up
    (the specification's "monotonicity").
    """
    value = (time.time_ns() // 1_000_000) << _RANDOM_BITS
    if value >> _RANDOM_BITS > _Last.value >> _RANDOM_BITS:
        # One bit less of chance leaves room to count up without an overflow.
        value |= int.from_bytes(os.urandom(10)) >> 1
    else:
        value = _Last.value + 1 + random.getrandbits(32)  # no secret: no system call for it
    _Last.value = value
    return _written(value)


def lowest_id(moment: datetime) -> str:
    """The id below which every id is older than this moment (to the millisecond)."""
    return _written(int(moment.timestamp() * 1000) << _RANDOM_BITS)


def moment_of(identifier: str) -> datetime:
    """When a ULID was made, to the millisecond."""
    milliseconds = 0
    for sign in identifier[:10]:
        milliseconds = milliseconds << 5 | _ALPHABET.index(sign)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _written(value: int) -> str:
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
