"""What the sandbox's invented citizens do by themselves: one reads whatever comes, at once."""

from datetime import timedelta

from messo.base.db import Connection
from messo.base.work import Periodic
from messo.messages import mailbox
from messo.messages.mailbox import Filters
from messo.sandbox.fiscal_codes import MAGIC
from messo.settings import Settings

_AT_ONCE = 100


def periodics(settings: Settings) -> list[Periodic]:
    """Their habits, in a sandbox."""
    if not settings.sandbox:
        return []
    return [Periodic("sandbox.read", timedelta(seconds=1), read_at_once)]


async def read_at_once(conn: Connection) -> bool:
    """Read everything that is unread; True if there may be more."""
    reader = MAGIC["read_at_once"]
    page = await mailbox.list_messages(conn, reader, Filters(unread=True), limit=_AT_ONCE)
    await mailbox.mark(conn, reader, [line.id for line in page.items], read=True)
    return page.has_older
