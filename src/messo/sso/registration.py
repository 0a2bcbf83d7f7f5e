"""Relying parties as their institutions keep them: registered, replaced, given secrets, deleted.

The caller has checked who asks. `institution_id` None is an operator, who may touch all. Every
change is recorded, without secrets and addresses, and bumps the version that all processes poll.
That comes first: whoever changes something at the same time waits there. A client has two unique
keys, its id and its place, and an insert can give way to another one for one of them only.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, get_args
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import UNSET

from messo.base import clock
from messo.base.addresses import Network
from messo.base.crypto import key_digest, new_api_key
from messo.base.db import Connection, Row
from messo.base.http import Problem
from messo.base.wire import ULID
from messo.operations import record
from messo.services import changed
from messo.settings import Settings
from messo.sso import client_wire as wire
from messo.sso import discovery
from messo.sso.addresses import check, check_called, refusal
from messo.sso.client_keys import public_keys
from messo.sso.clients import Environment, Redirect, queries, read_redirects

OVERLAP = timedelta(hours=24)  # for so long the secret before a change is good
_RECENT = timedelta(days=7)
_ANSWERED = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
_ID = re.compile(ULID)
# Letters that nobody sees: fillers of Hangul, a joiner of marks, an empty Braille cell.
_BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
_PROTECTION = {
    "none": "Nothing binds a code to the browser that asked for it: who gets hold of one can use "
    "it. Send code_challenge (PKCE, S256) and nonce, then set pkce_and_nonce.",
    "pkce_or_nonce": "Send both code_challenge (PKCE, S256) and nonce, then set pkce_and_nonce.",
}


@dataclass(frozen=True)
class Rules:
    """What this installation admits. `issuer`: its public address.

    `levels`: of assurance, the lowest first. `allowed`: networks that may be called although not
    public. `sandbox`: live clients may be on the machine itself.
    """

    issuer: str
    levels: Sequence[str]
    allowed: Sequence[Network] = ()
    sandbox: bool = False

    @classmethod
    def of(cls, settings: Settings, allowed: Sequence[Network]) -> Self:
        """As this installation is set."""
        return cls(
            discovery.issuer(settings.public_url), settings.login_levels, allowed, settings.sandbox
        )


@dataclass(frozen=True)
class Asked:
    """One client of a service, and who asks: an institution, or None for an operator."""

    institution_id: str | None
    service_id: str
    environment: Environment

    @property
    def client_id(self) -> str:
        """The id of the service; with -test at its end for the other."""
        return self.service_id + ("-test" if self.environment == "test" else "")


def service_id_of(text: str) -> str:
    """The id of a service as it is stored. `Problem` 400 for what cannot be one."""
    if not _ID.match(text):
        raise Problem(400, "Bad request", "The id of a service is a ULID.", field="id")
    return text.upper()


def environment_of(text: str) -> Environment:
    """Live or test. `Problem` 400 for anything else."""
    for environment in get_args(Environment):
        if environment == text:
            found: Environment = environment
            return found
    raise Problem(400, "Bad request", "environment must be live or test.", field="environment")


async def list_all(
    conn: Connection, rules: Rules, institution_id: str | None, service_id: str
) -> wire.SsoClientList:
    """The clients of a service. `Problem` 404 for another institution's service, as for none."""
    rows = await _rows(conn, institution_id, service_id, None)
    return wire.SsoClientList([_shown(rules, row) for row in rows if row["id"] is not None])


async def read(conn: Connection, rules: Rules, asked: Asked) -> wire.SsoClient:
    """One client. `Problem` 404 without it, or without its service."""
    return _shown(rules, await _row(conn, asked))


async def put(
    conn: Connection,
    rules: Rules,
    actor: str,
    asked: Asked,
    wanted: wire.SsoSettings,
    *,
    secret: str | None = None,
) -> tuple[wire.SsoClient, bool]:
    """Make a client, or replace all its settings; and whether it was made.

    With `client_secret` where a first secret was made: a client keeps the one that it has.
    `secret`: the one to make, known beforehand: the sandbox's.
    `Problem` 400 that names the place, 404 for another institution's service.
    """
    jwks = _check(rules, asked.environment, wanted)
    secret = None if jwks else secret or new_api_key()
    redirects = [
        Redirect(one.uri, one.display_name.it, one.display_name.en or "")
        for one in wanted.redirect_uris
    ]
    await changed(conn)
    now = clock.now()
    row = await conn.row(
        queries.register_client,
        id=asked.client_id,
        institution_id=asked.institution_id,
        service_id=asked.service_id,
        environment=asked.environment,
        redirects=msgspec.json.encode(redirects).decode(),
        post_logout_redirect_uris=wanted.post_logout_redirect_uris,
        auth_method=wanted.token_endpoint_auth_method,
        secret_digest=key_digest(secret) if secret else None,
        jwks=msgspec.json.encode(jwks).decode() if jwks else None,
        id_token_alg=wanted.id_token_signed_response_alg,
        request_protection=wanted.request_protection,
        subject_type=wanted.subject_type,
        optional_claims=list(dict.fromkeys(wanted.optional_claims)),
        level=wanted.level,
        backchannel_logout_uri=wanted.backchannel_logout_uri,
        now=now,
    )
    if row is None:
        raise _no_service(asked.institution_id)
    made = bool(row["created_at"] == now)
    await record(
        conn,
        actor,
        "sso.client.create" if made else "sso.client.change",
        asked.client_id,
        service=asked.service_id,
        auth_method=wanted.token_endpoint_auth_method,
        request_protection=wanted.request_protection,
        subject_type=wanted.subject_type,
        optional_claims=row["optional_claims"],
        level=wanted.level,
        redirects=len(redirects),
    )
    shown = _shown(rules, row)
    if secret and row["secret_digest"] == key_digest(secret):
        shown.client_secret = secret
    return shown, made


async def delete(conn: Connection, actor: str, asked: Asked) -> None:
    """Nobody is signed on there any more. What citizens agreed to stays theirs."""
    await _row(conn, asked)
    await changed(conn)
    if await conn.run(queries.delete_client, id=asked.client_id):
        await record(conn, actor, "sso.client.delete", asked.client_id, service=asked.service_id)


async def replace_secret(
    conn: Connection, rules: Rules, actor: str, asked: Asked
) -> wire.SsoClient:
    """A new secret, shown this once; the old one is good for another day, or until it is dropped.

    While an old one is still good, it stays, and the one that was made in between ends at once.
    `Problem` 409 for a client that proves who it is with a key.
    """
    await _row(conn, asked)
    await changed(conn)
    secret, now = new_api_key(), clock.now()
    written = await conn.run(
        queries.replace_client_secret,
        id=asked.client_id,
        digest=key_digest(secret),
        now=now,
        until=now + OVERLAP,
    )
    shown = await read(conn, rules, asked)
    if not written:
        raise Problem(
            409,
            "Client without secrets",
            "This client proves who it is with its keys (private_key_jwt). Register it with "
            "another token_endpoint_auth_method to give it a secret.",
        )
    await record(conn, actor, "sso.client.secret.replace", asked.client_id)
    shown.client_secret = secret
    return shown


async def drop_old_secret(conn: Connection, actor: str, asked: Asked) -> None:
    """Only the newest secret is good from now on. Nothing happens where there is no old one."""
    if (await _row(conn, asked))["old_secret_until"] is None:
        return
    await changed(conn)
    if await conn.run(queries.drop_old_client_secret, id=asked.client_id, now=clock.now()):
        await record(conn, actor, "sso.client.secret.drop", asked.client_id)


def _must_leave_room(uri: str, field: str) -> None:
    """An answer's own parameters must come once (RFC 6749, section 3.1)."""
    taken = _ANSWERED.intersection(parse_qs(urlsplit(uri).query, keep_blank_values=True))
    if taken:
        raise refusal(field, f"has {min(taken)} in its query, which is ours to add")


def _check(
    rules: Rules, environment: Environment, wanted: wire.SsoSettings
) -> dict[str, object] | None:
    """The keys to store, if it is a client with keys. `Problem` 400 for what breaks a rule."""
    loopback = environment == "test" or rules.sandbox
    uris = [one.uri for one in wanted.redirect_uris]
    for place, redirect in enumerate(wanted.redirect_uris):
        field = f"redirect_uris[{place}]"
        check(redirect.uri, f"{field}.uri", loopback=loopback)
        _must_leave_room(redirect.uri, f"{field}.uri")
        _must_be_new(uris, place, f"{field}.uri")
        _check_name(redirect.display_name.it, f"{field}.display_name.it")
        _check_name(redirect.display_name.en or None, f"{field}.display_name.en")
    for place, uri in enumerate(wanted.post_logout_redirect_uris):
        field = f"post_logout_redirect_uris[{place}]"
        check(uri, field, loopback=loopback)
        _must_be_new(wanted.post_logout_redirect_uris, place, field)
    if wanted.backchannel_logout_uri is not None:
        field = "backchannel_logout_uri"
        check_called(wanted.backchannel_logout_uri, field, rules.allowed, loopback=loopback)
    if wanted.level is not None and wanted.level not in rules.levels:
        raise refusal("level", f"must be null or one of {', '.join(rules.levels)}")
    if wanted.subject_type == "fiscal_code" and "fiscal_code" in wanted.optional_claims:
        place = wanted.optional_claims.index("fiscal_code")
        raise refusal(
            f"optional_claims[{place}]",
            "cannot be fiscal_code: with the subject_type fiscal_code it is the sub of every token",
        )
    if wanted.token_endpoint_auth_method != "private_key_jwt":  # noqa: S105  no password
        if wanted.jwks is not None:
            raise refusal("jwks", "is only for private_key_jwt: leave it out, or use that method")
        return None
    if wanted.jwks is None:
        raise refusal("jwks", "is missing: private_key_jwt needs your public keys")
    return public_keys(wanted.jwks.keys, "jwks.keys")


def _check_name(name: str | None, field: str) -> None:
    """A name that people see for what it is: they decide by it where their data go."""
    if name is None:
        return
    kinds = [unicodedata.category(sign) for sign in name]
    if (
        name != name.strip()
        or not _BLANK.isdisjoint(name)
        or any(kind[0] == "C" or kind in {"Zl", "Zp"} for kind in kinds)
        or "MMMM" in "".join(kind[0] for kind in kinds)
    ):
        raise refusal(
            field, "must be a name on one line, without invisible signs and spaces around it"
        )


def _must_be_new(values: Sequence[str], place: int, field: str) -> None:
    if values[place] in values[:place]:
        raise refusal(field, "is there twice: leave one of them out")


async def _rows(
    conn: Connection,
    institution_id: str | None,
    service_id: str,
    environment: Environment | None,
) -> Sequence[Row]:
    rows = await conn.rows(
        queries.registered_clients,
        institution_id=institution_id,
        service_id=service_id,
        environment=environment,
    )
    if not rows:
        raise _no_service(institution_id)
    return rows


async def _row(conn: Connection, asked: Asked) -> Row:
    rows = await _rows(conn, asked.institution_id, asked.service_id, asked.environment)
    if rows[0]["id"] is None:
        raise _no_client(asked.environment)
    return rows[0]


def _no_service(institution_id: str | None) -> Problem:
    whose = "Your institution has" if institution_id else "There is"
    return Problem(404, "Service not found", f"{whose} no service with this id.", field="id")


def _no_client(environment: Environment) -> Problem:
    return Problem(
        404,
        "Client not found",
        f"This service has no client for the environment {environment}.",
        field="environment",
    )


def _shown(rules: Rules, row: Row) -> wire.SsoClient:
    jwks = row["jwks"]
    old_until = row["old_secret_until"]
    return wire.SsoClient(
        redirect_uris=[
            wire.SsoRedirect(one.uri, wire.SsoDisplayName(one.it, one.en or UNSET))
            for one in read_redirects(row["redirects"])
        ],
        post_logout_redirect_uris=row["post_logout_redirect_uris"],
        token_endpoint_auth_method=row["auth_method"],
        jwks=msgspec.json.decode(jwks, type=wire.SsoKeySet) if jwks else None,
        id_token_signed_response_alg=row["id_token_alg"],
        request_protection=row["request_protection"],
        subject_type=row["subject_type"],
        optional_claims=row["optional_claims"],
        level=row["level"],
        backchannel_logout_uri=row["backchannel_logout_uri"],
        client_id=row["id"],
        service_id=row["service_id"],
        environment=row["environment"],
        issuer=rules.issuer,
        client_id_issued_at=int(row["created_at"].timestamp()),
        created_at=clock.to_wire(row["created_at"]),
        changed_at=clock.to_wire(row["changed_at"]),
        old_secret_until=_moment(old_until if old_until and old_until > clock.now() else None),
        state_missing_at=_moment(row["state_missing_at"]),
        advice=_advice(row),
    )


def _moment(at: datetime | None) -> str | msgspec.UnsetType:
    return clock.to_wire(at) if at else UNSET


def _advice(row: Row) -> list[wire.SsoAdvice]:
    """What could be safer, and how."""
    found = []
    if said := _PROTECTION.get(row["request_protection"]):
        found.append(wire.SsoAdvice("request_protection", said))
    if row["auth_method"] == "client_secret_post":
        said = "A secret in a body ends up in logs more easily: client_secret_basic, or better "
        said += "private_key_jwt, which shares no secret at all."
        found.append(wire.SsoAdvice("token_endpoint_auth_method", said))
    if row["subject_type"] == "fiscal_code":
        said = "Every token names the citizen's fiscal code, also where it is not needed. With "
        said += "pairwise it is a claim of the scope profile."
        found.append(wire.SsoAdvice("subject_type", said))
    missing = row["state_missing_at"]
    if missing and clock.now() - missing < _RECENT:
        said = "Requests come without state: anybody can make a citizen's browser finish a login "
        said += "that it did not begin. Send a value bound to the browser, and compare it."
        found.append(wire.SsoAdvice("state", said))
    return found
