"""A PNG taken apart before anything decodes it: what is not the picture itself stays behind.

Source: Portable Network Graphics, third edition (w3.org/TR/png-3), sections 5, 7 and 11.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST = 2048  # pixels a side: a scan is larger, and what comes of it is 300 at most
GREY, RGB, PALETTE = 0, 2, 3

_MOST_CHUNKS = 5000
_PIECE = 256 * 1024  # bytes of a picture in memory at once while its length is checked
# What is kept, in the order that it must have.
_ORDER = {b"IHDR": 0, b"PLTE": 1, b"tRNS": 2, b"IDAT": 3, b"IEND": 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, for each type of colour
_MOST_COLOURS = 256
_KEY_BYTES = {GREY: 2, RGB: 6}  # of the one colour that is transparent
# Where each pass of an interlaced picture begins, and how far its pixels are apart: x, y, x, y.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


class BadPictureError(Exception):
    """Why a picture is not taken, in the middle of a sentence."""


class BadSizeError(BadPictureError):
    """Its sides are not usable."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(f"width: {width} height: {height}")
        self.is_empty = not width or not height


@dataclass(frozen=True, slots=True)
class Png:
    """A picture as it was sent, without anything else. `pixels` are compressed."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    palette: bytes = b""
    transparency: bytes = b""
    pixels: bytes = b""

    def written(self) -> bytes:
        """As a file again: for a palette with its transparency, else without."""
        shape = struct.pack(
            ">IIBBBBB", self.width, self.height, self.depth, self.colour, 0, 0, self.interlaced
        )
        chunks = [(b"IHDR", shape)]
        if self.colour == PALETTE:
            chunks.append((b"PLTE", self.palette))
            if self.transparency:
                chunks.append((b"tRNS", self.transparency))
        chunks += [(b"IDAT", self.pixels), (b"IEND", b"")]
        return SIGNATURE + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )

    def length(self) -> int:
        """Bytes of the picture once it is inflated, with one more for each row."""
        bits = self.depth * _SAMPLES[self.colour]
        length = 0
        for x, y, x_step, y_step in _PASSES if self.interlaced else ((0, 0, 1, 1),):
            columns = -((x - self.width) // x_step)
            rows = -((y - self.height) // y_step)
            if columns > 0 and rows > 0:
                length += rows * (1 + (columns * bits + 7) // 8)
        return length


def take_apart(data: bytes) -> Png:
    """The picture in a file that begins with `SIGNATURE`; `BadPictureError` if it is not sound.

    Nothing is inflated that does not belong to the picture, and nothing of it is kept in memory:
    its sides are read first, and 2,048 by 2,048 pixels are the most.
    """
    chunks = _chunks(data)
    kind, body = next(chunks)
    if kind != b"IHDR":
        raise BadPictureError("it does not begin with its header")
    header = _header(body)
    parts = {b"PLTE": b"", b"tRNS": b""}
    pixels: list[bytes] = []
    last = 0
    for kind, body in chunks:
        place = _ORDER.get(kind)
        if place is None:
            if kind[:1].isupper():
                raise BadPictureError(f"its part {kind.decode()} is none that we know")
            continue
        if place < last or (place == last and kind != b"IDAT"):
            raise BadPictureError(f"its part {kind.decode()} is out of order")
        last = place
        if kind == b"IDAT":
            pixels.append(body)
        else:
            parts[kind] = body
    png = _with_colours(header, parts[b"PLTE"], parts[b"tRNS"], b"".join(pixels))
    _check_pixels(png)
    return png


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each part, to the end of the file, where the last one must be."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if len(data) < max(end, at + 12):
            raise BadPictureError("it is cut off")
        if not (kind.isalpha() and kind.isascii()):
            raise BadPictureError("it is damaged: there is no part where one should begin")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise BadPictureError(f"it is damaged: the checksum of its part {kind.decode()} is off")
        if kind == b"IEND" and (length or end != len(data)):
            raise BadPictureError("something else follows after its end")
        yield kind, data[at + 8 : end - 4]
        if kind == b"IEND":
            return
        at = end
    raise BadPictureError(f"it has more than {_MOST_CHUNKS} parts")


def _header(body: bytes) -> Png:
    if len(body) != struct.calcsize(">IIBBBBB"):
        raise BadPictureError("its header is not valid")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", body
    )
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise BadSizeError(width, height)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise BadPictureError("its header is not valid")
    return Png(width, height, depth, colour, interlaced=bool(interlace))


def _with_colours(header: Png, palette: bytes, transparency: bytes, pixels: bytes) -> Png:
    """With only those of its parts that mean something for its type of colour."""
    if header.colour == PALETTE:
        colours, rest = divmod(len(palette), 3)
        if rest or not 0 < colours <= _MOST_COLOURS or len(transparency) > colours:
            raise BadPictureError("its palette is not valid")
    else:
        palette = b""
        if transparency and len(transparency) != _KEY_BYTES.get(header.colour):
            raise BadPictureError("its transparent colour is not valid")
    return Png(
        header.width,
        header.height,
        header.depth,
        header.colour,
        header.interlaced,
        palette,
        transparency,
        pixels,
    )


def _check_pixels(png: Png) -> None:
    """Inflate it, a piece at a time and none longer than is right: a bomb is seen, not unpacked."""
    left = png.length()
    inflater = zlib.decompressobj()
    waiting = png.pixels
    try:
        while left >= 0 and not inflater.eof:
            piece = inflater.decompress(waiting, min(_PIECE, left + 1))
            waiting = inflater.unconsumed_tail
            if not piece and not waiting and not inflater.eof:
                break
            left -= len(piece)
    except zlib.error:
        raise BadPictureError("its pixels are damaged") from None
    if left < 0:
        raise BadPictureError("it has more pixels than its header says")
    if left or not inflater.eof:
        raise BadPictureError("it has fewer pixels than its header says")
