"""Lists of an institution with 10,000 services: any page against the first, in the same run."""

import asyncio
from datetime import timedelta

from bench.ground import Ground, Line, console, key_line, load, median, server
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.ids import new_id
from messo.login import Identity, Limits, open_session
from messo.services import Manager, groups, keys
from messo.services.payload import Data
from messo.services.permissions import DEFAULT
from messo.services.services import create_institution, insert_service

SERVICES = 10_000
PAGE = 20
ROUNDS = 5
SECONDS = 2
_FISCAL_CODE = "99999999999"


def run(made: Ground) -> None:
    with console.status(f"Making {SERVICES:,} services …"):
        master, group, bearer = asyncio.run(_fill(made))
    manage = f"/api/v1/manage/services?limit={PAGE}&offset="
    catalog = f"/api/catalog/v1/institutions/{_FISCAL_CODE}/services?limit={PAGE}&offset="
    with server(made) as (port, _):
        for what, path, header in (
            ("services by manage key", manage, key_line(master)),
            ("services by a group's key", manage, key_line(group)),
            ("services in the catalogue", catalog, f"Authorization: Bearer {bearer}"),
        ):
            first = [("GET", f"{path}0", header, "")]
            last = [("GET", f"{path}{SERVICES - PAGE}", header, "")]
            load(port, first, SECONDS)  # warm
            ratios, rates, ceilings = [], [], []
            for _ in range(ROUNDS):
                top, ours = load(port, first, SECONDS, 8), load(port, last, SECONDS, 8)
                if set(top["codes"]) | set(ours["codes"]) != {"200"}:
                    raise RuntimeError(f"{what}: {top['codes']} {ours['codes']}")
                ratios.append(ours["per_second"] / top["per_second"])
                rates.append(ours["per_second"])
                ceilings.append(top["per_second"])
            made.lines.append(
                Line(
                    f"{what}, the last of {SERVICES // PAGE} pages",
                    f"{median(rates):,.0f}/s",
                    f"{median(ceilings):,.0f}/s, the first page",
                    f"{median(ratios):.2f}",
                )
            )


async def _fill(made: Ground) -> tuple[str, str, str]:
    """An institution with its services, all in one group: both its keys, and a citizen's token."""
    secrets = Secrets.parse(made.secrets)
    pool = await Pool.open(made.url, 1)
    async with pool.transaction() as conn:
        institution = await create_institution(
            conn, "bench", _FISCAL_CODE, "Comune grande", "a@example.org", DEFAULT
        )
        master = await keys.create_pair(conn, secrets, "bench", institution, None)
        manager = Manager(institution, frozenset(DEFAULT), "bench")
        group = str((await groups.create(conn, secrets, manager, "Tutti", []))["id"])
        pair = await keys.read_pair(conn, secrets, group)
        await add_services(conn, institution, group)
        identity = Identity(made.citizens[0], "Anna", "Prova", "https://www.spid.gov.it/SpidL2")
        life = timedelta(hours=12)
        token = await open_session(conn, identity, "client", "bench", Limits(life, life))
    async with pool.connection() as conn:
        await conn.script("VACUUM ANALYZE services.service, services.lifecycle, services.key")
    await pool.close()
    return master["primary"], pair["primary"], token


async def add_services(
    conn: Connection, institution: str, group: str | None, count: int = SERVICES
) -> None:
    """One as the program makes it, and copies of that one under other names and places."""
    data = Data(
        name="Servizio 0",
        description="Che cosa offre il servizio, e a chi. " * 10,
        authorized_recipients=["AAAAAA00A00A000A"],
        topic_id=6,
        metadata={"scope": "LOCAL", "privacy_url": "https://example.org/p", "email": "a@b.example"},
    )
    first = new_id()
    await insert_service(
        conn, first, institution, data, actor="bench", state="published", group_id=group
    )
    ids = [new_id() for _ in range(count - 1)]
    await conn.raw.execute(
        """
        INSERT INTO services.service (
            id, institution_id, name, department, category, state, require_secure_channels,
            authorized_recipients, authorized_cidrs, max_allowed_payment_amount, created_at,
            description, metadata, topic_id, group_id, group_position, updated_at
        )
        SELECT
            u.id, s.institution_id, 'Servizio ' || u.place, s.department, s.category, s.state,
            s.require_secure_channels, s.authorized_recipients, s.authorized_cidrs,
            s.max_allowed_payment_amount, s.created_at, s.description, s.metadata, s.topic_id,
            s.group_id, u.place, s.updated_at
        FROM services.service AS s
        CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS u (id, place)
        WHERE s.id = $1
        """,
        first,
        ids,
    )
    await conn.raw.execute(
        """
        INSERT INTO services.lifecycle (
            service_id, institution_id, position, status, auto_publish, waits, data, version,
            updated_at
        )
        SELECT
            u.id, l.institution_id, u.place, l.status, l.auto_publish, l.waits,
            jsonb_set(l.data, '{name}', to_jsonb('Servizio ' || u.place)), l.version, l.updated_at
        FROM services.lifecycle AS l
        CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS u (id, place)
        WHERE l.service_id = $1
        """,
        first,
        ids,
    )
