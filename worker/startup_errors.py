"""Why a worker does not start: a sentence for whoever started it, and an exit code."""

from __future__ import annotations


class StartupError(Exception):
    """What was configured cannot be used; trying again as it stands cannot help."""

    exit_code = 2


class TemporalUnavailable(StartupError):
    """Temporal is not there, or does not let us in."""

    exit_code = 1
