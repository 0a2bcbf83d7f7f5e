"""Citizens enrol and change their profile, by the contract's rules or on the pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from msgspec import UNSET, UnsetType

from messo.base.db import Connection
from messo.base.http import Problem
from messo.recipients import email as addresses
from messo.recipients import feed
from messo.recipients.change import change_profile
from messo.recipients.email import SendValidation
from messo.recipients.history import Note, note
from messo.recipients.profile import Mode, Profile, create_profiles, lock_enrolled, lock_profile
from messo.recipients.wire import Language

_EMAIL_TAKEN = "https://ioapp.it/problems/email-already-taken"
_SHORT: dict[str, Language] = {
    "it": "it_IT",
    "en": "en_GB",
    "es": "es_ES",
    "de": "de_DE",
    "fr": "fr_FR",
}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a citizen wants of their profile; what is left out stays as it is."""

    email: str | UnsetType | None = UNSET
    mode: Mode | UnsetType = UNSET
    blocked: dict[str, list[str]] | UnsetType = UNSET
    preferred_languages: list[Language] | UnsetType = UNSET
    is_inbox_enabled: bool | UnsetType = UNSET
    is_webhook_enabled: bool | UnsetType = UNSET
    is_email_enabled: bool | UnsetType = UNSET
    accepted_tos_version: float | UnsetType = UNSET
    last_app_version: str | UnsetType | None = UNSET
    push_notifications_content_type: Literal["FULL", "ANONYMOUS"] | UnsetType | None = UNSET
    reminder_status: Literal["ENABLED", "DISABLED"] | UnsetType | None = UNSET
    quiet_from: int | UnsetType | None = UNSET
    quiet_until: int | UnsetType | None = UNSET

    def given(self) -> dict[str, Any]:
        """Only what is not left out."""
        return {k: v for k, v in vars(self).items() if v is not UNSET and k != "version"}


@dataclass(frozen=True, kw_only=True)
class ProfileUpdate(Wishes):
    """The contract's update: of the version that its writer has seen.

    The mode, `last_app_version`, `push_notifications_content_type` and `reminder_status` are
    reset where they are left out.
    """

    version: int


async def enrol_at_login(conn: Connection, fiscal_code: str, email: str | None) -> None:
    """At the first login there is a profile: LEGACY, inbox and push off until terms are accepted.

    An address is taken over if it is one, to be proven. Nothing happens for who has a profile.
    """
    usable = email if email and addresses.is_address(email) else None
    if await create_profiles(conn, [Profile(fiscal_code, email=usable)]):
        await feed.enter_profile(conn, fiscal_code, subscribed=True)
        await note(conn, fiscal_code, [Note("enrolled")])


async def update_profile(
    conn: Connection,
    fiscal_code: str,
    update: ProfileUpdate,
    send_validation: SendValidation | None = None,
) -> Profile:
    """Change a profile as the contract says (processing-and-preferences §2.4); what it is now.

    `Problem` 404 without a profile, 409 if it changed since or would go back to LEGACY, 412 if the
    address is somebody else's.
    """
    current = await lock_enrolled(conn, fiscal_code)
    if update.version != current.version:
        raise _conflict(
            f"Your profile is at version {current.version}: something else changed it meanwhile. "
            "Read it again.",
            "version",
        )
    reset = {
        "mode": "LEGACY",
        "last_app_version": None,
        "push_notifications_content_type": None,
        "reminder_status": None,
    }
    return await _change(conn, current, reset | update.given(), send_validation)


async def amend(
    conn: Connection,
    fiscal_code: str,
    wishes: Wishes,
    send_validation: SendValidation | None = None,
) -> Profile:
    """Change only what is wished, whatever else changed meanwhile: what a page's form does.

    `Problem` 404, 409 (back to LEGACY) and 412 as `update_profile`.
    """
    current = await lock_enrolled(conn, fiscal_code)
    return await _change(conn, current, wishes.given(), send_validation)


async def onboard(
    conn: Connection,
    fiscal_code: str,
    *,
    terms_version: int,
    mode: Literal["AUTO", "MANUAL"],
    language: str,
) -> Profile:
    """The end of a citizen's first steps: terms accepted, mode and language chosen.

    The first time, inbox and push are on from here; done twice it changes nothing more.
    `language`: `it_IT` or `it`. `Problem` 404 without a profile, 400 for another language.
    """
    current = await lock_enrolled(conn, fiscal_code)
    wanted = replace(
        current,
        accepted_tos_version=max(float(terms_version), current.accepted_tos_version or 0),
        mode=mode,
        preferred_languages=_first(language, current.preferred_languages),
    )
    return current if wanted == current else await change_profile(conn, current, wanted)


async def choose_mode(
    conn: Connection, fiscal_code: str, mode: Literal["AUTO", "MANUAL"]
) -> Profile:
    """Let services in unless forbidden (AUTO) or only if allowed (MANUAL).

    A change voids every choice made for single services. The same mode again changes nothing.
    `Problem` 404 without a profile.
    """
    current = await lock_enrolled(conn, fiscal_code)
    if current.mode == mode:
        return current
    return await change_profile(conn, current, replace(current, mode=mode))


async def choose_language(conn: Connection, fiscal_code: str, language: str) -> Profile:
    """Prefer a language (`en_GB` or `en`); those preferred before come after it.

    `Problem` 404 without a profile, 400 for a language that is not offered.
    """
    current = await lock_enrolled(conn, fiscal_code)
    languages = _first(language, current.preferred_languages)
    if languages == current.preferred_languages:
        return current
    return await change_profile(conn, current, replace(current, preferred_languages=languages))


async def change_mode(conn: Connection, fiscal_code: str, mode: Mode) -> int | None:
    """Change how services are let in; the settings version then in force.

    A change of mode starts a new settings version, so what was chosen per service before is not
    seen any more. From LEGACY to AUTO what was blocked stays blocked, as preferences of the new
    version. None if there is no profile, or it would go back to LEGACY.
    """
    current = await lock_profile(conn, fiscal_code)
    if current is None or (mode == "LEGACY" and current.mode != "LEGACY"):
        return None
    changed = await change_profile(conn, current, replace(current, mode=mode))
    return changed.settings_version


async def _change(
    conn: Connection, current: Profile, wishes: dict[str, Any], send: SendValidation | None
) -> Profile:
    wanted = replace(current, **wishes)
    if wanted.email is not None and wanted.email != current.email:
        if not addresses.is_address(wanted.email):
            raise Problem(400, "Bad request", "This is not an e-mail address.", field="email")
        if await addresses.is_email_taken(conn, current.fiscal_code, wanted.email):
            raise Problem(
                412,
                "Precondition Failed",
                "This e-mail address is confirmed by somebody else.",
                field="email",
                type_uri=_EMAIL_TAKEN,
            )
    if wanted.mode == "LEGACY" and current.mode != "LEGACY":
        raise _conflict(
            "A profile never goes back to LEGACY: send service_preferences_settings.mode "
            "AUTO or MANUAL.",
            "service_preferences_settings.mode",
        )
    changed = await change_profile(conn, current, wanted)
    if changed.email != current.email:
        await addresses.start_validation(conn, changed.fiscal_code, changed.email, send)
    return changed


def _first(language: str, others: Sequence[Language] | None) -> list[Language]:
    chosen = _SHORT.get(language, language)
    if chosen not in get_args(Language):
        raise Problem(
            400,
            "Bad request",
            f"Choose one of {', '.join(get_args(Language))}.",
            field="preferred_languages",
        )
    return list(dict.fromkeys([cast(Language, chosen), *(others or ())]))


def _conflict(detail: str, field: str) -> Problem:
    return Problem(409, "Conflict", detail, field=field)
