"""Files as strangers may build them: what is found in them, and that they harm nobody."""

import asyncio
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Object, ObjectStreamMode, Pdf, String

from messo.content.pdf import PdfBusyError, PdfCheck, Verdict, starts_like_pdf
from messo.content.pdf_program import examine

ATTACHMENTS = Path(str(files("messo.sandbox"))) / "static" / "attachments"
MODES = [ObjectStreamMode.disable, ObjectStreamMode.generate]
# Says that it is here by a file named after its process, reads its input, and waits for ever.
HANG = """
import os, pathlib, signal, sys
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
signal.pause()
"""


async def checked(content: bytes, check: PdfCheck | None = None) -> Verdict:
    async with (check or PdfCheck()).place() as place:
        return await place.check(content)


async def until(condition: Callable[[], object], awaited: str) -> None:
    try:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"waited in vain for {awaited}")


def program(code: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-I", "-c", code, *map(str, arguments)]


def children() -> set[int]:
    """Processes that this one has started and not yet reaped."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


def sockets() -> set[str]:
    """Sockets and pipes that this process has open."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself, gone already
            found.add(str(link.readlink()))
    return {target for target in found if target.startswith(("socket:", "pipe:"))}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def leaving_nothing() -> Iterator[Callable[[], set[int]]]:
    """Yields what tells new children; fails when any, or a socket, is left."""
    before, open_before = children(), sockets()
    yield lambda: children() - before
    assert children() - before == set()
    assert sockets() - open_before == set()


def page() -> Pdf:
    pdf = Pdf.new()
    pdf.add_blank_page()
    return pdf


def saved(pdf: Pdf, mode: ObjectStreamMode = ObjectStreamMode.disable, **options: object) -> bytes:
    made = io.BytesIO()
    pdf.save(made, object_stream_mode=mode, static_id=not options, **options)  # type: ignore[arg-type]
    return made.getvalue()


def written(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A file written by hand, of objects that are numbered from 1."""
    made, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return made + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, rows, len(objects) + 1, trailer, len(made))
    )


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
SCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"


def found(content: bytes) -> object:
    """What the program finds, without a process of its own."""
    verdict = examine(content)
    assert verdict["fault"] is None, verdict
    return verdict["dangers"]


def action(kind: str, **more: Any) -> Object:
    return Dictionary(S=Name(f"/{kind}"), **more)


def annotate(pdf: Pdf, **values: Any) -> None:
    one = pdf.make_indirect(Dictionary(Type=Name.Annot, Rect=[0, 0, 9, 9], **values))
    pdf.pages[0].obj.Annots = Array([one])
    if values["Subtype"] == Name.Widget:
        pdf.Root.AcroForm = Dictionary(Fields=[one])


def attached(pdf: Pdf) -> Object:
    file = pdf.make_stream(b"inside", Type=Name.EmbeddedFile)
    return Dictionary(Type=Name.Filespec, F="a.txt", EF=Dictionary(F=file))


def nested(inner: Any, depth: int) -> Any:
    for level in range(depth):
        inner = Array([inner]) if level % 2 else Dictionary(X=inner)
    return inner


# Danger and where it hides.
PLACES: dict[str, tuple[str, Callable[[Pdf], object]]] = {
    "open action": (
        "javascript",
        lambda pdf: setattr(pdf.Root, "OpenAction", action("JavaScript", JS="x")),
    ),
    "script in a stream": (
        "javascript",
        lambda pdf: setattr(pdf.Root, "OpenAction", action("JavaScript", JS=pdf.make_stream(b"x"))),
    ),
    "only the code, and no kind": (
        "javascript",
        lambda pdf: setattr(pdf.Root, "X", Dictionary(JS="x")),
    ),
    "names": (
        "javascript",
        lambda pdf: setattr(
            pdf.Root,
            "Names",
            Dictionary(JavaScript=Dictionary(Names=["a", action("JavaScript", JS="x")])),
        ),
    ),
    "names without their actions": (
        "javascript",
        lambda pdf: setattr(
            pdf.Root, "Names", Dictionary(JavaScript=Dictionary(Names=["a", None]))
        ),
    ),
    "when a page is closed": (
        "javascript",
        lambda pdf: setattr(pdf.pages[0].obj, "AA", Dictionary(C=action("JavaScript", JS="x"))),
    ),
    "after another action": (
        "javascript",
        lambda pdf: annotate(
            pdf,
            Subtype=Name.Link,
            A=action("URI", URI="https://example.org", Next=[action("JavaScript", JS="x")]),
        ),
    ),
    "a field that computes": (
        "javascript",
        lambda pdf: annotate(
            pdf, Subtype=Name.Widget, AA=Dictionary(K=action("JavaScript", JS="x"))
        ),
    ),
    "rendition": (
        "javascript",
        lambda pdf: annotate(pdf, Subtype=Name.Screen, A=action("Rendition", OP=0, JS="x")),
    ),
    "3D view": (
        "javascript",
        lambda pdf: pdf.make_indirect(
            pdf.make_stream(b"3", Type=Name("/3D"), OnInstantiate=pdf.make_stream(b"x"))
        ),
    ),
    "XFA": (
        "javascript",
        lambda pdf: setattr(
            pdf.Root, "AcroForm", Dictionary(Fields=[], XFA=pdf.make_stream(b"<xdp/>"))
        ),
    ),
    "an address": (
        "javascript",
        lambda pdf: annotate(
            pdf, Subtype=Name.Link, A=action("URI", URI=" java\nScript\t:alert(1)")
        ),
    ),
    "an address in UTF-16": (
        "javascript",
        lambda pdf: annotate(
            pdf,
            Subtype=Name.Link,
            A=action("URI", URI=String("javascript:é".encode("utf-16").decode("utf-16") + "🙂")),
        ),
    ),
    "an address apart": (
        "javascript",
        lambda pdf: annotate(
            pdf,
            Subtype=Name.Link,
            A=action("URI", URI=pdf.make_indirect(String("javascript:x"))),
        ),
    ),
    "what addresses begin with": (
        "javascript",
        lambda pdf: setattr(pdf.Root, "URI", Dictionary(Base="javascript:x//")),
    ),
    "where a form is sent": (
        "javascript",
        lambda pdf: setattr(
            pdf.Root,
            "OpenAction",
            action("SubmitForm", F=Dictionary(FS=Name.URL, F="javascript:x")),
        ),
    ),
    "the kind apart": (
        "javascript",
        lambda pdf: setattr(
            pdf.Root, "OpenAction", Dictionary(S=pdf.make_indirect(Name.JavaScript))
        ),
    ),
    "deep in nowhere": (
        "javascript",
        lambda pdf: pdf.make_indirect(nested(action("JavaScript"), 200)),
    ),
    "the dictionary of a stream": (
        "javascript",
        lambda pdf: pdf.make_stream(b"", X=[Dictionary(Y=action("JavaScript"))]),
    ),
    "launch": (
        "launch",
        lambda pdf: annotate(pdf, Subtype=Name.Link, A=action("Launch", F="calc.exe")),
    ),
    "launch, the kind apart": (
        "launch",
        lambda pdf: annotate(
            pdf, Subtype=Name.Link, A=Dictionary(S=pdf.make_indirect(Name.Launch), F="x")
        ),
    ),
    "launch from the outline": (
        "launch",
        lambda pdf: setattr(
            pdf.Root,
            "Outlines",
            Dictionary(First=pdf.make_indirect(Dictionary(Title="x", A=action("Launch")))),
        ),
    ),
    "data from the reader": (
        "launch",
        lambda pdf: setattr(pdf.Root, "OpenAction", action("ImportData", F="x.fdf")),
    ),
    "attachments": (
        "embedded",
        lambda pdf: setattr(
            pdf.Root, "Names", Dictionary(EmbeddedFiles=Dictionary(Names=["a", attached(pdf)]))
        ),
    ),
    "associated files": ("embedded", lambda pdf: setattr(pdf.Root, "AF", [attached(pdf)])),
    "a file nobody names": (
        "embedded",
        lambda pdf: pdf.make_stream(b"x", Type=Name.EmbeddedFile),
    ),
    "a file without a type": (
        "embedded",
        lambda pdf: setattr(pdf.Root, "X", Dictionary(EF=Dictionary(UF=pdf.make_stream(b"x")))),
    ),
    "an annotation": ("embedded", lambda pdf: annotate(pdf, Subtype=Name.FileAttachment)),
    "rich media": ("embedded", lambda pdf: annotate(pdf, Subtype=Name.RichMedia)),
    "a link into an attachment": (
        "embedded",
        lambda pdf: annotate(pdf, Subtype=Name.Link, A=action("GoToE", D="x")),
    ),
}


@pytest.mark.parametrize("mode", MODES, ids=["objects", "object streams"])
@pytest.mark.parametrize("place", PLACES)
def test_a_danger_is_found_wherever_it_hides(place: str, mode: ObjectStreamMode) -> None:
    danger, hide = PLACES[place]
    with page() as pdf:
        held = hide(pdf)  # what nothing refers to is only saved while something holds it
        if isinstance(held, Object):
            pdf.Root.Held = held
        assert danger in str(found(saved(pdf, mode)))


HARMLESS: dict[str, Callable[[Pdf], object]] = {
    "nothing": lambda _: None,
    "texts": lambda pdf: setattr(
        pdf.Root,
        "X",
        Dictionary(
            Title="/JavaScript /JS (x) /Launch",
            Subject="<< /S /JavaScript /JS (x) >>",
            Author="javascript: an introduction /EmbeddedFile",
        ),
    ),
    "links": lambda pdf: annotate(
        pdf, Subtype=Name.Link, A=action("URI", URI="https://example.org/javascript:x")
    ),
    "a link to another file": lambda pdf: annotate(
        pdf, Subtype=Name.Link, A=action("GoToR", F="b.pdf", D=[0, Name.Fit])
    ),
    "a form that is sent": lambda pdf: annotate(
        pdf, Subtype=Name.Widget, A=action("SubmitForm", F="https://example.org/form")
    ),
    "a sound": lambda pdf: annotate(
        pdf, Subtype=Name.Sound, Sound=pdf.make_stream(b"00", Type=Name.Sound, R=8000)
    ),
    "fonts of that name": lambda pdf: setattr(
        pdf.pages[0].obj,
        "Resources",
        Dictionary(Font=Dictionary(JS=Dictionary(Type=Name.Font), EF=Dictionary(Type=Name.Font))),
    ),
    "letters of that name": lambda pdf: setattr(
        pdf.Root, "X", Dictionary(Differences=[65, Name.JS, Name.EF, Name.XFA])
    ),
    "longer names": lambda pdf: setattr(
        pdf.Root, "X", Dictionary(JSX="x", Launcher=Name.Launcher, S=Name.LaunchPad)
    ),
    "no attachments": lambda pdf: setattr(
        pdf.Root, "Names", Dictionary(EmbeddedFiles=Dictionary(Names=[]))
    ),
    "a file elsewhere": lambda pdf: setattr(pdf.Root, "X", Dictionary(Type=Name.Filespec, F="x")),
    "a page that shows it": lambda pdf: setattr(
        pdf.pages[0].obj, "Contents", pdf.make_stream(b"BT (/S /JavaScript) Tj ET")
    ),
    "depth": lambda pdf: setattr(pdf.Root, "X", nested("x", 200)),
}


@pytest.mark.parametrize("mode", MODES, ids=["objects", "object streams"])
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_only_looks_like_a_danger_is_none(kind: str, mode: ObjectStreamMode) -> None:
    with page() as pdf:
        HARMLESS[kind](pdf)
        assert found(saved(pdf, mode)) == []


def test_names_may_be_written_with_escapes() -> None:
    hidden = b"<< /#53 /J#61v#61Script /#4a#53 (x) >>"
    launch = b"<< /S /L#61unch >>"
    assert found(written(CATALOG, PAGES, PAGE, hidden, launch)) == ["javascript", "launch"]


def test_the_trailer_is_looked_at() -> None:
    trailer = b"/Root 1 0 R /X << /S /Launch >>"
    assert found(written(CATALOG, PAGES, PAGE, trailer=trailer)) == ["launch"]


def test_a_revision_that_was_replaced_does_not_count() -> None:
    first = written(CATALOG, PAGES, PAGE, SCRIPT)
    assert found(first) == ["javascript"]
    second = (
        b"4 0 obj\n<< /Nothing true >>\nendobj\nxref\n4 1\n%010d 00000 n \n"
        b"trailer\n<< /Size 5 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            len(first),
            first.index(b"xref\n"),
            len(first) + len(b"4 0 obj\n<< /Nothing true >>\nendobj\n"),
        )
    )
    assert found(first + second) == []


def test_a_key_given_twice_may_be_read_either_way() -> None:
    """Some viewers take the first, some the last."""
    twice = b"<< /S /JavaScript /JS (x) /S /URI /JS 1 >>"
    assert found(written(CATALOG, PAGES, PAGE, twice)) == ["javascript"]


def test_what_is_nested_too_deep_to_be_read_still_counts() -> None:
    deep = b"[" * 2000 + SCRIPT + b"]" * 2000
    assert found(written(CATALOG, PAGES, PAGE, deep)) == ["javascript"]


def test_a_file_without_its_end_counts_as_far_as_it_goes() -> None:
    whole = written(CATALOG, PAGES, PAGE, SCRIPT)
    assert found(whole[: whole.index(b"xref")]) == ["javascript"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7\n",
        b"%PDF-1.7\n" + random.Random(1).randbytes(100_000),
        b"%PDF" + b"[" * 1_000_000,
        written(CATALOG, PAGES, PAGE)[:60],
        written(b"<< /Type /Catalog >>"),
        b"<!doctype html><title>Not found</title>",
    ],
    ids=["empty", "a header", "noise", "brackets", "cut off", "no pages", "no PDF"],
)
async def test_what_cannot_be_read_is_broken(content: bytes) -> None:
    assert await checked(content) == Verdict(fault="broken")


async def test_an_encrypted_file_is_read_when_everybody_can() -> None:
    with page() as pdf:
        pdf.Root.OpenAction = action("JavaScript", JS="x")
        for everybody in ("", "secret"):
            encryption = pikepdf.Encryption(owner="owner", user=everybody)
            content = saved(pdf, ObjectStreamMode.generate, encryption=encryption)
            verdict = await checked(content)
            if everybody:
                assert verdict == Verdict(fault="locked")
            else:
                assert verdict == Verdict(dangers=("javascript",))


@pytest.mark.parametrize(
    ("metadata", "level"),
    [
        ("<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance>", "2A"),
        ("<pdfaid:part>4</pdfaid:part>", "4"),
        ("<pdfaid:part>two</pdfaid:part>", None),
        (
            "<pdfaid:part>2</pdfaid:part><pdfaid:conformance>"
            + "B" * 9999
            + "</pdfaid:conformance>",
            None,
        ),
        ("<dc:title>2B</dc:title>", None),
        ("<pdfaid:part>2", None),
    ],
    ids=["2A", "4", "no level", "too long", "no PDF/A", "no XML"],
)
def test_the_declared_level_of_pdfa_is_told(metadata: str, level: str | None) -> None:
    with page() as pdf:
        packet = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/" '
            f'xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">{metadata}</rdf:Description>'
            "</rdf:RDF></x:xmpmeta>"
        )
        pdf.Root.Metadata = pdf.make_stream(packet.encode(), Type=Name.Metadata, Subtype=Name.XML)
        assert examine(saved(pdf)) == {"pdfa": level, "dangers": [], "fault": None}


@pytest.mark.parametrize("name", ["referto", "ricevuta"])
async def test_the_sandbox_sends_pdfa(name: str) -> None:
    content = (ATTACHMENTS / f"{name}.pdf").read_bytes()
    assert await checked(content) == Verdict(pdfa="2B")
    assert (await checked(content)).harmless
    assert len(content) < 40_000


async def test_the_sandbox_has_a_file_with_a_script_to_refuse() -> None:
    verdict = await checked((ATTACHMENTS / "script.pdf").read_bytes())
    assert verdict == Verdict(dangers=("javascript",))
    assert verdict.readable
    assert not verdict.harmless


def test_a_pdf_begins_with_its_header() -> None:
    assert starts_like_pdf(b"%PDF-1.7")
    assert not any(map(starts_like_pdf, (b"", b"%PD", b" %PDF", b"%pdf", b"<html>")))


# Bounds.


def bomb(*parts: tuple[bytes, int]) -> bytes:
    """Deflated: each part so many times."""
    packed, check = b"\x78\xda", 1
    for part, times in parts:
        packer = zlib.compressobj(9, wbits=-15)
        # A full flush leaves blocks that can be repeated.
        packed += (packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH)) * times
        for _ in range(times):
            check = zlib.adler32(part, check)
    packed += zlib.compressobj(wbits=-15).flush() + check.to_bytes(4)
    return b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)


def in_object_stream(packed: bytes) -> bytes:
    """A file whose object 5 is the only one of an object stream."""
    catalog = CATALOG[:-2] + b" /X 5 0 R >>"
    made, offsets = b"%PDF-1.7\n", []
    stream = b"<< /Type /ObjStm /N 1 /First 4 " + packed
    for number, body in enumerate((catalog, PAGES, PAGE, stream), 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows = b"".join(b"\1" + offset.to_bytes(4) + b"\0" for offset in (*offsets, len(made)))
    table = bytes(6) + rows[:24] + b"\2" + (4).to_bytes(4) + b"\0" + rows[24:]
    return made + (
        b"6 0 obj\n<< /Type /XRef /Size 7 /Root 1 0 R /W [1 4 1] /Length %d >>\nstream\n%s\n"
        b"endstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (len(table), table, len(made))
    )


MEBIBYTE = b" " * 2**20


async def test_a_script_under_much_air_is_found_or_the_file_is_not_trusted() -> None:
    for mebibytes in (1, 1500):
        content = in_object_stream(bomb((b"5 0 " + SCRIPT, 1), (MEBIBYTE, mebibytes)))
        verdict = await checked(content)
        assert not verdict.harmless
        assert verdict.fault or verdict.dangers == ("javascript",)
        assert verdict.readable == (mebibytes == 1)


async def test_the_program_never_has_more_than_its_memory() -> None:
    """Small numbers in an array are the dearest that a file can hold; what is last still counts."""
    content = in_object_stream(bomb((b"5 0 [", 1), (b"0 " * 2**19, 100), (SCRIPT + b"]", 1)))
    assert len(content) < 2**20
    assert not (await checked(content)).harmless
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert used <= 2**20, f"{used} KiB"


async def test_what_is_only_shown_is_never_unpacked() -> None:
    content = written(CATALOG, PAGES, PAGE, b"<< " + bomb((MEBIBYTE, 1500)))
    began = time.monotonic()
    assert await checked(content) == Verdict()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("mode", MODES, ids=["objects", "object streams"])
async def test_a_hundred_thousand_objects_are_checked_in_time(mode: ObjectStreamMode) -> None:
    with page() as pdf:
        link: dict[str, Any] = {"Type": Name.Annot, "Subtype": Name.Link, "Rect": [0, 0, 9, 9]}
        pdf.pages[0].obj.Annots = Array(
            pdf.make_indirect(Dictionary(A=action("URI", URI=f"https://example.org/{i}"), **link))
            for i in range(100_000)
        )
        pdf.Root.Last = pdf.make_indirect(action("Launch"))
        content = saved(pdf, mode)
    assert await checked(content) == Verdict(dangers=("launch",))


async def test_twenty_mebibytes_are_checked_and_more_are_not() -> None:
    with page() as pdf:
        pdf.Root.X = pdf.make_stream(random.Random(1).randbytes(20 * 2**20 - 2**14))
        content = saved(pdf)
    whole = content + b"\n" * (20 * 2**20 - len(content))
    assert await checked(whole) == Verdict()
    assert await checked(whole + b"\n") == Verdict(fault="unchecked")


# Processes.


async def test_there_are_never_more_processes_than_places(tmp_path: Path) -> None:
    """Six want one, two have one; each goes only when told, and then the next comes."""
    waiting = "import os, sys, time\nsys.stdin.read()\nhere, gate = sys.argv[1:]\n"
    waiting += "open(f'{here}/{os.getpid()}', 'w').close()\n"
    waiting += "while not os.path.exists(f'{gate}/{os.getpid()}'): time.sleep(0.001)\n"
    waiting += "print('{}')"
    here, gate = tmp_path / "here", tmp_path / "gate"
    here.mkdir()
    gate.mkdir()
    check = PdfCheck(at_once=2, wait_s=30, within_s=30, program=program(waiting, here, gate))
    with leaving_nothing() as now:
        tasks = [asyncio.create_task(checked(b"%PDF", check)) for _ in range(6)]
        for done in range(6):
            await until(lambda n=done: len(list(here.iterdir())) == min(6, n + 2), "the next")  # type: ignore[misc]
            assert len(now()) == min(2, 6 - done)
            waits = {each.name for each in here.iterdir()} - {each.name for each in gate.iterdir()}
            (gate / min(waits)).touch()
            await until(lambda n=done: sum(t.done() for t in tasks) == n + 1, "an end")  # type: ignore[misc]
        assert await asyncio.gather(*tasks) == [Verdict()] * 6


async def test_who_finds_no_place_in_time_is_told() -> None:
    check = PdfCheck(at_once=1, wait_s=0.05)
    async with check.place():
        with pytest.raises(PdfBusyError) as busy:
            await checked(b"%PDF", check)
    assert busy.value.after_s > 0
    assert (await checked(b"%PDF", check)).fault == "broken"


async def test_a_place_is_given_back_whatever_happens_in_it() -> None:
    check = PdfCheck(at_once=1, wait_s=0.05)
    with pytest.raises(ConnectionError):
        async with check.place():
            raise ConnectionError
    waiter = asyncio.create_task(checked(b"%PDF", check))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert (await checked(b"%PDF", check)).fault == "broken"


async def test_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    check = PdfCheck(within_s=0.5, program=program(HANG, tmp_path))
    with leaving_nothing():
        # More than a pipe takes, so that telling it is what hangs.
        assert await checked(b"%PDF" * 100_000, check) == Verdict(fault="unchecked")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"%PDF", b"%PDF" * 1_000_000], ids=["hearing", "telling"])
async def test_a_check_that_is_cancelled_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    check = PdfCheck(at_once=1, wait_s=0.05, program=program(HANG, tmp_path))
    with leaving_nothing() as now:
        task = asyncio.create_task(checked(content, check))
        await until(lambda: list(tmp_path.iterdir()), "the program")
        assert len(now()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == set()
    async with check.place():
        pass


async def test_a_scope_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """A server's scopes cancel again and again until one gives up waiting."""
    check = PdfCheck(program=program(HANG, tmp_path))
    with leaving_nothing() as now:
        async with anyio.create_task_group() as group:
            group.start_soon(checked, b"%PDF" * 1_000_000, check)
            await until(lambda: list(tmp_path.iterdir()), "the program")
            group.cancel_scope.cancel()
        await until(lambda: not now(), "its end")


async def test_a_check_may_be_cancelled_at_any_moment() -> None:
    check = PdfCheck(at_once=1, wait_s=10)
    with leaving_nothing() as now:
        for steps in range(12):
            task = asyncio.create_task(checked(b"%PDF", check))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not now(), "the end of all")
        assert (await checked(b"%PDF", check)).fault == "broken"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "print('no JSON')",
        'print(\'{"dangers": ["dragons"]}\')',
        "print('[' * 100_000)",
        "while True: print('{}' * 10_000)",
        "print('{}', flush=True); raise SystemExit(1)",
        "import os; print('{}', flush=True); os.abort()",
    ],
)
async def test_an_answer_that_is_none_leaves_the_file_unchecked(code: str) -> None:
    check = PdfCheck(program=program(f"import sys; sys.stdin.read()\n{code}"))
    with leaving_nothing():
        verdict = await checked(b"%PDF" * 100_000, check)
    assert verdict == Verdict(fault="unchecked")


async def test_an_answer_before_the_end_of_the_file_is_none() -> None:
    with leaving_nothing():
        verdict = await checked(b"%PDF" * 1_000_000, PdfCheck(program=program("print('{}')")))
    assert verdict == Verdict(fault="unchecked")


async def test_a_program_that_cannot_be_run_leaves_the_file_unchecked(tmp_path: Path) -> None:
    check = PdfCheck(program=[str(tmp_path / "nothing")])
    assert await checked(b"%PDF", check) == Verdict(fault="unchecked")


async def test_the_program_is_given_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSO_SECRET", "secret")
    code = (
        "import json, os, sys\n"
        "sys.stdin.read()\n"
        "open_files = [n for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "told = {'environment': dict(os.environ), 'open': sorted(open_files), 'cwd': os.getcwd()}\n"
        "open(sys.argv[1], 'w').write(json.dumps(told))\n"
        "print('{}')\n"
    )
    ours = os.open("/", os.O_RDONLY)
    os.set_inheritable(ours, True)
    try:
        check = PdfCheck(program=program(code, tmp_path / "told"))
        assert await checked(b"%PDF", check) == Verdict()
    finally:
        os.close(ours)
    told = json.loads((tmp_path / "told").read_text())
    assert set(told["environment"]) <= {"LC_ALL", "LC_CTYPE", "PATH"}
    assert told["open"] == ["0", "1", "2"]
    assert told["cwd"] == "/"


async def test_the_program_dies_with_us(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from messo.content.pdf import PdfCheck\n"
        "async def main():\n"
        "    async with PdfCheck(program=sys.argv[1:]).place() as place:\n"
        "        await place.check(b'%PDF')\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(program(code, *program(HANG, tmp_path))) as server:
        await until(lambda: list(tmp_path.iterdir()), "the program")
        child = int(next(tmp_path.iterdir()).name)
        assert runs(child)
        server.send_signal(signal.SIGKILL)
    await until(lambda: not runs(child), "the program's end")
