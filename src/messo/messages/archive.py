"""A citizen's messages as they go into the archive of their data."""

from typing import Any

import msgspec

from messo.base.db import Connection
from messo.messages import mailbox
from messo.messages.citizen_view import Message
from messo.recipients.archive import Letter


async def letters(conn: Connection, fiscal_code: str, after: str, limit: int) -> list[Letter]:
    """Messages with an id above `after`, oldest first; empty after the last."""
    return [_letter(message) for message in await mailbox.export(conn, fiscal_code, after, limit)]


def _letter(message: Message) -> Letter:
    line, content = message.line, message.content
    parts: dict[str, Any] = msgspec.to_builtins(content)
    del parts["subject"], parts["markdown"]
    facts = {
        "id": line.id,
        "service": line.service_name,
        "is_archived": line.is_archived,
        "read_at": message.read_at,
        "reported_at": message.reported_at,
        **parts,
    }
    return Letter(
        id=line.id,
        at=line.created_at,
        sender=line.organization_name,
        subject=line.subject,
        text=content.markdown,
        facts=facts,
        whole=message,
    )
