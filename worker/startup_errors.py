"""Errors that keep a worker from starting, with their exit codes."""


class StartupError(Exception):
    """The configuration cannot be used; a restart alone does not help."""

    exit_code = 2


class TemporalUnavailable(StartupError):
    """The Temporal server does not answer, or refuses the worker."""

    exit_code = 1
