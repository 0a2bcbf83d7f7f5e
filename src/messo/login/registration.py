"""How we are registered at an identity provider, and how its claims are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from messo.login import claims
from messo.login.claims import Claims
from messo.login.sessions import Identity
from messo.settings import Settings

W = TypeVar("W")  # who somebody is, as the room that asked wants to know it


@dataclass(frozen=True)
class Registration(Generic[W]):
    """One client of ours at one provider. `issuer`: empty where nobody can log in this way.

    `kind`: a login that was begun for one kind is none for another. `levels`: of assurance, that
    are usually enough; empty: none is asked for. `read` makes who it is out of the claims and the
    level, and raises `LoginError`; `is_complete`: whether the ID token's claims are enough for it.
    """

    kind: str
    issuer: str
    client_id: str
    client_secret: str
    scope: str
    redirect_uri: str
    logged_out: str  # where the provider sends the browser after a logout
    levels: tuple[str, ...]
    read: Callable[[Claims, str], W]
    is_complete: Callable[[Claims], bool]


def issuer(settings: Settings) -> str:
    """Whom citizens log in with: the configured provider, the sandbox's own, or nobody (empty)."""
    return settings.login_issuer or sandbox_issuer(settings)


def sandbox_issuer(settings: Settings) -> str:
    """The provider that a sandbox plays itself; elsewhere there is none (empty)."""
    return f"{settings.public_url.rstrip('/')}/sandbox/identity" if settings.sandbox else ""


def citizen_registration(settings: Settings) -> Registration[Identity]:
    """The client that citizens log in through."""
    base, configured = settings.public_url.rstrip("/"), settings.login_claim
    return Registration(
        kind="citizen",
        issuer=issuer(settings),
        client_id=settings.login_client_id,
        client_secret=settings.login_client_secret,
        scope=settings.login_scope,
        redirect_uri=f"{base}/login/callback",
        logged_out=f"{base}/logged-out",
        levels=settings.login_levels,
        read=lambda given, level: claims.identity(given, level, configured),
        is_complete=lambda given: claims.is_complete(given, configured),
    )
