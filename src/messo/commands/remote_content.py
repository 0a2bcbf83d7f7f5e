"""Commands about remote content, for operators: `messo service check-remote`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from messo.commands.database import (
    StoppedError,
    console,
    in_transaction,
    listing,
    read_secrets,
    settings_of,
    shown,
)
from messo.settings import Settings

if TYPE_CHECKING:
    from messo.base.db import Connection
    from messo.content import wire


def check_remote(
    configuration_id: Annotated[str, typer.Argument(help="The configuration's id.")],
    message: Annotated[
        str, typer.Option(help="The institution's own id of a message: third_party_data.id.")
    ],
    citizen: Annotated[str, typer.Option(help="The fiscal code of whom it is for.")],
) -> None:
    """Call an institution's server as for a citizen, and say what is wrong, field by field."""
    from messo.content import Ask, PdfCheck, make_outbound, wire
    from messo.content.advice import advise
    from messo.content.check import Check
    from messo.content.configuration_routes import add_advice
    from messo.content.configurations import find
    from messo.content.lookup import loaded
    from messo.outside import networks

    secrets = read_secrets(Settings.read())

    async def look(conn: "Connection") -> "tuple[wire.Configuration, Settings]":
        return await find(conn, secrets, configuration_id.upper()), await settings_of(conn)

    try:
        wanted = msgspec.convert({"id": message, "fiscal_code": citizen}, wire.CheckRequest)
        given, settings = in_transaction(look)
    except msgspec.ValidationError as error:
        raise StoppedError(str(error).replace("\\\\Z", "$")) from None

    async def run() -> wire.CheckReport:
        outbound = make_outbound(networks(settings), open_s=0)
        try:
            async with PdfCheck().place() as place:
                check = Check(Ask(outbound), place, loaded(given))
                return await check.run(wanted.id, wanted.fiscal_code)
        finally:
            await outbound.close()

    report = add_advice(asyncio.run(run()), advise(given, networks(settings)))
    _show(report)
    if not report.ok:
        raise typer.Exit(1)


def _show(report: "wire.CheckReport") -> None:
    calls = listing("Request", "Status", "ms")
    for call in report.calls:
        calls.add_row(shown(call.call), str(call.status or "none"), str(call.ms))
    console.print(calls)
    if report.findings:
        faults = listing("", "Where", "What")
        for one in report.findings:
            faults.add_row(
                "advice" if one.is_advice else "fault",
                shown(f"{one.call} {one.field}"),
                shown(one.problem),
            )
        console.print(faults)
    console.print("All is well." if report.ok else "Citizens do not get this content as it is.")
