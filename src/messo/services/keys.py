"""Key pairs: two equal keys per service, institution and group, so that one can be replaced.

Only a digest is looked up; an encrypted copy is kept because the contract gives keys back.
"""

from messo.base import clock
from messo.base.crypto import Secrets, key_digest, new_api_key
from messo.base.db import Connection
from messo.operations import record
from messo.services.services import NotAcceptedError, changed, queries

SLOTS = ("primary", "secondary")


async def create_pair(
    conn: Connection,
    secrets: Secrets,
    actor: str,
    institution: str,
    service: str | None,
    group: str | None = None,
) -> dict[str, str]:
    """Both keys of a service, or the manage keys of a group: `{"primary", "secondary"}`.

    Without either they are the institution's own manage keys.
    """
    pair = {slot: new_api_key() for slot in SLOTS}
    await conn.run(
        queries.create_keys,
        institution_id=institution,
        service_id=service,
        group_id=group,
        slots=list(pair),
        digests=[key_digest(key) for key in pair.values()],
        encrypted=[secrets.encrypt(key) for key in pair.values()],
        now=clock.now(),
    )
    await changed(conn)
    await record(conn, actor, "key.create", service or group or institution)
    return pair


async def rotate(conn: Connection, secrets: Secrets, actor: str, owner: str, slot: str) -> str:
    """Replace one key of a service (or of a group, or of an institution); the old one dies within a second."""
    key = new_api_key()
    await conn.run(queries.forget_key_uses, owner=owner, slot=slot)
    written = await conn.run(
        queries.replace_key,
        owner=owner,
        slot=slot,
        digest=key_digest(key),
        encrypted=secrets.encrypt(key),
        now=clock.now(),
    )
    if not written:
        raise NotAcceptedError(f"there is no {slot} key of {owner}")
    await changed(conn)
    await record(conn, actor, "key.rotate", owner, slot=slot)
    return key


async def read_pair(conn: Connection, secrets: Secrets, owner: str) -> dict[str, str]:
    """The keys of a service (or of a group, or of an institution), in clear."""
    rows = await conn.rows(queries.read_keys, owner=owner)
    return {row["slot"]: secrets.decrypt(row["encrypted"]) for row in rows}
