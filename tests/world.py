"""The cast of the tests: Anna's and Bruno's towns, citizens of every kind, and a stranger."""

from dataclasses import dataclass
from typing import Any

import msgspec

from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.content import configurations
from messo.content.wire import NewConfiguration
from messo.recipients.preferences import Activation, Preference, put_activations, put_preferences
from messo.recipients.profile import Profile, create_profiles
from messo.sandbox.fiscal_codes import make
from messo.services import keys
from messo.services.permissions import DEFAULT, Permission
from messo.services.services import NewService, create_institution, create_service

SANDBOX = "AAAAAA00A00A000A"
ACTOR = "tests"
ALL = tuple(Permission)
REMOTE_KEY = "the institution's key"

# Citizens, by what is peculiar to them.
AUTO = make("TSTAUT80A01Y001")
MANUAL = make("TSTMNL80A01Y002")  # lets in only Anna's first service
LEGACY = make("TSTLGC80A01Y003")
CLOSED = make("TSTCLS80A01Y004")  # inbox off
BLOCKING = make("TSTBLC80A01Y005")  # AUTO, but not Anna's first service
ACTIVATED = make("TSTACT80A01Y006")  # has the SPECIAL service
STRANGER = make("TSTSTR80A01Y007")  # not enrolled


@dataclass(frozen=True)
class Caller:
    """A service and its key; `headers` are what a request of it needs."""

    id: str
    key: str
    institution: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Ocp-Apim-Subscription-Key": self.key}


@dataclass(frozen=True)
class World:
    """`anna`: every permission, payments to 1,000 euro. `bruno`: another institution, the usual
    permissions. `limited`: writes only to its authorized recipients. `draft`, `special`, `secure`:
    services of Anna's institution."""

    anna: Caller
    bruno: Caller
    limited: Caller
    draft: Caller
    special: Caller
    secure: Caller
    manage_key: str
    secrets: Secrets


async def add_service(
    conn: Connection, secrets: Secrets, institution: str, new: NewService
) -> Caller:
    service = await create_service(conn, ACTOR, institution, new, SANDBOX)
    pair = await keys.create_pair(conn, secrets, ACTOR, institution, service)
    return Caller(service, pair["primary"], institution)


async def add_configuration(
    conn: Connection, secrets: Secrets, institution: str, base_url: str = "", **more: Any
) -> str:
    """A remote-content configuration; its id. `more` replaces members of the body, None drops them."""
    body: dict[str, Any] = {
        "name": "Documenti",
        "description": "I documenti",
        "has_precondition": "NEVER",
        "disable_lollipop_for": [],
        "is_lollipop_enabled": False,
        **more,
    }
    if base_url:
        body.setdefault("prod_environment", environment(base_url))
    given = {name: value for name, value in body.items() if value is not None}
    new = msgspec.convert(given, NewConfiguration)
    return (await configurations.create(conn, secrets, institution, new)).configuration_id


def environment(base_url: str, key: str = REMOTE_KEY) -> dict[str, Any]:
    """Where an institution's server is, as the API takes it."""
    authentication = {"header_key_name": "X-API-Key", "key": key, "type": "API-KEY"}
    return {"base_url": base_url, "details_authentication": authentication}


async def build(pool: Pool, secrets: Secrets) -> World:
    async with pool.transaction() as conn:
        anna = await create_institution(
            conn, ACTOR, "00000000001", "Comune di Anna", "anna@example.org", ALL
        )
        bruno = await create_institution(
            conn, ACTOR, "00000000002", "Comune di Bruno", "bruno@example.org", DEFAULT
        )
        third = await create_institution(
            conn,
            ACTOR,
            "00000000003",
            "Consorzio di Carla",
            "carla@example.org",
            (
                Permission.LIMITED_MESSAGE_WRITE,
                Permission.MESSAGE_READ,
                Permission.LIMITED_PROFILE_READ,
            ),
        )
        manage = await keys.create_pair(conn, secrets, ACTOR, anna, None)

        async def service(institution: str, name: str, **more: Any) -> Caller:
            return await add_service(conn, secrets, institution, NewService(name, **more))

        made = World(
            anna=await service(anna, "Anagrafe", max_allowed_payment_amount=100_000),
            bruno=await service(bruno, "Biblioteca"),
            limited=await service(third, "Acqua", authorized_recipients=(AUTO,)),
            draft=await service(anna, "Bozza", state="draft"),
            special=await service(anna, "Carta giovani", category="SPECIAL"),
            secure=await service(anna, "Referti", require_secure_channels=True),
            manage_key=manage["primary"],
            secrets=secrets,
        )
        await create_profiles(
            conn,
            [
                _open(AUTO, preferred_languages=["it_IT", "en_GB"]),
                _open(SANDBOX),
                _open(MANUAL, mode="MANUAL"),
                _open(LEGACY, mode="LEGACY", settings_version=-1),
                _open(CLOSED, is_inbox_enabled=False),
                _open(BLOCKING),
                _open(ACTIVATED),
            ],
        )
        await put_preferences(
            conn,
            [
                Preference(MANUAL, made.anna.id, 0),
                Preference(BLOCKING, made.anna.id, 0, is_inbox_enabled=False),
            ],
        )
        await put_activations(conn, [Activation(ACTIVATED, made.special.id, "ACTIVE")])
    return made


def _open(fiscal_code: str, **more: Any) -> Profile:
    values: dict[str, Any] = {
        "mode": "AUTO",
        "settings_version": 0,
        "is_inbox_enabled": True,
        "is_webhook_enabled": True,
        **more,
    }
    return Profile(fiscal_code, **values)


def message(fiscal_code: str | None = AUTO, **content: Any) -> dict[str, Any]:
    """A valid body; `content` adds to its content or replaces parts of it."""
    body: dict[str, Any] = {
        "content": {
            "subject": "La tua tessera è pronta",
            "markdown": "Ciao! La tua tessera della biblioteca è pronta: puoi ritirarla allo "
            "sportello quando vuoi, portando con te un documento.",
            **content,
        }
    }
    if fiscal_code is not None:
        body["fiscal_code"] = fiscal_code
    return body
