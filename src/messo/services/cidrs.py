"""Lists of networks that a key may be used from, as they are on the wire: IPv4 only."""

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address

MOST = 100  # entries: each request compares its address with all of them

# As on the wire, with what its pattern lets pass that is no address taken out below.
PATTERN = r"^([0-9]{1,3}[.]){3}[0-9]{1,3}(/([0-9]|[1-2][0-9]|3[0-2]))?\Z"
_ENTRY = re.compile(PATTERN)
_SHOWN = 50  # characters of an entry that is refused


def refusal(cidrs: Sequence[str]) -> str | None:
    """What is wrong with a list, naming the first bad entry; None if nothing is.

    An entry is an address, or a network as `address/bits`. Without `/bits` it is that one address.
    """
    if len(cidrs) > MOST:
        return f"authorized_cidrs may have at most {MOST} entries."
    for place, entry in enumerate(cidrs):
        if not _is_entry(entry):
            return (
                f"authorized_cidrs[{place}] is {entry[:_SHOWN]!a}, which is no IPv4 address or "
                "network: write 192.0.2.7 or 192.0.2.0/24, without zeros in front."
            )
    return None


def _is_entry(text: str) -> bool:
    if not _ENTRY.match(text):
        return False
    try:
        # Zeros in front are octal to some and decimal to others: refused here.
        IPv4Address(text.partition("/")[0])
    except AddressValueError:
        return False
    return True
