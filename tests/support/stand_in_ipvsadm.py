"""Takes and prints what ipvsadm(8) documents, on a table in a file beside it."""

import sys
from pathlib import Path

TABLE = Path(__file__).with_name("table")
CALLS = Path(__file__).with_name("calls")


def edit(words: list[str]) -> None:
    """Edit a real server: what is left out gets its default."""
    kind, service, *rest = words
    given = dict.fromkeys(("-r", "-w", "-x", "-y"), "")
    forwarding = "-g"
    while rest:
        word = rest.pop(0)
        if word in {"-g", "-i", "-m"}:
            forwarding = word
        elif word in given and rest:
            given[word] = rest.pop(0)
        else:
            sys.exit(f"unexpected argument {word}")
    lines = TABLE.read_text().splitlines()
    places = [
        n
        for n, line in enumerate(lines)
        if line.split()[:5] == ["-a", kind, service, "-r", given["-r"]]
    ]
    if not places:
        sys.exit("No such destination")
    lines[places[0]] = f"-a {kind} {service} -r {given['-r']} {forwarding} -w {given['-w'] or 1}"
    TABLE.write_text("\n".join(lines) + "\n")


if sys.argv[1:] == ["-S", "-n"]:
    sys.stdout.write(TABLE.read_text())
elif sys.argv[1:2] == ["-e"]:
    with CALLS.open("a") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    edit(sys.argv[2:])
else:
    sys.exit("unknown command")
