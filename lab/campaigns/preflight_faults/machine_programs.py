"""Which faults can a machine's own programs tell of, and how are they planted?

In a directory that comes first on that machine's PATH lies another program of the same name.
"""

from __future__ import annotations

import shutil

from lab.campaigns.preflight_faults.actions import hide, show
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.layout import Layout

DF = """\
#!/bin/sh
echo 'Filesystem     1024-blocks     Used Available Capacity Mounted on'
echo '/dev/vda1         20511312 20510288      1024     100% /'
"""
DATE = """\
#!/bin/sh
exec {real} -d "@$(($({real} +%s) + 90))" "$@"
"""
UNAME = """\
#!/bin/sh
case "$*" in
    '' | -s | --kernel-name) echo AIX ;;
    *) exec {real} "$@" ;;
esac
"""
LOGINCTL = """\
#!/bin/sh
# Without the name of a session, a user or a seat these show the manager itself; there is no bare
# "show". Empty properties are left out.
case "$*" in
    show-session*--value* | show-user*--value* | show-seat*--value*) echo yes ;;
    show-session* | show-user* | show-seat*) echo KillUserProcesses=yes ;;
    *) echo "Unknown command verb $1." >&2; exit 1 ;;
esac
"""


def _program(
    name: str, place: str, words: str, text: str, program: str, **faults: str
) -> InjectedFault:
    """Return a fault of a machine whose programs say something else."""

    async def inject(layout: Layout, place: str) -> None:
        real = shutil.which(program) or "/bin/false"
        shim = layout.programs(place) / program
        fresh = shim.with_suffix(".fresh")
        fresh.write_text(text.replace("{real}", real), encoding="utf-8")
        fresh.chmod(0o755)
        fresh.replace(shim)
        if faults:
            show(layout, place, **faults)

    async def revert(layout: Layout, place: str) -> None:
        (layout.programs(place) / program).unlink(missing_ok=True)
        hide(layout, place, *faults)

    return InjectedFault(name, place, words, inject, revert)


FAULTS = (
    _program(
        "ledger_disk_low",
        "cluster2-server1",
        "Its disk has 1 MiB left.",
        DF,
        "df",
    ),
    _program(
        "operating_system_differs",
        "cluster2-server1",
        "It runs on another operating system, by its admin API and by uname.",
        UNAME,
        "uname",
        osType="AIX",
    ),
    _program(
        "clock_out_of_step",
        "cluster2-edge1",
        "Its clock is 90 seconds ahead.",
        DATE,
        "date",
    ),
    _program(
        "kills_user_processes",
        "cluster1-edge1",
        "Its login manager ends a user's processes with the user's last session.",
        LOGINCTL,
        "loginctl",
    ),
)
