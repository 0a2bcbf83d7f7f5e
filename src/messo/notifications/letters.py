"""Mails that are no copies of messages: the proof of an address, a stopped webhook, an invitation.

A letter is queued in the transaction of the fact it tells, encrypted, for at most a day. Its words
go when it is sent; the empty row stays for an hour, so that letters can be counted.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_date

from messo.base import clock, log, work
from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.http import Problem
from messo.base.ids import lowest_id, new_id
from messo.base.mailer import LaterError, Mailer, NoSuchAddressError, RefusedError
from messo.base.outward import Outward
from messo.base.work import Finished, Leased
from messo.messages.characters import on_one_line
from messo.notifications.channels.channel import Again, Gone, Language, Outcome, Sent
from messo.notifications.dispatch import queries
from messo.notifications.mail import Mail, sender_of
from messo.recipients import language_of, read_profile
from messo.recipients.email import is_address
from messo.settings import Settings

logger = log.get(__name__)

LETTER = "notifications.letter"
MOST_AN_HOUR = 5  # proofs of an address for one citizen: each may go to somebody else's mailbox

_HOUR = timedelta(hours=1)
_LIVES = timedelta(hours=24)
_AT_ONCE = 8
_FORGET = 1000
_ROME = ZoneInfo("Europe/Rome")
_SUBJECTS: dict[str, dict[Language, str]] = {
    "validation": {"it": "Conferma il tuo indirizzo", "en": "Confirm your address"},
    "webhook_stopped": {
        "it": "Webhook fermo · Webhook stopped",
        "en": "Webhook stopped · Webhook fermo",
    },
    "invitation": {
        "it": "Il tuo invito su Messo · Your invitation to Messo",
        "en": "Your invitation to Messo · Il tuo invito su Messo",
    },
}
# What people may do in each role, in the words of the mail.
_ROLES: dict[str, tuple[str, str]] = {
    "admin": (
        "gestire tutto, anche le persone e le chiavi",
        "manage everything, people and keys too",
    ),
    "editor": ("preparare i servizi e pubblicarli", "prepare services and publish them"),
    "sender": (
        "scrivere ai cittadini e vedere i messaggi inviati",
        "write to citizens and see the messages sent",
    ),
    "reader": ("vedere i servizi", "see the services"),
}


class Letter(msgspec.Struct, frozen=True):
    """What is kept encrypted: which template, to whom, and what is filled in."""

    kind: Literal["validation", "webhook_stopped", "invitation"]
    to: str
    language: Language
    values: dict[str, str]


_letter = msgspec.json.Decoder(Letter)


class Letters:
    """Where other rooms queue letters. `configured` False: no mail server, so nothing is queued."""

    def __init__(self, secrets: Secrets, *, configured: bool = True) -> None:
        self._secrets = secrets
        self._configured = configured

    async def queue_validation(
        self, conn: Connection, fiscal_code: str, address: str, token: str
    ) -> None:
        """The mail with the link that proves an address; `recipients.email.SendValidation`.

        The caller holds the citizen's lock, so that two at once are counted one after the other.
        `Problem` 429 at more than `MOST_AN_HOUR`: the transaction is then rolled back, and an
        older link goes on working.
        """
        if not self._configured:
            return
        await _charge(conn, fiscal_code)
        await conn.run(
            queries.supersede_letters,
            bucket=conn.bucket(fiscal_code),
            fiscal_code=fiscal_code,
            kind="validation",
        )
        profile = await read_profile(conn, fiscal_code)
        language = language_of(profile.preferred_languages if profile else None) or "it"
        letter = Letter("validation", address, language, {"token": token})
        await self._queue(conn, conn.bucket(fiscal_code), fiscal_code, letter)

    async def queue_webhook_stopped(
        self, conn: Connection, institution_id: str, to: str, host: str, since: datetime
    ) -> None:
        """Tell an institution that its server has refused events `since` then, so we stopped.

        `host`: of the webhook's address, without its path, which may hold a secret. Nothing
        happens where `to` is no address that a mail could go to.
        """
        if not self._configured or not is_address(to):
            return
        day = since.astimezone(_ROME)
        values = {
            "host": on_one_line(host, 253),
            "since_it": format_date(day, "d MMMM y", "it_IT"),
            "since_en": format_date(day, "d MMMM y", "en_GB"),
        }
        letter = Letter("webhook_stopped", to, "it", values)
        await self._queue(conn, conn.bucket(institution_id), "", letter)

    async def queue_invitation(
        self,
        conn: Connection,
        institution_id: str,
        to: str,
        institution_name: str,
        role: str,
        inviter_name: str,
        token: str,
    ) -> None:
        """The mail with the link that makes its reader a member; `people.SendInvitation`.

        `role` is admin, editor, sender or reader; `inviter_name` may be empty. Nothing happens
        where `to` is no address that a mail could go to.
        """
        if not self._configured or not is_address(to):
            return
        may_it, may_en = _ROLES[role]
        values = {
            "institution": on_one_line(institution_name, 120),
            "inviter": on_one_line(inviter_name, 80),
            "may_it": may_it,
            "may_en": may_en,
            "token": token,
        }
        letter = Letter("invitation", to, "it", values)
        await self._queue(conn, conn.bucket(institution_id), "", letter)

    async def _queue(self, conn: Connection, bucket: int, fiscal_code: str, letter: Letter) -> None:
        letter_id, now = new_id(), clock.now()
        await conn.run(
            queries.add_letter,
            bucket=bucket,
            id=letter_id,
            fiscal_code=fiscal_code,
            kind=letter.kind,
            sealed=_seal(self._secrets, letter_id, letter),
            expires_at=now + _LIVES,
        )
        lane = work.lane_of(fiscal_code or letter_id)
        await work.queue(conn, bucket, LETTER, [letter_id], [lane], now)


async def erase(conn: Connection, fiscal_code: str, before: datetime) -> None:
    """Part of erasing a citizen: letters to them that wait are not sent."""
    await conn.run(
        queries.erase_letters,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        below=lowest_id(before),
    )


async def forget_letters(conn: Connection) -> bool:
    """A periodic step: delete a bounded number of old letters; True if more may be left."""
    more = False
    for bucket in range(conn.buckets):
        gone = await conn.run(queries.forget_letters, bucket=bucket, now=clock.now(), limit=_FORGET)
        more = more or gone == _FORGET
    return more


@dataclass(frozen=True, slots=True)
class Job:
    """A leased letter, still encrypted: one that cannot be opened must not keep others back."""

    item: Leased
    kind: str
    sealed: str
    expires_at: datetime


def step(mailer: Mailer | None, secrets: Secrets, settings: Settings) -> Outward[Job, Outcome]:
    """The outward step that sends letters; what comes back of one goes to its sender.

    Without a mailer they wait for one, at most a day: another process had it when it queued them.
    """
    sender, public_url = sender_of(settings.mail_from), settings.public_url.rstrip("/")

    async def send(job: Job) -> Outcome:
        if mailer is None:
            return Again("no mail server")
        letter = _open(secrets, job.item.reference, job.sealed)
        mail = mail_of(job.item.reference, letter, sender, public_url)
        try:
            await mailer.send(sender.addr_spec, letter.to, mail.as_bytes())
        except NoSuchAddressError as error:
            return Gone(error.reason)
        except RefusedError as error:
            return Again(error.reason)
        except LaterError as error:
            return Again(error.reason, error.after_s, error.tried)
        return Sent()

    return Outward(LETTER, _claim, send, _record, _AT_ONCE)


def mail_of(letter_id: str, letter: Letter, sender: Address, public_url: str) -> Mail:
    """A letter as a mail."""
    values: dict[str, Any] = dict(letter.values)
    if letter.kind == "validation":
        values = {"confirm_url": f"{public_url}/confirm-email?token={values['token']}"}
    if letter.kind == "invitation":
        url = f"{public_url}/console/invitation?token={values.pop('token')}"
        values["invitation_url"] = url
    return Mail(
        id=letter_id,
        sender=sender,
        recipient=letter.to,
        subject=_SUBJECTS[letter.kind][letter.language],
        template=letter.kind,
        language=letter.language,
        values=values,
    )


async def _charge(conn: Connection, fiscal_code: str) -> None:
    now = clock.now()
    count = await conn.value(
        queries.count_letters,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        kind="validation",
        after=lowest_id(now - _HOUR),
    )
    if count >= MOST_AN_HOUR:
        raise Problem(
            429,
            "Too many requests",
            f"We have sent you {MOST_AN_HOUR} mails to confirm an address within an hour: use the "
            "link in the newest one, or try again in an hour.",
            headers=[(b"retry-after", b"%d" % _HOUR.total_seconds())],
        )


async def _claim(conn: Connection, bucket: int, limit: int) -> list[Job]:
    items = await work.lease(conn, bucket, LETTER, limit)
    if not items:
        return []
    rows = await conn.rows(
        queries.read_letters,
        bucket=bucket,
        ids=[item.reference for item in items],
        now=clock.now(),
    )
    found = {row["id"]: row for row in rows}
    # Too late, sent already, or its citizen is erased.
    void = [item for item in items if item.reference not in found]
    if void:
        await work.finish(conn, bucket, LETTER, [Finished(item) for item in void])
    return [
        Job(item, row["kind"], row["sealed"], row["expires_at"])
        for item in items
        if (row := found.get(item.reference))
    ]


async def _record(conn: Connection, bucket: int, sent: Sequence[tuple[Job, Outcome]]) -> None:
    now = clock.now()
    finished = [_finished(job, outcome, now) for job, outcome in sent]
    over = [one.item.reference for one in finished if one.due is None]
    if over:
        await conn.run(queries.empty_letters, bucket=bucket, ids=over, until=now + _HOUR)
    await work.finish(conn, bucket, LETTER, finished)
    given_up = {one.item.reference for one in finished if one.due is None}
    for job, outcome in sent:
        if not isinstance(outcome, Sent) and job.item.reference in given_up:
            logger.warning("letter not sent", letter=job.item.reference, kind=job.kind)


def _finished(job: Job, outcome: Outcome, now: datetime) -> Finished:
    if not isinstance(outcome, Again):
        return Finished(job.item)
    wait = work.delay_after(job.item.attempts + 1)
    if outcome.after_s is not None:
        wished = min(timedelta(seconds=outcome.after_s), _HOUR)
        wait = max(wait, wished) if outcome.tried else wished
    due = now + wait
    return Finished(job.item, due if due < job.expires_at else None, failed=outcome.tried)


def _about(letter_id: str) -> str:
    return f"letter {letter_id}"


def _seal(secrets: Secrets, letter_id: str, letter: Letter) -> str:
    sealed = secrets.seal(msgspec.json.encode(letter), _about(letter_id))
    return base64.b64encode(sealed).decode()


def _open(secrets: Secrets, letter_id: str, sealed: str) -> Letter:
    return _letter.decode(secrets.unseal(base64.b64decode(sealed), _about(letter_id)))
