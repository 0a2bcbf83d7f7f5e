"""Webhooks as their institutions keep them: created, listed, changed, deleted, signed anew.

The caller has checked who asks. `institution_id` None is an operator, who may touch all.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from msgspec import UNSET

from messo.base import clock
from messo.base.addresses import Network
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.events import sign, wire
from messo.events.address import check
from messo.events.feed import KEPT
from messo.events.kinds import TOLD
from messo.events.log import queries
from messo.events.shown import health, shown
from messo.events.trial import Tried

MOST_OF_A_SERVICE = 20
# For so long an answer that got lost can be asked for again, with the secret in it.
_SECRET_AGAIN = timedelta(hours=24)


class Record(Protocol):
    """The audit log: who did what to which, in the transaction of the change."""

    def __call__(
        self, conn: Connection, actor: str, action: str, subject: str, **detail: object
    ) -> Awaitable[None]: ...


@dataclass(frozen=True)
class Repeatable:
    """The key under which something is made once, and a digest of what was asked."""

    key: str
    digest: bytes


@dataclass(frozen=True)
class Webhooks:
    """What is done to webhooks, with what it needs.

    `allowed`: networks that may be called although not public, and without encryption.
    """

    secrets: Secrets
    record: Record
    allowed: Sequence[Network] = ()

    async def create(
        self,
        conn: Connection,
        actor: str,
        institution_id: str,
        new: wire.NewWebhook,
        repeatable: Repeatable | None = None,
    ) -> wire.Webhook:
        """Make one, with its first secret; the one made before under the same key.

        Under the same key the secret is answered for a day, unless there is another by then.
        `Problem` 400 for an address that can never be called, 404 for another's service, 409 for
        one too many, 422 for a key that stands for something else.
        """
        check(new.url, self.allowed)
        if repeatable and (found := await self._repeated(conn, institution_id, repeatable)):
            return found
        fresh, now, secrets = new_id(), clock.now(), sign.first_secret()
        written = await conn.run(
            queries.create_webhook,
            id=fresh,
            institution_id=institution_id,
            service_id=new.service_id,
            url=new.url,
            kinds=list(TOLD) if new.kinds is UNSET else list(dict.fromkeys(new.kinds)),
            secrets=self.secrets.encrypt(sign.dump(secrets)),
            now=now,
            most=MOST_OF_A_SERVICE,
            idempotency_key=repeatable.key if repeatable else None,
            idempotency_digest=repeatable.digest if repeatable else None,
        )
        if not written:
            # Another server may just have made it under the same key.
            if repeatable and (found := await self._repeated(conn, institution_id, repeatable)):
                return found
            raise await self._why_not(conn, institution_id, new.service_id)
        await conn.run(
            queries.create_cursor,
            bucket=conn.bucket(new.service_id),
            id=fresh,
            service_id=new.service_id,
            now=now,
        )
        await self.record(conn, actor, "webhook.create", fresh, service=new.service_id)
        return self._view(await self.find(conn, institution_id, fresh), with_secret=True)

    async def list_all(
        self, conn: Connection, institution_id: str, service_id: str | None = None
    ) -> wire.WebhookList:
        """Those of an institution, or of one of its services; without their health."""
        rows = await conn.rows(
            queries.list_webhooks, institution_id=institution_id, service_id=service_id
        )
        return wire.WebhookList([self._view(row) for row in rows])

    async def read(
        self, conn: Connection, institution_id: str | None, webhook_id: str
    ) -> wire.Webhook:
        """One, and how deliveries go."""
        row = await self.find(conn, institution_id, webhook_id)
        return (await self._with_health(conn, row["service_id"], [row]))[0]

    async def of_service(self, conn: Connection, service_id: str) -> list[wire.Webhook]:
        """All of a service and how deliveries go, for operators. `Problem` 404 without a service."""
        institution = await institution_of(conn, service_id)
        rows = await conn.rows(
            queries.list_webhooks, institution_id=institution, service_id=service_id
        )
        return await self._with_health(conn, service_id, rows)

    async def change(
        self,
        conn: Connection,
        actor: str,
        institution_id: str | None,
        webhook_id: str,
        wanted: wire.WebhookChange,
    ) -> wire.Webhook:
        """Change what is named. Switching on, or another address, is a fresh start."""
        if wanted.url is not UNSET:
            check(wanted.url, self.allowed)
        row = await self.find_locked(conn, institution_id, webhook_id)
        now = clock.now()
        await conn.run(
            queries.change_webhook,
            id=webhook_id,
            url=None if wanted.url is UNSET else wanted.url,
            kinds=None if wanted.kinds is UNSET else list(dict.fromkeys(wanted.kinds)),
            state=None if wanted.state is UNSET else wanted.state,
            now=now,
        )
        bucket, service_id = conn.bucket(row["service_id"]), row["service_id"]
        state = row["state"] if wanted.state is UNSET else wanted.state
        if state == "off":
            await conn.run(queries.park_cursors, bucket=bucket, ids=[webhook_id])
        elif wanted.state == "on" or wanted.url not in (UNSET, row["url"]):
            first = await conn.value(
                queries.first_since, bucket=bucket, service_id=service_id, moment=now - KEPT
            )
            await conn.run(
                queries.wake_cursor, bucket=bucket, id=webhook_id, now=now, floor=(first or 1) - 1
            )
        # Not the address: its path may be a secret.
        changed = [name for name in wanted.__struct_fields__ if getattr(wanted, name) is not UNSET]
        await self.record(conn, actor, "webhook.change", webhook_id, changed=changed, state=state)
        return await self.read(conn, institution_id, webhook_id)

    async def delete(
        self, conn: Connection, actor: str, institution_id: str | None, webhook_id: str
    ) -> None:
        """Nothing is sent to it any more, and nothing of it is left."""
        row = await self.find(conn, institution_id, webhook_id)
        bucket = conn.bucket(row["service_id"])
        await conn.run(queries.delete_cursor, bucket=bucket, id=webhook_id)
        await conn.run(queries.delete_retries, bucket=bucket, id=webhook_id)
        await conn.run(queries.delete_webhook, id=webhook_id)
        await self.record(conn, actor, "webhook.delete", webhook_id, service=row["service_id"])

    async def replace_secret(
        self, conn: Connection, actor: str, institution_id: str | None, webhook_id: str
    ) -> wire.Webhook:
        """A new secret; the old one signs beside it for a day, or until it is dropped.

        `Problem` 409 while so many sign already that their signatures would fill the headers.
        """
        await self.find(conn, institution_id, webhook_id)
        secrets, now = await self._lock_secrets(conn, webhook_id), clock.now()
        if len(sign.live(secrets, now)) >= sign.MOST:
            raise Problem(
                409,
                "Too many secrets",
                f"{sign.MOST} secrets sign already. Drop the old ones, or wait until they end.",
            )
        await self._put_secrets(conn, webhook_id, sign.replaced(secrets, now))
        await self.record(conn, actor, "webhook.secret.replace", webhook_id)
        return self._view(await self.find(conn, institution_id, webhook_id), with_secret=True)

    async def drop_old_secrets(
        self, conn: Connection, actor: str, institution_id: str | None, webhook_id: str
    ) -> None:
        """Only the newest secret signs from now on."""
        await self.find(conn, institution_id, webhook_id)
        newest = (await self._lock_secrets(conn, webhook_id))[:1]
        await self._put_secrets(conn, webhook_id, newest)
        await self.record(conn, actor, "webhook.secret.drop", webhook_id)

    async def find(self, conn: Connection, institution_id: str | None, webhook_id: str) -> Row:
        """The row of a webhook. `Problem` 404 for another institution's, as for none."""
        row = await conn.row(queries.read_webhook, id=webhook_id, institution_id=institution_id)
        if row is None:
            raise Problem(404, "Webhook not found", "Your institution has no webhook with this id.")
        return row

    async def find_locked(
        self, conn: Connection, institution_id: str | None, webhook_id: str
    ) -> Row:
        """As `find`; nobody records anything of it until the transaction ends."""
        row = await self.find(conn, institution_id, webhook_id)
        await conn.value(queries.lock_cursor, bucket=conn.bucket(row["service_id"]), id=webhook_id)
        # Whoever held it may have switched it off, or deleted it.
        return await self.find(conn, institution_id, webhook_id)

    async def to_try(self, conn: Connection, institution_id: str | None, webhook_id: str) -> Tried:
        """What it takes to send it a test event."""
        row = await self.find(conn, institution_id, webhook_id)
        return Tried(row["id"], row["service_id"], row["url"], self.signing(row))

    def signing(self, row: Row) -> list[sign.SigningSecret]:
        """The secrets of a webhook, to sign with."""
        return sign.load(self.secrets.decrypt(row["secrets"]))

    async def _with_health(
        self, conn: Connection, service_id: str, rows: Sequence[Row]
    ) -> list[wire.Webhook]:
        views = {row["id"]: self._view(row) for row in rows}
        for row in await conn.rows(
            queries.read_health, bucket=conn.bucket(service_id), ids=list(views)
        ):
            views[row["webhook_id"]].health = health(row)
        return list(views.values())

    async def _lock_secrets(self, conn: Connection, webhook_id: str) -> list[sign.SigningSecret]:
        row = await conn.row(queries.lock_webhook, id=webhook_id)
        return self.signing(row) if row else []

    async def _put_secrets(
        self, conn: Connection, webhook_id: str, secrets: Sequence[sign.SigningSecret]
    ) -> None:
        sealed = self.secrets.encrypt(sign.dump(secrets))
        await conn.run(queries.put_secrets, id=webhook_id, secrets=sealed)

    async def _repeated(
        self, conn: Connection, institution_id: str, repeatable: Repeatable
    ) -> wire.Webhook | None:
        row = await conn.row(
            queries.find_repeated, institution_id=institution_id, idempotency_key=repeatable.key
        )
        if row is None:
            return None
        if row["idempotency_digest"] != repeatable.digest:
            raise Problem(
                422,
                "Idempotency key reused",
                "This Idempotency-Key was used for another webhook. Take a new key.",
                field="Idempotency-Key",
            )
        made = await self.find(conn, institution_id, row["id"])
        fresh = clock.now() - made["created_at"] < _SECRET_AGAIN
        return self._view(made, with_secret=fresh and self.signing(made)[0].original)

    async def _why_not(self, conn: Connection, institution_id: str, service_id: str) -> Problem:
        owned = await conn.value(
            queries.owned_service, service_id=service_id, institution_id=institution_id
        )
        if owned is None:
            return Problem(
                404,
                "Service not found",
                "Your institution has no service with this id.",
                field="service_id",
            )
        return Problem(
            409,
            "Too many webhooks",
            f"A service may have {MOST_OF_A_SERVICE} webhooks. Delete one that is not needed.",
            field="service_id",
        )

    def _view(self, row: Row, *, with_secret: bool = False) -> wire.Webhook:
        return shown(row, self.signing(row), with_secret=with_secret)


async def institution_of(conn: Connection, service_id: str) -> str:
    """Whom a service belongs to. `Problem` 404 if there is none."""
    found: str | None = await conn.value(queries.institution_of, service_id=service_id)
    if found is None:
        raise Problem(404, "Service not found", "There is no service with this id.")
    return found
