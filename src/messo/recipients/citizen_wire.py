"""What comes in and goes out of the citizen's routes about themselves."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base import clock
from messo.base.wire import Timestamp
from messo.login import FiscalCode, Session
from messo.recipients.choices import ServiceChoice
from messo.recipients.data_requests import Choice, DataRequest, Status
from messo.recipients.installations import Platform
from messo.recipients.profile import Mode, Profile
from messo.recipients.update import ProfileUpdate
from messo.recipients.wire import EMAIL, SERVICE_ID, Language

Email = Annotated[
    str, Meta(pattern=EMAIL, max_length=254, description="An e-mail address.", examples=["a@b.it"])
]
AppVersion = Annotated[
    str,
    Meta(
        pattern=r"^((0|[1-9][0-9]*)\.){2}(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){0,1}\Z",
        max_length=100,
        description="The client application's version: three or four numbers.",
    ),
]
TermsVersion = Annotated[
    float, Meta(ge=1, le=1_000_000, description="Version of the terms of service accepted.")
]
Channel = Literal["INBOX", "EMAIL", "WEBHOOK"]
Blocked = Annotated[
    dict[Annotated[str, Meta(pattern=SERVICE_ID)], list[Channel]],
    Meta(description="LEGACY mode only: what is blocked, by service id.", max_length=10_000),
]


class SettingsOfServices(Struct):
    """How services without a choice of their own are let in. Nothing goes back to LEGACY."""

    mode: Mode


class ProfileBody(Struct):
    """A citizen's profile, with who they are from their login."""

    has_profile: bool
    fiscal_code: FiscalCode
    name: str
    family_name: str
    is_inbox_enabled: bool
    is_webhook_enabled: bool
    is_email_enabled: bool
    is_email_validated: bool
    is_email_already_taken: bool
    service_preferences_settings: SettingsOfServices
    version: int
    email: str | UnsetType = UNSET
    accepted_tos_version: float | UnsetType = UNSET
    blocked_inbox_or_channels: dict[str, list[str]] | UnsetType = UNSET
    preferred_languages: list[Language] | UnsetType = UNSET
    last_app_version: str | UnsetType = UNSET
    reminder_status: Literal["ENABLED", "DISABLED"] | UnsetType = UNSET
    push_notifications_content_type: Literal["FULL", "ANONYMOUS"] | UnsetType = UNSET
    spid_email: str | UnsetType = UNSET
    date_of_birth: Timestamp | UnsetType = UNSET


class NewProfile(Struct):
    """What a profile shall be. `version` is the one its writer has seen.

    What is left out stays, except: the mode (left out is LEGACY, which is refused once it is
    AUTO or MANUAL), and `last_app_version`, `reminder_status` and
    `push_notifications_content_type`, which are reset.
    """

    version: int
    email: Email | UnsetType = UNSET
    service_preferences_settings: SettingsOfServices | UnsetType = UNSET
    blocked_inbox_or_channels: Blocked | UnsetType = UNSET
    preferred_languages: list[Language] | UnsetType = UNSET
    is_inbox_enabled: bool | UnsetType = UNSET
    is_webhook_enabled: bool | UnsetType = UNSET
    is_email_enabled: bool | UnsetType = UNSET
    accepted_tos_version: TermsVersion | UnsetType = UNSET
    reminder_status: Literal["ENABLED", "DISABLED"] | UnsetType = UNSET
    push_notifications_content_type: Literal["FULL", "ANONYMOUS"] | UnsetType = UNSET
    last_app_version: AppVersion | UnsetType = UNSET


class ServicePreference(Struct):
    """One citizen's switches for one service."""

    is_inbox_enabled: bool
    is_email_enabled: bool
    is_webhook_enabled: bool
    can_access_message_read_status: bool
    settings_version: int


class NewServicePreference(Struct):
    """The switches as they shall be, under the settings version their writer has seen."""

    is_inbox_enabled: bool
    is_email_enabled: bool
    is_webhook_enabled: bool
    settings_version: Annotated[int, Meta(ge=0)]
    can_access_message_read_status: bool | UnsetType = UNSET


class NewDataRequest(Struct):
    """What a citizen asks for."""

    choice: Choice


class DataRequestBody(Struct):
    """What became of it. A new wish counts the version up, as does each change of the status."""

    choice: Choice
    status: Status
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class NewInstallation(Struct):
    """A device that takes push notifications."""

    platform: Platform
    push_channel: Annotated[str, Meta(min_length=1, max_length=4096)] = msgspec.field(
        name="pushChannel"
    )


class Stored(Struct):
    """It is stored."""

    message: str


def profile_body(profile: Profile, session: Session, *, is_taken: bool) -> ProfileBody:
    """The profile as its citizen sees it; absent members are left out."""
    identity = session.identity
    terms = profile.accepted_tos_version
    born = identity.date_of_birth
    return ProfileBody(
        has_profile=True,
        fiscal_code=profile.fiscal_code,
        name=identity.name,
        family_name=identity.family_name,
        is_inbox_enabled=profile.is_inbox_enabled,
        is_webhook_enabled=profile.is_webhook_enabled,
        is_email_enabled=profile.is_email_enabled,
        is_email_validated=profile.is_email_validated,
        is_email_already_taken=is_taken,
        service_preferences_settings=SettingsOfServices(profile.mode),
        version=profile.version,
        email=profile.email or UNSET,
        accepted_tos_version=UNSET if terms is None else _number(terms),
        blocked_inbox_or_channels=profile.blocked or UNSET,
        preferred_languages=UNSET
        if profile.preferred_languages is None
        else profile.preferred_languages,
        last_app_version=profile.last_app_version or UNSET,
        reminder_status=profile.reminder_status or UNSET,
        push_notifications_content_type=profile.push_notifications_content_type or UNSET,
        spid_email=identity.email or UNSET,
        # Declared a date, sent as a moment: so does the reference platform.
        date_of_birth=UNSET if born is None else f"{born.isoformat()}T00:00:00.000Z",
    )


def profile_update(body: NewProfile) -> ProfileUpdate:
    """The same under our own names; what is said twice in a list counts once."""
    settings, blocked = body.service_preferences_settings, body.blocked_inbox_or_channels
    languages = body.preferred_languages
    return ProfileUpdate(
        version=body.version,
        email=body.email,
        mode=UNSET if settings is UNSET else settings.mode,
        blocked=UNSET
        if blocked is UNSET
        else {service: list(dict.fromkeys(channels)) for service, channels in blocked.items()},
        preferred_languages=UNSET if languages is UNSET else list(dict.fromkeys(languages)),
        is_inbox_enabled=body.is_inbox_enabled,
        is_webhook_enabled=body.is_webhook_enabled,
        is_email_enabled=body.is_email_enabled,
        accepted_tos_version=body.accepted_tos_version,
        last_app_version=body.last_app_version,
        push_notifications_content_type=body.push_notifications_content_type,
        reminder_status=body.reminder_status,
    )


def preference_body(choice: ServiceChoice) -> ServicePreference:
    """A choice as its citizen's client sees it."""
    return ServicePreference(**vars(choice))


def request_body(request: DataRequest) -> DataRequestBody:
    """A request as its citizen sees it."""
    return DataRequestBody(
        request.choice,
        request.status,
        request.version,
        clock.to_wire(request.created_at),
        clock.to_wire(request.updated_at),
    )


def _number(value: float) -> float:
    """3 rather than 3.0: a number is one kind of thing in JSON."""
    return int(value) if value.is_integer() else value


new_profile = msgspec.json.Decoder(NewProfile)
new_preference = msgspec.json.Decoder(NewServicePreference)
new_data_request = msgspec.json.Decoder(NewDataRequest)
new_installation = msgspec.json.Decoder(NewInstallation)
