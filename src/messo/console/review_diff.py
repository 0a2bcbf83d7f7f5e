"""What changed between two texts, word by word, as HTML in which whatever they say is only text.

The texts are of people who may want to make this slow. What comparing costs at most is known
beforehand: for each stretch that is found to be the same, each word is looked up in all its places in
the other text. It is paid for from one budget of the page; once that is used up, texts are shown as
taken out and put in as a whole.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from markupsafe import Markup, escape

_TOKEN = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")


class Budget:
    """How much may be compared for one page, in look-ups: some ten million a second."""

    def __init__(self, look_ups: int = 3_000_000) -> None:
        self._left = look_ups

    def pays(self, old: Sequence[str], new: Sequence[str]) -> bool:
        """Take what comparing these costs, if it is there."""
        here, there = Counter(old), Counter(new)
        pairs = sum(count * there[one] for one, count in here.items() if not one.isspace())
        cost = pairs * min(len(old), len(new))
        if cost > self._left:
            return False
        self._left -= cost
        return True


@dataclass(frozen=True)
class Sides:
    """The two texts: in `before` what goes is marked as <del>, in `after` what comes as <ins>."""

    before: Markup
    after: Markup


# Taken out, put in; the same text in both where nothing changed.
_Part = tuple[str, str]


def compare(before: str, after: str, budget: Budget) -> Sides:
    """Mark what differs."""
    old, new = [], []
    for gone, come in _joined(_parts(before, after, budget)):
        if gone == come:
            old.append(escape(gone))
            new.append(escape(come))
            continue
        old.append(Markup("<del>{}</del>").format(gone) if gone else Markup())
        new.append(Markup("<ins>{}</ins>").format(come) if come else Markup())
    return Sides(Markup().join(old), Markup().join(new))


def _parts(before: str, after: str, budget: Budget) -> Iterator[_Part]:
    """First line by line, then word by word within lines that changed."""
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if not budget.pays(*lines):
        yield before, after
        return
    for gone, come in _matched(*lines):
        if gone == come or not gone or not come:
            yield gone, come
        else:
            yield from _words(gone, come, budget)


def _words(before: str, after: str, budget: Budget) -> Iterator[_Part]:
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    head, tail = "".join(old[:start]), "".join(old[len(old) - end :])
    yield head, head
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if budget.pays(old, new):
        yield from _matched(old, new)
    else:
        yield "".join(old), "".join(new)
    yield tail, tail


def _matched(old: Sequence[str], new: Sequence[str]) -> Iterator[_Part]:
    # Blanks are no reason to find two places alike: there are too many.
    for _, i, j, k, m in SequenceMatcher(str.isspace, old, new, autojunk=False).get_opcodes():
        yield "".join(old[i:j]), "".join(new[k:m])


def _joined(parts: Iterator[_Part]) -> Iterator[_Part]:
    """A blank between two changed words belongs to the change: one mark instead of three."""
    gone = come = ""
    changed = False
    for old, new in parts:
        if not old and not new:
            continue
        same = old == new
        is_blank = same and old.isspace() and "\n" not in old
        if changed and (is_blank or not same):
            gone, come = gone + old, come + new
        else:
            if gone or come:
                yield gone, come
            gone, come, changed = old, new, not same
    if gone or come:
        yield gone, come
