"""`python -m messo_client.remote module:content MESSAGE_ID FISCAL_CODE`: the self-test."""

import argparse
import importlib
import sys

from messo_client.remote.content import RemoteContent
from messo_client.remote.shapes import Asked


def main() -> int:
    """Print what is wrong, a line a fault. 0 if nothing is, 1 if something is."""
    parser = argparse.ArgumentParser(
        prog="python -m messo_client.remote",
        description="Checks one message as the functions of an institution give it.",
    )
    parser.add_argument("content", help="where the RemoteContent is: module:name")
    parser.add_argument("message_id", help="the institution's own id of a message that exists")
    parser.add_argument("fiscal_code", help="the fiscal code of its recipient")
    arguments = parser.parse_args()
    module, _, name = arguments.content.partition(":")
    try:
        content = getattr(importlib.import_module(module), name) if module and name else None
    except (ModuleNotFoundError, AttributeError) as missing:
        parser.error(str(missing))
    if not isinstance(content, RemoteContent):
        parser.error(f"{arguments.content}: no RemoteContent, must be module:name of one")
    found = content.self_test(Asked(arguments.message_id, arguments.fiscal_code))
    sys.stdout.write("".join(f"{each}\n" for each in found) or "No fault found.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
