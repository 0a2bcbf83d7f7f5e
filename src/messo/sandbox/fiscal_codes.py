"""Fiscal codes that are valid by pattern and check character, and never issued to anybody.

Their place code begins with Y, which no municipality and no foreign state has.
"""

from codicefiscale import codicefiscale


def make(stem: str) -> str:
    """A complete code from its first 15 characters: the check character is added."""
    return stem + codicefiscale.encode_cin(stem)


def many(count: int) -> list[str]:
    """`count` different codes, always the same ones. At most 26 * 26 * 26 * 1000."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    codes = []
    for i in range(count):
        word = letters[i // 676_000 % 26] + letters[i // 26_000 % 26] + letters[i // 1000 % 26]
        codes.append(make(f"TST{word}80A01Y{i % 1000:03d}"))
    return codes


MAGIC = {
    "accepted": make("MGCCPT80A01Y001"),
    "not_enrolled": make("MGCNNR80A01Y002"),
    "inbox_off": make("MGCNBX80A01Y003"),
    "service_blocked": make("MGCBLC80A01Y004"),
}
UNKNOWN = make("MGCNKN80A01Y999")
