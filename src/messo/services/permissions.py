"""What an institution may do: the groups of the wire contract, by their exact names."""

from enum import StrEnum


class Permission(StrEnum):
    """A group. They hang on the institution and hold for all its services."""

    MESSAGE_WRITE = "ApiMessageWrite"
    LIMITED_MESSAGE_WRITE = "ApiLimitedMessageWrite"
    MESSAGE_READ = "ApiMessageRead"
    LIMITED_PROFILE_READ = "ApiLimitedProfileRead"
    MESSAGE_WRITE_WITH_PAYEE = "ApiMessageWriteWithPayee"
    MESSAGE_WRITE_ADVANCED = "ApiMessageWriteAdvanced"
    MESSAGE_READ_ADVANCED = "ApiMessageReadAdvanced"
    THIRD_PARTY_MESSAGE_WRITE = "ApiThirdPartyMessageWrite"
    MESSAGE_WRITE_EU_COVID_CERT = "ApiMessageWriteEUCovidCert"
    SUBSCRIPTIONS_FEED_READ = "ApiSubscriptionsFeedRead"
    SERVICE_WRITE = "ApiServiceWrite"
    SERVICE_READ = "ApiServiceRead"
    REMOTE_CONTENT_WRITE = "ApiRemoteContentConfigurationWrite"
    INFO_READ = "ApiInfoRead"


# What a newly onboarded institution may do from the start.
DEFAULT = (
    Permission.MESSAGE_WRITE,
    Permission.INFO_READ,
    Permission.MESSAGE_READ,
    Permission.LIMITED_PROFILE_READ,
    Permission.SERVICE_WRITE,
)
