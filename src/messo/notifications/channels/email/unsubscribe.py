"""The way out of copies that every copy carries: it works without logging in.

The token is the fiscal code, encrypted and bound to this one use, so there is no row to keep and
nothing to read in it. Whoever has the mail can end the copies, and do nothing else with it.
"""

import base64
import binascii

from messo.base.crypto import SecretError, Secrets

_ABOUT = "email.unsubscribe"
_LONGEST = 300  # characters, for any id of a key


def make(secrets: Secrets, fiscal_code: str) -> str:
    """The token for this citizen's copies: URL-safe, about 65 characters."""
    sealed = secrets.seal(fiscal_code.encode(), _ABOUT)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read(secrets: Secrets, token: str) -> str | None:
    """Whose copies it ends; None if we never made it, or with a secret that is gone. Never raises."""
    if not token or len(token) > _LONGEST or not token.isascii():
        return None
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        return secrets.unseal(sealed, _ABOUT).decode()
    except (binascii.Error, ValueError, IndexError, SecretError):
        return None
