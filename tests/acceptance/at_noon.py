"""`messo` with a clock that is so many seconds ahead: what is sent by day can be tested by night."""

import os
from datetime import timedelta

from messo.base import clock
from messo.cli import main

if __name__ == "__main__":
    ahead, real = timedelta(seconds=float(os.environ["CLOCK_AHEAD_S"])), clock.now
    clock.now = lambda: real() + ahead
    main()
