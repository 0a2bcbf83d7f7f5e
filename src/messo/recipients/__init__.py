"""Citizens: profile, choices for each service, history, feed, devices, and what they ask of us.

Owns: recipients.profile, .preference, .activation, .census, .change, .subscription_change,
.email_owner, .email_validation, .installation, .data_request, .archive_part.
Others may call what is listed here.
"""

from messo.recipients.choices import ServiceChoice, count_choices, put_choice, read_choice
from messo.recipients.data_requests import DataRequest, abort, ask, state
from messo.recipients.email import (
    begin_validation,
    confirm_email,
    is_email_already_taken,
)
from messo.recipients.history import history
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import (
    SPOKEN,
    Profile,
    count_enrolled,
    create_profiles,
    enrolled,
    language_of,
    language_of_browser,
    read_profile,
)
from messo.recipients.update import (
    ProfileUpdate,
    Wishes,
    amend,
    change_mode,
    choose_language,
    choose_mode,
    enrol_at_login,
    onboard,
    update_profile,
)

__all__ = [
    "SPOKEN",
    "Activation",
    "DataRequest",
    "Preference",
    "Profile",
    "ProfileUpdate",
    "ServiceChoice",
    "Wishes",
    "abort",
    "amend",
    "ask",
    "begin_validation",
    "change_mode",
    "choose_language",
    "choose_mode",
    "confirm_email",
    "count_choices",
    "count_enrolled",
    "create_profiles",
    "enrol_at_login",
    "enrolled",
    "history",
    "is_email_already_taken",
    "language_of",
    "language_of_browser",
    "onboard",
    "put_activations",
    "put_choice",
    "put_preferences",
    "read_choice",
    "read_profile",
    "state",
    "update_profile",
]
