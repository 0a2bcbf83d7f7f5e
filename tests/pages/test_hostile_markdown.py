"""What institutions write is hostile until shown: the corpus, in a real browser, on the real page."""

import asyncio
from typing import Any

import pytest

from messo.base import metrics
from messo.base.work import Worker
from tests.conftest import Running
from tests.messages.hostile_markdown import CORPUS
from tests.pages.conftest import Open
from tests.world import World, message

pytestmark = pytest.mark.acceptance

SUBJECT = "<img src=x onerror=window.stolen=1> {{7*7}} \"'>"
# Counts what the policy stops, from before the page's first byte; a dialog would hang, so it counts.
WATCH = """
window.refused = 0; window.stolen = 0;
document.addEventListener("securitypolicyviolation", () => { window.refused += 1; });
for (const name of ["alert", "confirm", "prompt"]) window[name] = () => { window.stolen += 1; };
"""
LOOK = """() => {
  const body = document.querySelector(".message-body");
  const elements = [...body.querySelectorAll("*")];
  return {
    tags: [...new Set(elements.map(e => e.tagName.toLowerCase()))],
    attributes: [...new Set(elements.flatMap(e => e.getAttributeNames()))],
    protocols: [...new Set([...body.querySelectorAll("a")].map(a => a.protocol))],
    shadows: elements.filter(e => e.shadowRoot).length,
    subject: document.querySelector("h1").textContent,
    refused: window.refused, stolen: window.stolen,
    buttons: [...document.querySelectorAll(".message-buttons a")].map(a => a.protocol),
  };
}"""
TAGS = {
    *("p", "br", "strong", "em", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr"),
    *("h2", "h3", "h4", "h5", "h6", "s", "del"),
}


def can_be_sent(text: str) -> bool:
    """JSON has no half surrogate pairs and PostgreSQL no U+0000: the API refuses both."""
    return "\x00" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


async def test_every_hostile_body_is_inert(
    running: Running, world: World, worker: Worker, citizen: Open
) -> None:
    corpus = [(name, text) for name, text in CORPUS if can_be_sent(text)]
    assert len(corpus) >= 150
    assert len({text for _, text in corpus}) == len(corpus)
    before = metrics.registry.get_sample_value("messo_csp_reports_total")
    async with citizen() as victim:
        await victim.context.add_init_script(WATCH)
        await victim.welcome()
        sent = [
            await running.client.post(
                "/api/v1/messages",
                json=message(victim.fiscal_code, subject=SUBJECT, markdown=text),
                headers=world.anna.headers,
            )
            for _, text in corpus
        ]
        refused = [name for (name, _), answer in zip(corpus, sent, strict=True) if answer.is_error]
        assert refused == []
        while await worker.work_once():
            pass
        wrong: dict[str, Any] = {}
        for (name, _), answer in zip(corpus, sent, strict=True):
            page = await victim.goto(f"/messages/{answer.json()['id']}")
            seen = await page.evaluate(LOOK)
            if (
                seen["refused"]
                or seen["stolen"]
                or seen["shadows"]
                or seen["subject"] != SUBJECT
                or not set(seen["tags"]) <= TAGS
                or not set(seen["attributes"]) <= {"href", "rel", "start"}
                or not set(seen["protocols"]) <= {"http:", "https:"}
                or not set(seen["buttons"]) <= {"http:", "https:", "mailto:", "tel:", "sms:"}
            ):
                wrong[name] = seen
        assert wrong == {}
        assert victim.said == []
    assert metrics.registry.get_sample_value("messo_csp_reports_total") == before


async def test_the_test_would_see_a_violation(citizen: Open) -> None:
    """The counters above are not blind: an inline script is refused, counted and reported."""
    before = metrics.registry.get_sample_value("messo_csp_reports_total") or 0
    async with citizen() as somebody:
        await somebody.context.add_init_script(WATCH)
        page = await somebody.goto("/")
        await page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.stolen = 9';"
            " document.body.append(s); }"
        )
        async with asyncio.timeout(10):
            while (metrics.registry.get_sample_value("messo_csp_reports_total") or 0) == before:
                await asyncio.sleep(0.05)
        assert await page.evaluate("[window.refused, window.stolen]") == [1, 0]
