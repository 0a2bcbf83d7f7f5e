"""Citizens' fiscal codes as the wire takes them: by their pattern, and no check character."""

from typing import Annotated

from msgspec import Meta

# `\Z`, not `$`: the latter lets a trailing newline pass.
FISCAL_CODE = (
    r"^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\Z"
)

FiscalCode = Annotated[
    str,
    Meta(
        pattern=FISCAL_CODE,
        description="A citizen's fiscal code: 16 characters, upper case.",
        examples=["AAAAAA00A00A000A"],
    ),
]
