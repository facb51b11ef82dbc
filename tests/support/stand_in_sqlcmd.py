"""Answers the queries of docs/examples/sql_server.py as sqlcmd prints rows; state in a file."""

import json
import re
import sys
from pathlib import Path

STATE = Path(__file__).with_name("sqlcmd.json")
CALLS = Path(__file__).with_name("calls")

words = sys.argv[1:]
if words[2:9] != ["-b", "-h", "-1", "-W", "-s", "|", "-Q"]:
    sys.exit(f"Sqlcmd: unexpected words {words}")
server, query, state = words[1], words[9], json.loads(STATE.read_text())
if state.get("refuses") == server:
    print("Login failed for user 'switchover'.", file=sys.stderr)
    sys.exit(1)
if "sp_replcounters" in query:
    for database, waiting in state["log"].items():
        print(f"{database}|{waiting}|12.5|0.31|0x0000002A000001380005|0x00000000000000000000")
elif "sysjobactivity" in query:
    for name, job in state["jobs"].items():
        if f"N'{name}'" in query:
            print(f"{name}|{job['enabled']}|{job['runs']}")
elif "MSarticles" in query:
    print("\n".join(state["articles"]))
elif "MSdistribution_status" in query:
    print(state["undelivered"])
elif found := re.search(r"@job_name = N'(.*?)', @enabled = ([01])", query):
    job = state["jobs"][found[1]]
    with CALLS.open("a") as calls:
        calls.write(" ".join(query.split()) + "\n")
    job["enabled"] = int(found[2])
    if not job.get("stays"):
        job["runs"] = int(found[2])
else:
    sys.exit("Msg 102, Level 15, State 1")
STATE.write_text(json.dumps(state))
