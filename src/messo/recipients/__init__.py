"""Citizens: their profile, what they allow each service, and activations of SPECIAL services.

Owns: recipients.profile, recipients.preference, recipients.activation, recipients.census.
Others may call what is listed here.
"""

from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import (
    Profile,
    change_mode,
    count_enrolled,
    create_profiles,
    enrolled,
    read_profile,
)

__all__ = [
    "Activation",
    "Preference",
    "Profile",
    "change_mode",
    "count_enrolled",
    "create_profiles",
    "enrolled",
    "put_activations",
    "put_preferences",
    "read_profile",
]
