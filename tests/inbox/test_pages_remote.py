"""Messages that an institution serves when they are opened: what comes first, and what is shown."""

from http.cookies import Morsel, SimpleCookie

import httpx
import pytest

from messo.base.db import Pool
from messo.settings import Settings
from tests.inbox.conftest import LogIn
from tests.inbox.institution import (
    SETTINGS,
    STATIC,
    SUBJECT,
    TOLD,
    Institution,
    attachment,
    detail,
    is_read,
    read_events,
    said,
)
from tests.inbox.pages import Browser, Page, check, citizen
from tests.messages.mail import Mail

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def settings() -> Settings:
    return SETTINGS


async def go_on(browser: Browser, message: str, page: Page) -> httpx.Response:
    """Press "continue", and follow to the message."""
    sent = await browser.send(page.form(f"/messages/{message}/continue"))
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/messages/{message}"
    assert sent.headers["cache-control"] == "no-store"
    cookie = cookie_of(sent)
    assert cookie["path"] == f"/messages/{message}"
    assert cookie["max-age"] == "60"
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    browser.cookies[cookie.key] = cookie.value
    opened = await browser.get(f"/messages/{message}")
    browser.cookies.pop(cookie.key)
    forgotten = cookie_of(opened)
    assert forgotten["path"] == f"/messages/{message}"
    assert forgotten["max-age"] == "0"
    return opened


def cookie_of(given: httpx.Response) -> "Morsel[str]":
    found = SimpleCookie(given.headers["set-cookie"])
    assert list(found) == ["messo-continue"]
    return found["messo-continue"]


def is_question(page: Page) -> bool:
    """Whether this is the page of the precondition, with nothing of the message on it."""
    asks = TOLD["title"] in page.text
    if asks:
        assert "Contiene dati sulla tua salute." in page.text
        assert "nella norma" not in page.text
        assert "resta nel messaggio, e" not in page.text
        assert SUBJECT not in page.text
    else:
        assert not [form for form in page.forms if form.action.endswith("/continue")]
    return asks


async def test_a_precondition_once_is_shown_before_and_never_again(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers |= {"uno": detail(attachment()), "uno/precondition": said(TOLD)}
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    for _ in range(2):  # reloading answers nothing
        page = await giulia.page(f"/messages/{sent}")
        assert is_question(page)
        assert "il messaggio resta da leggere" in page.text
    assert not await is_read(pool, giulia.fiscal_code, sent)
    assert hospital.asked == ["uno/precondition"] * 2
    opened = await go_on(giulia, sent, page)
    assert opened.status_code == 200
    assert SUBJECT in check(opened.text, "it").text
    assert await is_read(pool, giulia.fiscal_code, sent)
    for _ in range(2):
        assert not is_question(await giulia.page(f"/messages/{sent}"))
    assert hospital.asked[2:] == ["uno"] * 3


async def test_a_precondition_always_is_shown_at_every_opening(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers |= {"uno": detail(attachment()), "uno/precondition": said(TOLD)}
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ALWAYS")
    for time in ("first", "second"):
        page = await giulia.page(f"/messages/{sent}")
        assert is_question(page), time
        assert ("resta da leggere" in page.text) == (time == "first")
        assert SUBJECT in (await go_on(giulia, sent, page)).text
    assert await read_events(pool, sent) == 1
    assert is_question(await giulia.page(f"/messages/{sent}"))  # the message is reloaded


async def test_without_a_precondition_nothing_is_asked_first(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers |= {"uno": detail(attachment()), "uno/precondition": said(TOLD)}
    sent = await hospital.send(mail, giulia.fiscal_code)
    assert not is_question(await giulia.page(f"/messages/{sent}"))
    assert hospital.asked == ["uno"]
    head = hospital.server.heads[0].lower()
    assert f"fiscal_code: {giulia.fiscal_code}".lower() in head
    assert "x-api-key: the institution's key" in head


async def test_a_precondition_may_stand_before_a_text_of_ours(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers["uno/precondition"] = said(TOLD)
    sent = await hospital.send(
        mail,
        giulia.fiscal_code,
        has_remote_content=False,
        has_attachments=False,
        has_precondition="ONCE",
    )
    page = await giulia.page(f"/messages/{sent}")
    assert is_question(page)
    opened = check((await go_on(giulia, sent, page)).text, "it")
    assert STATIC in opened.text
    assert await is_read(pool, giulia.fiscal_code, sent)
    assert hospital.asked == ["uno/precondition"]


async def test_going_back_leaves_everything_as_it_was(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers |= {"uno": detail(attachment()), "uno/precondition": said(TOLD)}
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    page = await giulia.page(f"/messages/{sent}")
    back = [link for link in page.links if link.startswith("/?at=")]
    assert back == [f"/?at={sent}#m-{sent}"] * 2  # the arrow, and "go back"
    assert (await giulia.get(back[0].partition("#")[0])).status_code == 200
    assert not await is_read(pool, giulia.fiscal_code, sent)
    assert await read_events(pool, sent) == 0
    assert hospital.asked == ["uno/precondition"]


async def test_only_the_form_of_the_page_goes_on(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers |= {"uno": detail(attachment()), "uno/precondition": said(TOLD)}
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    for fields in ({"csrf": ""}, {"csrf": "invented"}, {"another": "field"}):
        refused = await giulia.post(f"/messages/{sent}/continue", fields)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
    assert is_question(await giulia.page(f"/messages/{sent}"))


async def test_a_message_is_read_once_its_content_was_shown(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    sent = await hospital.send(mail, giulia.fiscal_code)
    await giulia.page(f"/messages/{sent}", status=404)
    assert not await is_read(pool, giulia.fiscal_code, sent)
    assert await read_events(pool, sent) == 0
    hospital.answers["uno"] = detail(attachment())
    await giulia.page(f"/messages/{sent}")
    assert await is_read(pool, giulia.fiscal_code, sent)
    assert await read_events(pool, sent) == 1


async def test_asking_for_headers_asks_the_institution_nothing(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    assert (await giulia.head(f"/messages/{sent}")).status_code == 200
    assert hospital.asked == []
    assert not await is_read(pool, giulia.fiscal_code, sent)


async def test_remote_subject_text_and_buttons_replace_those_of_the_message(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    front = "".join(
        f'{language}:\n  cta_1:\n    text: "{text}"\n    action: "iohandledlink://https://'
        f'example.org/{language}"\n'
        for language, text in (("it", "Prenota la visita"), ("en", "Book the visit"))
    )
    hospital.answers["due"] = detail(markdown=f"---\n{front}---\nVieni il **4 novembre**.")
    sent = await hospital.send(mail, giulia.fiscal_code, "due", has_attachments=False)
    page = await giulia.page(f"/messages/{sent}")
    assert SUBJECT in page.text
    assert "La prima riga" not in page.text
    assert "Vieni il 4 novembre." in page.text
    assert "resta nel messaggio, e" not in page.text
    assert "Prenota la visita" in page.text
    assert "https://example.org/it" in page.links
    assert "iohandledlink" not in page.text
    assert "Questo testo resta presso Comune di Anna, che te lo mostra adesso" in page.text
    giulia.cookies["messo-language"] = "en"
    page = await giulia.page(f"/messages/{sent}", "en")
    assert "Book the visit" in page.text
    assert "https://example.org/en" in page.links
    assert "This text stays with Comune di Anna, which shows it to you now" in page.text


async def test_what_was_not_promised_is_not_shown(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    hospital.answers["uno"] = detail(attachment())
    text = await hospital.send(mail, giulia.fiscal_code, has_attachments=False)
    page = await giulia.page(f"/messages/{text}")
    assert SUBJECT in page.text
    assert "referto.pdf" not in page.text
    files = await hospital.send(mail, giulia.fiscal_code, has_remote_content=False)
    page = await giulia.page(f"/messages/{files}")
    assert STATIC in page.text
    assert SUBJECT not in page.text
    assert "Questo testo resta presso" not in page.text
    assert "referto.pdf" in page.text


HOSTILE = (
    "<script>alert(1)</script> [premi](javascript:alert(1)) ![foto](https://evil.example/p.gif) "
    "<img src=x onerror=alert(1)> [qui](data:text/html,x) \u202egirato, e parole per la lunghezza."
)


async def test_hostile_texts_are_harmless(
    hospital: Institution, mail: Mail, giulia: Browser
) -> None:
    subject = "<script>alert(1)</script> \u202eavviso"
    front = '---\nit:\n  cta_1:\n    text: "Premi"\n    action: "javascript:alert(1)"\n---\n'
    told = {"title": subject, "markdown": HOSTILE}
    hospital.answers |= {
        "uno": detail(attachment(), subject=subject, markdown=front + HOSTILE),
        "uno/precondition": said(told),
    }
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    question = await giulia.get(f"/messages/{sent}")
    page = check(question.text, "it")
    opened = await go_on(giulia, sent, page)
    for given in (question, opened):
        page = check(given.text, "it")  # no script, no handler, no javascript: link
        assert "<script>alert(1)</script> avviso" in page.text
        assert "\u202e" not in given.text
        assert "<img" not in given.text
        assert 'src="https://evil' not in given.text
        assert not [link for link in page.links if link.startswith("data:")]
        assert given.headers["cache-control"] == "no-store"
        policy = given.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")


async def test_the_message_of_another_citizen_is_not_there(
    pool: Pool, hospital: Institution, mail: Mail, giulia: Browser, browse: LogIn
) -> None:
    hospital.answers |= {"uno": detail(attachment()), "uno/precondition": said(TOLD)}
    sent = await hospital.send(mail, giulia.fiscal_code, has_precondition="ONCE")
    other = await browse(await citizen(pool, "RMO", 1))
    csrf = (await other.page("/")).form("/logout").fields["csrf"]
    other.cookies["messo-continue"] = "1"
    for path in (f"/messages/{sent}", f"/messages/{sent}/attachments/{'a' * 43}"):
        assert (await other.get(path)).status_code == 404
    refused = await other.post(f"/messages/{sent}/continue", {"csrf": csrf})
    assert refused.status_code == 404
    assert "set-cookie" not in refused.headers
    assert hospital.asked == []
    assert not await is_read(pool, giulia.fiscal_code, sent)
