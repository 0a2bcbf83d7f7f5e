"""Events and webhooks in words: which kinds there are, and a webhook as pages show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from messo.base import clock
from messo.base.db import Row
from messo.base.http import Problem
from messo.base.parameters import storable
from messo.console.explained import gettext
from messo.console.refusals_shown import answered
from messo.console.visit import Visit
from messo.events.kinds import TOLD
from messo.events.sign import live
from messo.events.webhook_list import (
    MOST_COUNTED,
    Deliveries,
    Standing,
    deliveries_of,
    standing_of,
)
from messo.pages.languages import Texts
from messo.services.listed import find_name

KINDS: Mapping[str, tuple[str, str]] = {
    "accepted": (gettext("Accepted"), gettext("We have taken the message from you.")),
    "processed": (gettext("Received"), gettext("It is in the person's inbox.")),
    "rejected": (gettext("Not delivered"), gettext("The person does not get it here.")),
    "failed": (gettext("Failed"), gettext("We could not process it for a week.")),
    "notified": (gettext("Notified"), gettext("The person was told of it, by mail or by an app.")),
    "read": (
        gettext("Read"),
        gettext("The person opened it, and lets you know. Your institution needs leave for this."),
    ),
    "paid": (gettext("Paid"), gettext("The payment in it was made.")),
}


@dataclass(frozen=True)
class Shown:
    """A webhook as its page shows it. `signing_until`: the secret before signs too, until then."""

    id: str
    service_id: str
    service_name: str
    url: str
    kinds: Sequence[str]
    is_on: bool
    created_at: datetime
    stopped_at: datetime | None
    standing: Standing
    deliveries: Deliveries
    signing_until: datetime | None


async def find(visit: Visit) -> Row:
    """The row of the webhook in the path. `Problem` 404 for another institution's."""
    return await visit.site.webhooks.find(visit.conn, visit.access.institution_id, id_of(visit))


def id_of(visit: Visit) -> str:
    """The id in the path. `Problem` 404 for what can be none."""
    webhook_id = str(visit.request.path_params["webhook"])
    if not storable(webhook_id):
        raise Problem(404, "Webhook not found", "Your institution has no webhook with this id.")
    return webhook_id.upper()


async def shown(visit: Visit) -> Shown:
    """The webhook in the path, and how its deliveries go."""
    row = await find(visit)
    deliveries = await deliveries_of(visit.conn, row)
    service = await find_name(visit.conn, visit.access.institution_id, row["service_id"])
    signing = live(visit.site.webhooks.signing(row), clock.now())
    ends = [one.until for one in signing if one.until is not None]
    return Shown(
        row["id"],
        row["service_id"],
        service.name if service else row["service_id"],
        row["url"],
        row["kinds"],
        row["state"] == "on",
        row["created_at"],
        row["stopped_at"],
        standing_of(row, deliveries),
        deliveries,
        max(ends, default=None),
    )


def kinds(texts: Texts) -> list[tuple[str, str, str]]:
    """Value, label and sentence of each kind of event, in the order in which they happen."""
    return [(kind, texts.text(KINDS[kind][0]), texts.text(KINDS[kind][1])) for kind in TOLD]


def kind_of(texts: Texts, kind: str) -> str:
    """An event's kind in a word or two; `message.processed` and `processed` are the same."""
    bare = kind.removeprefix("message.")
    return texts.text(KINDS[bare][0]) if bare in KINDS else bare


def page_values(visit: Visit, webhook: Shown) -> dict[str, Any]:
    """What the page of one webhook needs. Nothing was tried, no secret was made."""
    texts = visit.texts
    return {
        "webhook": webhook,
        "number": number,
        "kind_of": lambda kind: kind_of(texts, kind),
        "answered": lambda error: answered(texts, error),
        "tested": None,
        "tested_error": "",
        "secret": "",
        "is_new": False,
        "error": "",
        "done": "",
    }


def number(count: int) -> str:
    """How many, and that it may be more where nobody counted on."""
    return f"{count}+" if count >= MOST_COUNTED else str(count)
