"""Where estates may find secrets: the directories and variables that the worker's settings name.

Whoever writes an estate writes its references. What the worker itself holds is never among them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from worker.startup_errors import StartupError

DIRECTORY = "/etc/switchover/secrets"
PREFIXES = "ST_:SWITCHOVER_"
OWN = ("TEMPORAL_", "OTEL_", "SWITCHOVER_SEAL", "PATH")
"""How the worker's own variables begin, which no estate may refer to, whatever the settings say."""
OWN_FILES = ("TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_CONFIG_FILE")
"""Variables that lead to a file with a secret of the worker's own."""


def secret_variables(
    environment: Mapping[str, str], prefixes: Sequence[str] | None
) -> dict[str, str]:
    """Return the variables that estates may refer to."""
    allowed = _listed(prefixes, environment.get("SWITCHOVER_SECRET_VARIABLES", PREFIXES))
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(allowed) and not name.startswith(OWN)
    }


def secret_directories(
    environment: Mapping[str, str], directories: Sequence[str] | None, seal_keys: Path
) -> tuple[Path, ...]:
    """Return the directories below which files are that estates may refer to.

    Raises:
        StartupError: one is not absolute, or holds a secret of the worker's own.
    """
    allowed = tuple(
        map(Path, _listed(directories, environment.get("SWITCHOVER_SECRETS", DIRECTORY)))
    )
    for directory in allowed:
        if not directory.is_absolute():
            raise StartupError(f"--secrets: {directory} is no absolute path; write it from / on")
        own_files = {name: Path(environment.get(name, "")) for name in OWN_FILES}
        for name, own in {**own_files, "--seal-keys": seal_keys}.items():
            if own.is_absolute() and own.resolve().is_relative_to(directory.resolve()):
                raise StartupError(
                    f"--secrets: {directory} holds {own}, which is the worker's own ({name}); "
                    "move that file, or the secrets of estates, to another directory"
                )
    return allowed


def _listed(given: Sequence[str] | None, otherwise: str) -> tuple[str, ...]:
    parts = ":".join(given if given is not None else (otherwise,)).split(":")
    return tuple(part for part in parts if part)
