"""Logos: institutions send them, and everybody may see them."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import Answer, Parameter, Problem, Request, Route, not_available
from messo.base.refusals import OF_BODY
from messo.base.wire import GatewayError, ProblemDocument, Text, Ulid
from messo.services import logos
from messo.services.authenticate import AuthenticateManager, not_allowed
from messo.services.directory import Sender
from messo.services.logo_images import redrawn
from messo.services.logos import Logo
from messo.services.owned import find_live

BODY_LIMIT = 2 * 1024 * 1024  # of base64: a picture of a megabyte and a half
_AT_ONCE, _OF_ONE = 8, 2  # logos under way in this process, and of one institution
_FISCAL_CODE = re.compile(r"[0-9]{11}", re.ASCII)
_SERVICE_FILE = re.compile(r"([0-9a-hjkmnp-tv-z]{26})\.png")
_INSTITUTION_FILE = re.compile(r"([1-9][0-9]{0,10})\.png", re.ASCII)
_PNG = (b"content-type", b"image/png")
# A citizen's client at any address may show it; the API's own answers are not for showing.
_ANYWHERE = (b"cross-origin-resource-policy", b"cross-origin")
_FOR_AN_HOUR = (b"cache-control", b"public, max-age=3600")
_FOR_A_MINUTE = (b"cache-control", b"public, max-age=60")  # there may soon be one

_REFUSALS: dict[int, tuple[Any, str]] = {
    400: (ProblemDocument, "Not a logo that we can draw; `detail` says why."),
    401: (GatewayError, "No key, or one that is not valid."),
    **OF_BODY,
    429: (GatewayError, "Too fast: wait as long as Retry-After says."),
    503: (ProblemDocument, "Not confirmed: try again after Retry-After."),
}
_WHAT = (
    "A PNG in base64, of at most 2048 by 2048 pixels and a megabyte and a half. It is drawn anew, "
    "to fit 300 by 300 pixels, without anything else that the file has in it; of an animation only "
    "the first picture stays. "
)


class NewLogo(msgspec.Struct):
    """The body of both: `logo` is a PNG in base64."""

    logo: Text


_decoder = msgspec.json.Decoder(NewLogo)


@dataclass(frozen=True)
class LogoRoutes:
    """How institutions send their logos.

    `manager` and `sender` give who asks, with a manage key or a service's key, or refuse.
    """

    manager: AuthenticateManager
    sender: Callable[[Request], Awaitable[Sender]]
    pool: Pool

    async def put_for_service(self, request: Request) -> Answer:
        manager = await self.manager(request, "edit")
        service_id = request.path["service_id"]
        png = await _sent(request, manager.institution_id)
        async with self.pool.transaction() as conn:
            await find_live(conn, manager, service_id)
            await logos.put_service_logo(conn, manager.actor, service_id, png)
        return Answer(204, b"", ())

    async def put_for_institution(self, request: Request) -> Answer:
        sender = await self.sender(request)
        fiscal_code = request.path["organization_fiscal_code"]
        if not _FISCAL_CODE.fullmatch(fiscal_code):
            raise Problem(
                400,
                "Bad request",
                "An organization's fiscal code is 11 digits.",
                field="organization_fiscal_code",
            )
        # Whether there is another institution with it is nobody's affair.
        if fiscal_code != sender.organization_fiscal_code:
            raise not_allowed("The fiscal code in the path is not the one of your institution.")
        png = await _sent(request, sender.institution_id)
        async with self.pool.transaction() as conn:
            actor = f"service:{sender.service_id}"
            await logos.put_institution_logo(conn, actor, sender.institution_id, png)
        return Answer(202, b"", ())

    def routes(self) -> list[Route]:
        """Both, as served and as documented."""
        return [
            Route(
                "PUT",
                "/api/v1/manage/services/{service_id}/logo",
                "putServiceLogo",
                self.put_for_service,
                "Give a service a logo",
                f"{_WHAT}Ask with a manage key.",
                NewLogo,
                {
                    204: (None, "It is kept, in the place of the one before."),
                    **_REFUSALS,
                    403: (ProblemDocument, "This is no manage key, or one of another group."),
                    404: (ProblemDocument, "Your institution has no such service."),
                },
                (Parameter("service_id", "path", "The service's id.", type=Ulid),),
            ),
            Route(
                "PUT",
                "/api/v1/organizations/{organization_fiscal_code}/logo",
                "putOrganizationLogo",
                self.put_for_institution,
                "Give your institution a logo",
                f"{_WHAT}Ask with the key of one of its services.",
                NewLogo,
                {
                    202: (None, "It is kept, in the place of the one before."),
                    **_REFUSALS,
                    403: (ProblemDocument, "This is not the fiscal code of your institution."),
                },
                (
                    Parameter(
                        "organization_fiscal_code",
                        "path",
                        "The institution's fiscal code, 11 digits.",
                    ),
                ),
            ),
        ]


@dataclass(frozen=True)
class LogoFiles:
    """Logos as everybody sees them, at the paths that client applications know from IO."""

    pool: Pool

    async def of_service(self, request: Request) -> Answer:
        logo = None
        if named := _SERVICE_FILE.fullmatch(request.path["file"]):
            async with self.pool.connection() as conn:
                logo = await logos.read_service_logo(conn, named[1].upper())
        return _shown(request, logo)

    async def of_institution(self, request: Request) -> Answer:
        logo = None
        if named := _INSTITUTION_FILE.fullmatch(request.path["file"]):
            async with self.pool.connection() as conn:
                logo = await logos.read_institution_logo(conn, named[1].zfill(11))
        return _shown(request, logo)

    def routes(self) -> list[Route]:
        """Both, for GET and for HEAD, of which the server sends no body."""
        answers: dict[int, tuple[Any, str]] = {
            200: (None, "A PNG that we drew, of at most 300 by 300 pixels, with an ETag."),
            304: (None, "It is the one that If-None-Match names."),
            404: (ProblemDocument, "There is no logo."),
            503: (ProblemDocument, "The database did not answer: try again after Retry-After."),
        }
        functions = (
            (
                logos.SERVICES,
                "readServiceLogo",
                self.of_service,
                "The logo of a service",
                "The service's id in lower case, and `.png`.",
            ),
            (
                logos.INSTITUTIONS,
                "readOrganizationLogo",
                self.of_institution,
                "The logo of an institution",
                "The institution's fiscal code without its leading zeros, and `.png`.",
            ),
        )
        return [
            Route(
                method,
                path + "{file}",
                name + suffix,
                function,
                summary,
                "For everybody, without a key, from a page of any site.",
                answers=answers,
                parameters=(Parameter("file", "path", of),),
                public=True,
            )
            for path, name, function, summary, of in functions
            for method, suffix in (("GET", ""), ("HEAD", "Headers"))
        ]


@dataclass
class _Places:
    """Who may send a logo now: each takes memory from its first byte until it is drawn."""

    taken: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def take(self, institution_id: str) -> Iterator[None]:
        """Hold a place. `Problem` 503 if all are taken, or the institution has its share."""
        if self.taken[institution_id] >= _OF_ONE or self.taken.total() >= _AT_ONCE:
            raise not_available("Too many logos at once. Send one after the other.", 2)
        self.taken[institution_id] += 1
        try:
            yield
        finally:
            self.taken[institution_id] -= 1
            self.taken += Counter()  # forgets who has none


_places = _Places()


async def _sent(request: Request, institution_id: str) -> bytes:
    """The logo in the body, drawn anew."""
    with _places.take(institution_id):
        body = await request.json_body(BODY_LIMIT)
        drawn = await redrawn(decode(body, _decoder, "Invalid Exact<Logo>").logo)
    await request.still_allowed()  # drawing may have waited for others
    return drawn


def _shown(request: Request, logo: Logo | None) -> Answer:
    if logo is None:
        raise Problem(404, "Not found", "There is no logo here.", headers=[_FOR_A_MINUTE])
    tag = f'"{logo.digest}"'
    headers = [(b"etag", tag.encode()), _FOR_AN_HOUR, _ANYWHERE]
    known = [
        one.strip().removeprefix("W/")
        for one in (request.header(b"if-none-match") or "").split(",")
    ]
    if tag in known or known == ["*"]:
        return Answer(304, b"", headers)
    return Answer(200, logo.png, [_PNG, *headers])
