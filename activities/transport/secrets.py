"""Resolve the references to secrets that stand in an estate."""

import stat
from collections.abc import Mapping
from pathlib import Path

from workflows.errors import AccessRefused, BadInput


class Secrets:
    """Resolves ``env:NAME`` and ``file:PATH`` at each use; stores nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def read(self, reference: str) -> str:
        """Return the secret without one trailing newline.

        Raises:
            BadInput: the reference leads to no secret.
            AccessRefused: the worker's user may not read the file.
        """
        kind, _, name = reference.partition(":")
        match kind:
            case "env":
                if name not in self._environment:
                    raise BadInput(f"env:{name}: the worker's environment has no {name}; set it")
                return self._environment[name].removesuffix("\n")
            case "file":
                return _from_file(Path(name))
            case _:
                raise BadInput("a secret reference is neither env:NAME nor file:PATH; correct it")


def readable_by_others(*references: str | None) -> tuple[str, ...]:
    """Return the files among these that every user of the worker's machine may read."""
    files = (r.removeprefix("file:") for r in references if r and r.startswith("file:"))
    return tuple(file for file in dict.fromkeys(files) if _is_public(file))


def _is_public(file: str) -> bool:
    try:
        return bool(Path(file).stat().st_mode & stat.S_IROTH)
    except OSError:  # reading it says why
        return False


def _from_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except FileNotFoundError:
        raise BadInput(f"file:{path}: the worker has no such file; create it") from None
    except OSError as refusal:
        raise AccessRefused(
            f"file:{path}: the worker may not read it ({refusal.strerror}); allow it"
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"file:{path}: it is not UTF-8 text; check its content") from None
