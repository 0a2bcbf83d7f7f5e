"""Commands about single sign-on of a service, for operators: `messo service sso …`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from messo.base.db import Connection
from messo.commands.database import (
    ServiceId,
    StoppedError,
    actor,
    console,
    in_transaction,
    settings_of,
    shown,
)

if TYPE_CHECKING:  # what checks keys is slow to load, and most commands check none
    from messo.sso.client_wire import SsoClient, SsoClientList
    from messo.sso.registration import Asked, Rules

sso = typer.Typer(
    help="Single sign-on: the sites of a service that citizens are signed on to.",
    no_args_is_help=True,
)

T = TypeVar("T")
Test = Annotated[bool, typer.Option("--test", help="The client for tests, not the live one.")]
_DISCOVERY = "/.well-known/openid-configuration"
_LONGEST_FILE = 64 * 1024


@sso.command("show")
def sso_show(service_id: ServiceId) -> None:
    """The clients of a service, live and test, without their secrets."""

    async def run(conn: Connection, rules: "Rules") -> "SsoClientList":
        from messo.sso.registration import list_all, service_id_of

        return await list_all(conn, rules, None, service_id_of(service_id))

    clients = _do(run).items
    for one in clients:
        _show(one)
    if not clients:
        console.print("Nothing is registered: `messo service sso register` does it.")


@sso.command("register")
def sso_register(
    service_id: ServiceId,
    *,
    redirect: Annotated[
        list[str], typer.Option(help="Where browsers are sent back to; may be repeated.")
    ],
    name: Annotated[
        list[str], typer.Option(help="What citizens call that place: one for each --redirect.")
    ],
    name_en: Annotated[
        list[str] | None, typer.Option(help="The same in English: one for each, or none.")
    ] = None,
    test: Test = False,
    post_logout: Annotated[
        list[str] | None, typer.Option(help="Where browsers are sent after a logout.")
    ] = None,
    auth: Annotated[
        str,
        typer.Option(help="client_secret_basic, client_secret_post or private_key_jwt."),
    ] = "client_secret_basic",
    jwks: Annotated[
        Path | None, typer.Option(help="A file with the public keys of private_key_jwt.")
    ] = None,
    alg: Annotated[str, typer.Option(help="What signs tokens: RS256 or ES256.")] = "RS256",
    protection: Annotated[
        str, typer.Option(help="pkce_and_nonce, pkce_or_nonce or none.")
    ] = "pkce_and_nonce",
    subject: Annotated[str, typer.Option(help="pairwise or fiscal_code.")] = "pairwise",
    optional: Annotated[
        list[str] | None,
        typer.Option(help="A claim that citizens may refuse; may be repeated."),
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="The least level of assurance (acr) of a login.")
    ] = None,
    backchannel: Annotated[
        str | None, typer.Option(help="An address that is told when a citizen logs out.")
    ] = None,
) -> None:
    """Register a site, or replace all its settings; what is left out has its default."""
    wanted = {
        "redirect_uris": _places(redirect, name, name_en or []),
        "post_logout_redirect_uris": post_logout or [],
        "token_endpoint_auth_method": auth,
        "jwks": _keys(jwks) if jwks else None,
        "id_token_signed_response_alg": alg,
        "request_protection": protection,
        "subject_type": subject,
        "optional_claims": optional or [],
        "level": level,
        "backchannel_logout_uri": backchannel,
    }

    async def run(conn: Connection, rules: "Rules") -> "tuple[SsoClient, bool]":
        from messo.sso.client_wire import SsoSettings
        from messo.sso.registration import put

        settings = msgspec.convert(wanted, SsoSettings)
        return await put(conn, rules, actor(), _asked(service_id, test=test), settings)

    client, made = _do(run)
    console.print("Registered." if made else "Replaced.")
    _show(client)


@sso.command("secret")
def sso_secret(
    service_id: ServiceId,
    *,
    test: Test = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Make no new one; only drop the old one.")
    ] = False,
) -> None:
    """Replace the secret; the old one is good for 24 hours more, or until it is dropped."""
    if drop_old:

        async def drop(conn: Connection, _: "Rules") -> None:
            from messo.sso.registration import drop_old_secret

            await drop_old_secret(conn, actor(), _asked(service_id, test=test))

        _do(drop)
        console.print("Dropped; only the newest secret is good.")
        return

    async def run(conn: Connection, rules: "Rules") -> "SsoClient":
        from messo.sso.registration import replace_secret

        return await replace_secret(conn, rules, actor(), _asked(service_id, test=test))

    client = _do(run)
    _line("secret", str(client.client_secret))
    _line("old secret", f"good until {client.old_secret_until}")


@sso.command("delete")
def sso_delete(service_id: ServiceId, *, test: Test = False) -> None:
    """Sign nobody on there any more."""

    async def run(conn: Connection, _: "Rules") -> None:
        from messo.sso.registration import delete

        await delete(conn, actor(), _asked(service_id, test=test))

    _do(run)
    console.print("Deleted.")


def _places(redirects: list[str], names: list[str], english: list[str]) -> list[dict[str, Any]]:
    """Each address with what it is called, in the order in which they were given."""
    if len(names) != len(redirects):
        raise StoppedError(
            f"give one --name for each --redirect: there are {len(redirects)} addresses and "
            f"{len(names)} names"
        )
    if english and len(english) != len(redirects):
        raise StoppedError(
            f"give --name-en for each --redirect or not at all: there are {len(redirects)} "
            f'addresses and {len(english)} English names; "" leaves one out'
        )
    found = []
    for uri, name, en in zip(redirects, names, english or [""] * len(names), strict=True):
        display = {"it": name, "en": en} if en else {"it": name}
        found.append({"uri": uri, "display_name": display})
    return found


def _keys(path: Path) -> object:
    with path.open("rb") as file:
        content = file.read(_LONGEST_FILE + 1)
    if len(content) > _LONGEST_FILE:
        raise StoppedError(f"{path} is too large for a set of keys")
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StoppedError(f"{path} holds no JSON") from None


def _asked(service_id: str, *, test: bool) -> "Asked":
    from messo.sso.registration import Asked, service_id_of

    return Asked(None, service_id_of(service_id), "test" if test else "live")


def _do(function: Callable[[Connection, "Rules"], Awaitable[T]]) -> T:
    """Run it in one transaction; a refusal of the API is one of the command."""
    from messo.outside import networks
    from messo.sso.registration import Rules

    async def run(conn: Connection) -> T:
        settings = await settings_of(conn)
        return await function(conn, Rules.of(settings, networks(settings)))

    try:
        return in_transaction(run)
    except msgspec.ValidationError as error:
        raise StoppedError(str(error)) from None


def _show(client: "SsoClient") -> None:
    """One client, a fact a line, for people and for `grep`."""
    _line("client id", client.client_id)
    if client.client_secret:
        _line("secret", f"{client.client_secret}")
    if client.old_secret_until:
        _line("old secret", f"good until {client.old_secret_until}")
    _line("issuer", client.issuer)
    _line("discovery", client.issuer + _DISCOVERY)
    for one in client.redirect_uris:
        _line("redirect", f"{one.uri}  {one.display_name.it}")
    for uri in client.post_logout_redirect_uris:
        _line("after logout", uri)
    if client.backchannel_logout_uri:
        _line("told of logout", client.backchannel_logout_uri)
    keys = f", {len(client.jwks.keys)} keys" if client.jwks else ""
    _line("auth", client.token_endpoint_auth_method + keys)
    _line("tokens", f"{client.id_token_signed_response_alg}, sub is {client.subject_type}")
    _line("requests", client.request_protection)
    _line("optional", ", ".join(["email", *client.optional_claims]))
    if client.level:
        _line("level", client.level)
    for advice in client.advice:
        _line("advice", f"{advice.field}: {advice.advice}")


def _line(what: str, value: str) -> None:
    console.print(f"{what:<14} {shown(value)}", soft_wrap=True)
