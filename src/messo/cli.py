"""The installed program: puts the commands together and makes errors readable."""

import socket
import sys

import typer

from messo.base import db, log
from messo.base.crypto import SecretError
from messo.base.migrate import SchemaError
from messo.base.postgres_programs import PostgresError
from messo.commands import (
    developers,
    institutions,
    operators,
    payments,
    reminders,
    running,
    signing_keys,
)
from messo.commands.database import StoppedError
from messo.settings import RefusedError, SettingError

cli = typer.Typer(
    help="Personal messages from public institutions to citizens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(running.commands)
cli.add_typer(developers.commands)
cli.add_typer(institutions.institution, name="institution")
cli.add_typer(institutions.service, name="service")
cli.add_typer(operators.citizen, name="citizen")
cli.add_typer(operators.operator, name="operator")
cli.add_typer(operators.guard, name="guard")
cli.add_typer(payments.payments, name="payments")
cli.add_typer(reminders.reminders, name="reminders")
cli.add_typer(signing_keys.sso, name="sso")


def main() -> None:
    """Run the program; errors a person can mend are one line, without a traceback."""
    from messo.base.http import Problem
    from messo.services.services import NotAcceptedError

    mendable = (
        StoppedError,
        RefusedError,
        NotAcceptedError,
        SettingError,
        SecretError,
        SchemaError,
        PostgresError,
    )
    try:
        cli()
    except mendable as error:
        sys.exit(f"messo: {error}")
    except Problem as problem:
        sys.exit(f"messo: {problem.detail}")
    except (ConnectionError, TimeoutError, socket.gaierror) as error:
        sys.exit(f"messo: the database cannot be reached ({type(error).__name__})")
    except OSError as error:
        sys.exit(f"messo: {error}")
    except Exception as error:
        if not db.sqlstate(error):
            raise
        if db.sqlstate(error) == db.UNDEFINED_TABLE:
            sys.exit("messo: the database has no tables of ours yet: run `messo migrate`")
        sys.exit(f"messo: the database refuses this ({log.describe(error)})")
