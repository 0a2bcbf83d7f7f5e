"""Remote content: which institution serves what from where, and how it is fetched when it is read.

Owns: content.configuration, content.allowed. Others may call what is listed here.
"""

from messo.content.address import tail, tail_of
from messo.content.announced import announce, forget, hand_over, is_announced, take_over
from messo.content.answers import Attachment, Detail, PreconditionText, Promised
from messo.content.ask import Ask, make_outbound
from messo.content.fetch import Fetch, Opened, Remote
from messo.content.lookup import Configurations
from messo.content.pdf import PdfBusyError, PdfCheck, Verdict
from messo.content.problems import NotServedProblem, Reason
from messo.content.proof import check_proof
from messo.content.wire import Precondition

__all__ = [
    "Ask",
    "Attachment",
    "Configurations",
    "Detail",
    "Fetch",
    "NotServedProblem",
    "Opened",
    "PdfBusyError",
    "PdfCheck",
    "Precondition",
    "PreconditionText",
    "Promised",
    "Reason",
    "Remote",
    "Verdict",
    "announce",
    "check_proof",
    "forget",
    "hand_over",
    "is_announced",
    "make_outbound",
    "tail",
    "tail_of",
    "take_over",
]
