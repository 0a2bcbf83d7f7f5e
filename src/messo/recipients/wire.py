"""What comes in and goes out of the routes about citizens."""

from typing import Literal

# `\Z`, not `$`: the latter lets a trailing newline pass.
SERVICE_ID = r"^[0-9a-zA-Z\-\._\/+]{1,200}\Z"
EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}\Z"
Language = Literal["it_IT", "en_GB", "es_ES", "de_DE", "fr_FR"]
