"""What Windows machines need of the machine that the lab is on, made once for each lab.

``wine`` copies some hundred megabytes into a new prefix, so all machines of a lab share its
``windows`` directory. The programs that wine lacks are compiled from C.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

COMPILER = "x86_64-w64-mingw32-gcc"
NEEDED = {"wine": "wine", "wineserver": "wine64", COMPILER: "gcc-mingw-w64-x86-64-win32"}
"""Programs, and Debian's packages that bring them."""
PROGRAMS = {"session": "-municode", "call": "-lws2_32"}
"""Each with the option that its source is compiled with."""
INSTALL_TIMEOUT = 120.0
SOURCES = Path(__file__).parent


class WindowsFailed(Exception):
    """A Windows machine cannot be made; the message says why."""


def missing() -> str | None:
    """Return what has to be installed before there can be Windows machines, as a sentence."""
    packages = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if not packages:
        return None
    return (
        f"Windows nodes need wine and a compiler of Windows programs: install {', '.join(packages)}"
    )


def environment(prefix: Path) -> dict[str, str]:
    """Return what a Windows program is started with."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(prefix),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "WINEPREFIX": str(prefix),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        # Neither .NET, nor a browser, nor entries in a desktop's menu.
        "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=d",
    }


def install(folder: Path) -> None:
    """Make the prefix that machines copy, and the programs; WindowsFailed if that fails."""
    if sentence := missing():
        raise WindowsFailed(sentence)
    shutil.rmtree(folder, ignore_errors=True)
    prefix = folder / "prefix"
    prefix.mkdir(parents=True)
    try:
        _run(["wine", "wineboot", "--init"], prefix)
        _run(["wineserver", "--wait"], prefix)
    finally:
        _run(["wineserver", "--kill"], prefix, check=False)
        forget_server(prefix)
    for program, option in PROGRAMS.items():
        made, source = folder / f"{program}.exe", SOURCES / f"{program}.c"
        _run([COMPILER, "-Os", "-s", "-o", str(made), str(source), option], prefix)


def forget_server(prefix: Path) -> None:
    """Remove what a server of wine leaves in the system's own directory after its end."""
    named = prefix / "wineserver"
    if named.exists():
        folder = Path("/tmp") / named.read_text(encoding="utf-8")  # noqa: S108 - wine's own choice
        shutil.rmtree(folder, ignore_errors=True)
        named.unlink()


def _run(argv: Sequence[str], prefix: Path, *, check: bool = True) -> None:
    done = subprocess.run(
        argv,
        env=environment(prefix),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=INSTALL_TIMEOUT,
        check=False,
    )
    if check and done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise WindowsFailed(f"{argv[0]} failed, exit {done.returncode}: {said}")
