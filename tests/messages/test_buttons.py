"""Buttons are what the contract allows, in the citizen's language, or there are none."""

import time

import hypothesis
import pytest
from hypothesis import strategies

from messo.messages.buttons import Action, Button, Kind, Reason, of_message, sso_actions
from tests.messages.hostile_markdown import CORPUS

bounded = hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)

BOTH = """---
it:
  cta_1:
    text: "Apri la pratica"
    action: "iohandledlink://https://ente.example.it/pratica/42"
  cta_2:
    text: "Chiama"
    action: "iohandledlink://tel:+39 02 1234"
en:
  cta_1:
    text: "Open the file"
    action: "iohandledlink://https://ente.example.it/en/42"
---
corpo"""


def one(action: str, text: str = '"Apri"', **more: bool) -> tuple[Button, ...]:
    front = f"it:\n  cta_1:\n    text: {text}\n    action: '{action}'\n"
    return of_message(f"---\n{front}---\ncorpo", "it", **more)


def shape(buttons: tuple[Button, ...]) -> list[tuple[str, str, str]]:
    return [(button.text, button.href, button.kind) for button in buttons]


def test_each_language_has_its_buttons() -> None:
    there = "ente.example.it"
    assert of_message(BOTH, "it") == (
        Button("Apri la pratica", f"https://{there}/pratica/42", "link", there),
        Button("Chiama", "tel:+39021234", "phone"),
    )
    assert of_message(BOTH, "en") == (
        Button("Open the file", f"https://{there}/en/42", "link", there),
    )


def test_a_missing_language_falls_back_to_italian() -> None:
    assert of_message(BOTH, "de") == of_message(BOTH, "it")
    assert of_message(BOTH.replace("\nen:", "\nfr:"), "en") == of_message(BOTH, "it")


def test_without_italian_there_is_nothing_to_fall_back_to() -> None:
    english = BOTH.replace("\nit:", "\nfr:")
    assert of_message(english, "it") == ()
    assert len(of_message(english, "en")) == 1


def test_a_language_without_its_first_button_shows_nothing() -> None:
    assert of_message(BOTH.replace("cta_1", "cta_3"), "it") == ()
    broken = BOTH.replace('text: "Open the file"', "text: 42")
    assert of_message(broken, "en") == ()
    assert len(of_message(broken, "it")) == 2


def test_a_second_button_that_is_incomplete_is_left_out() -> None:
    assert len(of_message(BOTH.replace('    text: "Chiama"\n', ""), "it")) == 1


def test_a_button_of_an_unknown_kind_is_left_out_and_the_other_stays() -> None:
    changed = BOTH.replace("iohandledlink://https://ente.example.it/pratica/42", "other://x")
    assert of_message(changed, "it") == (Button("Chiama", "tel:+39021234", "phone"),)


def test_metadata_of_a_service_is_read_as_a_message_is() -> None:
    assert len(of_message(BOTH.removesuffix("corpo"), "it")) == 2


@pytest.mark.parametrize(
    ("action", "href", "kind"),
    [
        ("iohandledlink://https://a.it", "https://a.it", "link"),
        ("iohandledlink://http://a.it/è?x=1#y", "http://a.it/%C3%A8?x=1#y", "link"),
        ("IOHANDLEDLINK://HTTPS://A.it/B", "https://a.it/B", "link"),
        ("iohandledlink://https://à.it", "https://xn--0ca.it", "link"),
        ("iohandledlink://https://a.it:8443/", "https://a.it:8443/", "link"),
        ("iohandledlink://mailto:ufficio+1@a.it", "mailto:ufficio%2B1@a.it", "email"),
        ("iohandledlink://tel:800-123.456", "tel:800123456", "phone"),
        ("iohandledlink://sms:+393331234567", "sms:+393331234567", "sms"),
        ("iohandledlink://copy: IT60 X054  2811 ", "IT60 X054 2811", "copy"),
        ("iosso://https://rp.example.it/login", "https://rp.example.it/login", "sso"),
        ("ioit://SERVICES_HOME", "/services", "page"),
        ("ioit://MESSAGES_HOME", "/", "page"),
        ("ioit://PAYMENTS_HISTORY_SCREEN", "/?kind=payment", "page"),
        ("ioit://PROFILE_MAIN", "/preferences", "page"),
        ("ioit://PROFILE_PREFERENCES_HOME", "/preferences", "page"),
        ("ioit://PROFILE_PRIVACY", "/data", "page"),
        ("ioit://services/service-detail?serviceId=01AB&activate=true", "/services/01AB", "page"),
        ("ioit://services/service-detail?serviceId=a/b%3Fc", "/services/a%2Fb%3Fc", "page"),
    ],
)
def test_actions(action: str, href: str, kind: Kind) -> None:
    assert shape(one(action)) == [("Apri", href, kind)]


@pytest.mark.parametrize(
    ("action", "host"),
    [
        ("iohandledlink://https://Ente.Example.IT/a?x=https://other.it", "ente.example.it"),
        ("iohandledlink://http://a.it:8443", "a.it:8443"),
        ("iohandledlink://https://à.it", "xn--0ca.it"),
        ("iosso://https://accesso.gov.it.rp.example/login", "accesso.gov.it.rp.example"),
        ("iosso://https://xn--pple-43d.example?x", "xn--pple-43d.example"),
        ("iohandledlink://https://[2001:db8::1]:444/", "[2001:db8::1]:444"),
        ("iohandledlink://tel:112", ""),
        ("ioit://MESSAGES_HOME", ""),
    ],
)
def test_the_host_is_said_as_it_is_called(action: str, host: str) -> None:
    assert [button.host for button in one(action)] == [host]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("ioit://WALLET_HOME", "elsewhere"),
        ("ioit://CTA_START_CGN", "elsewhere"),
        ("ioit://SERVICE_WEBVIEW?url=https://a.it/?x=<script>", "elsewhere"),
        ("ioit://fci/main?signatureRequestId=01AB", "elsewhere"),
        ("ioit://fci/signature-requests", "elsewhere"),
        ("ioit://cgn-details/categories-merchant/cinema", "elsewhere"),
        ("ioit://itw/discovery/info", "elsewhere"),
        ("iosso://http://rp.example.it", "not-encrypted"),
        ("iosso://http://127.0.0.1:8480/login", "not-encrypted"),
    ],
)
def test_what_cannot_be_pressed_here_is_shown_with_the_reason(action: str, reason: Reason) -> None:
    """And without the address: nothing of it is left to be followed."""
    assert one(action) == (Button("Apri", "", "unavailable", reason=reason),)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8480/rp", "http://localhost/rp", "http://[::1]:8480/rp"]
)
def test_single_sign_on_without_encryption_stays_on_loopback(address: str) -> None:
    assert shape(one(f"iosso://{address}", sso_on_loopback=True)) == [("Apri", address, "sso")]


@pytest.mark.parametrize(
    "address",
    [
        "http://rp.example.it",
        "http://127.0.0.1.example.it",
        "http://localhost.example.it",
        "http://128.0.0.1",
        "http://[::2]",
        "http://0x7f000001",
    ],
)
def test_a_sandbox_signs_nobody_on_elsewhere_without_encryption(address: str) -> None:
    made = one(f"iosso://{address}", sso_on_loopback=True)
    assert [button.kind for button in made] == ["unavailable"]


def test_addresses_of_single_sign_on_are_found_in_both_languages() -> None:
    text = BOTH.replace("iohandledlink://tel:+39 02 1234", "iOSSO:// https://rp.example.it/a ")
    text = text.replace("iohandledlink://https://ente.example.it/en/42", "iosso://x")
    assert sso_actions(text) == [
        Action("it.cta_2.action", "https://rp.example.it/a"),
        Action("en.cta_1.action", "x"),
    ]
    assert sso_actions(BOTH) == []
    assert sso_actions("iosso://https://rp.example.it") == []


@pytest.mark.parametrize(
    "action",
    [
        "",
        "https://a.it",
        "iohandledlink://",
        "iohandledlink://a.it",
        "iohandledlink://javascript:alert(1)",
        "iohandledlink:// javascript:alert(1)",
        "iohandledlink://data:text/html,x",
        "iohandledlink://file:///etc/passwd",
        "iohandledlink://ftp://a.it",
        "iohandledlink:////a.it",
        "iohandledlink://https://",
        "iohandledlink://https://u@a.it",
        "iohandledlink://https://u:p@a.it",
        "iohandledlink://https://a.it\\@b.it",
        "iohandledlink://https://a.it/ b",
        "iohandledlink://https://a.it:70000",
        "iohandledlink://https://a.it/" + "x" * 2_000,
        "iohandledlink://mailto:",
        "iohandledlink://mailto:a",
        "iohandledlink://mailto:a@b.it?bcc=c@d.it",
        "iohandledlink://mailto:a@b.it,c@d.it",
        "iohandledlink://tel:*%2306%23",
        "iohandledlink://tel:*#06#",
        "iohandledlink://tel:" + "1" * 40,
        "iohandledlink://sms:+39333?body=x",
        "iohandledlink://copy:",
        "iosso://javascript:alert(1)",
        "iosso:///login",
        "iosso://https://u@rp.example.it",
        "iosso://http://u@rp.example.it",
        "iosso://ftp://rp.example.it",
        "iosso://",
        "ioit://",
        "ioit://https://a.it",
        "ioit://javascript:alert(1)",
        "ioit://../a",
        "ioit://<b>",
        "ioit://services/service-detail",
        "ioit://services/service-detail?serviceId=",
        "ioit://services/service-detail?serviceId=..",
        "ioit://services/service-detail?serviceId=" + "x" * 500,
        "ioit:////a.it",
    ],
)
def test_actions_that_make_no_button(action: str) -> None:
    assert one(action) == ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"  Apri \\n la   pratica "', "Apri la pratica"),
        ('"Ap\\u202Eri\\u0000\\u200b"', "Apri"),
        ("No", "No"),
        ("Sì - 10 minuti", "Sì - 10 minuti"),
        (f'"{"x" * 81}"', "x" * 79 + "…"),
        (f'"{"x" * 80}"', "x" * 80),
        ('"42"', "42"),
        ("'<b>Apri</b>'", "<b>Apri</b>"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert [button.text for button in one("ioit://MESSAGES_HOME", text)] == [shown]


@pytest.mark.parametrize(
    "text", ["42", "4.2", "true", "~", "", '""', '" \\u200b "', "2030-01-31", "[a]", "{a: b}"]
)
def test_texts_that_are_none(text: str) -> None:
    assert one("ioit://MESSAGES_HOME", text) == ()


_CTA = "{text: a, action: 'ioit://MESSAGES_HOME'}"


def test_what_the_refusals_vary_is_read_without_them() -> None:
    assert of_message(f"---\nit: {{cta_1: {_CTA}}}\n---\n", "it") == (Button("a", "/", "page"),)


@pytest.mark.parametrize(
    "front",
    [
        f"it: {{cta_1: &a {_CTA}}}",
        f"it: {{cta_1: &a {_CTA}, cta_2: *a}}",
        f"it: {{cta_1: !!map {_CTA}}}",
        f"it: !x {{cta_1: {_CTA}}}",
        f"it: {{cta_1: {_CTA}, cta_1: {_CTA}}}",
        f"it: {{cta_1: {_CTA}}}\nit: {{cta_1: {_CTA}}}",
        f"it: {{cta_1: {_CTA}, <<: {_CTA}}}",
        f"it: {{cta_1: {_CTA}, x: {{y: {{z: a}}}}}}",
        f"it: {{cta_1: {_CTA}, x: [a]}}",
        f"it: {{cta_1: {_CTA}, ? [a] : b}}",
        f"it: {{cta_1: {_CTA}, 1: b}}",
        f"it: {{cta_1: {_CTA}}}\n...\n--- x",
        f"it: {{cta_1: {_CTA}",
        f"it: {{cta_1: {_CTA}}}\n\tx: y",
        f"it: {{cta_1: {_CTA}}}\n# {'x' * 4_000}",
        f"it: {{cta_1: {_CTA}}}\n" + "".join(f"x{i}: y\n" for i in range(300)),
        f"%TAG ! tag:a.it,2000:\n---\nit: {{cta_1: {_CTA}}}",
        "it",
        "it: x",
        "it:",
        "it: {cta_1: }",
        "it: {cta_1: {text: a}}",
        "it: {cta_1: {text: a, action: 1}}",
        "- it",
        "",
        "#",
        "it: !!python/object/apply:os.system ['id']",
        "it: {" * 600,
        "it: [" * 600,
        "it: '\ud800\x00\ufffe",
    ],
)
def test_front_matter_that_is_not_of_the_contract_has_no_buttons(front: str) -> None:
    assert of_message(f"---\n{front}\n---\ncorpo", "it") == ()


@pytest.mark.parametrize(
    "escape", ["\\u202e", "\\0", "\\x1b", "\\ud800", "\\U0000d800", "\\u200b", "\\L", "\\ufeff"]
)
def test_escapes_do_not_bring_back_what_was_taken_out(escape: str) -> None:
    action = f"iohandledlink://https://a.it/{escape}b"
    front = f'it:\n  cta_1:\n    text: a\n    action: "{action}"\n'
    assert of_message(f"---\n{front}---\n", "it") == ()


@pytest.mark.parametrize("markdown", ["", "corpo", "---", "---\nit: x", " " + BOTH, "x\n" + BOTH])
def test_without_front_matter_there_are_no_buttons(markdown: str) -> None:
    assert of_message(markdown, "it") == ()


def assert_safe(buttons: tuple[Button, ...]) -> None:
    assert len(buttons) <= 2
    starts = {
        "link": ("https://", "http://"),
        "page": ("/",),
        "sso": ("https://",),
        "unavailable": ("",),
        "email": ("mailto:",),
        "phone": ("tel:",),
        "sms": ("sms:",),
        "copy": ("",),
    }
    for button in buttons:
        assert 1 <= len(button.text) <= 80
        assert button.href.startswith(starts[button.kind])
        assert not button.href.startswith(("//", "/\\"))
        assert bool(button.host) is (button.kind in {"link", "sso"})
        assert bool(button.reason) is (button.href == "") is (button.kind == "unavailable")
        if button.kind != "copy":
            assert button.href.isascii()
            assert not set(button.href) & set(" \t\r\n\"'<>\\`")


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in CORPUS])
def test_hostile_text_has_safe_buttons_or_none(text: str) -> None:
    start = time.perf_counter()
    assert_safe(of_message(text, "it"))
    assert_safe(of_message(text, "en"))
    assert time.perf_counter() - start < 1


WORDS = strategies.sampled_from(
    [
        *(
            "it:",
            "en:",
            " cta_1:",
            "  text: ",
            "  action: ",
            "x",
            "\n",
            "\n",
            "  ",
            "{",
            "}",
            "[",
            ",",
        ),
        *(
            '"',
            "'",
            "&a ",
            "*a",
            "!!str ",
            "<<: ",
            "? ",
            ": ",
            "- ",
            "|\n",
            ">\n",
            "---\n",
            "%",
            "\t",
        ),
        *("iohandledlink://https://a.it", "ioit://MESSAGES_HOME", "é", "\u202e", "#", "\\"),
    ]
)


@bounded
@hypothesis.given(strategies.lists(WORDS, max_size=60).map("".join))
def test_any_front_matter_has_safe_buttons_or_none(front: str) -> None:
    assert_safe(of_message(f"---\nit:\n{front}\n---\n", "it"))


@bounded
@hypothesis.given(strategies.text(max_size=200))
def test_any_target_makes_a_safe_button_or_none(target: str) -> None:
    quoted = target.replace("'", "''").replace("\n", " ")
    for scheme in (
        *("iohandledlink://", "iohandledlink://https://", "iohandledlink://copy:"),
        *("iosso://https://", "iosso://http://", "iosso://", "ioit://"),
    ):
        assert_safe(one(scheme + quoted))
    assert_safe(one("ioit://services/service-detail?serviceId=" + quoted))
