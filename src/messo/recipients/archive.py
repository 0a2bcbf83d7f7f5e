"""The archive of everything about a citizen: made in small steps, kept encrypted in pieces.

Each step is one short transaction, so a citizen with very many messages holds up nobody and needs
little memory: what is gathered goes to temporary files without a name, which no crash leaves
behind.
"""

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any

import msgspec

from messo import login
from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Row
from messo.recipients import archive_page
from messo.recipients.data_requests import Job
from messo.recipients.history import history
from messo.recipients.profile import queries, read_profile

PIECE = 1_000_000  # bytes, before encryption
_PAGE = 200
_EVER = timedelta(days=36_500)


@dataclass(frozen=True)
class Letter:
    """A message as it goes into the archive.

    `facts`: what else the page shows, by name; `whole`: all that is known of it, for JSON.
    """

    id: str
    at: datetime
    sender: str
    subject: str
    text: str
    facts: Mapping[str, Any]
    whole: Any


class IncompleteError(Exception):
    """A piece of the archive was not stored."""


class ArchiveReplacedError(Exception):
    """A new archive was asked for while the old one was on its way: the download breaks off."""


# `letters(conn, fiscal_code, after, limit)`: with an id above `after`, oldest first.
Letters = Callable[[Connection, str, str, int], Awaitable[Sequence[Letter]]]
# `others(conn, fiscal_code)`: what higher rooms keep about a citizen, by file name.
Others = Callable[[Connection, str], Awaitable[Mapping[str, Any]]]
Stage = Callable[[Connection], Awaitable[Any]]


class _List:
    """A JSON list in a file, written member by member."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.empty = True
        file.write(b"[")

    def add(self, members: Sequence[Any]) -> None:
        for member in members:
            self.file.write(b"\n" if self.empty else b",\n")
            self.file.write(msgspec.json.encode(member))
            self.empty = False

    def end(self) -> None:
        self.file.write(b"\n]\n")


class Making:
    """One archive being made. Call `step` in a transaction each until it says that it is done."""

    def __init__(
        self, job: Job, letters: Letters, others: Others, secrets: Secrets, keep: timedelta
    ) -> None:
        self.job = job
        self.letters = letters
        self.others = others
        self.secrets = secrets
        self.expires_at = clock.now() + keep
        self._files = ExitStack()
        self._page, self._changes, self._letters, self._zip = (
            self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  the stack closes it
            for _ in range(4)
        )
        self._small: dict[str, bytes] = {}
        self._change_list, self._letter_list = _List(self._changes), _List(self._letters)
        self._cursor: str | None = None
        self._number = 0
        self._next: Stage = self._person

    async def step(self, conn: Connection) -> bool:
        """The next part of the work; True when the whole archive is stored."""
        following = await self._next(conn)
        if following is None:
            return True
        self._next = following
        return False

    def end(self) -> None:
        """Drop the temporary files."""
        self._files.close()

    async def _person(self, conn: Connection) -> Stage:
        code, bucket = self.job.fiscal_code, self.job.bucket
        profile = await read_profile(conn, code)
        preferences = await conn.rows(queries.all_preferences, bucket=bucket, fiscal_code=code)
        activations = await conn.rows(queries.all_activations, bucket=bucket, fiscal_code=code)
        devices = await conn.rows(queries.all_installations, bucket=bucket, fiscal_code=code)
        limits = login.Limits(idle=_EVER, absolute=_EVER)
        sessions = [
            {
                "client": session.client,
                "kind": session.kind,
                "level": session.identity.level,
                "name": session.identity.name,
                "family_name": session.identity.family_name,
                "date_of_birth": session.identity.date_of_birth,
                "email": session.identity.email,
                "created_at": session.created_at,
                "seen_at": session.seen_at,
                "expires_at": session.expires_at,
            }
            for session in await login.list_sessions(conn, code, limits)
        ]
        self._small = {
            "profile.json": _json(profile),
            "preferences.json": _json(
                {"preferences": _dicts(preferences), "activations": _dicts(activations)}
            ),
            "sessions.json": _json(sessions),
            "devices.json": _json(_dicts(devices)),
        }
        for name, content in (await self.others(conn, code)).items():
            self._small[name] = _json(content)
        self._page.write(
            archive_page.top(
                made_at=clock.now(),
                profile={} if profile is None else vars(profile),
                preferences=preferences,
                activations=activations,
                sessions=sessions,
                devices=devices,
            )
        )
        return self._history

    async def _history(self, conn: Connection) -> Stage:
        rows = await history(conn, self.job.fiscal_code, _PAGE, self._cursor)
        self._change_list.add([{**row} for row in rows])
        self._page.write(archive_page.changes(rows))
        if len(rows) == _PAGE:
            self._cursor = rows[-1]["id"]
            return self._history
        self._cursor = ""
        self._page.write(archive_page.between())
        return self._messages

    async def _messages(self, conn: Connection) -> Stage:
        found = await self.letters(conn, self.job.fiscal_code, self._cursor or "", _PAGE)
        self._letter_list.add([letter.whole for letter in found])
        self._page.write(archive_page.letters(found))
        if found:
            self._cursor = found[-1].id
            return self._messages
        self._page.write(archive_page.bottom())
        return self._pack

    async def _pack(self, conn: Connection) -> Stage:
        self._change_list.end()
        self._letter_list.end()
        await asyncio.to_thread(self._pack_files)
        await conn.run(
            queries.drop_archive, bucket=self.job.bucket, fiscal_code=self.job.fiscal_code
        )
        return self._store

    def _pack_files(self) -> None:
        """In a thread: packing a large archive takes a while."""
        large = {
            "index.html": self._page,
            "history.json": self._changes,
            "messages.json": self._letters,
        }
        with zipfile.ZipFile(self._zip, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in self._small.items():
                packed.writestr(name, content)
            for name, file in large.items():
                file.seek(0)
                with packed.open(name, "w", force_zip64=True) as inside:
                    shutil.copyfileobj(file, inside)
        self._zip.seek(0)

    async def _store(self, conn: Connection) -> Stage | None:
        piece = self._zip.read(PIECE)
        if not piece:
            stored = await conn.value(
                queries.count_archive_parts,
                bucket=self.job.bucket,
                fiscal_code=self.job.fiscal_code,
            )
            # A step whose commit failed is not repeated: the whole archive is made anew.
            if stored != self._number:
                raise IncompleteError(f"{stored} of {self._number} pieces are stored")
            return None
        await conn.run(
            queries.put_archive_part,
            bucket=self.job.bucket,
            fiscal_code=self.job.fiscal_code,
            number=self._number,
            bytes=self.secrets.seal(piece, _about(self.job.fiscal_code, self._number)),
            expires_at=self.expires_at,
        )
        self._number += 1
        return self._store


async def read_piece(
    conn: Connection, fiscal_code: str, secrets: Secrets, number: int
) -> bytes | None:
    """One piece of a citizen's archive, from 0; None after the last, or where there is none."""
    sealed = await conn.value(
        queries.read_archive_part,
        bucket=conn.bucket(fiscal_code),
        fiscal_code=fiscal_code,
        number=number,
        now=clock.now(),
    )
    return None if sealed is None else secrets.unseal(sealed, _about(fiscal_code, number))


async def read_archive(
    conn: Connection, fiscal_code: str, secrets: Secrets
) -> AsyncIterator[bytes]:
    """The zip, piece by piece; nothing where there is none.

    A route that answers over the network takes `read_piece` with a connection for each, so that
    none is held while the citizen's line is slow.
    """
    number = 0
    while (piece := await read_piece(conn, fiscal_code, secrets, number)) is not None:
        yield piece
        number += 1


async def forget_old(conn: Connection) -> bool:
    """The periodic step: delete expired archives and unused e-mail tokens; True if more is left."""
    now, more = clock.now(), False
    for bucket in range(conn.buckets):
        pieces = await conn.run(queries.forget_archives, bucket=bucket, now=now, limit=_PAGE)
        tokens = await conn.run(queries.forget_validations, bucket=bucket, now=now, limit=_PAGE)
        more = more or _PAGE in {pieces, tokens}
    return more


def _about(fiscal_code: str, number: int) -> str:
    """Bound to the piece: one of another citizen, or in another place, cannot be opened."""
    return f"archive {fiscal_code} {number}"


def _dicts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]


def _json(value: Any) -> bytes:  # noqa: ANN401
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
