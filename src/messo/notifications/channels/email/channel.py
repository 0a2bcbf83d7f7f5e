"""Copies of messages by e-mail, to citizens who want them and have proven their address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.base.ids import new_id
from messo.base.mailer import LaterError, Mailer, NoSuchAddressError, RefusedError
from messo.notifications.channels.channel import Again, Choice, Delivery, Gone, Outcome, Sent
from messo.notifications.channels.email import return_path, suppression, unsubscribe
from messo.notifications.channels.email.copy import Place, copy_of
from messo.notifications.channels.email.suppression import address_key, queries
from messo.notifications.mail import sender_of
from messo.recipients import language_of
from messo.recipients.email import is_address


@dataclass(frozen=True, slots=True)
class Target:
    """The address as it is just before sending, and the body of which a preview is shown."""

    address: str
    markdown: str


class Email:
    """The channel. `mailer` None: no mail server is configured, and nobody is chosen.

    `sender`: the From header, `Messo <no-reply@example.org>`. `return_path`: where bounces go, ""
    for the address of the sender. `ValueError` where either is no address. Messages of
    `excluded_services` are never copied. What is sent to `sandbox_fiscal_code` is copied to the
    institution that sent it.
    """

    name = "email"
    at_once = 256  # most of them wait for a connection to the relay
    reminds = False  # who wants copies of messages has not asked for mails about them

    def __init__(
        self,
        mailer: Mailer | None,
        secrets: Secrets,
        *,
        sender: str,
        return_path: str,
        public_url: str,
        sandbox_fiscal_code: str,
        excluded_services: Sequence[str],
    ) -> None:
        self._mailer = mailer
        self._secrets = secrets
        self._place = Place(sender_of(sender), public_url.rstrip("/"))
        self._return_path = return_path
        self._sandbox = sandbox_fiscal_code
        self._excluded = list(excluded_services)
        self._return_to(new_id())  # an address that cannot be one is said now, not at each mail

    async def choose(self, conn: Connection, bucket: int, ids: Sequence[str]) -> list[Choice]:
        if self._mailer is None:
            return []
        return [
            Choice(
                row["id"],
                self._key(row),
                "FULL",  # what is sensitive is not mailed at all
                language_of(row["preferred_languages"]) or "it",
            )
            for row in await self._open(conn, bucket, ids, with_body=False)
        ]

    def room(self, _host: str) -> tuple[int, float]:
        # One relay for all; it rests when it does not answer.
        wait_s = self._mailer.rests_s() if self._mailer else 60.0
        return (0, wait_s) if wait_s else (self.at_once, 0.0)

    async def targets(
        self, conn: Connection, bucket: int, deliveries: Sequence[Delivery]
    ) -> Mapping[str, Target]:
        ids = list({delivery.message_id for delivery in deliveries})
        rows = {row["id"]: row for row in await self._open(conn, bucket, ids, with_body=True)}
        return {
            delivery.id: Target(row["address"], row["markdown"] or "")
            for delivery in deliveries
            # Another address than the one that was chosen: that one was told, or is not ours to use.
            if (row := rows.get(delivery.message_id)) and self._key(row) == delivery.address
        }

    async def send(self, delivery: Delivery, target: Target) -> Outcome:
        if self._mailer is None:
            return Again("no mail server", tried=False)
        token = unsubscribe.make(self._secrets, delivery.fiscal_code)
        mail = copy_of(delivery, target.markdown, target.address, self._place, token)
        try:
            await self._mailer.send(self._return_to(delivery.id), target.address, mail.as_bytes())
        except NoSuchAddressError as error:
            return Gone(error.reason)
        except RefusedError as error:
            # About us, our words or a full mailbox: the address is fine, and it may pass.
            return Again(error.reason)
        except LaterError as error:
            return Again(error.reason, error.after_s, error.tried)
        return Sent()

    async def switch_off(
        self, conn: Connection, bucket: int, gone: Sequence[tuple[Delivery, str]]
    ) -> None:
        await conn.run(
            queries.suppress,
            bucket=bucket,
            fiscal_codes=[delivery.fiscal_code for delivery, _ in gone],
            addresses=[delivery.address for delivery, _ in gone],
            reasons=[reason for _, reason in gone],
            now=clock.now(),
        )

    async def erase(self, conn: Connection, fiscal_code: str, before: datetime) -> None:
        await suppression.erase(conn, fiscal_code, before)

    def _return_to(self, delivery_id: str) -> str:
        if not self._return_path:
            return self._place.sender.addr_spec
        return return_path.make(self._secrets, self._return_path, delivery_id)

    async def _open(
        self, conn: Connection, bucket: int, ids: Sequence[str], *, with_body: bool
    ) -> list[Row]:
        """Of these messages those that are to be copied now, with the address to copy them to."""
        rows = await conn.rows(
            queries.messages_to_copy,
            bucket=bucket,
            ids=ids,
            sandbox=self._sandbox,
            excluded=self._excluded,
            with_body=with_body,
        )
        return [
            row
            for row in rows
            if is_address(row["address"]) and self._key(row) not in row["suppressed"]
        ]

    def _key(self, row: Row) -> str:
        return address_key(self._secrets, row["address"])
