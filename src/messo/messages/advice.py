"""What a sender is told about a message that is kept all the same.

A rule is a function from the text and what is known of its sender to advice. Advice never refuses.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from messo.base import log
from messo.messages import buttons
from messo.messages.wire import Advice
from messo.sso.known_sites import KnownSites, origin_of

logger = log.get(__name__)

_LOOK_SECONDS = 1  # the sender's 201 waits for it, where sites are not in memory
_SSO = "iosso://"
_IN_TEXT = "content.markdown"


@dataclass(frozen=True)
class Advise:
    """The rules, and what they need. `sso_on_loopback`: as for the buttons that citizens are shown."""

    sites: KnownSites
    sso_on_loopback: bool = False

    async def __call__(self, institution_id: str, markdown: str) -> Sequence[Advice]:
        """The advice on a text of this institution: mostly none. Never raises."""
        # Looked at before anything is parsed: few messages have such a button.
        if not markdown.lstrip("\ufeff").startswith("---") or _SSO not in markdown.lower():
            return ()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                sites = await self.sites.of(institution_id)
        except Exception as error:
            # Whatever happens here, the message is kept.
            logger.warning("cannot read the sites of an institution", exc_info=error)
            return ()
        return sso_unknown_relying_party(markdown, sites, on_loopback=self.sso_on_loopback)


def sso_unknown_relying_party(
    markdown: str, sites: frozenset[str], *, on_loopback: bool = False
) -> list[Advice]:
    """Buttons with single sign-on that lead where no registered site of the institution is."""
    return [
        Advice("sso-unknown-relying-party", f"{_IN_TEXT}.{action.place}", reason)
        for action in buttons.sso_actions(markdown)
        if (reason := _refusal(action.written, sites, on_loopback=on_loopback))
    ]


def _refusal(address: str, sites: frozenset[str], *, on_loopback: bool) -> str:
    """Why citizens will not be signed on there, or nothing."""
    link = buttons.sso_link(address, on_loopback=on_loopback)
    if link is None:
        return "Citizens are signed on only at addresses that begin with https://."
    origin = origin_of(link.href)
    if origin in sites:
        return ""
    return (
        f"No redirect URI of a client of your institution is at {origin}, so citizens will not be "
        "signed on there. Register the site, or use iohandledlink:// for a link without login."
    )
