"""The logos of the sandbox's institutions and services: flat white marks on one colour, drawn here.

Drawn at four times their size and made smaller, which smooths the edges. Lengths are hundredths of
a side.
"""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from messo.base.db import Connection
from messo.services.logos import put_logo

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_SIDE, _TIMES = 240, 4  # pixels, and how much larger it is drawn
_SHADES = 12  # between the two colours, which is what edges need
_WHITE = "#ffffff"
Box = tuple[float, float, float, float]


async def put_logos(conn: Connection, ids: dict[str, str]) -> None:
    """Give them to institutions and services; `ids`: by their names. Who has no mark gets none."""
    for name in _MARKS.keys() & ids.keys():
        await put_logo(conn, ids[name], draw(name))


def draw(name: str) -> bytes:
    """The PNG for one of them; `KeyError` if it has no mark."""
    # Slow to load, and needed once in the life of a sandbox.
    from PIL import Image, ImageDraw  # noqa: PLC0415

    colour, strokes = _MARKS[name]
    side = _SIDE * _TIMES
    image = Image.new("RGB", (side, side), colour)
    strokes(_Pen(ImageDraw.Draw(image), side / 100, colour))
    small = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).quantize(_SHADES)
    file = BytesIO()
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


class _Pen:
    """Draws white shapes, and `back` in the colour of the ground."""

    def __init__(self, on: "ImageDraw", unit: float, ground: str) -> None:
        self.on, self.unit, self.ground = on, unit, ground

    def block(self, box: Box, radius: float = 0, *, back: bool = False) -> None:
        self.on.rounded_rectangle(self._scaled(box), radius * self.unit, fill=self._fill(back))

    def disc(self, box: Box, *, back: bool = False) -> None:
        self.on.ellipse(self._scaled(box), fill=self._fill(back))

    def half_disc(self, box: Box, *, back: bool = False) -> None:
        """The upper half."""
        self.on.pieslice(self._scaled(box), 180, 360, fill=self._fill(back))

    def shape(self, corners: Sequence[tuple[float, float]], *, back: bool = False) -> None:
        self.on.polygon([(x * self.unit, y * self.unit) for x, y in corners], fill=self._fill(back))

    def line(
        self, points: Sequence[tuple[float, float]], width: float, *, back: bool = False
    ) -> None:
        """With round ends and corners."""
        fill, wide = self._fill(back), width / 2 - 0.15
        scaled = [(x * self.unit, y * self.unit) for x, y in points]
        self.on.line(scaled, fill, round(width * self.unit), joint="curve")
        for x, y in points:
            self.disc((x - wide, y - wide, x + wide, y + wide), back=back)

    def _fill(self, back: bool) -> str:
        return self.ground if back else _WHITE

    def _scaled(self, box: Box) -> Box:
        left, top, right, bottom = box
        return left * self.unit, top * self.unit, right * self.unit, bottom * self.unit


def _bridge(pen: _Pen) -> None:
    pen.block((10, 36, 90, 46))
    pen.block((14, 40, 86, 64))
    for left in (19, 41, 63):
        pen.half_disc((left, 49, left + 18, 79), back=True)
    for height in (74, 83):
        pen.line(
            [(14, height), (32, height - 3), (50, height), (68, height - 3), (86, height)], 3.5
        )


def _valley(pen: _Pen) -> None:
    pen.block((44, 12, 56, 54), 3)
    pen.block((29, 27, 71, 39), 3)
    for height in (72, 84):
        pen.line(
            [(12, height), (31, height - 11), (50, height), (69, height - 11), (88, height)], 5
        )


def _drop(pen: _Pen) -> None:
    pen.disc((27, 40, 73, 86))
    pen.shape([(50, 12), (30.5, 51), (69.5, 51)])
    pen.line([(37, 64), (41, 72), (48, 76)], 4, back=True)


def _card(pen: _Pen) -> None:
    pen.block((14, 26, 86, 74), 7)
    pen.disc((26, 36, 42, 52), back=True)
    pen.half_disc((22, 54, 46, 78), back=True)
    for height, end in ((38, 76), (49, 76), (60, 68)):
        pen.line([(54, height), (end, height)], 4, back=True)


def _star(pen: _Pen) -> None:
    pen.block((14, 26, 86, 74), 7)
    outer_and_inner = [
        *((50, 31), (54.6, 44), (68, 44), (57.2, 52.2), (61.2, 65.4)),
        *((50, 57.4), (38.8, 65.4), (42.8, 52.2), (32, 44), (45.4, 44)),
    ]
    pen.shape(outer_and_inner, back=True)


def _book(pen: _Pen) -> None:
    pen.shape([(12, 28), (48, 35), (48, 80), (12, 73)])
    pen.shape([(88, 28), (52, 35), (52, 80), (88, 73)])
    for height in (43, 54):
        pen.line([(21, height), (39, height + 3.5)], 3.5, back=True)
        pen.line([(79, height), (61, height + 3.5)], 3.5, back=True)


def _report(pen: _Pen) -> None:
    pen.block((22, 18, 78, 88), 6)
    pen.block((38, 12, 62, 26), 4)
    pen.line([(38, 27), (62, 27)], 3, back=True)
    pen.line([(30, 58), (40, 58), (46, 44), (55, 72), (61, 58), (70, 58)], 4.5, back=True)


def _ticket(pen: _Pen) -> None:
    pen.block((10, 30, 90, 70), 5)
    pen.disc((3, 43, 17, 57), back=True)
    pen.disc((83, 43, 97, 57), back=True)
    for height in (36, 45, 55, 64):
        pen.line([(34, height), (34, height + 0.5)], 3.5, back=True)
    pen.block((56, 39, 63, 61), 1, back=True)
    pen.block((48.5, 46.5, 70.5, 53.5), 1, back=True)


def _bill(pen: _Pen) -> None:
    pen.shape(
        [
            *((24, 12), (76, 12), (76, 86), (67.3, 80), (58.7, 86)),
            *((50, 80), (41.3, 86), (32.7, 80), (24, 86)),
        ]
    )
    pen.disc((41, 31, 59, 49), back=True)
    pen.shape([(50, 18), (42, 36), (58, 36)], back=True)
    for height, end in ((58, 66), (68, 54)):
        pen.line([(34, height), (end, height)], 4, back=True)


_MARKS: dict[str, tuple[str, Callable[[_Pen], None]]] = {
    "Comune di Pontelungo": ("#0b4f9e", _bridge),
    "Azienda sanitaria Val Serena": ("#1b7a4b", _valley),
    "Consorzio Acque Chiare": ("#0a7a8c", _drop),
    "Anagrafe e tributi": ("#0b4f9e", _card),
    "Carta giovani": ("#7a2d8f", _star),
    "Iscrizioni scolastiche": ("#9a5200", _book),
    "Referti": ("#1b7a4b", _report),
    "Ticket sanitari": ("#1b7a4b", _ticket),
    "Bollette": ("#0a7a8c", _bill),
}
