"""Messages and services as their writers see them beforehand: the inbox's pages, dead."""

import re
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from messo.inbox.preview import Preview, leading_nowhere
from messo.messages.wire import Content, Payee, PaymentData, ThirdPartyData
from messo.pages.languages import Language
from messo.services import contacts
from messo.services.catalog import Service
from messo.services.topics import OTHER

TEXT = "Gentile signora, [leggi qui](https://example.org/a?b=1&c=2) **subito**. " * 3
BUTTONS = (
    '---\nit:\n  cta_1:\n    text: "Apri"\n    action: "iohandledlink://https://example.org"\n'
    '  cta_2:\n    text: "Entra"\n    action: "iosso://https://sso.example.org/in"\n---\n'
)


def service(**metadata: str) -> Service:
    known = {**dict.fromkeys(contacts.NAMES, ""), **metadata}
    return Service(
        "01J0SERVICE",
        "Mensa <b>",
        "Di *tutti*",
        "Scuola",
        "STANDARD",
        "I",
        "Comune di Anna",
        "00000000001",
        1,
        OTHER,
        known,
    )


def shown(content: Content, language: Language = "it") -> str:
    return Preview(on_loopback=False).message(
        service(email="a@example.org"), content, language, None
    )


def test_a_message_is_shown_as_in_the_inbox_in_the_language_asked_for() -> None:
    content = Content(
        subject="La tua mensa",
        markdown=BUTTONS + TEXT,
        due_date="2031-01-31T22:59:59Z",
        payment_data=PaymentData(12_050, "301000000000000000", payee=Payee("00000000002")),
    )
    italian, english = shown(content), shown(content, "en")
    assert '<html lang="it">' in italian
    assert '<html lang="en">' in english
    assert "<h1>La tua mensa</h1>" in italian
    assert "31 gennaio 2031, 23:59" in italian
    assert "120,50" in italian
    assert "Pay</a>" in english
    assert "3010 0000 0000 0000 00" in english
    assert "due in" in english
    assert "<strong>subito</strong>" in italian
    assert "Mensa &lt;b&gt;" in italian
    assert ">Apri " in italian
    assert "Entra" in italian
    assert "a@example.org" in italian


def test_nothing_in_it_leads_anywhere_and_nothing_runs() -> None:
    evil = (
        "<script>alert(1)</script><iframe src=x></iframe><style>*{}</style> "
        '[x](javascript:alert(1)) ![i](https://example.org/i.png) [a">b](https://example.org/">) '
        '<a href="https://example.org/x" onclick="y">z</a> '
    )
    page = shown(Content(subject='<img src=x onerror="alert(1)">', markdown=BUTTONS + evil + TEXT))
    assert not re.search(r"<(script|iframe|img|style)\b", page)
    tags = re.findall(r"<(?!link\b)[a-z]\w*(?:[^>\"]|\"[^\"]*\")*>", page)
    assert not [
        tag for tag in tags if re.search(r"\s(on\w+|href|action)=", tag) and "<use" not in tag
    ]
    assert "javascript:" not in re.sub(r">[^<]*<", "><", page)
    assert "&lt;img src=x" in page


@pytest.mark.parametrize("language", ["it", "en"])
def test_what_is_not_there_yet_is_no_error(language: Language) -> None:
    empty = Content(subject="", markdown="")
    assert "Comune di Anna" in shown(empty, language)
    begun = Content(
        subject="x", markdown="---\nit:", due_date="2031-", payment_data=PaymentData(0, "3")
    )
    assert "Comune di Anna" in shown(begun, language)
    assert begun.payment_data is not UNSET


def test_what_the_institution_serves_is_announced() -> None:
    third = ThirdPartyData(
        "1", has_attachments=True, has_remote_content=True, has_precondition="ALWAYS"
    )
    page = shown(Content(subject="Un atto", markdown=TEXT, third_party_data=third), "en")
    assert "attachments are listed here when it is opened" in page
    assert "Your server serves subject and text" in page
    assert "has to be accepted" in page


def test_a_service_is_shown_as_in_the_catalogue_and_leads_nowhere() -> None:
    preview = Preview(on_loopback=True)
    made = service(
        web_url="https://example.org", privacy_url="https://example.org/p", cta=BUTTONS, phone="123"
    )
    page = preview.service(made, "it", ("", ""))
    assert "Mensa &lt;b&gt;" in page
    assert "<em>tutti</em>" in page
    assert "Cosa" in page or "Che cosa" in page
    assert "example.org" in page
    assert not re.search(r"<a\b[^>]*href", page)
    assert not re.search(r"<form\b[^>]*action", page)
    assert 'name="csrf"' not in page
    drawn = preview.service(service(), "en", ("/logos/own.png", "/logos/town.png"))
    assert "What you allow" in drawn
    assert re.findall(r'<img[^>]* src="(/logos/[a-z]+.png)"', drawn) == [
        "/logos/town.png",
        "/logos/own.png",
    ]


def test_a_message_that_was_sent_keeps_its_date() -> None:
    content = Content(subject="Un atto", markdown=TEXT)
    at = datetime(2026, 3, 4, 9, 5, tzinfo=UTC)
    page = Preview(on_loopback=False).message(service(), content, "it", at)
    assert "4 marzo 2026, 10:05" in page


def test_dead_links_keep_their_looks() -> None:
    assert leading_nowhere('<a class="btn" href="/x?a=&#34;>">B</a>') == (
        '<a role="link" aria-disabled="true" class="btn">B</a>'
    )
