"""The decision about one message, as a pure function.

Its twin are the SQL functions of the same names in schema `messages`, which the set statements
use; a test compares the two over the whole table (docs/decisions/0002).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from messo.recipients import Activation, Preference, Profile

PENDING_GRACE = timedelta(days=1)  # a PENDING activation counts as active for so long


@dataclass(frozen=True)
class Sending:
    """What the decision needs to know of the message and its sender."""

    service_id: str
    category: Literal["STANDARD", "SPECIAL"] = "STANDARD"
    secure: bool = False
    to_sandbox: bool = False
    email_excluded: bool = False  # the operator sends no copies for this service


@dataclass(frozen=True)
class Decision:
    """What becomes of the message: in the inbox or refused, told by which channel, read shared."""

    refusal: Literal["USER_NOT_FOUND", "SERVICE_NOT_ALLOWED"] | None
    by_email: bool = False
    by_push: bool = False
    read_shared: bool = False


def decide(
    sending: Sending,
    profile: Profile | None,
    preference: Preference | None,
    activation: Activation | None,
    activation_age: timedelta | None,
) -> Decision:
    """Decide. `preference` is the one for this service under the profile's settings version."""
    refusal = refuse(sending, profile, preference, activation, activation_age)
    if refusal or profile is None:
        return Decision(refusal)
    email_open = _open(
        sending, profile, "EMAIL", preference.is_email_enabled if preference else None
    )
    push_open = _open(
        sending, profile, "WEBHOOK", preference.is_webhook_enabled if preference else None
    )
    wants_email = (
        profile.is_email_enabled
        and profile.is_email_validated
        and profile.email is not None
        and email_open
    )
    return Decision(
        None,
        by_email=not sending.secure
        and not sending.email_excluded
        and (sending.to_sandbox or wants_email),
        by_push=profile.is_webhook_enabled and push_open,
        read_shared=shares_reading(profile, preference),
    )


def refuse(
    sending: Sending,
    profile: Profile | None,
    preference: Preference | None,
    activation: Activation | None,
    activation_age: timedelta | None,
) -> Literal["USER_NOT_FOUND", "SERVICE_NOT_ALLOWED"] | None:
    """Why the message does not enter the inbox, or None if it does."""
    if profile is None:
        return "USER_NOT_FOUND"
    if not profile.is_inbox_enabled:
        return "SERVICE_NOT_ALLOWED"
    if sending.category == "SPECIAL":
        # The activation alone decides: the citizen switched the service on elsewhere.
        status = activation.status if activation else "INACTIVE"
        fresh = activation_age is not None and activation_age < PENDING_GRACE
        allowed = status == "ACTIVE" or (status == "PENDING" and fresh)
    elif profile.mode == "LEGACY":
        allowed = "INBOX" not in profile.blocked.get(sending.service_id, ())
    elif preference is not None:
        allowed = preference.is_inbox_enabled
    else:
        allowed = profile.mode == "AUTO"
    return None if allowed else "SERVICE_NOT_ALLOWED"


def shares_reading(profile: Profile, preference: Preference | None) -> bool:
    """Whether this citizen lets this sender know what they read (docs/decisions/0004)."""
    if profile.mode == "LEGACY":
        return False
    if preference is None:
        return profile.mode == "AUTO"
    return preference.access_read_message_status != "DENY"


def _open(sending: Sending, profile: Profile, channel: str, chosen: bool | None) -> bool:
    if profile.mode == "LEGACY":
        return channel not in profile.blocked.get(sending.service_id, ())
    return True if chosen is None else chosen
