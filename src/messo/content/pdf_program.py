"""A program that reads a PDF on its standard input and says on its output what is in it.

It is run by `messo.content.pdf`, by its path: nothing else of Messo is loaded. What it reads was
written by a stranger, so it first gives up what it may use of the machine. Its answer is one JSON
object, `{"pdfa": "2B", "dangers": [], "fault": null}`, with the fields of `pdf.Verdict`. Any end
other than status 0 means that nothing is known of the file.

What counts as a danger, wherever it stands in the file, used or not:

- `javascript`: scripts in actions, names, renditions and 3D views, addresses of the scheme
  "javascript", and XFA forms, which are programs.
- `launch`: actions that start a program (Launch) or take in a file of the reader (ImportData).
- `embedded`: attached files, in the file or in an annotation, rich media, and links into an
  attached file (GoToE).

Links to other files (GoToR), forms that are sent (SubmitForm), films and sounds do not count: the
viewer asks before it follows them, or only plays them. Older revisions do not count either.
"""

import json
import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import chain

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String

_MOST = 20 * 2**20  # bytes of a file
_LIMITS = (
    # 25 MB in 100,000 objects take 400 MB.
    ("RLIMIT_AS", 2**29),
    ("RLIMIT_CPU", 10),
    ("RLIMIT_FSIZE", 0),
    ("RLIMIT_CORE", 0),
    ("RLIMIT_NOFILE", 16),
    ("RLIMIT_NPROC", 0),
)

_ORDER = ("javascript", "launch", "embedded")
_VALUES = {
    ("/S", "/JavaScript"): "javascript",
    ("/S", "/Launch"): "launch",
    ("/S", "/ImportData"): "launch",
    ("/S", "/GoToE"): "embedded",
    ("/Type", "/EmbeddedFile"): "embedded",
    ("/Subtype", "/FileAttachment"): "embedded",
    ("/Subtype", "/RichMedia"): "embedded",
}
# A name that is an object of its own is the value of some key elsewhere.
_NAMES = {value: danger for (_, value), danger in _VALUES.items()}
_TREES = {"/JavaScript": "javascript", "/EmbeddedFiles": "embedded"}

# Serialising is quick and walking is slow: most objects have none of this, so are never walked.
_SUSPECT = re.compile(
    rb"/(?:JavaScript|JS|XFA|OnInstantiate|Launch|ImportData|GoToE|EmbeddedFiles?|EF"
    rb"|FileAttachment|RichMedia|Base |FS |URI (?!/|>>|\((?:https?|mailto|tel):))"
)
_ANYWHERE = re.compile(
    rb"/(JavaScript|XFA|OnInstantiate|Launch|ImportData|GoToE|EmbeddedFiles?|FileAttachment"
    rb"|RichMedia)(?=[\0\s/\[\]<>(){}%]|\Z)"
)
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_BLANK = re.compile(r"[\0-\x20]+")
_LEVEL = re.compile(r"[123][ABU]|4[EF]?")


def limit() -> None:
    """Give up memory, time, files and children, as far as this system knows such limits."""
    for name, most in _LIMITS:
        with suppress(AttributeError, OSError, ValueError):
            resource.setrlimit(getattr(resource, name), (most, most))


def examine(content: bytes) -> dict[str, object]:
    """The fields of a verdict on this file."""
    try:
        with Pdf.open(BytesIO(content), inherit_page_attributes=False) as pdf:
            if not isinstance(pdf.trailer.get("/Root"), Dictionary) or "/Pages" not in pdf.Root:
                return _answer(fault="broken")
            found = dangers(pdf, content)
            return _answer(declared_level(pdf), [each for each in _ORDER if each in found])
    except pikepdf.PasswordError:
        return _answer(fault="locked")
    except pikepdf.PdfError:
        return _answer(fault="broken")


def declared_level(pdf: Pdf) -> str | None:
    """The level of PDF/A that the file claims in its XMP metadata, such as "2B"; not verified."""
    metadata = pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False)
    level = f"{metadata.get('pdfaid:part', '')}{metadata.get('pdfaid:conformance', '')}"
    return level if _LEVEL.fullmatch(level) else None


def dangers(pdf: Pdf, content: bytes) -> set[str]:
    """What is dangerous in any object of the file, and in the trailer, which is none."""
    found: set[str] = set()
    streams: list[Object] = []
    for each in chain([pdf.trailer], pdf.objects):
        if not isinstance(each, Object):
            continue  # a number, or nothing
        thing = each
        if isinstance(each, Stream):
            thing = each.stream_dict
            if thing.get("/Type") == "/ObjStm":
                streams.append(each)
        if _SUSPECT.search(thing.unparse(resolved=True)):
            found.update(_walk(thing))
    if pdf.get_warnings():
        # Others may repair it otherwise, so whatever stands in it counts, as text.
        for text in chain([content], (stream.read_bytes() for stream in streams)):
            found.update(_anywhere(text))
    return found


def _walk(thing: Object) -> Iterator[str]:
    if isinstance(thing, Name) and (danger := _NAMES.get(str(thing))):
        yield danger
    pending = [thing]
    while pending:
        one = pending.pop()
        if isinstance(one, Dictionary):
            for key, value in one.items():
                if isinstance(value, Object):
                    if danger := _meaning(one, key, value):
                        yield danger
                    if not value.is_indirect:  # else it has its own turn
                        pending.append(value)
        elif isinstance(one, Array):
            pending += [
                value for value in one if isinstance(value, Object) and not value.is_indirect
            ]


def _meaning(holder: Object, key: str, value: Object) -> str | None:
    if isinstance(value, Name):
        return _VALUES.get((key, str(value)))
    scripts = (
        key == "/XFA"
        or (key == "/JS" and isinstance(value, String | Stream))
        or (key == "/OnInstantiate" and isinstance(value, Stream))
        or (key in {"/URI", "/Base"} and _is_script(value))
        or (key in {"/F", "/UF"} and holder.get("/FS") == "/URL" and _is_script(value))
    )
    if scripts:
        return "javascript"
    if not isinstance(value, Dictionary):
        return None
    if key in _TREES and any(_is_filled(value.get(part)) for part in ("/Names", "/Kids")):
        return _TREES[key]
    # Fonts and the like may be called EF too.
    if key == "/EF" and any(isinstance(file, Stream) for _, file in value.items()):
        return "embedded"
    return None


def _is_filled(tree: object) -> bool:
    return isinstance(tree, Array) and len(tree) > 0


def _is_script(address: Object) -> bool:
    # Browsers pass over blanks, even within the scheme.
    return isinstance(address, String) and (
        _BLANK.sub("", str(address)).lower().startswith("javascript:")
    )


def _anywhere(text: bytes) -> Iterator[str]:
    plain = _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), text)
    for name in _ANYWHERE.findall(plain):
        if name in {b"XFA", b"OnInstantiate"}:
            yield "javascript"
        else:
            yield _NAMES.get(f"/{name.decode()}", "embedded")


def _answer(
    pdfa: str | None = None, dangers: list[str] | None = None, fault: str | None = None
) -> dict[str, object]:
    return {"pdfa": pdfa, "dangers": dangers or [], "fault": fault}


def main() -> None:
    """Read, examine, answer."""
    # Nothing but the answer: libraries warn there, and both may lead to the same stream.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    limit()
    content = sys.stdin.buffer.read(_MOST + 1)
    answer = _answer(fault="unchecked") if len(content) > _MOST else examine(content)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
