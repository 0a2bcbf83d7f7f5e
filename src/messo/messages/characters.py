"""Characters that make a text look like another one, taken out of what institutions wrote."""

import re

import regex

# Controls (C0 but tab and newline, DEL, C1), what turns the direction of a line (bidi marks,
# embeddings, overrides, isolates), what has no width (spaces, joiners between words, fillers,
# deprecated format characters, tags) and what is no character (byte order marks, surrogates).
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff]"
    # Joiners hold emoji and some scripts together: they stay between two characters of those.
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
# Characters of which most letters are made; whatever has no other has no trick.
_UNUSUAL = re.compile("[^\t\n\x20-\x7e\xa1-\xac\xae-\xff\u2010-\u2022\u20ac]")
_NEWLINE = re.compile("\r\n?|[\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Five accents on one letter are no language's: a pile of them runs over the lines around it.
_PILE = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


def without_tricks(text: str) -> str:
    """The text with only characters that are seen for what they are.

    Every kind of newline becomes a line feed. Letters of every script, accents and emoji stay.
    """
    if not _UNUSUAL.search(text):  # tells it in a tenth of the time that taking out needs
        return text
    text = _SURROGATE.sub("\ufffd", _NEWLINE.sub("\n", text))
    return _PILE.sub(r"\1", _INVISIBLE.sub("", text))


def on_one_line(text: str, most: int) -> str:
    """The text without tricks, spaces folded, at most `most` characters, cut with "…".

    A cut never parts a letter from its accents, nor a joined emoji or a flag: it is made between
    grapheme clusters (Unicode Standard Annex #29).
    """
    text = " ".join(without_tricks(text).split())
    if len(text) <= most:
        return text
    end = 0
    for cluster in regex.finditer(r"\X", text):
        if cluster.end() > most - 1:
            break
        end = cluster.end()
    return text[:end].rstrip() + "…"
