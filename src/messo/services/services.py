"""Institutions and services as operators create, grant, suspend and restore them.

Every change is audited and bumps the version that all processes poll, in the same transaction.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from messo.base import clock
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.parameters import storable
from messo.base.sql import Queries
from messo.operations import record
from messo.services import cidrs, contacts, payload
from messo.services.lifecycle import PUBLICATION
from messo.services.payload import Data
from messo.services.permissions import DEFAULT, Permission
from messo.services.topics import BY_ID

queries = Queries("messo.services")

_ORGANIZATION_FISCAL_CODE = re.compile(r"[0-9]{11}")
MAX_AMOUNT = 9_999_999_999  # euro cents
_LONGEST_DESCRIPTION = 10_000  # characters


class NotAcceptedError(Exception):
    """What was asked cannot be done; the message says why."""


@dataclass(frozen=True)
class NewService:
    """What a service is created from. Amounts in euro cents, networks as IPv4 CIDR."""

    name: str
    department: str = "-"
    category: str = "STANDARD"
    state: str = "published"
    require_secure_channels: bool = False
    authorized_recipients: tuple[str, ...] = ()
    authorized_cidrs: tuple[str, ...] = ()
    max_allowed_payment_amount: int = 0
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)  # as in contacts.py
    topic_id: int | None = None  # as in topics.py


async def changed(conn: Connection) -> None:
    """Tell every process to drop what it has cached, once this transaction commits."""
    await conn.run(queries.bump_version)


async def create_institution(
    conn: Connection,
    actor: str,
    fiscal_code: str,
    name: str,
    email: str,
    permissions: Sequence[str] = DEFAULT,
) -> str:
    """Create an institution with its first permissions; its id (a ULID)."""
    if not _ORGANIZATION_FISCAL_CODE.fullmatch(fiscal_code):
        raise NotAcceptedError("an organisation's fiscal code is 11 digits")
    if "@" not in email:
        raise NotAcceptedError("the institution needs an e-mail address")
    institution = new_id()
    created = await conn.run(
        queries.create_institution,
        id=institution,
        fiscal_code=fiscal_code,
        name=name,
        email=email,
        permissions=_known(permissions),
        now=clock.now(),
    )
    if not created:
        raise NotAcceptedError(f"an institution with fiscal code {fiscal_code} exists already")
    await changed(conn)
    await record(conn, actor, "institution.create", institution, permissions=list(permissions))
    return institution


async def grant(conn: Connection, actor: str, institution: str, permissions: Sequence[str]) -> None:
    """Add permissions; those it had are kept."""
    _must_write(
        await conn.run(queries.grant, id=institution, permissions=_known(permissions)), institution
    )
    await changed(conn)
    await record(conn, actor, "institution.grant", institution, permissions=list(permissions))


async def revoke(
    conn: Connection, actor: str, institution: str, permissions: Sequence[str]
) -> None:
    """Take permissions away."""
    _must_write(
        await conn.run(queries.revoke, id=institution, permissions=_known(permissions)), institution
    )
    await changed(conn)
    await record(conn, actor, "institution.revoke", institution, permissions=list(permissions))


async def suspend_institution(
    conn: Connection, actor: str, institution: str, *, suspend: bool, reason: str
) -> None:
    """Refuse all keys of an institution, or accept them again."""
    written = await conn.run(
        queries.suspend_institution, id=institution, at=clock.now() if suspend else None
    )
    _must_write(written, institution)
    await changed(conn)
    action = "institution.suspend" if suspend else "institution.restore"
    await record(conn, actor, action, institution, reason=reason)


async def create_service(
    conn: Connection, actor: str, institution: str, new: NewService, sandbox_fiscal_code: str
) -> str:
    """Create a service; its id (a ULID). The sandbox code is always an authorized recipient."""
    _check(new)
    service = new_id()
    data = Data(
        name=payload.one_line(new.name),
        description=new.description,
        department=new.department,
        require_secure_channel=new.require_secure_channels,
        authorized_recipients=sorted({*new.authorized_recipients, sandbox_fiscal_code}),
        authorized_cidrs=list(new.authorized_cidrs),
        max_allowed_payment_amount=new.max_allowed_payment_amount,
        topic_id=new.topic_id,
        metadata=dict(new.metadata),
    )
    await conn.row(queries.hold_institution, id=institution)
    await insert_service(
        conn, service, institution, data, actor=actor, state=new.state, category=new.category
    )
    await record(conn, actor, "service.create", service, institution=institution)
    return service


async def insert_service(
    conn: Connection,
    service: str,
    institution: str,
    data: Data,
    *,
    actor: str,
    state: str,
    category: str = "STANDARD",
    group_id: str | None = None,
    idempotency: tuple[str | None, bytes | None] = (None, None),
) -> None:
    """Both versions of a new service, and the beginning of its history.

    The caller holds the institution's row, if there is one: positions have no gaps.
    `NotAcceptedError` for an unknown institution. `idempotency`: the key it is made under, and the
    digest of what was asked.
    """
    now = clock.now()
    created = await conn.run(
        queries.create_service,
        id=service,
        institution_id=institution,
        category=category,
        state=state,
        group_id=group_id,
        now=now,
        **payload.live(data),
    )
    _must_write(created, institution)
    status = "draft" if state == "draft" else "approved"
    stored = payload.stored(data)
    await conn.run(
        queries.enter_lifecycle,
        id=service,
        status=status,
        data=stored,
        now=now,
        idempotency_key=idempotency[0],
        idempotency_digest=idempotency[1],
    )
    kinds, values = ["lifecycle"], [status]
    if state in PUBLICATION:
        kinds, values = [*kinds, "publication"], [*values, PUBLICATION[state]]
    await remember(conn, service, now, kinds, values, stored, actor=actor)
    await changed(conn)


async def remember(
    conn: Connection,
    service: str,
    at: datetime,
    kinds: Sequence[str],
    values: Sequence[str],
    data: str | None = None,
    reason: str | None = None,
    *,
    actor: str,
) -> None:
    """Append to a service's history what became of it, while its row is held.

    `data`: the version it is about; the working one's without. `actor`: as the audit log calls them.
    """
    await conn.run(
        queries.append_history,
        id=service,
        kinds=kinds,
        values=values,
        reason=reason,
        data=data,
        at=at,
        actor=actor,
    )


async def describe_service(
    conn: Connection,
    actor: str,
    service: str,
    description: str | None,
    metadata: Mapping[str, str],
    topic_id: int | None = None,
) -> None:
    """Say what a service is for and how to reach it. What is not given stays; "" takes it away.

    In both versions at once: operators do not ask for a review. Not while one is under way, which
    is about what was submitted.
    """
    _check_description(description or "", {n: v for n, v in metadata.items() if v})
    if topic_id is not None and topic_id not in BY_ID:
        raise NotAcceptedError(f"a topic is one of 0 to {max(BY_ID)}")
    await conn.row(queries.hold_service, id=service)
    held = await conn.row(queries.find_service, id=service)
    if held is None or held["state"] == "deleted":
        raise NotAcceptedError(f"there is no {service}, or it is deleted")
    if held["status"] == "submitted":
        raise NotAcceptedError(
            f"{service} is in review: decide that first (`messo service review`)"
        )
    now = clock.now()
    given = {
        "id": service,
        "description": description,
        "topic_id": topic_id,
        "metadata": msgspec.json.encode(metadata).decode(),
        "emptied": [name for name, value in metadata.items() if not value],
        "now": now,
    }
    await conn.run(queries.describe_service, **given)
    await conn.run(queries.describe_working, **given)
    await remember(conn, service, now, ["lifecycle"], [held["status"]], actor=actor)
    told = sorted(metadata)
    told += [] if description is None else ["description"]
    told += [] if topic_id is None else ["topic"]
    await record(conn, actor, "service.describe", service, members=told)


async def set_postal_account(conn: Connection, actor: str, service: str, account: str) -> None:
    """The postal account that notices of its institution can be paid to; "" for none."""
    if account and not (account.isascii() and account.isdigit() and len(account) <= 12):  # noqa: PLR2004
        raise NotAcceptedError("a postal account is 1 to 12 digits")
    written = await conn.run(queries.set_postal_account, id=service, account=account or None)
    _must_write(written, service)
    await record(conn, actor, "service.postal_account", service, account=account)


async def suspend_service(
    conn: Connection, actor: str, service: str, *, suspend: bool, reason: str
) -> None:
    """Refuse a service's keys, or accept them again."""
    written = await conn.run(
        queries.suspend_service, id=service, at=clock.now() if suspend else None
    )
    _must_write(written, service)
    await changed(conn)
    action = "service.suspend" if suspend else "service.restore"
    await record(conn, actor, action, service, reason=reason)


async def set_state(conn: Connection, actor: str, service: str, state: str) -> None:
    """Move a service to draft, approved, published or deleted, whatever its institution is at.

    A draft is one version: what is worked at becomes the live one when a service becomes a draft,
    or stops being one. A version that was never approved counts as approved with this.
    """
    if state not in {"draft", "approved", "published", "deleted"}:
        raise NotAcceptedError("a service is draft, approved, published or deleted")
    await conn.row(queries.hold_service, id=service)
    held = await conn.row(queries.find_service, id=service)
    if held is None or held["state"] == "deleted":
        raise NotAcceptedError(f"there is no {service}, or it is deleted and stays so")
    now, before = clock.now(), held["state"]
    if "draft" in {before, state} and state != "deleted":
        data = payload.live(payload.read(held["data"]))
        await conn.run(queries.write_live, id=service, state=state, now=now, **data)
    else:
        await conn.run(queries.set_live_state, id=service, state=state, now=now)
    moved = await conn.row(queries.set_status, id=service, state=state, before=before, now=now)
    entries = [("lifecycle", moved["status"])] if moved else []
    if state in PUBLICATION and state != before:
        entries.append(("publication", PUBLICATION[state]))
    if state == "draft" and before == "published":
        entries.insert(0, ("publication", "unpublished"))
    kinds, values = [kind for kind, _ in entries], [value for _, value in entries]
    await remember(conn, service, now, kinds, values, actor=actor)
    await changed(conn)
    await record(conn, actor, "service.state", service, state=state)


async def institution_of(conn: Connection, service: str) -> str:
    """The institution a service belongs to."""
    found: str | None = await conn.value(queries.institution_of_service, id=service)
    if found is None:
        raise NotAcceptedError(f"there is no {service}")
    return found


async def list_institutions(conn: Connection) -> Sequence[Row]:
    """All institutions with the number of their services."""
    return await conn.rows(queries.list_institutions)


async def list_services(conn: Connection, institution: str | None) -> Sequence[Row]:
    """The services of one institution, or all."""
    return await conn.rows(queries.list_services, institution_id=institution)


def _known(permissions: Sequence[str]) -> list[str]:
    unknown = set(permissions) - set(Permission)
    if unknown:
        raise NotAcceptedError(
            f"unknown permission {min(unknown)}; there are {', '.join(Permission)}"
        )
    return sorted(permissions)


def _check(new: NewService) -> None:
    if not 0 <= new.max_allowed_payment_amount <= MAX_AMOUNT:
        raise NotAcceptedError(f"the largest payment is 0 to {MAX_AMOUNT} euro cents")
    if wrong := cidrs.refusal(new.authorized_cidrs):
        raise NotAcceptedError(wrong)
    if not payload.one_line(new.name):
        raise NotAcceptedError("a service's name takes visible characters on one line")
    _check_description(new.description, new.metadata)


def _check_description(description: str, values: Mapping[str, str]) -> None:
    if len(description) > _LONGEST_DESCRIPTION or not storable(description):
        raise NotAcceptedError(
            f"a description is a text of at most {_LONGEST_DESCRIPTION} characters"
        )
    for name, value in values.items():
        if wrong := contacts.refusal(name, value):
            raise NotAcceptedError(wrong)


def _must_write(written: int, what: str) -> None:
    if not written:
        raise NotAcceptedError(f"there is no {what}")
