"""Trying an address: one signed event that says nothing, sent once, whatever the webhook's state."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from messo.base import clock
from messo.base.ids import new_id
from messo.base.outbound import Outbound
from messo.events import wire
from messo.events.post import post, trial_body
from messo.events.sign import SigningSecret


@dataclass(frozen=True)
class Tried:
    """A webhook as far as it takes to try it."""

    id: str
    service_id: str
    url: str
    secrets: Sequence[SigningSecret]


async def try_once(outbound: Outbound, webhook: Tried) -> wire.Tested:
    """What the address says. Hold no connection meanwhile: it may take seconds."""
    body = trial_body(webhook.id, webhook.service_id, clock.now())
    began = time.perf_counter()
    answered = await post(outbound, webhook, new_id(), body)
    return wire.Tested(
        delivered=answered.verdict == "ok",
        ms=round((time.perf_counter() - began) * 1000),
        status=answered.status or UNSET,
        error=answered.error or UNSET,
    )
