"""Who may send what to whom: the refusals of a submit, in the contract's order."""

from msgspec import UNSET

from messo.base.http import Problem
from messo.content import Configurations, Precondition
from messo.messages import wire
from messo.services import Permission, Sender, not_allowed


def check_permissions(sender: Sender, message: wire.NewMessage) -> None:
    """What the message carries needs permissions of its own. 403 if one is missing."""
    content = message.content
    payment = content.payment_data
    needed: list[tuple[bool, Permission, str]] = [
        (
            content.eu_covid_cert is not UNSET,
            Permission.MESSAGE_WRITE_EU_COVID_CERT,
            "eu_covid_cert",
        ),
        (
            payment is not UNSET and payment.payee is not UNSET,
            Permission.MESSAGE_WRITE_WITH_PAYEE,
            "payment_data.payee",
        ),
        (
            message.feature_level_type == "ADVANCED",
            Permission.MESSAGE_WRITE_ADVANCED,
            "feature_level_type ADVANCED",
        ),
        (
            content.third_party_data is not UNSET and message.feature_level_type == "STANDARD",
            Permission.THIRD_PARTY_MESSAGE_WRITE,
            "third_party_data in a STANDARD message",
        ),
    ]
    for carried, permission, what in needed:
        if carried and permission not in sender.permissions:
            raise not_allowed(f"To send {what} your institution needs the permission {permission}.")


def only_one_fiscal_code(in_path: str | None, message: wire.NewMessage) -> str:
    """The recipient, named in the path or in the body but not in both. 400 otherwise."""
    in_body = None if message.fiscal_code is UNSET else message.fiscal_code
    if in_path is not None and in_body is not None:
        raise Problem(
            400,
            "Bad parameters",
            "The recipient's fiscal code is in the path and in the body. Give it in one of them.",
            field="fiscal_code",
        )
    found = in_path or in_body
    if found is None:
        raise Problem(
            400,
            "Bad parameters",
            "The recipient's fiscal code is missing. Give it in the body as fiscal_code.",
            field="fiscal_code",
        )
    return found


async def check_third_party(
    sender: Sender, message: wire.NewMessage, configurations: Configurations
) -> Precondition | None:
    """Remote content needs a configuration of the sender's own; attachments need ADVANCED.

    The answer is the precondition for a message that says none itself.
    """
    third_party = message.content.third_party_data
    if third_party is UNSET:
        return None
    field = "content.third_party_data.configuration_id"
    if third_party.configuration_id is UNSET:
        raise Problem(
            403,
            "No configuration id for remote content",
            "third_party_data needs the configuration_id of your remote-content configuration.",
            field=field,
        )
    configuration = await configurations.find(third_party.configuration_id)
    # Another institution's is as none: that it exists is nobody's business but its own.
    if configuration is None or configuration.institution_id != sender.institution_id:
        raise Problem(
            404,
            "Remote Content Configuration NOT FOUND",
            "There is no remote-content configuration with this configuration_id.",
            field=field,
        )
    if third_party.has_attachments and message.feature_level_type != "ADVANCED":
        raise Problem(
            403,
            "Attachments call forbidden",
            "Only messages with feature_level_type ADVANCED can have attachments.",
            field="content.third_party_data.has_attachments",
        )
    return configuration.has_precondition


def check_recipient(sender: Sender, fiscal_code: str) -> None:
    """A restricted sender writes only to its authorized recipients. 403 otherwise.

    Restricted are institutions without the full write permission, and services still in draft.
    """
    full = Permission.MESSAGE_WRITE in sender.permissions
    if full and sender.state != "draft":
        return
    may_write = full or Permission.LIMITED_MESSAGE_WRITE in sender.permissions
    if may_write and fiscal_code in sender.authorized_recipients:
        return
    why = "is still a draft" if full else "may not write to everybody yet"
    raise Problem(
        403,
        "Recipient forbidden",
        f"This service {why}: only its authorized recipients can be addressed.",
        field="fiscal_code",
    )


def check_amount(sender: Sender, message: wire.NewMessage) -> None:
    """A payment must not exceed what the service may ask. 400 otherwise."""
    payment = message.content.payment_data
    if payment is UNSET or payment.amount <= sender.max_allowed_payment_amount:
        return
    raise Problem(
        400,
        "Error while sending payment metadata",
        f"The amount of {payment.amount} cents is above this service's maximum of "
        f"{sender.max_allowed_payment_amount} cents.",
        field="content.payment_data.amount",
    )
