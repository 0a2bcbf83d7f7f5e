"""`id_token_hint`: an ID token of ours that comes back, to say for whom and for which site.

OpenID Connect Core 1.0, section 3.1.2.1; RP-Initiated Logout 1.0, section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from messo.sso.keys import ALGORITHMS

_LONGEST = 4000  # characters


@dataclass(frozen=True)
class Proof:
    """What a hint is verified with."""

    issuer: str
    keys: Sequence[RSAKey | ECKey]


@dataclass(frozen=True)
class Hint:
    """Whom an ID token was about, and for which client."""

    subject: str
    audience: str


def read_hint(proof: Proof, hint: str) -> Hint | None:
    """What a hint says, however long ago we issued it; None if we did not."""
    if len(hint) > _LONGEST:
        return None
    keys = KeySet(list(proof.keys))
    try:
        token = jwt.decode(hint.encode("ascii"), keys, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    claims = token.claims
    subject, audience = claims.get("sub"), claims.get("aud")
    # What else we sign is no ID token.
    is_id_token = token.header.get("typ") == "JWT" and claims.get("iss") == proof.issuer
    if not is_id_token or not isinstance(subject, str) or not isinstance(audience, str):
        return None
    return Hint(subject, audience)
