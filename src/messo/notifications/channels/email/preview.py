"""The first words of a message, as a copy shows them: nothing in it can be followed.

People learn from us that a mail's links are not to be trusted, so the only link in a copy is ours.
Mail programs make links of anything that looks like an address: all of that is taken out too.
"""

import re
import unicodedata
from itertools import islice

import regex

from messo.base.log import redact
from messo.messages.characters import without_tricks
from messo.messages.markdown import plain_text, split_front_matter
from messo.notifications.channels.channel import Language

LONGEST = 134  # characters, "…" included: the reference system's length
_SHORTEST = LONGEST // 2  # a word may be cut where the last space is further back than this

_LINK: dict[Language, str] = {"it": "[collegamento]", "en": "[link]"}
_FISCAL_CODE: dict[Language, str] = {"it": "[codice fiscale]", "en": "[fiscal code]"}

_SCHEME = re.compile(r"[\w+.-]:/|(?:www\.|mailto:|tel:)\S", re.IGNORECASE)
# How much of a body is looked at, in characters: nearly always the first is enough. A piece ends
# at the first end of a line, or of a word, within so many more.
_PIECES = (200, 800)
_REACH = 200
# Shown characters behind which nothing can change what a preview shows: a replaced word ends in it.
_ENOUGH = LONGEST + 16

# Whatever Markdown may give a meaning; without any of it a text is shown as it stands.
_MARK = re.compile(r"[\\`*_\[\]<&]|^[ \t]*(?:[-+>#=~]|\d{1,9}[.)])", re.MULTILINE)
# What makes parsing dear: a piece ends before it has more of it than a letter's beginning has.
_DEAR = re.compile(_MARK.pattern + r"|\n", re.MULTILINE)
_MOST_DEAR = 40
# Bold words that stand alone: two stars that can only open, no other mark, two that close.
_BOLD = re.compile(r"(?<!\S)\*\*(?!\s)([^\\`*_\[\]<&\n]+)(?<!\s)\*\*(?![^\s.,;:!?)])")
_CODE = re.compile(r"^ {0,3}(?:\t| {4})", re.MULTILINE)  # in which stars are stars
_OPEN = re.compile(r"[`*_\[<]")

_BETWEEN_NAMES = re.compile(r"[^\w.@-]+")
_TOP = re.compile(r"[^\W\d_]{2,63}|xn--[\w-]+")
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_DOTS = str.maketrans(dict.fromkeys("\u2024\u3002\uff0e\uff61", "."))
_BEFORE, _AFTER = "([{<«\"'“\u2018*_", ")]}>»\"'”\u2019*_.,;:!?…"
# Abbreviations of Italian letters, which read like the name of a server.
_ABBREVIATION = re.compile(
    r"(?:sigg?|dott|prof|gent|ill|preg|spett|egr|chiar|rev|geom|ing|avv|arch|rag)"
    r"\.(?:r[aei]|ri|na|ss[ae]|m[aeio]|le|g[ior]+)"
    r"|p\.iva|p\.es|c\.fisc|cod\.fisc|d\.lgs|v\.le|c\.so|p\.zz?a|l\.go|f\.to|n\.ro|art\.li"
)


def preview(markdown: str, language: Language) -> str:
    """At most `LONGEST` characters of the body on one line, "" if it has no words.

    Links show their text; addresses, names of servers and fiscal codes are replaced. It is cut
    between words, and never inside what is drawn as one character.
    """
    body = split_front_matter(markdown)[1].lstrip("\n").rstrip()
    text, goes_on = "", False
    for size in _PIECES:
        end, dear = _beginning(body, size)
        words = _words(body[:end])
        text, goes_on = _harmless_line(words, language), end < len(body)
        # A mark that is shown may be the beginning of what ends behind the piece.
        is_enough = len(text) >= _ENOUGH and not _OPEN.search(words)
        if is_enough or not goes_on or dear > _MOST_DEAR // 2:
            break
    return _cut(text, goes_on=goes_on)


def without_fiscal_codes(text: str, language: Language) -> str:
    """Mails lie about for years and in many places: what stands for a person is not in ours."""
    return redact(text).replace("[fiscal code]", _FISCAL_CODE[language])


def _beginning(body: str, size: int) -> tuple[int, int]:
    """Where a piece of about `size` characters ends, and how much in it is dear."""
    end = min(len(body), size + _REACH)
    if len(body) > size:
        found = (body.find(mark, size, end) for mark in ("\n", " "))
        end = next((at for at in found if at >= 0), end)
    dear = list(islice(_DEAR.finditer(body, 0, end), _MOST_DEAR))
    if len(dear) == _MOST_DEAR:
        end = dear[-1].start()
        space = max(body.rfind("\n", 0, end), body.rfind(" ", 0, end))
        end = space if space >= 0 else end
    return end, len(dear)


def _words(piece: str) -> str:
    """What `plain_text` makes of a piece without front matter, in other spaces."""
    piece = without_tricks(piece)
    is_simple = "**" in piece and not _CODE.search(piece)
    simple = _BOLD.sub(r"\1", piece) if is_simple else piece
    # A line before it: what looks like front matter now is none.
    return plain_text("\n" + piece) if _MARK.search(simple) else simple


def _harmless_line(text: str, language: Language) -> str:
    words = [
        word if word.isalpha() else _harmless(word, language) for word in text.split()[:_ENOUGH]
    ]
    return without_fiscal_codes(_once(" ".join(words), language), language)


def _harmless(word: str, language: Language) -> str:
    bare = word.lstrip(_BEFORE)
    before = word[: len(word) - len(bare)]
    bare = bare.rstrip(_AFTER)
    after = word[len(before) + len(bare) :]
    return before + _LINK[language] + after if _can_be_followed(bare) else word


def _can_be_followed(word: str) -> bool:
    """Whether a mail program might make a link of it; rather one too many."""
    if word.isalpha():
        return False
    word = unicodedata.normalize("NFKC", word.translate(_DOTS)).lower()
    if _SCHEME.search(word):
        return True
    if _ABBREVIATION.fullmatch(word):
        return False
    return any(_names_a_server(piece) for piece in _BETWEEN_NAMES.split(word))


def _names_a_server(piece: str) -> bool:
    name = piece.strip(".-_")
    before, dot, top = name.rpartition(".")
    if "@" in name.strip("@"):
        return True
    return bool(dot and before and _TOP.fullmatch(top)) or _NUMBERS.fullmatch(name) is not None


def _once(text: str, language: Language) -> str:
    """A link whose text names a server is followed by the server's name: say it once."""
    link = _LINK[language]
    return text.replace(f"{link} ({link})", link)


def _cut(text: str, *, goes_on: bool) -> str:
    """`goes_on`: there is more behind the text, even if it is no longer than fits."""
    if not text or (len(text) <= LONGEST and not goes_on):
        return text
    end = len(text) if len(text) < LONGEST else text.rfind(" ", _SHORTEST, LONGEST)
    if end < 0:
        # One character more than fits: what is drawn as one and does not fit ends behind it.
        for drawn in regex.finditer(r"\X", text[: LONGEST + 1]):
            if drawn.end() >= LONGEST:
                break
            end = drawn.end()
        end = max(end, 0)
    return text[:end].rstrip(" ,;:.-\u2013—([{«“") + "…"
