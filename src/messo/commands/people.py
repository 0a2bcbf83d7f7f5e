"""Commands about an institution's people: who they are, inviting one, taking one off."""

from collections.abc import Sequence
from typing import Annotated

import typer

from messo.base.db import Connection, Row
from messo.commands.database import (
    InstitutionId,
    StoppedError,
    actor,
    at_institution,
    console,
    in_transaction,
    listing,
    read_secrets,
    settings_of,
    shown,
)
from messo.settings import Settings


def add_to(institution: typer.Typer) -> None:
    """Put these beside the other commands about institutions."""
    institution.command("people")(institution_people)
    institution.command("invite")(institution_invite)
    institution.command("remove-person")(institution_remove_person)


def institution_people(institution_id: InstitutionId) -> None:
    """Who is of an institution in which role, and who is invited."""
    from messo.people.invitations import list_open
    from messo.people.members import list_members

    async def run(conn: Connection) -> tuple[Sequence[Row], Sequence[Row]]:
        await at_institution(conn, institution_id)
        return await list_members(conn, institution_id), await list_open(conn, institution_id)

    people, invited = in_transaction(run)
    table = listing("Id", "Role", "Name", "E-mail", "Since")
    for row in people:
        since = f"{row['added_at']:%Y-%m-%d}"
        table.add_row(row["id"], row["role"], shown(row["name"]), shown(row["email"]), since)
    console.print(table if people else "Nobody yet.")
    for row in invited:
        until = f"{row['expires_at']:%Y-%m-%d %H:%M} UTC"
        console.print(
            f"invited: {shown(row['email'])} as {row['role']}, until {until}", soft_wrap=True
        )


def institution_invite(
    institution_id: InstitutionId,
    email: Annotated[str, typer.Argument(help="Where the link goes.")],
    role: Annotated[str, typer.Option(help="admin, editor, sender or reader.")] = "reader",
) -> None:
    """Invite somebody by e-mail; without a mail server, print the link to hand over."""
    from messo.outside import Outside
    from messo.people.invitations import Inviter, invite, link_to
    from messo.people.roles import MAY

    roles = {str(one): one for one in MAY}
    if role not in roles:
        raise StoppedError(f"a role is one of {', '.join(roles)}")
    secrets = read_secrets(Settings.read())

    async def run(conn: Connection) -> str | None:
        """The link; None if it is in a mail."""
        await at_institution(conn, institution_id)
        settings = await settings_of(conn)
        outside = Outside.of(settings, secrets)
        send = outside.letters.queue_invitation if outside.mailer else None
        inviter = Inviter(actor(), "")
        try:
            made = await invite(conn, secrets, inviter, institution_id, email, roles[role], send)
        finally:
            await outside.close()
        return link_to(settings.public_url, made.token) if send is None else None

    link = in_transaction(run)
    if link is None:
        console.print("Invited; a worker sends the mail.")
        return
    console.print("Invited. There is no mail server: hand this link over, it is good for 7 days.")
    console.print(link, soft_wrap=True)


def institution_remove_person(
    institution_id: InstitutionId,
    member_id: Annotated[str, typer.Argument(help="Their id, as `people` says it.")],
) -> None:
    """Take somebody off, the last admin too; their next request is refused."""
    from messo.people.members import lock_people, remove_member

    async def run(conn: Connection) -> None:
        await at_institution(conn, institution_id)
        await lock_people(conn, institution_id)
        await remove_member(conn, actor(), institution_id, member_id, may_be_last=True)

    in_transaction(run)
    console.print("Taken off; their next request is refused.")
