"""The secrets with which a webhook's events are signed: a new one, and the old ones away."""

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.console.refusals_shown import refused
from messo.console.visit import Visit, institution_page
from messo.console.webhook_words import id_of, page_values, shown
from messo.pages.edge import redirect

_TOO_MANY = 409


def routes() -> list[Route]:
    """Nothing here is asked for by GET: a secret is in the answer that made it, and in no other."""
    one = "/webhooks/{webhook}"
    return [
        institution_page(
            f"{one}/secret", "console.webhook_secret", "administer", replace, ("POST",)
        ),
        institution_page(
            f"{one}/old-secrets", "console.webhook_old_secrets", "administer", drop, ("POST",)
        ),
    ]


async def replace(visit: Visit) -> Response:
    """A new secret; the one before signs beside it for a day."""
    secret, error = "", ""
    try:
        async with visit.conn.transaction():
            made = await visit.site.webhooks.replace_secret(
                visit.conn, visit.actor, visit.access.institution_id, id_of(visit)
            )
        secret = str(made.secret)
    except Problem as problem:
        if problem.status != _TOO_MANY:
            raise
        error = refused(visit, problem)
    values = page_values(visit, await shown(visit))
    return visit.page(
        "webhook.html",
        _TOO_MANY if error else 200,
        **{**values, "secret": secret, "error": error},
    )


async def drop(visit: Visit) -> Response:
    """Only the newest signs from now on."""
    await visit.site.webhooks.drop_old_secrets(
        visit.conn, visit.actor, visit.access.institution_id, id_of(visit)
    )
    return redirect(f"{visit.here}/webhooks/{id_of(visit)}?done=dropped")
