"""What names a payment notice: the payee's fiscal code and the notice number."""

import re
from dataclasses import dataclass

_RPT_ID = re.compile(r"([0-9]{11})([0-3][0-9]{17})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Notice:
    """One notice. `payee`: fiscal code of the organisation it is paid to, 11 digits; `number`: 18."""

    payee: str
    number: str

    @property
    def rpt_id(self) -> str:
        """The 29 digits by which pagoPA's interfaces call it; also the key of its bucket."""
        return self.payee + self.number

    @property
    def grouped(self) -> str:
        """The number as it is printed: in fours."""
        return " ".join(self.number[start : start + 4] for start in range(0, 18, 4))

    @classmethod
    def of_rpt_id(cls, text: str) -> "Notice | None":
        """The notice with this `rpt_id`; None if it is none."""
        found = _RPT_ID.match(text)
        return cls(*found.groups()) if found else None
