"""What somebody has before them who writes: services to write for, and what those may do."""

from collections.abc import Sequence
from dataclasses import dataclass

from messo.base.forms import short_text
from messo.console.visit import Visit
from messo.console.write_draft import Draft
from messo.console.write_memory import last_service
from messo.content.configurations import names_of
from messo.messages.characters import without_tricks
from messo.services import Permission, Sender
from messo.services.catalog import Service, read_service
from messo.services.directory import sender_of
from messo.services.listed import ServiceName, find_named
from messo.services.writing import services_that_write

_MOST = 200  # services in one list to choose from
_MOST_FOUND = 20


@dataclass(frozen=True)
class Desk:
    """`services`: those that can write; of very `many`, only those that what was typed may mean.

    `sender` and `service`: of the chosen one, None if there is none or it cannot write.
    `configurations`: id and name of those for remote content.
    """

    services: Sequence[ServiceName]
    many: bool
    sender: Sender | None
    service: Service | None
    configurations: Sequence[tuple[str, str]]

    @property
    def is_restricted(self) -> bool:
        """Whether the chosen service writes to its authorized recipients only."""
        if self.sender is None:
            return False
        return self.is_draft or Permission.MESSAGE_WRITE not in self.sender.permissions

    @property
    def is_draft(self) -> bool:
        """Whether that is because nobody has reviewed it."""
        return self.sender is not None and self.sender.state == "draft"

    @property
    def is_known(self) -> bool:
        """Whether a service is chosen, and may write."""
        return self.sender is not None and self.service is not None


async def desk_of(visit: Visit, draft: Draft) -> tuple[Desk, Draft]:
    """The desk, and the draft with its service named by id, if that is clear."""
    institution = visit.access.institution_id
    services = await services_that_write(visit.conn, institution, _MOST + 1)
    many = len(services) > _MOST
    typed = short_text(draft.get("service"), 200)
    if many:
        services = list(await find_named(visit.conn, institution, typed, _MOST_FOUND))
        services = [one for one in services if one.state != "deleted"]
    exact = [one for one in services if one.id == typed]
    if many and not exact and len(services) == 1:
        exact = services
    chosen = exact[0].id if exact else typed
    sender = await sender_of(visit.conn, chosen, institution) if chosen else None
    service = await read_service(visit.conn, chosen) if sender else None
    has_remote = {
        Permission.MESSAGE_WRITE_ADVANCED,
        Permission.THIRD_PARTY_MESSAGE_WRITE,
    } & set(visit.access.permissions)
    found = await names_of(visit.conn, institution, _MOST) if has_remote else []
    configurations = [(one, without_tricks(name)) for one, name in found]
    return Desk(services, many, sender, service, configurations), draft.having(service=chosen)


async def started(visit: Visit, draft: Draft) -> tuple[Desk, Draft]:
    """The desk for a new message: with the service used last, or the only one."""
    asked = visit.query("service") or last_service(visit)
    desk, begun = await desk_of(visit, draft.having(service=asked))
    if not desk.is_known and not desk.many and len(desk.services) == 1:
        return await desk_of(visit, draft.having(service=desk.services[0].id))
    return desk, begun if desk.is_known else begun.having(service="")


def advanced(visit: Visit) -> bool:
    """Whether the institution may send messages that tell their sender more."""
    return Permission.MESSAGE_WRITE_ADVANCED in visit.access.permissions
