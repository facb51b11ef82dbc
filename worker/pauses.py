"""Keep the event loop from standing still for what can be done before it runs."""

import gc
import sys

from activities.transport import http

SWITCH_INTERVAL = 0.001
"""Seconds that a thread which computes keeps the loop waiting each time, if the loop let go."""


async def prepare() -> None:
    """Load what is loaded late, and let no garbage collection look at what stays for ever.

    A whole collection looks at everything that is in memory, and nothing runs meanwhile: with all
    modules for 60 ms, and one comes whenever an answer is long.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    await http.load()
    gc.collect()
    gc.freeze()
