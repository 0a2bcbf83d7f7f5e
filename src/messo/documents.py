"""The three OpenAPI documents: which routes are in each, and what it says of itself."""

from collections.abc import Sequence
from typing import Any

from messo import __version__
from messo.base import openapi
from messo.base.http import Route
from messo.settings import Settings


def for_institutions(routes: Sequence[Route], settings: Settings) -> dict[str, Any]:
    """The document of the institutions' routes."""
    return openapi.document(
        routes,
        title="Messo for institutions",
        version=__version__,
        about=(
            "Send a personal message to a citizen by fiscal code, and see what became of it. "
            "Paths under /api/v1 follow the wire contract of Italy's IO platform: a client built "
            "for it works here unchanged. Paths under /messo/v1 add what it lacks."
        ),
        server=settings.public_url,
    )


def for_citizens(routes: Sequence[Route], settings: Settings) -> dict[str, Any]:
    """The document of the routes for citizens' client applications."""
    return openapi.document(
        routes,
        title="Messo for client applications",
        version=__version__,
        about=(
            "Everything a citizen can do, for applications that do it for them: log in, read and "
            "archive messages, choose who may write, take the data away. Paths, bodies and codes "
            "follow IO's: a client built for it works here once it has a token from /api/auth/v1."
        ),
        server=settings.public_url,
        scheme=openapi.BEARER,
    )


def for_people(routes: Sequence[Route], settings: Settings) -> dict[str, Any]:
    """The document of the routes for people of institutions, and for operators."""
    secure = settings.public_url.startswith("https://")
    return openapi.document(
        routes,
        title="Messo for people and operators",
        version=__version__,
        about=(
            "What people of an institution, and the operators of an installation, do with a login: "
            "who belongs to which institution and in which role, invitations, permissions, "
            "suspensions, and reviews of services. The cookie comes from a login at /console. A request from a page of "
            "another site changes nothing."
        ),
        server=settings.public_url,
        scheme=openapi.cookie("__Host-messo-staff" if secure else "messo-staff"),
    )
