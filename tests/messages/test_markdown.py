"""What institutions wrote is shown as they meant it, and can do nothing else."""

import html
from html.parser import HTMLParser
from urllib.parse import urlsplit

import hypothesis
import pytest
from hypothesis import strategies

from messo.messages.characters import _UNUSUAL, on_one_line, without_tricks
from messo.messages.markdown import plain_text, render, split_front_matter
from tests.messages.hostile_markdown import CORPUS, LEAST, MOST

TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"),
    *("pre", "code", "em", "strong", "a"),
}
REL = "noopener noreferrer nofollow"
VOID = {"br", "hr"}
# The same examples every time: a run that fails can be repeated.
bounded = hypothesis.settings(max_examples=400, deadline=None, derandomize=True, database=None)


class Parsed(HTMLParser):
    """Every tag, attribute and piece of text; whatever else there is, is `other`."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.other: list[str] = []
        self.open: list[str] = []
        self.deepest = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_decl(self, decl: str) -> None:
        self.other.append(decl)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)


def assert_harmless(markup: str) -> Parsed:
    parsed = Parsed(markup)
    assert parsed.other == []
    assert parsed.open == []
    assert parsed.deepest <= 14
    for tag, attributes in parsed.tags:
        assert tag in TAGS
        match tag:
            case "a":
                assert set(attributes) == {"href", "rel"}
                assert attributes["rel"] == REL
                address = urlsplit(attributes["href"] or "")
                assert address.scheme in {"http", "https"}
                assert address.hostname
                assert address.username is None
                assert (attributes["href"] or "").isascii()
                assert not set(attributes["href"] or "") & set(" \t\n\"'<>\\`")
            case "ol":
                assert set(attributes) <= {"start"}
                assert (attributes.get("start") or "1").isdigit()
            case _:
                assert attributes == {}
    assert without_tricks(parsed.text) == parsed.text
    return parsed


def test_the_corpus_is_large_and_each_text_can_be_sent() -> None:
    assert len(CORPUS) >= 170
    assert len({name for name, _ in CORPUS}) == len(CORPUS)
    assert len({text for _, text in CORPUS}) == len(CORPUS)
    for name, text in CORPUS:
        assert LEAST <= len(text.encode("utf-16-le", "surrogatepass")) // 2 <= MOST, name


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in CORPUS])
def test_hostile_text_comes_out_harmless(text: str) -> None:
    assert_harmless(render(text))
    assert without_tricks(plain_text(text)) == plain_text(text)
    assert render(text) == render(text)


MARKS = strategies.sampled_from(
    [
        *"*_`[]()<>!&#\\-+=|~:\"'/. \n\t0aé",
        *("\n\n", "> ", "- ", "1. ", "](", "![", "[a]: ", "---\n"),
        *(
            "https://a.it",
            "javascript:",
            "&#x3a;",
            "\u202e",
            "\u200b",
            "<a ",
            "```",
            "    ",
            "http:",
        ),
    ]
)


@bounded
@hypothesis.given(strategies.text(max_size=400))
def test_any_text_comes_out_harmless(text: str) -> None:
    assert_harmless(render(text))
    plain_text(text)


@bounded
@hypothesis.given(strategies.lists(MARKS, max_size=120).map("".join))
def test_any_heap_of_marks_comes_out_harmless(text: str) -> None:
    assert_harmless(render(text))
    assert without_tricks(plain_text(text)) == plain_text(text)


@bounded
@hypothesis.given(strategies.text("abcè 12.,", min_size=1, max_size=60), strategies.data())
def test_no_word_is_lost(words: str, data: strategies.DataObject) -> None:
    """However deep it is quoted, listed or stressed, what was written can be read."""
    hypothesis.assume(words.strip(" 12.,"))
    depth = data.draw(strategies.integers(0, 40))
    mark = data.draw(strategies.sampled_from(["> ", "- ", "**", "*", "  - ", "# "]))
    found = Parsed(render(mark * depth + "segno" + words + "segno")).text
    assert "segno" in found
    assert "".join(words.split()) in "".join(found.split())


def test_stairs_of_lists_keep_their_last_step() -> None:
    stairs = "".join("  " * i + f"- voce {i}\n" for i in range(30))
    assert "voce 29" in render(stairs)
    assert "voce 29" in plain_text(stairs)


LETTER = """## La tua richiesta

Gentile cittadina, la richiesta per la **mensa scolastica** è stata *accolta*.
Porta questi documenti:

* un documento
  * di identità
* la ricevuta `AB-1234`

1. Prendi il numero.
2. Vai allo sportello.

Leggi [le istruzioni](https://comune.example.it/mensa?anno=2026&x=1).
"""


def test_a_letter_looks_as_it_was_meant() -> None:
    assert render(LETTER) == (
        "<h3>La tua richiesta</h3>\n"
        "<p>Gentile cittadina, la richiesta per la <strong>mensa scolastica</strong> è stata "
        "<em>accolta</em>.<br>\nPorta questi documenti:</p>\n"
        "<ul>\n<li>un documento\n<ul>\n<li>di identità</li>\n</ul>\n</li>\n"
        "<li>la ricevuta <code>AB-1234</code></li>\n</ul>\n"
        "<ol>\n<li>Prendi il numero.</li>\n<li>Vai allo sportello.</li>\n</ol>\n"
        '<p>Leggi <a href="https://comune.example.it/mensa?anno=2026&amp;x=1" '
        f'rel="{REL}">le istruzioni</a>.</p>\n'
    )


def test_a_letter_in_words_alone() -> None:
    assert plain_text("---\nit:\n  cta_1: x\n---\n" + LETTER) == (
        "La tua richiesta\n"
        "Gentile cittadina, la richiesta per la mensa scolastica è stata accolta.\n"
        "Porta questi documenti:\nun documento\ndi identità\nla ricevuta AB-1234\n"
        "Prendi il numero.\nVai allo sportello.\nLeggi le istruzioni."
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("***x***", "<p><em><strong>x</strong></em></p>\n"),
        ("__x__ _y_", "<p><strong>x</strong> <em>y</em></p>\n"),
        ("# x", "<h2>x</h2>\n"),
        ("### x", "<h4>x</h4>\n"),
        ("###### x", "<h6>x</h6>\n"),
        ("x\ny", "<p>x<br>\ny</p>\n"),
        ("x  \ny", "<p>x<br>\ny</p>\n"),
        ("x\n\ny", "<p>x</p>\n<p>y</p>\n"),
        ("x\r\ny", "<p>x<br>\ny</p>\n"),
        ("3. x", '<ol start="3">\n<li>x</li>\n</ol>\n'),
        ("> x", "<blockquote>\n<p>x</p>\n</blockquote>\n"),
        ("x\n\n---\n\ny", "<p>x</p>\n<hr>\n<p>y</p>\n"),
        ("x\n\n- - - - - - - - -", "<p>x</p>\n<hr>\n"),
        ("x\n\n********************\n\n**y**", "<p>x</p>\n<hr>\n<p><strong>y</strong></p>\n"),
        ("```python\nx < 1\n```", "<pre><code>x &lt; 1\n</code></pre>\n"),
        ('"x" -- (c) ...', '<p>"x" -- (c) ...</p>\n'),
        ("5 < 6 & 7", "<p>5 &lt; 6 &amp; 7</p>\n"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"),
        ("👩\u200d👩\u200d👧 e \u200dx", "<p>👩\u200d👩\u200d👧 e x</p>\n"),
        ("[x](mailto:a@example.it)", "<p>x</p>\n"),
        ("[x](tel:+39021234)", "<p>x</p>\n"),
        ("[x](ioit://SERVICES_HOME)", "<p>x</p>\n"),
        ("<a@example.it>", "<p>a@example.it</p>\n"),
        ("[**x**](/services)", "<p><strong>x</strong></p>\n"),
        ("![](x.png)", "<p></p>\n"),
        ("![due gatti](gatti.png)", "<p>due gatti</p>\n"),
        ("[x](javascript:alert)", "<p>[x](javascript:alert)</p>\n"),
    ],
)
def test_formatting(written: str, shown: str) -> None:
    assert render(written) == shown


@pytest.mark.parametrize(
    ("written", "href", "label", "after"),
    [
        ("[x](https://a.it)", "https://a.it", "x", ""),
        ("[x](HTTP://A.it/B)", "http://a.it/B", "x", ""),
        ('[x](https://a.it/è?q=ò "titolo")', "https://a.it/%C3%A8?q=%C3%B2", "x", ""),
        ("<https://a.it/b>", "https://a.it/b", "https://a.it/b", ""),
        ("[x]\n\n[x]: https://a.it", "https://a.it", "x", ""),
        ("[](https://a.it/b)", "https://a.it/b", "a.it", ""),
        ("![gatto](https://a.it/g.png)", "https://a.it/g.png", "gatto", ""),
        ("[![gatto](https://b.it/g.png)](https://a.it)", "https://a.it", "gatto", ""),
        ("[www.a.it](https://a.it)", "https://a.it", "www.a.it", ""),
        ("[a.it](https://servizi.a.it)", "https://servizi.a.it", "a.it", ""),
        ("[https://A.IT/x](https://a.it/y)", "https://a.it/y", "https://A.IT/x", ""),
        ("[1.234,00 di S.p.A.](https://a.it)", "https://a.it", "1.234,00 di S.p.A.", ""),
        ("[b.it](https://a.it)", "https://a.it", "b.it", " (a.it)"),
        ("[a.it](https://a.it.b.it)", "https://a.it.b.it", "a.it", " (a.it.b.it)"),
        ("[aa.it](https://a.it)", "https://a.it", "aa.it", " (a.it)"),
        ("[b.*i*t](https://a.it)", "https://a.it", "b.it", " (a.it)"),
        ("[`b.it`](https://a.it)", "https://a.it", "b.it", " (a.it)"),
        ("![b.it](https://a.it)", "https://a.it", "b.it", " (a.it)"),
        ("[x](https://xn--4ca.it)", "https://xn--4ca.it", "x", " (xn--4ca.it)"),
        ("[x](https://à.it)", "https://xn--0ca.it", "x", " (xn--0ca.it)"),
        ("[x](https://10.0.0.1/)", "https://10.0.0.1/", "x", " (10.0.0.1)"),
    ],
)
def test_links(written: str, href: str, label: str, after: str) -> None:
    """A label that names another host than the link's is followed by the true one."""
    rendered = render(written)
    assert [a for tag, a in Parsed(rendered).tags if tag == "a"] == [{"href": href, "rel": REL}]
    assert Parsed(rendered).text.strip() == label + after
    inside = html.unescape(rendered.split('nofollow">')[1].split("</a>")[0])
    assert Parsed(inside).text == label


def test_a_dense_text_is_shown_as_it_was_written() -> None:
    shown = render("uno **due**\n" * 601 + "\n\n<tre>")
    assert shown.startswith("<p>uno **due**<br>uno **due**<br>")
    assert shown.endswith("<p>&lt;tre&gt;</p>\n")


@pytest.mark.parametrize(
    ("markdown", "front", "body"),
    [
        ("---\nit: x\n---\ncorpo", "it: x\n", "corpo"),
        ("---\r\nit: x\r\n---\r\ncorpo", "it: x\n", "corpo"),
        ("\ufeff---  \nit: x\n---\t\ncorpo", "it: x\n", "corpo"),
        ("---\n---\ncorpo", "", "corpo"),
        ("---\nit: x\n---", "it: x\n", ""),
        ("---\nit: x\n----\n---\ncorpo", "it: x\n----\n", "corpo"),
        ("---\nit: x\ncorpo", None, "---\nit: x\ncorpo"),
        (" ---\nit: x\n---\ncorpo", None, " ---\nit: x\n---\ncorpo"),
        ("corpo\n---\nit: x\n---\n", None, "corpo\n---\nit: x\n---\n"),
        ("---\nUn avviso fra due righe\n---\n", None, "---\nUn avviso fra due righe\n---\n"),
        ("", None, ""),
    ],
)
def test_front_matter_is_split_off(markdown: str, front: str | None, body: str) -> None:
    assert split_front_matter(markdown) == (front, body)


def test_what_is_not_looked_at_closely_has_nothing_to_find() -> None:
    """The quick look lets pass only what the close one, forced by the first character, leaves."""
    usual = "".join(char for char in map(chr, range(0x110000)) if not _UNUSUAL.match(char))
    assert {"a", "è", "’", "€", "\n"} <= set(usual)
    assert without_tricks("\0" + usual) == usual


def test_a_cut_keeps_letters_whole() -> None:
    assert on_one_line("  uno \n due  ", 80) == "uno due"
    assert on_one_line("abcdef", 5) == "abcd…"
    assert on_one_line("abce\u0301\u0301f", 5) == "abc…"
    assert on_one_line("ab👩\u200d👧c", 5) == "ab…"
