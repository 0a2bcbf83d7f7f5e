"""A picture that was found sound, decoded and drawn anew at the size of a logo."""

import struct
import zlib
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from messo.services.logo_png import GREY, RGB, BadPictureError, Png

SIDE = 300  # pixels, of the longer side at most
_WIDE = 16  # bits of a sample


def drawn(png: Png) -> bytes:
    """A PNG of at most `SIDE` by `SIDE` pixels, without metadata; `BadPictureError` if it fails.

    RGB where nothing shines through, else RGBA; of samples of 16 bits the upper 8.
    """
    try:
        with PngImageFile(BytesIO(png.written())) as opened:
            opened.load()
            image = _with_alpha(opened, png)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        if image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
        file = BytesIO()
        image.save(file, "PNG", optimize=True)
    except (
        Image.DecompressionBombError,
        EOFError,
        IndexError,
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        zlib.error,
    ):
        raise BadPictureError("its pixels are damaged") from None
    return file.getvalue()


def _with_alpha(image: Image.Image, png: Png) -> Image.Image:
    if image.mode == "I;16":
        # Converted by Pillow, all above 255 would be white: of each two bytes, the upper one.
        image = Image.frombytes("L", image.size, image.tobytes()[1::2])
    elif image.mode == "1":
        image = image.convert("L")
    if png.transparency and png.colour in (GREY, RGB):
        key = [
            _in_eight_bits(sample, png.depth)
            for (sample,) in struct.iter_unpack(">H", png.transparency)
        ]
        image.info["transparency"] = key[0] if png.colour == GREY else tuple(key)
    return image.convert("RGBA")


def _in_eight_bits(sample: int, depth: int) -> int:
    """As Pillow has it, which compares the transparent colour with what it has made of the others."""
    if depth == _WIDE:
        return sample >> 8
    most = (1 << depth) - 1
    return (sample & most) * 255 // most
