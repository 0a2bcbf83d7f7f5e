"""The citizen's routes about themselves: authenticate, parse, call, answer."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

import msgspec
from msgspec import UNSET

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.decode import decode
from messo.base.http import (
    JSON,
    Answer,
    Headers,
    Parameter,
    Problem,
    Request,
    Route,
    StreamedAnswer,
)
from messo.base.wire import ProblemDocument
from messo.login import Session
from messo.recipients import citizen_wire as wire
from messo.recipients import data_requests
from messo.recipients.archive import ArchiveReplacedError, read_piece
from messo.recipients.choices import ServiceChoice, put_choice, read_choice
from messo.recipients.data_requests import Choice, DataRequest
from messo.recipients.email import SendValidation, ask_validation, is_email_already_taken
from messo.recipients.installations import put_installation
from messo.recipients.profile import Profile, not_enrolled, read_profile
from messo.recipients.update import update_profile
from messo.recipients.wire import SERVICE_ID

_BODY = 100 * 1024  # bytes, as the reference platform reads
_SERVICE_ID = re.compile(SERVICE_ID)
_INSTALLATION_ID = re.compile(r"[\x21-\x7e]{1,200}\Z")
_PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)
_TOO_OFTEN = "Several mails went out within an hour: wait for Retry-After."
_NEVER_KEPT: Headers = ((b"cache-control", b"no-store"),)
_ZIP: Headers = (
    (b"content-type", b"application/zip"),
    (b"content-disposition", b'attachment; filename="messo.zip"'),
    *_NEVER_KEPT,
)


@dataclass(frozen=True)
class CitizenRoutes:
    """The routes and what they need. `authenticate` gives the citizen's session, or refuses.

    `erasure`: how long a wish to be erased waits. `send_validation` is passed in by whoever mails.
    """

    authenticate: Callable[[Request], Awaitable[Session]]
    pool: Pool
    secrets: Secrets
    erasure: timedelta
    send_validation: SendValidation | None = None

    async def read_profile(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            profile = await read_profile(conn, session.fiscal_code)
            if profile is None:
                raise not_enrolled()
            return _profile(profile, session, await is_email_already_taken(conn, profile))

    async def write_profile(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        body = decode(await request.json_body(_BODY), wire.new_profile)
        async with self.pool.transaction() as conn:
            profile = await update_profile(
                conn, session.fiscal_code, wire.profile_update(body), self.send_validation
            )
            return _profile(profile, session, await is_email_already_taken(conn, profile))

    async def validate_email(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.transaction() as conn:
            await ask_validation(conn, session.fiscal_code, self.send_validation)
        return Answer(202, b"Accepted", _PLAIN)

    async def read_preferences(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        service_id = _service_id(request)
        async with self.pool.transaction() as conn:
            choice = await read_choice(conn, session.fiscal_code, service_id)
        return _json(wire.preference_body(choice))

    async def write_preferences(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        service_id = _service_id(request)
        body = decode(await request.json_body(_BODY), wire.new_preference)
        given = body.can_access_message_read_status
        choice = ServiceChoice(
            body.is_inbox_enabled,
            body.is_email_enabled,
            body.is_webhook_enabled,
            given is not UNSET and given,
            body.settings_version,
        )
        async with self.pool.transaction() as conn:
            stored = await put_choice(
                conn,
                session.fiscal_code,
                service_id,
                choice,
                read_status_given=given is not UNSET,
            )
        return _json(wire.preference_body(stored))

    async def ask_data(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        choice = decode(await request.json_body(_BODY), wire.new_data_request).choice
        due = clock.now() + (self.erasure if choice == "DELETE" else timedelta())
        async with self.pool.transaction() as conn:
            asked = await data_requests.ask(conn, session.fiscal_code, choice, due)
        return _json(wire.request_body(asked))

    async def read_data(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        choice = _choice(request)
        async with self.pool.transaction() as conn:
            found = await data_requests.state(conn, session.fiscal_code, choice)
        if found is None:
            raise Problem(404, "Not found", "You have not asked for this.")
        return _json(wire.request_body(found))

    async def abort_data(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        choice = _choice(request)
        async with self.pool.transaction() as conn:
            await data_requests.abort(conn, session.fiscal_code, choice)
        return Answer(202, b"Accepted", _PLAIN)

    async def download(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.connection() as conn:
            asked = await data_requests.state(conn, session.fiscal_code, "DOWNLOAD")
            first = await read_piece(conn, session.fiscal_code, self.secrets, 0)
        if asked is None or first is None:
            raise Problem(
                404, "Not found", "There is no archive of your data, or it is not ready yet."
            )
        return StreamedAnswer(200, self._pieces(session.fiscal_code, asked, first), _ZIP)

    async def register_device(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        installation_id = request.path["installation_id"]
        if not _INSTALLATION_ID.match(installation_id):
            raise Problem(
                400,
                "Bad request",
                "The installation id must be 1 to 200 visible ASCII characters.",
                field="installation_id",
            )
        body = decode(await request.json_body(_BODY), wire.new_installation)
        async with self.pool.transaction() as conn:
            await put_installation(
                conn,
                self.secrets,
                session.fiscal_code,
                installation_id,
                body.platform,
                body.push_channel,
            )
        return _json(wire.Stored("ok"))

    async def _pieces(
        self, fiscal_code: str, asked: DataRequest, first: bytes
    ) -> AsyncIterator[bytes]:
        piece: bytes | None = first
        number = 0
        while piece is not None:
            yield piece
            number += 1
            async with self.pool.connection() as conn:
                # In this order: what is replaced after the look is at least not mixed.
                piece = await read_piece(conn, fiscal_code, self.secrets, number)
                now = await data_requests.state(conn, fiscal_code, "DOWNLOAD")
            if now is None or now.version != asked.version:
                raise ArchiveReplacedError

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        service = Parameter("service_id", "path", "The service's id.")
        choice = Parameter("choice", "path", "DOWNLOAD or DELETE.", type=Choice)
        return [
            Route(
                "GET",
                "/api/identity/v1/profile",
                "getProfile",
                self.read_profile,
                "Read your profile",
                "Made at the first login, with everything off until the terms are accepted.",
                None,
                _answers(wire.ProfileBody, "Your profile."),
            ),
            Route(
                "POST",
                "/api/identity/v1/profile",
                "updateProfile",
                self.write_profile,
                "Change your profile",
                "What is left out stays, with the exceptions that the body's type names. Another "
                "e-mail address has to be confirmed anew. A change of mode forgets every choice "
                "for single services. The first acceptance of the terms opens inbox and push.",
                wire.NewProfile,
                _writing(
                    wire.ProfileBody,
                    "Your profile as it is now.",
                    {
                        409: "It changed meanwhile (`version`), or would go back to LEGACY.",
                        412: "The address is confirmed by somebody else; `type` says so.",
                        429: _TOO_OFTEN,
                    },
                ),
            ),
            Route(
                "POST",
                "/api/identity/v1/email-validation-process",
                "startEmailValidationProcess",
                self.validate_email,
                "Ask for the mail that confirms your address",
                "",
                None,
                {
                    202: (None, "Asked for."),
                    **_refusals({400: "No address, or confirmed already.", 429: _TOO_OFTEN}),
                },
            ),
            Route(
                "GET",
                "/api/identity/v1/services/{service_id}/preferences",
                "getServicePreferences",
                self.read_preferences,
                "Read what you let a service do",
                "Where you have not chosen, what your profile's mode says.",
                None,
                _answers(
                    wire.ServicePreference,
                    "What holds.",
                    {
                        400: "This is no service id.",
                        404: "There is no such service, or no profile.",
                        409: "Your profile is in LEGACY mode.",
                    },
                ),
                (service,),
            ),
            Route(
                "POST",
                "/api/identity/v1/services/{service_id}/preferences",
                "upsertServicePreferences",
                self.write_preferences,
                "Decide what a service may do",
                "The inbox of a SPECIAL service follows its activation and cannot be chosen here.",
                wire.NewServicePreference,
                _writing(
                    wire.ServicePreference,
                    "What holds now.",
                    {
                        404: "There is no such service, or no profile.",
                        409: "LEGACY mode, another settings version, or a SPECIAL service's inbox.",
                    },
                ),
                (service,),
            ),
            Route(
                "POST",
                "/api/identity/v1/user-data-processing",
                "upsertUserDataProcessing",
                self.ask_data,
                "Ask for your data, or to be erased",
                "An erasure waits for some days, in which you can take it back.",
                wire.NewDataRequest,
                _writing(
                    wire.DataRequestBody,
                    "Asked for.",
                    {409: "You have asked for it already, and it is not done yet."},
                ),
            ),
            Route(
                "GET",
                "/api/identity/v1/user-data-processing/DOWNLOAD/archive",
                "getArchive",
                self.download,
                "Fetch the archive of your data",
                "A zip of JSON files and a page to read. There once the request is CLOSED, for "
                "some days.",
                None,
                {
                    200: (None, "The zip."),
                    **_refusals({404: "There is none, or it is not ready."}),
                },
            ),
            Route(
                "GET",
                "/api/identity/v1/user-data-processing/{choice}",
                "getUserDataProcessing",
                self.read_data,
                "See what became of your request",
                "",
                None,
                _answers(
                    wire.DataRequestBody,
                    "The latest.",
                    {400: "The choice is not one.", 404: "You have not asked for it."},
                ),
                (choice,),
            ),
            Route(
                "DELETE",
                "/api/identity/v1/user-data-processing/{choice}",
                "abortUserDataProcessing",
                self.abort_data,
                "Take back your wish to be erased",
                "",
                None,
                {
                    202: (None, "Taken back."),
                    **_refusals(
                        {
                            400: "The choice is not one.",
                            404: "You have not asked for it.",
                            409: "It has begun, is done, or cannot be taken back.",
                        }
                    ),
                },
                (choice,),
            ),
            Route(
                "PUT",
                "/api/communication/v1/installations/{installation_id}",
                "createOrUpdateInstallation",
                self.register_device,
                "Register a device for push",
                "Any number of devices; beyond 20 the one registered longest ago gives way.",
                wire.NewInstallation,
                _writing(wire.Stored, "Stored."),
                (Parameter("installation_id", "path", "The device, 1 to 200 characters."),),
            ),
        ]


def _answers(body: Any, about: str, refused: Mapping[int, str] | None = None) -> dict[int, Any]:  # noqa: ANN401
    return {200: (body, about), **_refusals(refused or {})}


def _writing(body: Any, about: str, refused: Mapping[int, str] | None = None) -> dict[int, Any]:  # noqa: ANN401
    return _answers(
        body,
        about,
        {
            400: "The body does not follow the rules; `field` names the place.",
            408: "The body came too slowly.",
            413: "The body is too large.",
            415: "The body is not JSON.",
            **(refused or {}),
        },
    )


def _refusals(others: Mapping[int, str]) -> dict[int, Any]:
    usual = {
        404: "There is no profile: log in again.",
        503: "Not confirmed: try again after Retry-After.",
        **others,
    }
    said = {status: (ProblemDocument, about) for status, about in sorted(usual.items())}
    return {401: (None, "No session, or it has ended."), **said}


def _service_id(request: Request) -> str:
    service_id = request.path["service_id"]
    if not _SERVICE_ID.match(service_id):
        raise Problem(
            400, "Bad request", "The path must name a service by its id.", field="service_id"
        )
    return service_id


def _choice(request: Request) -> Choice:
    choice = request.path["choice"]
    if choice not in get_args(Choice):
        raise Problem(400, "Bad request", "The choice is DOWNLOAD or DELETE.", field="choice")
    return choice  # type: ignore[return-value]  # one of them, as just seen


def _profile(profile: Profile, session: Session, is_taken: bool) -> Answer:
    return _json(wire.profile_body(profile, session, is_taken=is_taken))


def _json(body: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(body), (JSON, *_NEVER_KEPT))
