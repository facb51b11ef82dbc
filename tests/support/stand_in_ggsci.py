"""Takes commands and prints answers as Oracle's reference documents GGSCI; state in a file."""

import json
import sys
from pathlib import Path

STATE = Path(__file__).with_name("ggsci.json")
CALLS = Path(__file__).with_name("calls")

state = json.loads(STATE.read_text())
print("\nOracle GoldenGate Command Interpreter for Oracle\n")
for number, line in enumerate(sys.stdin, start=1):
    words = line.split()
    verb, kind, group = (*words, "", "")[:3]
    print(f"GGSCI (db) {number}> ", end="")
    if verb in {"STOP", "START"}:
        with CALLS.open("a") as calls:
            calls.write(line)
    process = state.get(group)
    if verb == "EXIT":
        break
    if words == ["INFO", "ALL"]:
        print("\nProgram     Status      Group       Lag at Chkpt  Time Since Chkpt\n")
        print("MANAGER     RUNNING")
        for name, one in state.items():
            print(f"{one['kind']:<12}{one['status']:<12}{name:<12}{one['lag']}      00:00:08")
    elif process is None or process["kind"] != kind:
        print(f"ERROR: {kind} {group} does not exist.")
    elif verb == "LAG":
        print(f"\nSending GETLAG request to {kind} {group} ...\nLast record lag 2 seconds.")
        if process["eof"]:
            print("At EOF, no more records to process.")
    elif verb == "STOP":
        process["status"] = "STOPPED"
        print(f"\nSending STOP request to {kind} {group} ...\nRequest processed.")
    elif verb == "START":
        process["status"] = "ABENDED" if process.get("breaks") else "RUNNING"
        print(f"\nSending START request to MANAGER ...\n{kind} {group} starting")
STATE.write_text(json.dumps(state))
