"""Operators review services: the queue, what changes, and a decision with its reason."""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from html import unescape
from typing import Any

import pytest

from messo.base.db import Pool
from messo.console.review_diff import Budget, compare
from messo.operations import operators
from messo.people.members import put_member
from messo.services import review
from tests.conftest import Running
from tests.console.colleague import Colleague, browser_at
from tests.console.forms import Form, Page
from tests.services import managing
from tests.services.managing import Managing, payload
from tests.world import World

pytestmark = pytest.mark.anyio

QUEUE = "/console/operate/reviews"
REASON = "Il nome deve dire <b>che cosa</b> offrite."


@pytest.fixture
async def operator(colleague: Colleague, pool: Pool) -> Colleague:
    """An operator who has logged in."""
    await colleague.log_in("olga")
    async with pool.transaction() as conn:
        await operators.add(conn, "tests", "olga")
    return colleague


@pytest.fixture
def town(running: Running, world: World) -> Managing:
    return managing.of(running, world)


async def submitted(town: Managing, name: str, **more: Any) -> str:
    """A service that waits for its first review."""
    service = await town.make(name=name, **more)
    await town.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    return service


async def changed(pool: Pool, town: Managing, name: str, **more: Any) -> str:
    """A published service of which a change waits."""
    service = await submitted(town, name)
    await managing.approve(pool, service)
    await town.ask("PUT", f"/{service}", payload(name=name, **more))
    await town.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    return service


async def page_of(one: Colleague, service: str) -> str:
    answer = await one.client.get(f"{QUEUE}/{service}")
    assert answer.status_code == 200, answer.text
    return answer.text


def form_to(text: str, end: str) -> Form:
    """The form that posts to an address that ends like this."""
    return next(one for one in Page(QUEUE, text).forms if one.action.endswith(end))


async def decide(one: Colleague, service: str, what: str, **more: str) -> Any:
    """Press a button of the page as it is now."""
    form = form_to(await page_of(one, service), what)
    return await one.client.post(form.action, data={**dict(form.fields), **more})


async def test_the_queue_says_who_waits_and_for_what(
    operator: Colleague, town: Managing, pool: Pool
) -> None:
    first = await submitted(town, "Aula studio")
    second = await changed(pool, town, "Campo estivo", description="Tutto nuovo.")
    text = (await operator.client.get(QUEUE)).text
    assert text.index("Aula studio") < text.index("Campo estivo")
    assert "2 services wait" in text
    assert "First review" in text
    assert "A change" in text
    file = await operator.client.get(QUEUE, params={"format": "csv"})
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == [first, second]
    assert [row[5] for row in rows[1:]] == ["Yes", "No"]
    for service in (first, second):
        await managing.reject(pool, service)


async def test_the_queue_goes_on_where_a_page_ended(
    operator: Colleague, town: Managing, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messo.console.reviews_pages._A_PAGE", 2)
    made = [await submitted(town, f"Fila {number}") for number in range(3)]
    one = Page(QUEUE, (await operator.client.get(QUEUE)).text)
    following = next(link for link in one.links if "after=" in link)
    two = (await operator.client.get(following)).text
    assert made[2] in two
    assert made[0] not in two
    assert 'rel="first"' in two
    for service in made:
        await managing.reject(pool, service)


async def test_an_approved_service_is_published_and_the_next_one_is_shown(
    operator: Colleague, town: Managing, pool: Pool
) -> None:
    first, second = await submitted(town, "Prima"), await submitted(town, "Seconda")
    answer = await decide(operator, first, "/approval")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{QUEUE}/{second}?done=published&decided={first}"
    published = await town.ask("GET", f"/{first}/release")
    assert published["status"] == "published"
    shown = await operator.client.get(answer.headers["location"])
    assert "Done: “Prima” is approved, and citizens see it now. Here is the next one." in shown.text
    assert "<figcaption>" not in shown.text
    strange = await operator.client.get(f"{QUEUE}/{second}?done=published&decided=nobody%00")
    assert "Done:" not in strange.text
    last = await decide(operator, second, "/approval")
    assert last.headers["location"] == f"{QUEUE}?done=published&decided={second}"
    assert "Nothing waits for you" in (await operator.client.get(QUEUE)).text


async def test_the_institution_reads_why_changes_are_requested(
    operator: Colleague, other: Colleague, town: Managing, pool: Pool, world: World
) -> None:
    service = await submitted(town, "Cose")
    for reason in ("", "   ", "kurz", "x" * 4001):
        short = await decide(operator, service, "/rejection", reason=reason)
        assert short.status_code == 400
        assert "Say what to change in 10 to 4000 characters." in short.text
        assert reason in short.text
    answer = await decide(operator, service, "/rejection", reason=REASON)
    assert answer.status_code == 303
    status = await town.status(service)
    assert (status["value"], status["reason"]) == ("rejected", REASON)
    async with pool.transaction() as conn:
        await put_member(conn, "tests", world.anna.institution, "edo", "Edo", "e@b.it", "editor")
    await other.log_in("edo")
    mine = f"/console/institutions/{world.anna.institution}/services/{service}"
    seen = (await other.client.get(mine)).text
    assert REASON in unescape(seen)
    assert "<b>che cosa</b>" not in seen
    decided = await page_of(operator, service)
    assert "There is nothing to decide here now." in decided
    assert REASON in unescape(decided)


async def test_only_the_version_that_was_looked_at_is_decided(
    operator: Colleague, town: Managing, pool: Pool, world: World
) -> None:
    service = await submitted(town, "Vecchio nome")
    old = await page_of(operator, service)
    async with pool.transaction() as conn:
        await review.withdraw(conn, managing.manager_of(world.anna.institution), service)
    withdrawn = form_to(old, "/approval")
    answer = await operator.client.post(withdrawn.action, data=dict(withdrawn.fields))
    assert answer.status_code == 409
    assert "Nothing was decided: it is not in review any more." in answer.text
    await town.ask("PUT", f"/{service}", payload(name="Nuovo nome"))
    await town.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    for end, more in (("/approval", {}), ("/rejection", {"reason": REASON})):
        form = form_to(old, end)
        answer = await operator.client.post(form.action, data={**dict(form.fields), **more})
        assert answer.status_code == 409
        assert "It was changed while you were reading." in answer.text
        assert "Nuovo nome" in answer.text
    assert (await town.status(service))["value"] == "submitted"
    await managing.reject(pool, service)


async def test_a_name_that_is_taken_meanwhile_is_not_approved(
    operator: Colleague, town: Managing, pool: Pool
) -> None:
    one, two = await submitted(town, "Stesso nome"), await submitted(town, "stesso nome")
    assert (await decide(operator, one, "/approval")).status_code == 303
    answer = await decide(operator, two, "/approval")
    assert answer.status_code == 409
    assert "has this name already" in answer.text
    await managing.reject(pool, two)


async def test_what_changes_is_marked_word_by_word_and_nothing_of_it_is_html(
    operator: Colleague, town: Managing, pool: Pool
) -> None:
    service = await changed(
        pool,
        town,
        "Mensa",
        description='Iscrizioni e <script>alert("x")</script> della **mensa**.',
        metadata={"topic_id": 5, "phone": "055 123"},
    )
    text = await page_of(operator, service)
    assert "<del>pagamenti</del>" in text
    assert "<ins>&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert "Education and training" in text
    assert "Culture, leisure and sport" in unescape(text).replace("<ins>", "").replace("</ins>", "")
    assert "<ins>055 123</ins>" in text
    assert text.count("<iframe") == 2
    assert "authorized" not in text.split("What changes")[1].split("Automatic checks")[0].lower()
    await managing.reject(pool, service)


def test_marks_are_around_what_differs_alone() -> None:
    sides = compare("uno due tre\nquattro", "uno DUE tre\nquattro cinque", Budget())
    assert sides.before == "uno <del>due</del> tre\nquattro"
    assert sides.after == "uno <ins>DUE</ins> tre\nquattro<ins> cinque</ins>"
    assert compare("", "<i>", Budget()).after == "<ins>&lt;i&gt;</ins>"
    assert compare("</del><b>", "", Budget()).before == "<del>&lt;/del&gt;&lt;b&gt;</del>"
    assert compare("a", "a", Budget()).before == "a"
    same = compare("<b>uno</b> due", "<b>uno</b> tre", Budget())
    assert same.before == "&lt;b&gt;uno&lt;/b&gt; <del>due</del>"
    assert same.after == "&lt;b&gt;uno&lt;/b&gt; <ins>tre</ins>"


class Counted(Budget):
    """A budget that says how often it paid for words, and how often not."""

    granted = refused = 0

    def pays(self, old: Sequence[str], new: Sequence[str]) -> bool:
        paid = super().pays(old, new)
        words = not any(one.endswith("\n") and len(one) > 1 for one in old)
        self.granted += paid and words
        self.refused += not paid
        return paid


def bomb(lines: int, signs: int) -> tuple[str, str]:
    """Blocks of one line, each of a sign that is everywhere on both sides."""
    before = "\n".join(f"L{i}\n" + "!" * signs for i in range(lines))
    after = "\n".join(f"L{i}\n" + ("!?" * signs)[: signs - 1] + ":" for i in range(lines))
    return before, after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a " * 5000, "b a " * 2500),
        ("a\n" * 5000, "b\na\n" * 2500),
        (" ".join(map(str, range(2500))), " ".join(map(str, reversed(range(2500))))),
        bomb(49, 199),
        bomb(20, 499),
    ],
)
def test_what_would_be_slow_to_compare_is_shown_as_a_whole(before: str, after: str) -> None:
    spent = Counted()
    sides = compare(before, after, spent)
    assert spent.refused
    assert re.sub("</?(del|ins)>", "", sides.before) == before
    assert re.sub("</?(del|ins)>", "", sides.after) == after


def test_one_budget_is_for_all_of_a_page() -> None:
    spent = Counted()
    for _ in range(100):
        compare(*bomb(1, 120), spent)
    assert 0 < spent.granted < 5
    assert spent.refused


def test_an_edited_page_of_text_is_compared_word_by_word() -> None:
    words = [f"parola{number}" for number in range(900)]
    edited = [*words[:3], "nuova", *words[4:800], "altra", *words[801:]]
    sides = compare(" ".join(words), " ".join(edited), Budget())
    assert re.findall("<ins>(.*?)</ins>", sides.after) == ["nuova", "altra"]


async def test_it_speaks_italian(operator: Colleague, town: Managing, pool: Pool) -> None:
    service = await submitted(town, "Parla italiano")
    for path in (QUEUE, f"{QUEUE}/{service}"):
        page = await operator.client.get(path, headers={"Accept-Language": "it"})
        assert '<html lang="it">' in page.text
    assert "Chiedi modifiche" in page.text
    await managing.reject(pool, service)


@pytest.fixture
async def member(running: Running, pool: Pool, world: World) -> AsyncIterator[Colleague]:
    async with pool.transaction() as conn:
        await put_member(conn, "tests", world.anna.institution, "ada", "Ada", "a@b.it", "admin")
    async with browser_at(running.url) as opened:
        await opened.log_in("ada")
        yield opened


async def test_it_is_for_operators_alone(member: Colleague, town: Managing, pool: Pool) -> None:
    service = await submitted(town, "Solo operatori")
    token = await member.csrf()
    for path in (QUEUE, f"{QUEUE}/{service}"):
        assert (await member.client.get(path)).status_code == 404
    for end in ("approval", "rejection"):
        data = {"csrf": token, "version": "2", "reason": REASON}
        answer = await member.client.post(f"{QUEUE}/{service}/{end}", data=data)
        assert answer.status_code == 404
    assert (await town.status(service))["value"] == "submitted"
    await managing.reject(pool, service)


async def test_no_service_is_no_page(operator: Colleague) -> None:
    token = await operator.csrf()
    for wrong in ("x", "0" * 26, "%00"):
        assert (await operator.client.get(f"{QUEUE}/{wrong}")).status_code == 404
        answer = await operator.client.post(f"{QUEUE}/{wrong}/approval", data={"csrf": token})
        assert answer.status_code == 404
