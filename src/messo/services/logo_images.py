"""From what was sent as a logo to a picture that we drew: nothing of the sender's file is served."""

import asyncio
import re
from binascii import a2b_base64
from string import ascii_letters, digits

from messo.base.http import Problem
from messo.services.logo_png import (
    LARGEST,
    SIGNATURE,
    BadPictureError,
    BadSizeError,
    Png,
    take_apart,
)

_DRAWING = asyncio.Semaphore(2)  # each may take 60 MB and a second

_DATA_URL = re.compile(r"\s*data:[^,]{0,200},")
_BASE64 = frozenset((ascii_letters + digits + "+/").encode())
_NOT_BASE64 = bytes(sign for sign in range(256) if sign not in _BASE64)
_TO_USUAL = bytes.maketrans(b"-_", b"+/")

_KINDS = (
    (re.compile(rb"\xff\xd8\xff"), "a JPEG image"),
    (re.compile(rb"GIF8[79]a"), "a GIF image"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "a WebP image"),
    (re.compile(rb".{4}ftyp(avi[fs]|hei[cx]|mif1)", re.DOTALL), "an AVIF or HEIC image"),
    (re.compile(rb"II\*\x00|MM\x00\*"), "a TIFF image"),
    (re.compile(rb"\x00\x00\x01\x00"), "an icon file"),
    (re.compile(rb"BM.{4}\x00{4}", re.DOTALL), "a BMP image"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x89PNG"), "a PNG that was damaged on its way, as by a transfer as text"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<.{0,2000}<?svg\b", re.DOTALL | re.IGNORECASE), "an SVG"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(!doctype html|html)", re.IGNORECASE), "a web page"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<"), "markup"),
)
_ADDRESS = re.compile(rb"\s*https?://", re.IGNORECASE)


async def redrawn(text: str) -> bytes:
    """The PNG to serve for a logo in base64: at most 300 by 300 pixels, and never enlarged.

    Base64 is read as leniently as the reference platform does. `Problem` 400 with `field` `logo`
    if it is not a sound PNG of at most 2,048 pixels a side. Colour profiles are left behind.
    """
    async with _DRAWING:
        return await asyncio.to_thread(redraw, text)


def redraw(text: str) -> bytes:
    """The same, in this thread: up to a second."""
    # Slow to load: with the first logo, not with each start.
    from messo.services.logo_drawing import drawn  # noqa: PLC0415

    try:
        return drawn(_picture(text))
    except BadSizeError as error:
        most = "" if error.is_empty else f" (at most {LARGEST} each)"
        raise _not_valid(f"Image has invalid dimensions {error}{most}") from None
    except BadPictureError as error:
        raise _not_valid(f"Fail decoding provided image, the reason is: {error}") from None


def _not_valid(detail: str) -> Problem:
    return Problem(400, "Image not valid", detail, field="logo")


def _picture(text: str) -> Png:
    data = _decoded(text)
    if data.startswith(SIGNATURE):
        return take_apart(data)
    start = text[:4000].encode("utf-8", "replace")
    if _ADDRESS.match(start):
        raise BadPictureError("it is an address; send the picture itself, in base64")
    if start.lstrip().startswith(b"<"):
        data = start
    raise BadPictureError(f"it is {_kind(data)}; a logo is a PNG, in base64")


def _decoded(text: str) -> bytes:
    """Bytes from base64 in either alphabet; what is in neither is passed over, to the first `=`."""
    if prefix := _DATA_URL.match(text):
        text = text[prefix.end() :]
    data = text.partition("=")[0].encode("ascii", "ignore")
    data = data.translate(_TO_USUAL).translate(None, _NOT_BASE64)
    if len(data) % 4 == 1:  # six bits are no byte
        data = data[:-1]
    return a2b_base64(data + b"=" * (-len(data) % 4))


def _kind(data: bytes) -> str:
    if not data:
        return "empty"
    for pattern, kind in _KINDS:
        if pattern.match(data):
            return kind
    return "no picture that we know"
