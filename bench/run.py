"""`./bin/bench [name …]`: run them, print one table."""

import contextlib
import os
import sys

from rich.table import Table

from bench import (
    accept,
    consoles,
    inbox,
    logins,
    markdown,
    memory,
    notices,
    processing,
    reads,
    reminders,
    remote,
    services,
    start,
    together,
)
from bench.ground import Ground, console, ground

ALL = {
    "accept": accept.run,
    "processing": processing.run,
    "together": together.run,
    "reads": reads.run,
    "inbox": inbox.run,
    "consoles": consoles.run,
    "markdown": markdown.run,
    "notices": notices.run,
    "remote": remote.run,
    "reminders": reminders.run,
    "logins": logins.run,
    "services": services.run,
    "memory": memory.run,
    "start": start.run,
}
_NEEDS_NO_GROUND = {"markdown", "start"}


def main() -> None:
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]}; there are {', '.join(ALL)}")
    no_ground = contextlib.nullcontext(Ground("", "", [], []))
    with ground() if set(names) - _NEEDS_NO_GROUND else no_ground as made:
        for name in names:
            console.print(f"[bold]{name}[/bold]")
            ALL[name](made)
    table = Table("What", "Measured", "Ceiling in the same run", "Ratio", "Bar")
    for line in made.lines:
        table.add_row(line.what, line.measured, line.ceiling, line.ratio, line.bar)
    console.print(f"\n{os.cpu_count()} processors; compare ratios, not rates.")
    console.print(table)


if __name__ == "__main__":
    main()
