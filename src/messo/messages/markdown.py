"""What institutions wrote, shown to citizens: markdown to harmless HTML, or to text alone.

Three walls: the parser knows no raw HTML, our own walk over its tokens lets through only links
that may be followed and no images, and nh3 keeps only a short list of tags.
"""

import html
import re

import nh3
from markdown_it import MarkdownIt, helpers
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from messo.messages.characters import without_tricks
from messo.messages.links import WebLink, encoded_web_link, names_another_host

_FENCE = re.compile(
    r"\ufeff?---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
# A body may also begin with two rules around a paragraph: that is shown, not taken for settings.
_SETTINGS = re.compile(r"\s*(?:\Z|#|[\"']?[\w-]+[\"']?[ \t]*:(?:\s|\Z))")

# The deepest nesting of quotes (one level each), lists (two) and emphasis.
_DEEPEST = 12
# Above any of these counts a text is no letter to a person, and parsing it is far dearer than its
# length: brackets, quotes and emphasis are looked at again from each place where they could start.
# Such a body is shown as it was written, in paragraphs, with nothing lost.
_MOST = {
    "\n": 600,
    "[": 200,
    "*": 1_000,
    "_": 1_000,
    "`": 600,
    "<": 200,
    "&": 600,
    "\\": 1_000,
    "!": 600,
    "#": 1_000,
    "~": 600,
}
_LONGEST = 20_000  # characters: twice what a message may have
# What opens quotes and lists at the start of a line: each line is looked at for each one around it.
_CONTAINERS = re.compile(r"^(?:[ \t]*(?:>|(?:[*+-]|\d{1,9}[.)])(?=\s)))+", re.MULTILINE)
_CONTAINER = re.compile(r"[>*+-]|\d+[.)]")
_RULE = re.compile(r"^[ \t]*([-*])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
_MOST_CONTAINERS = 600
_MOST_CONTAINERS_ON_A_LINE = 6
_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")

# Characters looked at in search of the bracket that closes one: an open bracket is followed to the
# end of its paragraph, again for each one around it. The labels of honest links need far less.
_MOST_LOOKED_AT = 30_000


class _TooDenseError(Exception):
    """Raised in the midst of parsing, and caught here."""


class _Helpers:
    """What the rules for links and images call, with the search for labels bounded."""

    parseLinkDestination = staticmethod(helpers.parseLinkDestination)  # noqa: N815
    parseLinkTitle = staticmethod(helpers.parseLinkTitle)  # noqa: N815

    @staticmethod
    def parseLinkLabel(state: StateInline, start: int, disableNested: bool = False) -> int:  # noqa: N802, N803
        end = helpers.parseLinkLabel(state, start, disableNested)
        state.env["looked_at"] += (end if end >= 0 else state.posMax) - start
        if state.env["looked_at"] > _MOST_LOOKED_AT:
            raise _TooDenseError
        return end


_parser = MarkdownIt(
    "commonmark", {"html": False, "breaks": True, "typographer": False, "maxNesting": _DEEPEST + 2}
)
_parser.helpers = _Helpers  # type: ignore[assignment]
_renderer = RendererHTML(_parser)
_cleaner = nh3.Cleaner(
    tags={
        *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"),
        *("pre", "code", "em", "strong", "a"),
    },
    clean_content_tags=set(),
    attributes={"a": {"href"}, "ol": {"start"}},
    url_schemes={"http", "https"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


def split_front_matter(markdown: str) -> tuple[str | None, str]:
    """The YAML between the fences without them, None if there is none, and the body.

    The first fence is the very start. Text between rules that does not begin as settings do
    (`word:`) is body.
    """
    markdown = markdown.replace("\r\n", "\n")
    found = _FENCE.match(markdown)
    if found is None or _SETTINGS.match(found["front"]) is None:
        return None, markdown
    return found["front"], markdown[found.end() :]


def render(markdown: str) -> str:
    """HTML of the body, for the inside of a page that has its own h1.

    Tags: p br hr h2 to h6 ul ol li blockquote pre code em strong a. Attributes: `href` (http, https)
    and `rel` of a, `start` of ol. A single newline is a line break. Never raises.
    """
    body = _body(markdown)
    tokens = _tokens(body)
    if tokens is None:
        return _as_written(body)
    return _cleaner.clean(_renderer.render(tokens, _parser.options, {}))


def plain_text(markdown: str) -> str:
    """The body's words, one line for each line shown: for search, previews and print."""
    body = _body(markdown)
    tokens = _tokens(body)
    if tokens is None:
        return body.strip()
    lines = [
        token.content
        if token.type != "inline"
        else _renderer.renderInlineAsText(token.children, _parser.options, {})
        for token in tokens
        if token.type in {"inline", "fence", "code_block"}
    ]
    return "\n".join(line.strip("\n") for line in lines).strip()


def _body(markdown: str) -> str:
    return without_tricks(split_front_matter(markdown)[1])


def _as_written(body: str) -> str:
    paragraphs = _PARAGRAPHS.split(body.strip("\n"))
    return "".join(
        f"<p>{html.escape(text, quote=False).replace(chr(10), '<br>')}</p>\n"
        for text in paragraphs
        if text.strip()
    )


def _is_too_dense(body: str) -> bool:
    if len(body) > _LONGEST or any(body.count(mark) > most for mark, most in _MOST.items()):
        return True
    lines = _CONTAINERS.findall(_RULE.sub("", body))
    opened = [len(_CONTAINER.findall(line)) for line in lines]
    return sum(opened) > _MOST_CONTAINERS or max(opened, default=0) > _MOST_CONTAINERS_ON_A_LINE


def _tokens(body: str) -> list[Token] | None:
    """What there is to show; None for what is shown as written."""
    if _is_too_dense(body):
        return None
    try:
        tokens = _parser.parse(body, {"looked_at": 0})
    except _TooDenseError:
        return None
    hrefs = 0
    for token in tokens:
        # The parser goes two levels deeper and leaves out the rest: nothing is ever lost unseen.
        if token.level >= _DEEPEST:
            return None
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        elif token.type in {"fence", "code_block"}:
            token.info = ""
            token.content = without_tricks(token.content)
        elif token.type == "inline":
            children = token.children or []
            if any(child.level >= _DEEPEST for child in children):
                return None
            # A long address defined once can be used often: no more of it than one can type.
            hrefs += sum(len(_address(child)) for child in children)
            if hrefs > _LONGEST:
                return None
            token.children = _Line().shown(children)
    return tokens


def _address(token: Token) -> str:
    return str(token.attrGet("href") or token.attrGet("src") or "")


class _Line:
    """The inline tokens of one block, with links checked and images made text."""

    def __init__(self) -> None:
        self.out: list[Token] = []
        self.link: WebLink | None = None
        self.inside = False
        self.label: list[str] = []

    def shown(self, tokens: list[Token]) -> list[Token]:
        for token in tokens:
            match token.type:
                case "link_open":
                    self._open(_address(token))
                case "link_close":
                    self._close()
                case "image":
                    self._image(token)
                case "text" | "code_inline":
                    # An entity can write what `without_tricks` took out of the source.
                    token.content = without_tricks(token.content)
                    self.label.append(token.content)
                    self.out.append(token)
                case _:
                    self.out.append(token)
        return self.out

    def _image(self, token: Token) -> None:
        """Its text in the place of a picture: showing one would tell its server who reads."""
        text = _renderer.renderInlineAsText(token.children, _parser.options, {})
        text = without_tricks(text)
        if self.inside:
            self._text(text)
            return
        self._open(_address(token))
        self._text(text)
        self._close()

    def _open(self, address: str) -> None:
        self.inside, self.link, self.label = True, encoded_web_link(address), []
        if self.link:
            self.out.append(Token("link_open", "a", 1, attrs={"href": self.link.href}))

    def _close(self) -> None:
        link, self.inside, self.link = self.link, False, None
        if link is None:
            return
        label = "".join(self.label).strip()
        if not label:
            self._text(link.host)
        self.out.append(Token("link_close", "a", -1))
        if label and names_another_host(label, link.host):
            self._text(f" ({link.host})")

    def _text(self, text: str) -> None:
        self.label.append(text)
        self.out.append(Token("text", "", 0, content=text))
