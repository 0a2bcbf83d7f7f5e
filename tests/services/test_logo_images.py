"""What is sent as a logo is drawn anew or refused, and no file costs more than a picture does."""

import asyncio
import base64
import io
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from messo.base.http import Problem
from messo.services.logo_images import redraw, redrawn
from tests.services import png_files as files
from tests.services.png_files import (
    GREY,
    GREY_ALPHA,
    IEND,
    KEPT,
    PALETTE,
    RGB,
    RGBA,
    SIGNATURE,
    chunk,
    header,
    in_base64,
    png,
    rows,
    solid,
)

ONE = rows(b"\x10\x20\x30\xff")
COLOURS = chunk(b"PLTE", b"\x10\x20\x30\x40\x50\x60")


def drawn(data: bytes) -> Image.Image:
    return looked_at(redraw(in_base64(data)))


def looked_at(data: bytes) -> Image.Image:
    """The picture in what we drew, which has nothing else in it."""
    assert data.startswith(SIGNATURE)
    assert set(files.parts(data)) <= KEPT
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    image.load()
    assert max(image.size) <= 300
    return image.convert("RGBA")


def refusal(text: str) -> str:
    with pytest.raises(Problem) as refused:
        redraw(text)
    problem = refused.value
    assert (problem.status, problem.title, problem.field) == (400, "Image not valid", "logo")
    return problem.detail


# Two pixels in a row: the file, and what they are, in RGBA; None: nothing is seen of it.
PIXELS = {
    "grey, 1 bit": (header(2, 1, 1, GREY), b"\x40", (), (0, 0, 0, 255), (255, 255, 255, 255)),
    "grey, 1 bit, transparent": (header(2, 1, 1, GREY), b"\x40", (b"\0\1",), (0, 0, 0, 255), None),
    "grey, 2 bits": (header(2, 1, 2, GREY), b"\x60", (), (85, 85, 85, 255), (170, 170, 170, 255)),
    "grey, 2 bits, transparent": (
        header(2, 1, 2, GREY), b"\x60", (b"\0\2",), (85, 85, 85, 255), None,
    ),
    "grey, 4 bits, transparent": (
        header(2, 1, 4, GREY), b"\x3c", (b"\0\x0c",), (51, 51, 51, 255), None,
    ),
    "grey, 8 bits": (header(2, 1, 8, GREY), b"\x12\xfe", (), (18,) * 3 + (255,), (254,) * 3 + (255,)),
    "grey, 8 bits, transparent": (
        header(2, 1, 8, GREY), b"\x12\xfe", (b"\0\xfe",), (18, 18, 18, 255), None,
    ),
    "grey, 16 bits": (
        header(2, 1, 16, GREY), b"\x12\x34\xfe\xdc", (), (18, 18, 18, 255), (254, 254, 254, 255),
    ),
    "grey, 16 bits, transparent": (
        header(2, 1, 16, GREY), b"\x12\x34\xfe\xdc", (b"\xfe\xdc",), (18, 18, 18, 255), None,
    ),
    "RGB, 8 bits": (header(2, 1, 8, RGB), b"\1\2\3\4\5\6", (), (1, 2, 3, 255), (4, 5, 6, 255)),
    "RGB, 8 bits, transparent": (
        header(2, 1, 8, RGB), b"\1\2\3\4\5\6", (b"\0\4\0\5\0\6",), (1, 2, 3, 255), None,
    ),
    "RGB, 16 bits, transparent": (
        header(2, 1, 16, RGB), b"\1\0\2\0\3\0\4\1\5\1\6\1", (b"\4\1\5\1\6\1",), (1, 2, 3, 255), None,
    ),
    "palette, 1 bit": (header(2, 1, 1, PALETTE), b"\x40", (), (16, 32, 48, 255), (64, 80, 96, 255)),
    "palette, 2 bits": (header(2, 1, 2, PALETTE), b"\x10", (), (16, 32, 48, 255), (64, 80, 96, 255)),
    "palette, 4 bits, transparent": (
        header(2, 1, 4, PALETTE), b"\x10", (b"\0",), (64, 80, 96, 255), None,
    ),
    "palette, 8 bits, half transparent": (
        header(2, 1, 8, PALETTE), b"\0\1", (b"\xff\x80",), (16, 32, 48, 255), (64, 80, 96, 128),
    ),
    "grey and alpha, 8 bits": (
        header(2, 1, 8, GREY_ALPHA), b"\x12\xff\xfe\x80", (), (18, 18, 18, 255), (254, 254, 254, 128),
    ),
    "grey and alpha, 16 bits": (
        header(2, 1, 16, GREY_ALPHA), b"\x12\0\xff\0\xfe\0\x80\0", (), (18, 18, 18, 255),
        (254, 254, 254, 128),
    ),
    "RGBA, 8 bits": (header(2, 1, 8, RGBA), b"\1\2\3\xff\4\5\6\x80", (), (1, 2, 3, 255), (4, 5, 6, 128)),
    "RGBA, 16 bits": (
        header(2, 1, 16, RGBA), b"\1\0\2\0\3\0\xff\0\4\0\5\0\6\0\x80\0", (), (1, 2, 3, 255),
        (4, 5, 6, 128),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PIXELS)
def test_every_kind_of_colour_is_drawn_as_it_is(name: str) -> None:
    ihdr, row, transparency, first, second = PIXELS[name]
    before = [COLOURS] if "palette" in name else []
    image = drawn(png(ihdr, rows(row), *before, *(chunk(b"tRNS", one) for one in transparency)))
    seen = [image.getpixel((0, 0)), image.getpixel((1, 0))]
    assert seen[0] == first
    if second is None:
        assert image.getchannel("A").getpixel((1, 0)) == 0
    else:
        assert seen[1] == second


def test_an_interlaced_picture_is_put_together() -> None:
    pixels = [bytes((x * 20, y * 20, 7)) for y in range(9) for x in range(11)]
    image = drawn(files.interlaced(11, 9, pixels))
    for at, pixel in enumerate(pixels):
        assert image.getpixel((at % 11, at // 11)) == (*pixel, 255)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ((1, 1), (1, 1)),
        ((300, 300), (300, 300)),
        ((300, 301), (299, 300)),
        ((600, 200), (300, 100)),
        ((2048, 1), (300, 1)),
        ((1, 2048), (1, 300)),
        ((2048, 2048), (300, 300)),
    ],
)
def test_a_picture_is_made_smaller_and_never_larger(
    sent: tuple[int, int], shown: tuple[int, int]
) -> None:
    image = drawn(solid(*sent))
    assert image.size == shown
    assert image.getpixel((0, 0)) == (16, 32, 48, 255)


def test_only_the_picture_is_served() -> None:
    """Texts, profiles, and the other frames of an animation stay behind."""
    marked = b"<script>alert(1)</script>"
    frame = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 10, 0, 0)
    sent = png(
        header(1, 1),
        ONE,
        chunk(b"acTL", struct.pack(">II", 2, 0)),
        chunk(b"fcTL", frame),
        chunk(b"tEXt", b"Comment\0" + marked),
        chunk(b"eXIf", b"MM\0*" + marked),
        chunk(b"prVt", marked),
        after=chunk(b"fcTL", b"\0\0\0\1" + frame[4:])
        + chunk(b"fdAT", b"\0\0\0\2" + zlib.compress(rows(b"\xff\xff\xff\xff")))
        + chunk(b"iTXt", b"Comment\0\0\0\0\0" + marked),
    )
    assert marked in sent
    served = redraw(in_base64(sent))
    assert looked_at(served).getpixel((0, 0)) == (16, 32, 48, 255)
    assert b"script" not in served


def test_base64_is_read_leniently() -> None:
    data = png(header(40, 1), rows(bytes(range(90, 250))))  # has - and _ in the other alphabet
    usual = base64.b64encode(data).decode()
    served = redraw(usual)
    others = [
        base64.urlsafe_b64encode(data).decode(),
        usual.rstrip("="),
        "\r\n".join(usual[at : at + 76] for at in range(0, len(usual), 76)) + "\n",
        f"data:image/png;base64,{usual}",
        f" {usual} ",
    ]
    assert others[0] != usual
    for text in others:
        assert redraw(text) == served


REFUSED = {
    "a JPEG image": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(50),
    "a GIF image": b"GIF89a\x01\x00\x01\x00" + bytes(20),
    "a WebP image": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(20),
    "an SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "a web page": b"\n<!DOCTYPE html><script>alert(1)</script>",
    "a ZIP archive": b"PK\x03\x04" + bytes(40),
    "damaged on its way": solid(1, 1).replace(b"\r\n", b"\n"),
    "empty": b"",
    "no picture that we know": b"just some words",
    "does not begin with its header": SIGNATURE + chunk(b"IDAT", b"") + header(1, 1) + IEND,
    "cut off": solid(9, 9)[:-5],
    "checksum of its part IDAT": solid(9, 9)[:-20] + b"\x00" + solid(9, 9)[-19:],
    "where one should begin": SIGNATURE + header(1, 1) + chunk(b"ID\x00T"),
    "something else follows": solid(1, 1) + b"<html><script>alert(1)</script></html>",
    "something else follows ": solid(1, 1) + b"PK\x03\x04" + bytes(40),
    "something else follows  ": solid(1, 1)[: -len(IEND)] + chunk(b"IEND", b"<html>"),
    "its part CgBI is none that we know": png(header(1, 1), ONE, chunk(b"CgBI", b"\0")),
    "its part IHDR is out of order": png(header(1, 1), ONE, header(1, 1)),
    "its part PLTE is out of order": png(header(1, 1), ONE, COLOURS, COLOURS),
    "its part tRNS is out of order": png(header(1, 1, 8, GREY), rows(b"\0"), after=chunk(b"tRNS", b"\0\0")),
    "its header is not valid": png(header(1, 1, 3, GREY), rows(b"\0")),
    "its header is not valid ": png(header(1, 1, 8, 5), rows(b"\0")),
    "its header is not valid  ": png(header(1, 1, 8, RGBA, 2), ONE),
    "its header is not valid   ": png(chunk(b"IHDR", b"\0\0\0\1"), ONE),
    "its palette is not valid": png(header(1, 1, 8, PALETTE), rows(b"\0")),
    "its palette is not valid ": png(header(1, 1, 8, PALETTE), rows(b"\0"), COLOURS, chunk(b"tRNS", b"abc")),
    "its transparent colour is not valid": png(header(1, 1, 8, RGB), rows(b"abc"), chunk(b"tRNS", b"ab")),
    "fewer pixels": png(header(1, 2), ONE),
    "fewer pixels ": SIGNATURE + header(1, 1) + IEND,
    "fewer pixels  ": SIGNATURE + header(1, 1) + chunk(b"IDAT", zlib.compress(ONE)[:-4]) + IEND,
    "more pixels": png(header(1, 1), ONE + b"\0"),
    "pixels are damaged": SIGNATURE + header(1, 1) + chunk(b"IDAT", b"no zlib here") + IEND,
    "pixels are damaged ": png(header(1, 1), b"\x77" + ONE[1:]),  # no such filter
    "dimensions width: 0 height: 7": png(header(0, 7), b""),
    "dimensions width: 7 height: 0": png(header(7, 0), b""),
    "dimensions width: 2049 height: 1": png(header(2049, 1), rows(bytes(2049 * 4))),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_sound_png_is_refused_with_the_reason(reason: str) -> None:
    assert reason.strip() in refusal(in_base64(REFUSED[reason]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<svg onload='alert(1)'/>", "an SVG"),
        ("https://example.org/logo.png", "an address"),
        ("====", "empty"),
        ("data:image/png;base64,", "empty"),
        ("\ud83d\ude00", "empty"),
        ("A", "empty"),
    ],
)
def test_what_is_no_base64_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert reason in refusal(text)


def test_every_bomb_is_refused() -> None:
    reasons = {name: refusal(in_base64(file)) for name, file in files.bombs().items()}
    assert "more pixels" in reasons["in its pixels"]
    assert "more pixels" in reasons["in its many pixels"]
    assert "width: 20000 height: 20000" in reasons["a large picture"]
    assert "parts" in reasons["many parts"]


def test_a_bomb_in_a_part_that_is_not_looked_at_stays_there() -> None:
    for file in files.laden().values():
        assert drawn(file).getpixel((0, 0)) == (16, 32, 48, 255)


def test_no_bomb_costs_memory(tmp_path: Path) -> None:
    sent = []
    for number, file in enumerate([*files.bombs().values(), *files.laden().values()]):
        sent.append(tmp_path / f"{number}.txt")
        sent[-1].write_text(in_base64(file))
    command = [sys.executable, "-m", "tests.services.png_files", *map(str, sent)]
    measured = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert 0 < int(measured.stdout) < 64 * 1024 * 1024


async def test_many_at_once_are_drawn_in_turn() -> None:
    texts = [in_base64(solid(1 + number, 1)) for number in range(20)]
    async with asyncio.timeout(20):
        pictures = await asyncio.gather(*map(redrawn, texts))
    assert [looked_at(png).width for png in pictures] == list(range(1, 21))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_refused(data: bytes, signed: bool) -> None:
    assert refusal(in_base64(SIGNATURE * signed + data))


@settings(max_examples=200, deadline=None)
@given(
    shape=st.sampled_from(sorted({ihdr for ihdr, *_ in PIXELS.values()})),
    filters=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    pixels=st.binary(min_size=16, max_size=16),
    transparency=st.sampled_from((b"", b"\0", b"\0\1", bytes(6), bytes(9))),
    palette=st.sampled_from((b"", b"abc", b"abcdef", b"abcd")),
    interlace=st.booleans(),
)
def test_random_parts_are_drawn_or_refused(
    shape: bytes,
    filters: tuple[int, int],
    pixels: bytes,
    transparency: bytes,
    palette: bytes,
    interlace: bool,
) -> None:
    """Colours that the palette lacks, a filter that does not exist, keys of another size."""
    ihdr = chunk(b"IHDR", shape[8:20] + bytes((interlace,)))
    bits = shape[16] * {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}[shape[17]]
    if interlace:  # one pixel in each of two passes
        length = (bits + 7) // 8
        rest = bytes((filters[0],)) + pixels[:length] + bytes((filters[1],)) + pixels[-length:]
    else:
        rest = bytes((filters[0],)) + pixels[: (2 * bits + 7) // 8]
    sent = png(ihdr, rest, chunk(b"PLTE", palette), chunk(b"tRNS", transparency))
    try:
        served = redraw(in_base64(sent))
    except Problem as problem:
        # Of everything that may be wrong only what is wrong here: the length is always right.
        assert re.search("palette|transparent|damaged", problem.detail)  # noqa: PT017
    else:
        looked_at(served)
