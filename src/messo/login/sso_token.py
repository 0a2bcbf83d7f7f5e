"""The token of a client application's session that is good for single sign-on and nothing else.

An application that shows sites to the citizen puts it into a cookie: were it the session's own, any
page that got hold of it could read messages. Source: contract/citizen-api.md, section 2.
"""

import base64
import hmac

from messo.base.crypto import Secrets

_DIGEST = 32  # bytes, of both halves
_LENGTH = 86  # characters


def make_sso_token(secrets: Secrets, digest: bytes) -> str:
    """For the session whose token has this digest, as long as that lives; always the same."""
    return base64.urlsafe_b64encode(digest + _proof(secrets, digest)).rstrip(b"=").decode()


def open_sso_token(secrets: Secrets, token: str) -> bytes | None:
    """The digest of the session's token; None if we did not make this."""
    if len(token) != _LENGTH or not token.isascii():
        return None
    try:
        both = base64.urlsafe_b64decode(token + "==")
    except ValueError:
        return None
    digest, proof = both[:_DIGEST], both[_DIGEST:]
    return digest if hmac.compare_digest(proof, _proof(secrets, digest)) else None


def _proof(secrets: Secrets, digest: bytes) -> bytes:
    """Who reads the digest in the database still cannot make the token."""
    return secrets.keyed_digest(f"login.sso:{digest.hex()}")
