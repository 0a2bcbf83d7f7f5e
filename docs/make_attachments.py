"""Makes the attachments that the sandbox's institution serves, in src/messo/sandbox/static/attachments.

Two are PDF/A-2b, as an institution should send them; one has a script in it, as none should.
They are the same bytes each time. Needs the fonts of Debian's package fonts-dejavu-core.
"""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import pikepdf
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from messo.sandbox.fiscal_codes import make

ATTACHMENTS = Path(__file__).parent.parent / "src/messo/sandbox/static/attachments"
FONTS = Path("/usr/share/fonts/truetype/dejavu")
MADE = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)
NAME, FISCAL_CODE = "Giulia Ferretti", make("FRRGLI85E50Y101")

LEFT, RIGHT, WIDTH = 18.0, 192.0, 174.0  # mm, of an A4 page
INK, SOFT, LINE = (23, 50, 77), (69, 91, 113), (205, 215, 225)
GREEN, PALE, AMBER, SAND = (10, 100, 88), (234, 244, 241), (122, 76, 0), (255, 244, 219)

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
   <pdfaid:part>2</pdfaid:part>
   <pdfaid:conformance>B</pdfaid:conformance>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
   <dc:creator><rdf:Seq><rdf:li>Azienda sanitaria Val Serena</rdf:li></rdf:Seq></dc:creator>
   <xmp:CreateDate>{made}</xmp:CreateDate>
   <xmp:ModifyDate>{made}</xmp:ModifyDate>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


class Exam(NamedTuple):
    """A line of the report; the reference interval is from `least` to `most`."""

    name: str
    result: float
    unit: str
    least: float
    most: float
    digits: int = 1


EXAMS = {
    "Emocromo": [
        Exam("Leucociti", 6.4, "10⁹/L", 4, 10),
        Exam("Eritrociti", 4.62, "10¹²/L", 3.9, 5.2, 2),
        Exam("Emoglobina", 13.6, "g/dL", 12, 15.5),
        Exam("Ematocrito", 40.8, "%", 36, 46),
        Exam("Piastrine", 248, "10⁹/L", 150, 400, 0),
    ],
    "Metabolismo": [
        Exam("Glucosio", 86, "mg/dL", 70, 99, 0),
        Exam("Colesterolo totale", 178, "mg/dL", 120, 200, 0),
        Exam("Trigliceridi", 94, "mg/dL", 40, 150, 0),
        Exam("Creatinina", 0.78, "mg/dL", 0.5, 1.1, 2),
    ],
    "Ferro e tiroide": [
        Exam("Ferritina", 52, "µg/L", 15, 150, 0),
        Exam("TSH", 1.84, "mU/L", 0.4, 4, 2),
    ],
}
CHARGES = [
    ("Emocromo completo", 4.05),
    ("Chimica clinica (4 esami)", 5.60),
    ("Ferritina", 5.15),
    ("TSH", 6.80),
    ("Prelievo di sangue", 2.60),
]


class Sheet(FPDF):
    """One page with the letterhead of the sandbox's health authority."""

    def __init__(self, title: str, *, archival: bool = True) -> None:
        super().__init__(enforce_compliance="PDF/A-2B" if archival else None)
        self.set_title(title)
        self.set_lang("it")
        self.set_creation_date(MADE)
        if archival:
            made = MADE.isoformat(timespec="seconds")
            self.set_xmp_metadata(XMP.format(title=escape(title), made=made))
        self.add_font("DejaVu", fname=FONTS / "DejaVuSans.ttf")
        self.add_font("DejaVu", style="B", fname=FONTS / "DejaVuSans-Bold.ttf")
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.add_page()
        self._letterhead()

    def text_at(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 9,
        *,
        bold: bool = False,
        ink: tuple[int, int, int] = INK,
        width: float = 0,
        align: str = "L",
    ) -> None:
        self.set_font("DejaVu", "B" if bold else "", size)
        self.set_text_color(*ink)
        self.set_xy(x, y)
        self.cell(width or WIDTH, size * 0.5, text, align=align)

    def paragraph(self, y: float, text: str, size: float = 8.5) -> None:
        self.set_font("DejaVu", "", size)
        self.set_text_color(*SOFT)
        self.set_xy(LEFT, y)
        self.multi_cell(WIDTH, size * 0.55, text, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)

    def rule(self, y: float) -> None:
        self.set_draw_color(*LINE)
        self.set_line_width(0.2)
        self.line(LEFT, y, RIGHT, y)

    def box(self, y: float, height: float, fill: tuple[int, int, int]) -> None:
        self.set_fill_color(*fill)
        self.rect(LEFT, y, WIDTH, height, style="F", round_corners=True, corner_radius=2)

    def facts(self, y: float, facts: list[tuple[str, str]]) -> None:
        """Labels above values, three in a row, in a tinted box."""
        rows = -(-len(facts) // 3)
        self.box(y, 5 + 12 * rows, PALE)
        for number, (label, value) in enumerate(facts):
            x, top = LEFT + 6 + 56 * (number % 3), y + 4 + 12 * (number // 3)
            self.text_at(x, top, label, 7, ink=SOFT, width=54)
            self.text_at(x, top + 4.2, value, 9, bold=True, width=54)

    def heading(self, title: str, under: str) -> None:
        self.text_at(LEFT, 47, title, 18, bold=True)
        self.text_at(LEFT, 57, under, 9, ink=SOFT)

    def _letterhead(self) -> None:
        self.set_fill_color(*GREEN)
        self.rect(0, 0, 210, 4, style="F")
        self.rect(LEFT, 13, 15, 15, style="F", round_corners=True, corner_radius=3)
        self.set_fill_color(255, 255, 255)
        self.rect(LEFT + 6, 15.5, 3, 10, style="F")
        self.rect(LEFT + 2.5, 19, 10, 3, style="F")
        self.text_at(LEFT + 20, 14, "Azienda sanitaria Val Serena", 13, bold=True, ink=GREEN)
        self.text_at(
            LEFT + 20, 21.5, "Via dei Tigli 12, Val Serena · valserena.example.org", 8, ink=SOFT
        )
        self.box(34, 7.5, SAND)
        example = "ESEMPIO – dati inventati"  # noqa: RUF001  in Italian it is right
        self.text_at(LEFT, 35.6, example, 9, bold=True, ink=AMBER, width=WIDTH, align="C")
        self.rule(279)
        said = f"{example}. Persone, enti e valori di questo documento non esistono."
        self.text_at(LEFT, 281.5, said, 7, ink=SOFT)
        self.text_at(LEFT, 281.5, "Pagina 1 di 1", 7, ink=SOFT, width=WIDTH, align="R")


def italian(number: float, digits: int) -> str:
    return f"{number:.{digits}f}".replace(".", ",")


def referto() -> bytes:
    sheet = Sheet("Referto di laboratorio")
    sheet.heading(
        "Referto di laboratorio", "Laboratorio analisi · esami del sangue del 4 novembre 2026"
    )
    sheet.facts(
        66,
        [
            ("Paziente", NAME),
            ("Codice fiscale", FISCAL_CODE),
            ("Data di nascita", "10/05/1985"),
            ("Richiesta n.", "2026-000417"),
            ("Prelievo", "04/11/2026, ore 7:50"),
            ("Referto", "05/11/2026, ore 9:30"),
        ],
    )
    y = 103.0
    for x, label in (
        (LEFT, "Esame"),
        (82, "Risultato"),
        (104, "Unità"),
        (126, "Valori di riferimento"),
    ):
        align, width = ("R", 18) if label == "Risultato" else ("L", 60)
        sheet.text_at(x, y, label, 7.5, bold=True, ink=SOFT, width=width, align=align)
    y += 6
    for group, exams in EXAMS.items():
        sheet.rule(y)
        sheet.text_at(LEFT, y + 2.4, group, 9, bold=True, ink=GREEN)
        y += 9.5
        for exam in exams:
            _line(sheet, y, exam)
            y += 7.2
        y += 1.5
    sheet.rule(y)
    sheet.paragraph(
        y + 4,
        "Tutti i valori sono nell'intervallo di riferimento. I valori di riferimento valgono per donne "
        "adulte. Questo referto non sostituisce il parere del medico: parlane con il tuo.",
    )
    sheet.text_at(120, 252, "La direttrice del laboratorio", 8, ink=SOFT, width=72, align="R")
    sheet.text_at(120, 257, "dott.ssa Marta Esempio", 10, bold=True, width=72, align="R")
    sheet.text_at(120, 263, "Firma sostituita a mezzo stampa", 7, ink=SOFT, width=72, align="R")
    return bytes(sheet.output())


def _line(sheet: Sheet, y: float, exam: Exam) -> None:
    sheet.text_at(LEFT, y, exam.name, 9)
    sheet.text_at(82, y, italian(exam.result, exam.digits), 9, bold=True, width=18, align="R")
    sheet.text_at(104, y, exam.unit, 8, ink=SOFT, width=20)
    digits = 0 if exam.least == int(exam.least) and exam.most == int(exam.most) else 1
    between = f"{italian(exam.least, digits)} – {italian(exam.most, digits)}"  # noqa: RUF001
    sheet.text_at(126, y, between, 8, ink=SOFT, width=30)
    # The bar shows half an interval more on either side.
    start, length = 156.0, RIGHT - 156
    sheet.set_fill_color(*LINE)
    sheet.rect(start, y + 1.5, length, 1.4, style="F", round_corners=True, corner_radius=0.7)
    sheet.set_fill_color(150, 205, 192)
    sheet.rect(start + length / 4, y + 1.5, length / 2, 1.4, style="F")
    share = (exam.result - exam.least) / (exam.most - exam.least)
    sheet.set_fill_color(*GREEN)
    sheet.circle(start + length / 4 + share * length / 2, y + 2.2, 1.4, style="F")


def ricevuta() -> bytes:
    sheet = Sheet("Ricevuta di pagamento")
    sheet.heading(
        "Ricevuta di pagamento", "Ticket sanitari · ricevuta n. 2026/004812 del 4 novembre 2026"
    )
    total = f"{italian(sum(amount for _, amount in CHARGES), 2)} €"
    sheet.box(66, 27, GREEN)
    white = (255, 255, 255)
    sheet.text_at(LEFT + 8, 71, "Importo pagato", 9, ink=white)
    sheet.text_at(LEFT + 8, 77.5, total, 24, bold=True, ink=white)
    sheet.text_at(LEFT, 74, "PAGATO", 15, bold=True, ink=white, width=WIDTH - 8, align="R")
    sheet.text_at(LEFT, 83, "4 novembre 2026, ore 8:12", 9, ink=white, width=WIDTH - 8, align="R")
    sheet.facts(
        99,
        [
            ("Pagato da", NAME),
            ("Codice fiscale", FISCAL_CODE),
            ("Codice avviso", notice("3010000000048120")),
            ("Pagato con", "Carta, allo sportello"),
            ("A favore di", "Azienda sanitaria Val Serena"),
            ("Codice fiscale dell'ente", "99999999002"),
        ],
    )
    sheet.text_at(LEFT, 137, "Prestazione", 7.5, bold=True, ink=SOFT)
    sheet.text_at(LEFT, 137, "Importo", 7.5, bold=True, ink=SOFT, width=WIDTH, align="R")
    y = 142.5
    for name, amount in CHARGES:
        sheet.rule(y)
        sheet.text_at(LEFT, y + 2.6, name, 9)
        sheet.text_at(LEFT, y + 2.6, f"{italian(amount, 2)} €", 9, width=WIDTH, align="R")
        y += 9.5
    sheet.set_draw_color(*INK)
    sheet.set_line_width(0.5)
    sheet.line(LEFT, y, RIGHT, y)
    sheet.text_at(LEFT, y + 3, "Totale", 11, bold=True)
    sheet.text_at(LEFT, y + 3, total, 11, bold=True, width=WIDTH, align="R")
    sheet.paragraph(
        y + 17,
        "Conserva questa ricevuta: la spesa si può detrarre dalle imposte come spesa sanitaria. "
        "Operazione esente da IVA ai sensi dell'articolo 10 del DPR 633/1972.",
    )
    return bytes(sheet.output())


def notice(digits: str) -> str:
    """A notice number from its first 16 digits: the two check digits are added, and spaces."""
    number = f"{digits}{int(digits) % 93:02d}"
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def script() -> bytes:
    sheet = Sheet("Un file con un programma", archival=False)
    sheet.heading("Un file con un programma", "Serve a mostrare che non viene consegnato")
    sheet.paragraph(
        68,
        "Quando un programma di lettura apre questo file, un'azione in JavaScript mostra una finestra. "
        "È innocua, ma un allegato non deve contenere programmi: chi lo legge dal sito non lo riceve.",
        10,
    )
    made = io.BytesIO()
    with pikepdf.open(io.BytesIO(bytes(sheet.output()))) as pdf:
        pdf.Root.OpenAction = pikepdf.Dictionary(
            S=pikepdf.Name.JavaScript,
            JS="app.alert('Esempio: questo file contiene un programma.');",
        )
        pdf.save(made, deterministic_id=True)
    return made.getvalue()


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "referto": referto,
    "ricevuta": ricevuta,
    "script": script,
}


def main() -> None:
    ATTACHMENTS.mkdir(parents=True, exist_ok=True)
    for name, make_document in DOCUMENTS.items():
        (ATTACHMENTS / f"{name}.pdf").write_bytes(make_document())
        print(f"{name}.pdf")


if __name__ == "__main__":
    main()
