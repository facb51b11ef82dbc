#!/usr/bin/env python3
"""One direction of Oracle GoldenGate (classic architecture), by its command line program GGSCI.

An example of a site's own command for the replication driver `commands` (docs/drivers.md). It was
tried with a stand-in that prints what Oracle's reference documents. It was NEVER TRIED WITH A REAL
GOLDENGATE: read it, try it on yours before a switchover depends on it, and make it your own.

    goldengate.py FILE observe | position | missing POSITION | compare | suspend | resume

FILE is JSON, with the processes in the sequence in which a change passes them:

    {"processes": [{"kind": "EXTRACT", "group": "EFRA", "ggsci": ["ssh", "fra-db", "/gg/ggsci"]},
                   {"kind": "EXTRACT", "group": "PFRA", "ggsci": ["ssh", "fra-db", "/gg/ggsci"]},
                   {"kind": "REPLICAT", "group": "RDUB", "ggsci": ["ssh", "dub-db", "/gg/ggsci"]}],
     "tables": ["st.account", "st.site"], "sends_back": false}

`tables` are those that the parameter files name, with every wildcard written out. `sends_back` is
false where the first Extract leaves out what its Replicat applied (TRANLOGOPTIONS EXCLUDETAG).

GoldenGate has no position that can be asked for and compared here. Each process tells whether it is
at the end of what it reads (LAG: "At EOF, no more records to process"). They are asked in sequence,
after the position was taken: so each has passed on what was committed before. A process that
applies several streams at once may say otherwise; try it.

GoldenGate cannot tell which rows both sides wrote: `compare` says so.
Exit status: 0 done; 1 anything else, which is said on standard error.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

AT_EOF = "At EOF, no more records to process"
STATES = {"STARTING", "RUNNING", "STOPPED", "ABENDED"}
CHANGES_WITHIN = 90.0


def ask(process: dict[str, Any], command: str) -> str:
    """Let GGSCI execute one command, and return what it prints."""
    words, given = process["ggsci"], f"{command}\nEXIT\n"
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)  # noqa: S603 - the site's own words
    if done.returncode:
        sys.exit(f"{process['ggsci']} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def info(process: dict[str, Any]) -> tuple[str, int] | None:
    """Return a process's state, and its lag in seconds; None where there is no such group."""
    for line in ask(process, "INFO ALL").splitlines():
        words = line.split()
        if words[:1] == [process["kind"]] and words[2:3] == [process["group"]]:
            if words[1] not in STATES:
                sys.exit(f"{process['group']} has the state {words[1]}")
            if len(parts := words[3].split(":")) != len(("hours", "minutes", "seconds")):
                sys.exit(f"{process['group']} has the lag {words[3]}")
            hours, minutes, seconds = map(int, parts)
            return words[1], 3600 * hours + 60 * minutes + seconds
    return None


def observe(settings: dict[str, Any]) -> dict[str, Any]:
    """Return how the whole chain is."""
    found = [one for process in settings["processes"] if (one := info(process))]
    if len(found) < len(settings["processes"]):
        return {"exists": False}
    states = [state for state, _ in found]
    abended = [
        {
            "what": f"{process['kind']} {process['group']} has abended",
            "expected": "RUNNING",
            "advice": f"VIEW REPORT {process['group']}",
        }
        for process, state in zip(settings["processes"], states, strict=True)
        if state == "ABENDED"
    ]
    return {
        "exists": True,
        "enabled": any(state != "STOPPED" for state in states),
        "running": all(state == "RUNNING" for state in states),
        "compares": False,
        "lag": {"amount": sum(lag for _, lag in found), "unit": "seconds"},
        "tables": settings["tables"],
        "sends_back": settings["sends_back"],
        "findings": abended,
    }


def missing(settings: dict[str, Any]) -> str:
    """Return the first process that has not reached the end of what it reads."""
    for process in settings["processes"]:
        printed = ask(process, f"LAG {process['kind']} {process['group']}")
        if AT_EOF not in printed:
            lines = [line.strip() for line in printed.splitlines() if "lag" in line.lower()]
            return f"{process['group']}: {(lines or ['not at the end'])[-1]}"[:200]
    return ""


def change(processes: list[dict[str, Any]], verb: str, wanted: str) -> None:
    """Bring one process after the other into a state; the next one only when it is reached."""
    for process in processes:
        end = time.monotonic() + CHANGES_WITHIN
        found = info(process)
        if found is not None and found[0] != wanted:
            print(ask(process, f"{verb} {process['kind']} {process['group']}"))
        while (found := info(process)) is None or found[0] != wanted:
            if found is None or found[0] == "ABENDED" or time.monotonic() > end:
                sys.exit(f"{process['group']} is {found and found[0]}, not {wanted}")
            time.sleep(0.5)


def main(file: str, word: str, *more: str) -> object:
    """Do what the word says; return the document."""
    settings = json.loads(Path(file).read_text(encoding="utf-8"))
    processes = settings["processes"]
    if word == "observe":
        return observe(settings)
    if word == "position":
        return {"position": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    if word == "missing" and more:
        return {"missing": missing(settings)}
    if word == "compare":
        return {"conflicts": None}
    if word == "suspend":
        change(processes, "STOP", "STOPPED")
    elif word == "resume":
        change(processes[::-1], "START", "RUNNING")
    else:
        sys.exit(__doc__)
    return word


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:]) if sys.argv[2:] else sys.exit(__doc__)))
