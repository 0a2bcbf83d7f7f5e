"""`python -m messo` is the same program as `messo`."""

from messo.cli import main

main()
