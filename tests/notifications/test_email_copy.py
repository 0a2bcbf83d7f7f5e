"""What a copy says: enough to know what it is about, and nothing that could be followed but ours."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest
import regex
from hypothesis import assume, given
from hypothesis import strategies as st

from messo.base.crypto import Secrets
from messo.messages.markdown import plain_text, split_front_matter
from messo.notifications.channels.channel import Delivery, Language
from messo.notifications.channels.email import unsubscribe
from messo.notifications.channels.email.copy import Place, copy_of
from messo.notifications.channels.email.preview import LONGEST, preview
from messo.notifications.mail import Mail, address, sender_of
from messo.sandbox.fiscal_codes import make

SOMEBODY = make("TSTCPY80A01Y001")
PLACE = Place(sender_of("Città di Prova <no-reply@example.org>"), "https://messo.example.org")
TOKEN = "T" * 66


def delivery(
    subject: str = "La tua tessera è pronta", language: Language = "it", **more: str
) -> Delivery:
    return Delivery(
        id="01JD0000000000000000000000",
        message_id="01JM0000000000000000000000",
        occasion="new",
        address="0123456789abcdef",
        wording="FULL",
        language=language,
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        fiscal_code=SOMEBODY,
        subject=subject,
        service_id="01JS",
        service_name=more.get("service", "Biblioteca"),
        organization_name=more.get("organization", "Comune di Prova"),
    )


def mail_of(told: Delivery, markdown: str = "Puoi ritirarla quando vuoi.") -> bytes:
    return copy_of(told, markdown, "anna@example.net", PLACE, TOKEN).as_bytes()


def read(raw: bytes) -> EmailMessage:
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def parts(raw: bytes) -> tuple[str, str]:
    plain, html = read(raw).iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    return str(plain.get_content()), str(html.get_content())


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.links: list[str] = []
        self.languages: list[str] = []
        self.styles: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.seen.append(tag)
        assert not {"src", "background", "id", "class"} & given.keys()
        assert not any(name.startswith("on") for name in given)
        if tag == "a":
            self.links.append(given["href"] or "")
        if "lang" in given:
            self.languages.append(given["lang"] or "")
        self.styles.append(given.get("style") or "")


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        (
            "---\nit:\n  cta_1:\n    text: Paga\n---\n# Avviso\n\nTesto **forte**.",
            "Avviso Testo forte.",
        ),
        ("Prima riga\n\n---\n\ndopo una riga", "Prima riga dopo una riga"),
        ("[La tua pagina](https://comune.example.org/x?y=1)", "La tua pagina"),
        ("Vai su https://comune.example.org/a?b=c, poi paga.", "Vai su [collegamento], poi paga."),
        ("(www.comune.example.org)", "([collegamento])"),
        ("Entra in comune.roma.it/tributi oggi", "Entra in [collegamento] oggi"),
        ("[banca.it](https://evil.example/x)", "[collegamento]"),
        ("scrivi a ufficio@comune.it", "scrivi a [collegamento]"),
        ("il server 192.0.2.17 risponde", "il server [collegamento] risponde"),
        ("vai su ｅｖｉｌ．ｃｏｍ o evil。com", "vai su [collegamento] o [collegamento]"),
        ("apri mailto:a o tel:0612345", "apri [collegamento] o [collegamento]"),
        (
            "Gent.ma Dott.ssa Rossi, Spett.le S.p.A., P.IVA 1",
            "Gent.ma Dott.ssa Rossi, Spett.le S.p.A., P.IVA 1",
        ),
        (
            "Entro il 12.03.2026 alle 19.30 paga 1.234,50 euro",
            "Entro il 12.03.2026 alle 19.30 paga 1.234,50 euro",
        ),
        ("![una foto](https://evil.example/pixel.png)", "una foto"),
        ("<b>non è HTML</b>", "<b>non è HTML</b>"),
        (f"Gentile {SOMEBODY.lower()}, ecco", "Gentile [codice fiscale], ecco"),
        ("pa\u200bga\u202e\u2066 qui\ufeff", "paga qui"),
        ("", ""),
        ("---\n---\n", ""),
    ],
)
def test_the_preview_is_the_rendered_text_without_anything_to_follow(
    markdown: str, shown: str
) -> None:
    assert preview(markdown, "it") == shown


def test_the_words_for_what_was_taken_out_are_in_the_citizens_language() -> None:
    text = f"See https://example.org for {SOMEBODY}"
    assert preview(text, "en") == "See [link] for [fiscal code]"


def test_a_long_text_is_cut_between_words() -> None:
    text = "parola " * 40
    shown = preview(text, "it")
    assert shown.endswith("parola…")
    assert LONGEST - 7 <= len(shown) <= LONGEST
    exact = ("x" * 66 + " ") * 2
    assert preview(exact.strip() + "y", "it") == exact.strip() + "y"  # 134 fit


@pytest.mark.parametrize("drawn", ["👨‍👩‍👧‍👦", "🇮🇹", "e\u0301\u0302", "👍🏽", "क्षि", "x"])
def test_a_cut_never_parts_what_is_drawn_as_one(drawn: str) -> None:
    for shift in range(12):
        text = "a" * shift + drawn * 140
        shown = preview(text, "it")
        assert shown.endswith("…")
        assert len(shown) <= LONGEST
        whole = regex.findall(r"\X", text)
        assert regex.findall(r"\X", shown[:-1]) == whole[: len(regex.findall(r"\X", shown[:-1]))]


_PHRASE = st.sampled_from(
    [
        "la tua tessera è pronta",
        "vieni in ufficio (al primo piano)",
        "entro il 12.03.2026 alle 9.30",
        "«Biblioteca» di Città di Prova",
        "per e-mail o di persona",
        "grazie",
    ]
)
_LINE = st.one_of(
    _PHRASE,
    st.tuples(_PHRASE, _PHRASE).map(" ".join),
    st.tuples(_PHRASE, _PHRASE).map("{0[0]} **{0[1]}**, poi".format),
    _PHRASE.map("**{}**:".format),
    _PHRASE.map("*{}*".format),
    _PHRASE.map("`{}`".format),
    st.tuples(_PHRASE, st.integers(0, 100)).map(
        lambda link: f"[Vedi qui](https://comune.example.it/{'x' * link[1]}) {link[0]}"
    ),
)
_LINES = st.lists(_LINE, min_size=1, max_size=4)
_BLOCK = st.one_of(
    _LINES.map("\n".join),
    _LINES.map(" ".join),
    _PHRASE.map("## {}".format),
    _LINES.map(lambda lines: "\n".join(f"- {line}" for line in lines)),
    _LINES.map(lambda lines: "\n".join(f"{at}. {line}" for at, line in enumerate(lines, 1))),
    _LINES.map(lambda lines: "\n".join(f"> {line}" for line in lines)),
    _PHRASE.map("```\n{}\n```".format),
    _PHRASE.map("    {}".format),
    st.sampled_from(["---", "\n\n"]),
)
_FRONT = st.sampled_from(["", "---\nit:\n  cta_1:\n    text: Paga\n---\n", "---\n---\n"])


@given(_FRONT, st.lists(_BLOCK, min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_the_beginning_is_read_as_it_is_within_the_whole(
    front: str, blocks: list[str], newline: str
) -> None:
    body = (front + "\n\n".join(blocks)).replace("\n", newline)
    assume(not _is_crowded(body))
    whole = " ".join(plain_text(body).split())
    shown = preview(body, "it")
    if len(whole) > LONGEST:
        whole = whole[: whole.rfind(" ", 0, LONGEST)].rstrip(" ,;:.-–—([{«“") + "…"
    assert shown == whole


def _is_crowded(body: str) -> bool:
    """More marks and lines than the beginning of a letter has: less of it may be shown."""
    beginning = split_front_matter(body)[1].strip()
    marks = re.compile(r"[*`\[\]>#\n]|- |\d\. ")
    return len(marks.findall(beginning[:400])) > 20 or len(marks.findall(beginning[:1000])) > 38


@pytest.mark.parametrize(
    "hostile",
    [
        "a." * 5000,
        "://" * 3000,
        "@" * 10_000,
        "[" * 9000,
        "\u0301" * 9000,
        "a.b " * 2500,
        "." * 10_000,
        "_a" * 5000,
        "*a " * 3000,
        "- a\n" * 2500,
        "[a](https://x.it/a) " * 500,
    ],
    ids=lambda text: text[:4],
)
def test_no_text_takes_long_or_breaks_a_copy(hostile: str) -> None:
    raw = mail_of(delivery(), hostile)
    assert len(preview(hostile, "it")) <= LONGEST
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_copy_says_who_writes_about_what_and_where_to_read_it() -> None:
    raw = mail_of(delivery())
    mail = read(raw)
    assert mail["Subject"] == "La tua tessera è pronta"
    assert mail["To"] == "anna@example.net"
    assert mail["From"] == "Città di Prova <no-reply@example.org>"
    assert mail["Message-ID"] == "<01jd0000000000000000000000@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail.get_content_type() == "multipart/alternative"
    for text in parts(raw):
        for words in (
            "Comune di Prova",
            "Biblioteca",
            "La tua tessera è pronta",
            "Puoi ritirarla quando vuoi.",
            "https://messo.example.org/messages/01JM0000000000000000000000",
            "https://messo.example.org/preferences",
            f"https://messo.example.org/unsubscribe?t={TOKEN}",
            "Non rispondere",
        ):
            assert words in text


def test_a_mailbox_can_offer_the_way_out_with_one_click() -> None:
    """As the header stands in the mail: an encoded one would be nobody's link (RFC 8058)."""
    raw = mail_of(delivery())
    assert (
        f"\r\nList-Unsubscribe: <https://messo.example.org/unsubscribe?t={TOKEN}>\r\n".encode()
        in raw
    )
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw


def test_an_english_copy_is_english_throughout() -> None:
    raw = mail_of(delivery(language="en"))
    for text in parts(raw):
        assert "You have a new message" in text
        assert "Hai un nuovo" not in text
    assert Tags(parts(raw)[1]).languages == ["en", "en"]


def test_the_html_is_sound_and_asks_nothing_of_anybody() -> None:
    tags = Tags(parts(mail_of(delivery()))[1])
    assert tags.languages == ["it", "it"]
    assert tags.seen.count("h1") == 1
    assert not {"img", "table", "script", "style", "link", "form", "iframe", "input"} & set(
        tags.seen
    )
    assert all(link.startswith("https://messo.example.org/") for link in tags.links)
    assert not any("url(" in style or "width:5" in style.split("max-")[0] for style in tags.styles)


def _luminance(colour: str) -> float:
    def part(text: str) -> float:
        value = int(text, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    return sum(
        weight * part(colour[at : at + 2]) for weight, at in ((0.2126, 1), (0.7152, 3), (0.0722, 5))
    )


def test_every_text_stands_out_from_its_ground() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, each colour on each ground that it may lie on."""
    styles = ";".join(Tags(parts(mail_of(delivery()))[1]).styles)
    inks = set(re.findall(r"(?<![-\w])color:(#\w{6})", styles)) - {"#ffffff"}
    grounds = set(re.findall(r"background:(#\w{6})", styles)) - {"#0059b3"}
    assert len(inks) >= 3
    pairs = [(ink, ground) for ink in inks for ground in grounds] + [("#ffffff", "#0059b3")]
    for ink, ground in pairs:
        light, dark = sorted((_luminance(ink), _luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


@pytest.mark.parametrize("line", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00"])
def test_a_line_break_in_a_name_or_subject_makes_no_header(line: str) -> None:
    hostile = f"Avviso{line}Bcc: evil@example.com{line}{line}<script>x</script>"
    raw = mail_of(delivery(hostile, organization=hostile, service=hostile), hostile)
    mail = read(raw)
    assert mail["Bcc"] is None
    assert len(list(mail.iter_parts())) == 2
    assert mail["Subject"].startswith("Avviso")
    head = raw.split(b"\r\n\r\n")[0]
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert b"evil" not in head.replace(b"Subject: " + mail["Subject"].encode(), b"")
    assert "<script>" not in parts(raw)[1]


def test_no_fiscal_code_stands_anywhere_in_a_copy() -> None:
    """Not even where the institution wrote it: a mail lies about for years."""
    raw = mail_of(delivery(f"Pratica di {SOMEBODY}"), f"Gentile {SOMEBODY}")
    mail = read(raw)
    assert mail["Subject"] == "Pratica di [codice fiscale]"
    for text in (*parts(raw), str(mail), raw.decode()):
        assert SOMEBODY not in text.upper()


@pytest.mark.parametrize(
    "subject",
    ["x" * 120, "è" * 120, "👨‍👩‍👧‍👦 " * 20, "\u200b" * 30, "=?utf-8?q?x?= " * 8, "a\tb" * 40],
)
def test_every_subject_can_be_written(subject: str) -> None:
    raw = mail_of(delivery(subject))
    assert read(raw)["Subject"]
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert max(len(line) for line in raw.split(b"\r\n") if b"=?" in line) <= 78 or b"=?" not in raw


def test_the_longest_address_stays_as_it_is() -> None:
    longest = "a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".it"
    mail = Mail(
        "x",
        PLACE.sender,
        longest,
        "s",
        "copy",
        "it",
        copy_of(delivery(), "", "a@b.it", PLACE, TOKEN).values,
        package="messo.notifications.channels.email",
    )
    assert f"\r\nTo: {longest}\r\n".encode() in mail.as_bytes()


@pytest.mark.parametrize("text", ["", "x", "@x.it", "x@", "è@x.it", "a@b.it\r\nBcc: c@d.it"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        address(text)


@pytest.mark.parametrize(
    ("setting", "name", "bare"),
    [
        ("Messo <no-reply@example.org>", "Messo", "no-reply@example.org"),
        ("no-reply@example.org", "", "no-reply@example.org"),
        ('"Comune, Prova" <a@example.org>', "Comune, Prova", "a@example.org"),
    ],
)
def test_the_sender_is_a_name_and_an_address(setting: str, name: str, bare: str) -> None:
    found = sender_of(setting)
    assert (found.display_name, found.addr_spec) == (name, bare)


def test_the_token_of_the_way_out_says_nothing_and_is_only_that(secrets: Secrets) -> None:
    token = unsubscribe.make(secrets, SOMEBODY)
    assert re.fullmatch(r"[\w-]{50,100}", token)
    assert SOMEBODY not in token
    assert unsubscribe.read(secrets, token) == SOMEBODY
    assert unsubscribe.make(secrets, SOMEBODY) != token
    elsewhere = secrets.seal(SOMEBODY.encode(), "something else")
    for wrong in (
        "",
        "A",
        token[:-1],
        token[1:],
        token + "A",
        token.lower(),
        token * 9,
        "è" * 60,
        "/" * 60,
        "A" * 66,
        elsewhere.hex(),
    ):
        assert unsubscribe.read(secrets, wrong) is None
    assert unsubscribe.read(Secrets.parse("9:" + "A" * 43 + "="), token) is None
