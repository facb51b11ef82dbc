"""The scripts in FILEDRIVEHOME/bin.

Each is a few lines of shell: it calls the machine's supervisor through a FIFO and prints the
answer, since starting an interpreter for each would cost a hundred times as much. On Windows each
is a program that does the same (``lab.node.windows``).
"""

from pathlib import Path

from lab.layout import NodeLayout
from lab.node import services

SEPARATOR = "\x1f"

_SCRIPT = """\
#!/bin/sh
cd "{run}" || exit 1
reply=reply.$$
[ -p "$reply" ] || mkfifo -m 600 "$reply" || exit 1
exec 3<>"$reply"
IFS='{separator}'
printf '%s\\n' "$$${{IFS}}{name}${{IFS}}$*" >supervisor
IFS=' '
read -r code stream text <&3
printf '%b\\n' "$text" >&"$stream"
exit "$code"
"""


def names(node: NodeLayout) -> tuple[str, ...]:
    """Every script of a node; those of a disabled server are renamed."""
    found = ["start_all", "stop_all"]
    for service in services.of(node.kind):
        suffix = ".disable" if service.name in services.DISABLED else ""
        # Its status script stays: it prints "ftpd is disabled".
        found.append(f"status_{service.script}")
        found.extend(f"{verb}_{service.script}{suffix}" for verb in ("start", "stop"))
    return tuple(found)


def write(node: NodeLayout) -> None:
    """Write every script of a node with a Unix."""
    folder = node.home / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names(node):
        file = node.script(name)
        text = _SCRIPT.format(
            run=run_directory(node), name=name.removesuffix(".disable"), separator=SEPARATOR
        )
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)


def run_directory(node: NodeLayout) -> Path:
    """The directory in which scripts and the supervisor exchange files."""
    return node.root / "run"
