"""Whether the seals of the audit log hold: recomputed portion by portion, however long it is."""

import msgspec
from starlette.responses import Response

from messo.console import sealed
from messo.console.visit import Visit
from messo.operations.audit import Broken, Place, count_seals, verify_portion

_NAMED = 20  # broken seals that are named; of more, how many


class _Progress(msgspec.Struct, frozen=True, tag="console.audit"):
    """How far a verification has come, from one press of the button to the next."""

    total: int
    place: Place | None = Place()
    checked: int = 0
    broken: tuple[Broken, ...] = ()
    faults: int = 0


async def show_verification(visit: Visit) -> Response:
    """What it does, and the button that begins."""
    return _page(visit, _Progress(await count_seals(visit.conn)), is_begun=False)


async def verify(visit: Visit) -> Response:
    """One portion more."""
    secrets, login = visit.site.secrets, visit.visitor.login
    so_far = sealed.unseal(secrets, login, visit.form.get("progress"), _Progress)
    if so_far is None or so_far.place is None:
        so_far = _Progress(await count_seals(visit.conn))
    portion = await verify_portion(visit.conn, so_far.place or Place())
    checked = so_far.checked + portion.seals
    progress = _Progress(
        max(so_far.total, checked),
        portion.next,
        checked,
        (*so_far.broken, *portion.broken)[:_NAMED],
        so_far.faults + len(portion.broken),
    )
    return _page(visit, progress, is_begun=True)


def _page(visit: Visit, progress: _Progress, *, is_begun: bool) -> Response:
    return visit.page(
        "audit_verify.html",
        progress=progress,
        is_begun=is_begun,
        is_over=progress.place is None,
        carried=sealed.seal(visit.site.secrets, visit.visitor.login, progress) if is_begun else "",
    )
