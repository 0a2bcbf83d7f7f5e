"""A message as its reader will see it on a phone, and what is advised about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from messo.console import write_words
from messo.console.visit import Visit
from messo.console.write_desk import Desk
from messo.console.write_draft import Draft, written_of
from messo.messages.wire import Content
from messo.pages.languages import LANGUAGES, Language

_LONGEST = 20_000  # characters of a text that are shown: twice what may be sent


@dataclass(frozen=True)
class Look:
    """`pages`: whole documents by language, none without a service. `advice`: by the form's field.

    `is_broken`: there is no preview, for its JSON cannot be read.
    """

    pages: Mapping[Language, str] = field(default_factory=dict)
    advice: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_broken: bool = False


async def look_of(visit: Visit, desk: Desk, draft: Draft) -> Look:
    """What can be said of a draft, however little was typed."""
    written = written_of(draft)
    if written is None or desk.service is None:
        return Look(is_broken=desk.service is not None)
    content = _bounded(written.content)
    found = await visit.site.send.advise(visit.access.institution_id, content.markdown)
    advice = write_words.advice_of(visit.texts, draft, found)
    for name, said in write_words.own_advice(visit.texts, draft, written.fiscal_code).items():
        advice[name] = [*said, *advice.get(name, [])]
    pages = {
        language: visit.site.preview_message(desk.service, content, language, None)
        for language in LANGUAGES
    }
    return Look(pages, advice)


def _bounded(content: Content) -> Content:
    return msgspec.structs.replace(
        content, subject=content.subject[:500], markdown=content.markdown[:_LONGEST]
    )
