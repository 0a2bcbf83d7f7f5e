"""The secret of a site: a new one, and the old one away."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.console.client_page import asked_for, client_page
from messo.console.refusals_shown import refused
from messo.console.visit import Visit, institution_page
from messo.pages.edge import redirect
from messo.sso import registration

_HAS_KEYS = 409


def routes() -> list[Route]:
    """Nothing here is asked for by GET: a secret is in the answer that made it, and in no other."""
    one = "/clients/{service}/{environment}"
    return [
        institution_page(
            f"{one}/secret", "console.client_secret", "administer", replace, ("POST",)
        ),
        institution_page(
            f"{one}/old-secret", "console.client_old_secret", "administer", drop, ("POST",)
        ),
    ]


async def replace(visit: Visit) -> Response:
    """A new secret; the one before is good for another day."""
    asked, rules = asked_for(visit), visit.site.client_rules
    try:
        async with visit.conn.transaction():
            client = await registration.replace_secret(visit.conn, rules, visit.actor, asked)
    except Problem as problem:
        if problem.status != _HAS_KEYS:
            raise
        client = await registration.read(visit.conn, rules, asked)
        return await client_page(visit, client, status=_HAS_KEYS, error=refused(visit, problem))
    return await client_page(visit, client)


async def drop(visit: Visit) -> Response:
    """Only the newest is good from now on."""
    asked = asked_for(visit)
    await registration.drop_old_secret(visit.conn, visit.actor, asked)
    place = f"{visit.here}/clients/{asked.service_id}/{asked.environment}"
    return redirect(f"{place}?done=dropped")
