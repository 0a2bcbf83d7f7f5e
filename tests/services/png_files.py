"""PNG files made by hand: sound ones of every kind, and hostile ones. And how much they cost.

`python -m tests.services.png_files refused.txt …` sends each as a logo and prints how much memory that
took at most, in bytes, beyond what it took to draw a small one.
"""

import base64
import contextlib
import functools
import re
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
IEND = b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip
STATUS = Path("/proc/self/status")


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(
    width: int, height: int, depth: int = 8, colour: int = RGBA, interlace: int = 0
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(ihdr: bytes, pixels: bytes, *before: bytes, after: bytes = b"") -> bytes:
    """A file; `pixels` are inflated rows with their filters, `before` and `after` chunks at IDAT."""
    idat = chunk(b"IDAT", zlib.compress(pixels))
    return SIGNATURE + ihdr + b"".join(before) + idat + after + IEND


def rows(*each: bytes) -> bytes:
    return b"".join(b"\x00" + row for row in each)


def solid(width: int, height: int, pixel: bytes = b"\x10\x20\x30\xff") -> bytes:
    """Eight bits of RGBA, the same everywhere."""
    return png(header(width, height), rows(*[pixel * width] * height))


def interlaced(width: int, height: int, pixels: Sequence[bytes]) -> bytes:
    """RGB of eight bits, row by row, as the seven passes have it."""
    passes = b""
    for x, y, x_step, y_step in _ADAM7:
        for row in range(y, height, y_step):
            if x < width:
                passes += rows(b"".join(pixels[row * width + at] for at in range(x, width, x_step)))
    return png(header(width, height, 8, RGB, 1), passes)


def parts(data: bytes) -> list[bytes]:
    """The kinds of the chunks of a sound file."""
    found, at = [], len(SIGNATURE)
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return found


@functools.cache
def gigabyte() -> bytes:
    """A zlib stream that goes on for a gigabyte of zeros, and would then turn out to be damaged."""
    packer = zlib.compressobj(9, wbits=-15)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    assert len(zlib.decompressobj(-15).decompress(megabyte)) == 1 << 20
    return b"\x78\xda" + megabyte * 1024


def bombs() -> dict[str, bytes]:
    """Files that are refused, and would be costly to anyone who unpacks them."""
    idat = chunk(b"IDAT", gigabyte())
    return {
        "in its pixels": SIGNATURE + header(10, 10) + idat + IEND,
        "in its many pixels": SIGNATURE + header(2048, 2048, 16) + idat + IEND,
        "in rows too many": SIGNATURE + header(2049, 1) + idat + IEND,
        "a large picture": SIGNATURE + header(20_000, 20_000, 16) + idat + IEND,
        "larger than there are": SIGNATURE + header(2**32 - 1, 2**32 - 1, 16) + idat + IEND,
        "many parts": SIGNATURE + header(1, 1) + chunk(b"tIME") * 100_000 + IEND,
    }


def laden() -> dict[str, bytes]:
    """Sound pictures that carry a bomb in a part that is not looked at."""
    bomb, pixels = gigabyte(), rows(b"\x10\x20\x30\xff")
    carried = {
        "zTXt": b"Comment\0\0" + bomb,
        "iTXt": b"Comment\0\1\0\0\0" + bomb,
        "iCCP": b"Profile\0\0" + bomb,
        "eXIf": b"MM\0*" + bomb,
        "acTL": struct.pack(">II", 2**31 - 1, 0),
    }
    return {
        kind: png(header(1, 1), pixels, chunk(kind.encode(), body))
        for kind, body in carried.items()
    }


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _most_memory() -> int:
    found = re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) * 1024


def _measure(sent: Sequence[str]) -> None:
    from messo.base.http import Problem
    from messo.services.logo_images import redraw

    redraw(in_base64(solid(400, 1)))  # what drawing needs is loaded
    before = _most_memory()
    for name in sent:
        with contextlib.suppress(Problem):
            redraw(Path(name).read_text())
    print(_most_memory() - before)


if __name__ == "__main__":
    _measure(sys.argv[1:])
