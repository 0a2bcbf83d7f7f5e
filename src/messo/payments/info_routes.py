"""What citizens' client applications ask about any notice: the payment node's answer, passed on."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from messo.base.http import JSON, PROBLEM, Answer, Headers, Parameter, Problem, Request, Route
from messo.base.limits import RateLimit
from messo.base.wire import ProblemDocument
from messo.login import Session
from messo.payments.live import Live
from messo.payments.node import Node, NodeError, RefusedByNodeError
from messo.payments.wire import RPT_ID, PaymentFault, PaymentInfo, RptId

_RPT_ID = re.compile(RPT_ID, re.ASCII)
_PATHS = ("/api/communication/v1/payment/info/{rptId}", "/api/v1/payment-info/{rptId}")


@dataclass(frozen=True)
class InfoRoutes:
    """The routes and what they need. `limit`: questions of each citizen.

    `test`: what answers where a question says `test=true`; None, as in production: the same.
    """

    authenticate: Callable[[Request], Awaitable[Session]]
    live: Live
    limit: RateLimit
    test: Node | None = None

    async def info(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        rpt_id = request.path["rptId"]
        if not _RPT_ID.match(rpt_id):
            raise Problem(
                400,
                "Bad request",
                "rptId is the payee's fiscal code followed by the notice number: 29 digits.",
                field="rptId",
            )
        if wait_s := self.limit.charge(request, session.fiscal_code):
            raise Problem(
                429,
                "Too many requests",
                f"You have asked for very many notices: try again in {wait_s} seconds.",
                headers=[(b"retry-after", b"%d" % wait_s)],
            )
        wanted = request.query.get("test", "").lower() == "true"
        try:
            if wanted and self.test is not None:
                answer = await self.test.ask(rpt_id)
            else:
                answer = await self.live.info(rpt_id)
        except RefusedByNodeError:
            raise Problem(
                400, "Bad request", "The payment node takes no such rptId.", field="rptId"
            ) from None
        except NodeError as error:
            return _not_said(error)
        if answer.info is not None:
            return Answer(200, msgspec.json.encode(answer.info), (JSON,))
        return Answer(answer.status, msgspec.json.encode(answer.fault), (PROBLEM,))

    def routes(self) -> list[Route]:
        """The two paths of the contract, as served and as documented."""
        fault = PaymentFault
        about = (
            "Asked live. `faultCodeCategory` says why it cannot be paid: PAYMENT_DUPLICATED means "
            "that it was paid. The answer to who asks again within a few seconds is the same."
        )
        answers = {
            200: (PaymentInfo, "It can be paid."),
            400: (ProblemDocument, "This is no rptId."),
            401: (None, "No session, or one that has ended."),
            404: (fault, "There is no such notice, or not here."),
            409: (fault, "It was paid, is being paid, has expired or was cancelled."),
            429: (ProblemDocument, "Too fast: wait as long as Retry-After says."),
            502: (fault, "The payment node gave no answer that can be used."),
            503: (fault, "The creditor cannot be reached, or ourselves."),
        }
        names = ("paymentInfo", "legacyPaymentInfo")
        parameters = (
            Parameter("rptId", "path", "Which notice.", type=RptId),
            Parameter(
                "test",
                "query",
                "`true` asks the test node of a sandbox; in production it changes nothing.",
            ),
        )
        return [
            Route(
                "GET",
                path,
                name,
                self.info,
                "What a notice is, and whether it can be paid",
                about,
                None,
                answers,
                parameters,
            )
            for path, name in zip(_PATHS, names, strict=True)
        ]


def _not_said(error: NodeError) -> Answer:
    """502 in the contract's shape: a client knows this category, and tries again later."""
    fault = PaymentFault(
        "GENERIC_ERROR",
        f"NODE_{error.reason.upper().replace(' ', '_')}",
        "The payment node did not answer",
    )
    after: Headers = ()
    if error.after_s is not None:
        after = [(b"retry-after", b"%d" % max(1, round(error.after_s)))]
    return Answer(HTTPStatus.BAD_GATEWAY, msgspec.json.encode(fault), [PROBLEM, *after])
