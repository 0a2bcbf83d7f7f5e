"""What is in force for the institution, in sentences. Each number is the one that the code goes by."""

from datetime import timedelta
from functools import partial

from babel.numbers import format_decimal, format_percent
from starlette.responses import Response
from starlette.routing import Route

from messo.console import institution_permissions
from messo.console.visit import Visit, institution_page
from messo.events import feed, figures, settle, webhooks
from messo.messages import checks, guard, process, retention
from messo.messages.guarded import guarded
from messo.notifications import upkeep
from messo.people import invitations
from messo.services import cidrs, groups
from messo.services.listed import standing
from messo.services.manage_wire import MOST_RECIPIENTS


def routes() -> list[Route]:
    """For everybody of the institution."""
    return [institution_page("/limits", "console.limits", "read", show_limits)]


async def show_limits(visit: Visit) -> Response:
    """Every limit that somebody can run into."""
    site, settings = visit.site, visit.site.settings
    texts, institution = visit.texts, visit.access.institution_id
    threshold = await guard.threshold(visit.conn, site.guard.least, site.guard.share)
    number = partial(format_decimal, locale=texts.locale)
    return visit.page(
        "limits.html",
        permissions=institution_permissions.listed(texts, visit.access.permissions),
        how=await standing(visit.conn, institution),
        guarded=await guarded(visit.conn, institution),
        threshold=threshold,
        share=format_percent(threshold.share, "#,##0.##%", locale=texts.locale),
        settings=settings,
        number=number,
        span=lambda value: _span(visit, value),
        kibibytes=number(settings.body_limit // 1024),
        subject=checks.SUBJECT,
        markdown=checks.MARKDOWN,
        most_recipients=MOST_RECIPIENTS,
        most_networks=cidrs.MOST,
        most_webhooks=webhooks.MOST_OF_A_SERVICE,
        most_groups=groups.MOST,
        most_invitations=invitations.MOST_OPEN,
        kept=_kept(visit),
        window=guard.WINDOW,
        dead_after=settle.DEAD_AFTER,
        off_after=settle.OFF_AFTER,
        give_up_after=process.GIVE_UP_AFTER,
        invitation_lives=invitations.LIVES,
    )


def _kept(visit: Visit) -> list[tuple[str, timedelta]]:
    _ = visit.texts.text
    keys = retention.keys_kept(visit.site.settings.keep_idempotency_hours)
    return [
        (_("An Idempotency-Key: the same request again makes no second message"), keys),
        (_("Events, in the feed and for webhooks"), feed.KEPT),
        (_("How copies and notices were delivered"), upkeep.KEEP),
        (_("Figures"), figures.KEPT),
    ]


def _span(visit: Visit, value: timedelta) -> str:
    """`2 days`, or in hours where it is no number of days, or just one."""
    count = visit.texts.count
    if value.days > 1 and not value.seconds:
        return count("%(n)s day", "%(n)s days", value.days)
    return count("%(n)s hour", "%(n)s hours", int(value.total_seconds() // 3600))
