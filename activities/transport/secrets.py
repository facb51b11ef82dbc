"""Resolve the references to secrets that stand in an estate."""

import stat
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from activities.concealment import remember
from activities.transport.files import SECRET_BYTES, Outside, in_time, read_file, resolved
from workflows.errors import AccessRefused, BadInput
from workflows.model.text import listed

VARIABLES_SETTING = "--secret-variables (SWITCHOVER_SECRET_VARIABLES)"
DIRECTORIES_SETTING = "--secrets (SWITCHOVER_SECRETS)"


class Secrets:
    """Resolves ``env:NAME`` and ``file:PATH`` at each use; stores nothing.

    Whoever writes an estate chooses its references. So they lead to these variables, and to files
    below these directories, and nowhere else.
    """

    def __init__(self, variables: Mapping[str, str], directories: Sequence[Path] = ()) -> None:
        self._variables = variables
        self._directories = tuple(directories)

    async def read(self, reference: str) -> str:
        """Return the secret without one trailing newline.

        Raises:
            BadInput: the reference leads to no secret.
            AccessRefused: the worker may not read the file.
        """
        kind, _, name = reference.partition(":")
        match kind:
            case "env":
                if name not in self._variables:
                    raise BadInput(
                        f"env:{name}: the worker's environment has no {name} that estates may use; "
                        f"set it, under a name that begins as {VARIABLES_SETTING} allows"
                    )
                return self._variables[name].removesuffix("\n")
            case "file":
                return await self._from_file(Path(name))
            case _:
                raise BadInput("a secret reference is neither env:NAME nor file:PATH; correct it")

    async def socket(self, reference: str) -> str:
        """Return the path of a local socket: the file itself, or what the variable says.

        Raises:
            BadInput: the reference leads to no path.
            AccessRefused: the file is not below a directory of secrets.
        """
        if not reference.startswith("file:"):
            return await self.read(reference)
        path = Path(reference.removeprefix("file:"))
        try:
            resolve = partial(resolved, path, self._directories)
            return str(await in_time(("socket", path, self._directories), resolve))
        except Outside:
            raise AccessRefused(self._outside(path)) from None
        except OSError as refusal:
            raise AccessRefused(f"file:{path}: {refusal.strerror}; name another file") from None

    def _outside(self, path: Path) -> str:
        allowed = listed(map(str, self._directories)) or "none"
        return (
            f"file:{path}: it does not lead below a directory of secrets ({allowed}); move it "
            f"there, or allow its directory with {DIRECTORIES_SETTING}"
        )

    async def password(self, reference: str) -> str:
        """Return a secret that is sent to a place, and concealed where that shows it again."""
        password = await self.read(reference)
        remember(password)
        return password

    async def _from_file(self, path: Path) -> str:
        try:
            content = await read_file(path, SECRET_BYTES, self._directories)
            return content.decode().removesuffix("\n")
        except FileNotFoundError:
            raise BadInput(f"file:{path}: the worker has no such file; create it") from None
        except Outside:
            raise AccessRefused(self._outside(path)) from None
        except OSError as refusal:
            raise AccessRefused(
                f"file:{path}: the worker may not read it ({refusal.strerror}); "
                "allow it, or name another file"
            ) from None
        except UnicodeDecodeError:
            raise BadInput(f"file:{path}: it is not UTF-8 text; check its content") from None


async def readable_by_others(*references: str | None) -> tuple[str, ...]:
    """Return the files among these that every user of the worker's machine may read."""
    files = dict.fromkeys(
        r.removeprefix("file:") for r in references if r and r.startswith("file:")
    )
    return tuple([file for file in files if await _is_public(file)])


async def _is_public(file: str) -> bool:
    try:
        mode = await in_time(("mode", file), partial(_mode, file))
    except OSError:  # reading it says why
        return False
    return bool(mode & stat.S_IROTH)


def _mode(file: str) -> int:
    return Path(file).stat().st_mode
