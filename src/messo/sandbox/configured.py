"""What the sandbox's institutions have registered here: at every start, for ports may have moved."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.base.http import Problem
from messo.base.sql import Queries
from messo.content import configurations, wire
from messo.sandbox import institution, relying_party
from messo.sandbox.descriptions import sportello
from messo.sandbox.openid import LOOPBACK, own_address
from messo.services import catalog
from messo.services.services import describe_service, list_institutions
from messo.settings import Settings
from messo.sso import registration
from messo.sso.client_wire import SsoSettings

queries = Queries("messo.sandbox")


async def put_configurations(
    conn: Connection, secrets: Secrets, settings: Settings, fiscal_codes: Collection[str]
) -> None:
    """The remote content of the institutions with these fiscal codes."""
    known = {
        row["institution_id"]: row["id"] for row in await conn.rows(queries.all_configurations)
    }
    for row in await list_institutions(conn):
        if row["fiscal_code"] not in fiscal_codes:
            continue
        wanted = wire.NewConfiguration(
            "Contenuti remoti",
            "Served by the sandbox's institution server",
            "ONCE",
            [],
            False,
            wire.Environment(
                institution.base_url(settings),
                wire.Authentication(institution.HEADER, institution.api_key(secrets), "API-KEY"),
            ),
        )
        if row["id"] in known:
            await configurations.replace(conn, secrets, row["id"], known[row["id"]], wanted)
        else:
            await configurations.create(conn, secrets, row["id"], wanted)


async def put_relying_party(
    conn: Connection, secrets: Secrets, settings: Settings, actor: str, service_id: str
) -> str | None:
    """Sign citizens on to the sandbox's relying party, for this service; its address.

    None, and nothing is done, where people have registered a site of their own for the service,
    or where ours could not be registered: a sandbox on another host without encryption.
    """
    issuer = settings.public_url.rstrip("/")
    rules = registration.Rules(
        issuer, settings.login_levels, (*settings.outbound_networks, *LOOPBACK), sandbox=True
    )
    asked = registration.Asked(None, service_id, "live")
    known = await registration.list_all(conn, rules, None, service_id)
    for client in known.items:
        paths = {urlsplit(one.uri).path for one in client.redirect_uris}
        if client.environment == "live" and paths != {relying_party.CALLBACK}:
            return None
    wanted = msgspec.convert(_settings(issuer, settings), SsoSettings)
    secret = relying_party.client_secret(secrets)
    try:
        made, _ = await registration.put(conn, rules, actor, asked, wanted, secret=secret)
    except Problem:
        return None
    if made.client_secret != secret:  # it was made under other installation secrets
        await registration.delete(conn, actor, asked)
        await registration.put(conn, rules, actor, asked, wanted, secret=secret)
    address = relying_party.address(settings)
    await _put_button(conn, actor, service_id, sportello(address))
    return address


def _settings(issuer: str, settings: Settings) -> dict[str, Any]:
    italian, english = relying_party.NAMES
    return {
        "redirect_uris": [
            {
                "uri": issuer + relying_party.CALLBACK,
                "display_name": {"it": italian, "en": english},
            }
        ],
        "post_logout_redirect_uris": [issuer + relying_party.AFTER],
        "backchannel_logout_uri": own_address(settings) + relying_party.LOGOUT,
    }


async def _put_button(conn: Connection, actor: str, service_id: str, cta: str) -> None:
    """On the page of the service, unless people have put others there."""
    service = await catalog.read_service(conn, service_id)
    there = service.metadata["cta"] if service else cta
    if there != cta and (not there or relying_party.PATH in there):
        await describe_service(conn, actor, service_id, None, {"cta": cta})
