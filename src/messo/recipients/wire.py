"""What comes in and goes out of the routes about citizens."""

from typing import Annotated, Literal

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
SERVICE_ID = r"^[0-9a-zA-Z\-\._\/+]{1,200}\Z"
EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}\Z"
Language = Literal["it_IT", "en_GB", "es_ES", "de_DE", "fr_FR"]
