"""The login of institutions' people and of operators: a client of its own at a provider."""

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.outbound import Outbound
from messo.login import Flow, Provider, Registration, sandbox_issuer
from messo.operations import record
from messo.people.staff_claims import Staff, is_complete, staff
from messo.people.staff_web import StaffWeb
from messo.settings import Settings


def staff_issuer(settings: Settings) -> str:
    """Whom people log in with: the configured provider, the sandbox's own, or nobody (empty)."""
    return settings.staff_issuer or sandbox_issuer(settings)


def staff_registration(settings: Settings) -> Registration[Staff]:
    """The client that people log in through."""
    base, configured = settings.public_url.rstrip("/"), settings.staff_claim
    return Registration(
        kind="staff",
        issuer=staff_issuer(settings),
        client_id=settings.staff_client_id,
        client_secret=settings.staff_client_secret,
        scope=settings.staff_scope,
        redirect_uri=f"{base}/console/callback",
        logged_out=f"{base}/console",
        levels=(),
        read=lambda given, _: staff(given, configured),
        is_complete=lambda given: is_complete(given, configured),
    )


def staff_flow(settings: Settings, secrets: Secrets, outbound: Outbound) -> Flow[Staff]:
    """Login and logout of people. `outbound`: through which the provider is asked."""
    return Flow(settings.public_url, secrets, Provider(staff_registration(settings), outbound))


async def log_in(conn: Connection, web: StaffWeb, who: Staff, old_token: str | None) -> str:
    """The token of a new session; the one that this browser had before is closed."""
    token = await web.open(conn, who, old_token)
    hashed = web.secrets.keyed_hash(f"people.login:{who.login}")
    await record(conn, f"person:{hashed}", "people.login", hashed)
    return token
