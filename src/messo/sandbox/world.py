"""The sandbox's people and institutions, all invented."""

import json
import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from messo.base import migrate
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.sql import Queries
from messo.login import Identity, client_limits, put_sessions
from messo.notifications.channels import devices
from messo.operations import operators
from messo.recipients import (
    Activation,
    Preference,
    Profile,
    count_enrolled,
    create_profiles,
    put_activations,
    put_preferences,
)
from messo.sandbox import institution as institution_server
from messo.sandbox import logos, past, payment_node, push_sink
from messo.sandbox.configured import put_configurations, put_relying_party
from messo.sandbox.descriptions import described
from messo.sandbox.fiscal_codes import MAGIC, UNKNOWN, birth_date, make
from messo.sandbox.staff import OPERATOR, STAFF, add_members
from messo.services import keys
from messo.services.permissions import DEFAULT, Permission
from messo.services.services import (
    NewService,
    create_institution,
    create_service,
    list_institutions,
    list_services,
)
from messo.settings import Settings

queries = Queries("messo.sandbox")

_ACTOR = "sandbox"
_LEVEL = "https://www.spid.gov.it/SpidL2"


@dataclass(frozen=True)
class _Institution:
    fiscal_code: str
    name: str
    permissions: tuple[str, ...]
    services: dict[str, NewService]  # by what each is good for
    remote: bool = False


@dataclass(frozen=True)
class _Citizen:
    name: str
    profile: Profile
    about: str

    def identity(self, level: str) -> Identity:
        """As an identity provider knows them."""
        given, _, family = self.name.partition(" ")
        code = self.profile.fiscal_code
        return Identity(
            code, given, family or "Sandbox", level, birth_date(code), self.profile.email
        )


def _citizen(name: str, stem: str, about: str, **profile: Any) -> _Citizen:  # noqa: ANN401
    values: dict[str, Any] = {
        "mode": "AUTO",
        "settings_version": 0,
        "is_inbox_enabled": True,
        "is_webhook_enabled": True,
        "is_test_profile": True,
        "accepted_tos_version": 1.0,
        "preferred_languages": ["it_IT"],
        **profile,
    }
    code = stem if len(stem) == 16 else make(stem)  # noqa: PLR2004
    return _Citizen(name, Profile(fiscal_code=code, **values), about)


INSTITUTIONS = (
    _Institution(
        "99999999001",
        "Comune di Pontelungo",
        (
            *DEFAULT,
            Permission.MESSAGE_WRITE_ADVANCED,
            Permission.MESSAGE_READ_ADVANCED,
            Permission.MESSAGE_WRITE_WITH_PAYEE,
            Permission.THIRD_PARTY_MESSAGE_WRITE,
            Permission.MESSAGE_WRITE_EU_COVID_CERT,
            Permission.SUBSCRIPTIONS_FEED_READ,
            Permission.REMOTE_CONTENT_WRITE,
        ),
        {
            "every permission; informative messages, due dates, payments up to 10,000 euro": (
                NewService(
                    "Anagrafe e tributi",
                    "Servizi demografici",
                    max_allowed_payment_amount=1_000_000,
                )
            ),
            "SPECIAL: only citizens who activated it": NewService(
                "Carta giovani", "Politiche giovanili", category="SPECIAL"
            ),
            "draft: only its authorized recipients": NewService(
                "Iscrizioni scolastiche", "Istruzione", state="draft"
            ),
        },
        remote=True,
    ),
    _Institution(
        "99999999002",
        "Azienda sanitaria Val Serena",
        (
            *DEFAULT,
            Permission.MESSAGE_WRITE_ADVANCED,
            Permission.THIRD_PARTY_MESSAGE_WRITE,
            Permission.REMOTE_CONTENT_WRITE,
        ),
        {
            "sensitive: secure channels, remote content": NewService(
                "Referti", "Laboratorio analisi", require_secure_channels=True
            ),
            "approved but not listed; payments up to 500 euro": NewService(
                "Ticket sanitari", "Cassa", state="approved", max_allowed_payment_amount=50_000
            ),
        },
        remote=True,
    ),
    _Institution(
        "99999999003",
        "Consorzio Acque Chiare",
        (
            Permission.LIMITED_MESSAGE_WRITE,
            Permission.MESSAGE_READ,
            Permission.LIMITED_PROFILE_READ,
        ),
        {
            "limited: writes only to its authorized recipients": NewService(
                "Bollette", "Clienti", authorized_recipients=(MAGIC["accepted"],)
            ),
        },
    ),
)

CITIZENS = (
    _citizen(
        "Giulia Ferretti",
        "FRRGLI85E50Y101",
        "AUTO: lets every service in; copies by e-mail, notices with sender and subject, reminders",
        is_email_enabled=True,
        is_email_validated=True,
        email="giulia.ferretti@example.org",
        push_notifications_content_type="FULL",
        reminder_status="ENABLED",
    ),
    _citizen(
        "Marco Dalmasso",
        "DLMMRC70H11Y102",
        "MANUAL: lets in only the first service",
        mode="MANUAL",
    ),
    _citizen(
        "Ana Kovač",
        "KVCNAA92P41Y103",
        "AUTO, reads English first, has the Carta giovani",
        preferred_languages=["en_GB", "it_IT"],
    ),
    _citizen(
        "Pietro Longhi",
        "LNGPTR55S05Y104",
        "LEGACY: never chose how services are let in",
        mode="LEGACY",
        settings_version=-1,
    ),
    _citizen("Accepted", MAGIC["accepted"], "magic: every message is PROCESSED"),
    _citizen(
        "Inbox off",
        MAGIC["inbox_off"],
        "magic: SERVICE_NOT_ALLOWED, the inbox is closed",
        is_inbox_enabled=False,
        is_webhook_enabled=False,
    ),
    _citizen(
        "Service blocked",
        MAGIC["service_blocked"],
        "magic: SERVICE_NOT_ALLOWED, MANUAL mode",
        mode="MANUAL",
    ),
    _citizen(
        "Mail bounces",
        MAGIC["mail_bounces"],
        "magic: PROCESSED, and the copy comes back: the address does not exist",
        is_email_enabled=True,
        is_email_validated=True,
        email="nobody@bounces.example.org",
    ),
    _citizen("Push gone", MAGIC["push_gone"], "magic: PROCESSED, and the device is gone"),
    _citizen("Reads at once", MAGIC["read_at_once"], "magic: READ a second after it has come"),
    _citizen(
        "Pays at once",
        MAGIC["pays_at_once"],
        "magic: the payment node says that every notice sent here is paid",
    ),
    _citizen(
        "Never reads",
        MAGIC["never_reads"],
        "magic: stays UNREAD and NOT_PAID, and is reminded on a test device",
        reminder_status="ENABLED",
    ),
)


async def build(pool: Pool, secrets: Secrets, settings: Settings) -> dict[str, Any]:
    """Make the world if it is not there; what a script needs to know of it."""
    async with pool.transaction() as conn:
        await conn.run(queries.mark_sandbox)
        if not await list_institutions(conn):
            await _add_institutions(conn, secrets, settings)
            await _add_citizens(conn, settings)
            await _add_devices(conn, secrets, settings)
            await operators.add(conn, _ACTOR, OPERATOR)
        if not await conn.value(queries.has_members):
            found = await list_institutions(conn)
            await add_members(conn, _ACTOR, {row["fiscal_code"]: row["id"] for row in found})
        remote = {one.fiscal_code for one in INSTITUTIONS if one.remote}
        await put_configurations(conn, secrets, settings, remote)
        # The oldest of this name, unless people have taken it away.
        owners = sorted(
            str(row["id"])
            for row in await list_services(conn, None)
            if row["name"] == "Anagrafe e tributi" and row["state"] != "deleted"
        )
        site = None
        if owners:
            site = await put_relying_party(conn, secrets, settings, _ACTOR, owners[0])
        people = {_token(secrets, c): c.identity(_LEVEL) for c in CITIZENS}
        await put_sessions(conn, people, "sandbox.json", client_limits(settings))
    async with pool.connection() as conn:
        return {**await _describe(conn, secrets, settings), "relying_party": site}


def person(fiscal_code: str, level: str) -> Identity:
    """Whoever has this code, as an identity provider knows them: one of ours, or somebody new."""
    known = next((c for c in CITIZENS if c.profile.fiscal_code == fiscal_code), None)
    someone = known or _citizen("Prova Sandbox", fiscal_code, "")
    return someone.identity(level)


def _token(secrets: Secrets, citizen: _Citizen) -> str:
    """Always the same in one installation, and known to nobody else."""
    digest = secrets.keyed_digest(f"sandbox.session:{citizen.profile.fiscal_code}")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def write(world: dict[str, Any], path: Path) -> None:
    """`var/sandbox.json`, readable by its owner only: it holds keys."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(world, file, indent=2, ensure_ascii=False)
        file.write("\n")
    temporary.replace(path)


async def is_production(conn: Connection) -> bool:
    """Whether this database has institutions and was not made as a sandbox."""
    if not await migrate.is_created(conn) or await is_sandbox(conn):
        return False
    return bool(await list_institutions(conn))


async def is_sandbox(conn: Connection) -> bool:
    """Whether this database was ever a sandbox."""
    return bool(await conn.value(queries.is_sandbox))


async def _add_institutions(conn: Connection, secrets: Secrets, settings: Settings) -> None:
    ids = {}
    for institution in INSTITUTIONS:
        owner = ids[institution.name] = await create_institution(
            conn,
            _ACTOR,
            institution.fiscal_code,
            institution.name,
            f"ufficio@{institution.fiscal_code}.example.org",
            institution.permissions,
        )
        await keys.create_pair(conn, secrets, _ACTOR, owner, None)
        for service in institution.services.values():
            created = ids[service.name] = await create_service(
                conn, _ACTOR, owner, described(service), settings.sandbox_fiscal_code
            )
            await keys.create_pair(conn, secrets, _ACTOR, owner, created)
    await logos.put_logos(conn, ids)
    first = INSTITUTIONS[0].name
    await past.add(conn, secrets, settings, _ACTOR, ids[first], ids["Anagrafe e tributi"])


async def _add_citizens(conn: Connection, settings: Settings) -> None:
    sandbox = _citizen("Sandbox", settings.sandbox_fiscal_code, "")
    await create_profiles(conn, [citizen.profile for citizen in (*CITIZENS, sandbox)])
    services = {row["name"]: row["id"] for row in await list_services(conn, None)}
    by_name = {citizen.name: citizen.profile.fiscal_code for citizen in CITIZENS}
    await put_preferences(
        conn, [Preference(by_name["Marco Dalmasso"], services["Anagrafe e tributi"], 0)]
    )
    await put_activations(
        conn, [Activation(by_name["Ana Kovač"], services["Carta giovani"], "ACTIVE")]
    )
    await count_enrolled(conn)


async def _add_devices(conn: Connection, secrets: Secrets, settings: Settings) -> None:
    for name, kind in push_sink.DEVICES.items():
        citizen = next(c for c in CITIZENS if c.name == name)
        await devices.put_device(
            conn,
            secrets,
            citizen.profile.fiscal_code,
            push_sink.subscription(secrets, settings.public_url, name, kind),
            label="Sandbox",
            session_id="sandbox",
        )


async def _describe(conn: Connection, secrets: Secrets, settings: Settings) -> dict[str, Any]:
    institutions = {row["id"]: row for row in await list_institutions(conn)}
    about = {s.name: why for i in INSTITUTIONS for why, s in i.services.items()}
    order = {name: place for place, name in enumerate(about)}
    pairs: dict[str, dict[str, str]] = {}
    for row in await conn.rows(queries.all_keys):
        owner = row["service_id"] or row["institution_id"]
        pairs.setdefault(owner, {})[row["slot"]] = secrets.decrypt(row["encrypted"])
    configured = {
        row["institution_id"]: row["id"] for row in await conn.rows(queries.all_configurations)
    }
    services = [
        {
            "id": row["id"],
            "name": row["name"],
            "key": pairs[row["id"]]["primary"],
            "organization_fiscal_code": institutions[row["institution_id"]]["fiscal_code"],
            "organization_name": institutions[row["institution_id"]]["name"],
            "configuration_id": configured.get(row["institution_id"]),
            "about": about[row["name"]],
        }
        for row in await list_services(conn, None)
        if row["name"] in about
    ]
    services.sort(key=lambda service: order[str(service["name"])])
    by_code = {row["fiscal_code"]: row for row in institutions.values()}
    owners = [by_code[one.fiscal_code] for one in INSTITUTIONS if one.fiscal_code in by_code]
    return {
        "base_url": settings.public_url,
        "operations_url": f"http://{settings.ops_host}:{settings.ops_port}",
        "service": {"id": services[0]["id"], "key": services[0]["key"]},
        "services": services,
        "manage_key": pairs[owners[0]["id"]]["primary"],
        "institutions": [
            {
                "id": row["id"],
                "name": row["name"],
                "fiscal_code": row["fiscal_code"],
                "manage_key": pairs[row["id"]]["primary"],
            }
            for row in owners
        ],
        "citizens": [
            {
                "fiscal_code": c.profile.fiscal_code,
                "name": c.name,
                "session_token": _token(secrets, c),
                "about": c.about,
            }
            for c in CITIZENS
        ],
        "sandbox_fiscal_code": settings.sandbox_fiscal_code,
        "magic": MAGIC,
        "unknown_fiscal_code": UNKNOWN,
        "operator": {"login": OPERATOR},
        "staff": [one.described() for one in STAFF],
        "mail_sink_url": f"{settings.public_url}/sandbox/mail",
        "push_sink_url": f"{settings.public_url}{push_sink.PATH}",
        "remote_content_url": institution_server.base_url(settings),
        "remote_content_ids": institution_server.IDS,
        "payment_node_url": f"{settings.public_url}{payment_node.PATH}",
    }
