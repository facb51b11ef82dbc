#!/usr/bin/env python3
"""One direction of SQL Server's transactional replication, by `sqlcmd`.

An example of a site's own command for the replication driver `commands` (docs/drivers.md). It was
tried with a stand-in for sqlcmd that answers these very queries. It was NEVER TRIED WITH A REAL SQL
SERVER: read it, try it on yours before a switchover depends on it, and make it your own.

    sql_server.py FILE observe | position | missing POSITION | compare | suspend | resume

FILE is JSON:

    {"publisher": ["sqlcmd", "-S", "fra-sql"], "distributor": ["sqlcmd", "-S", "fra-dist"],
     "publisher_database": "st", "publication": "st_configuration",
     "log_reader_job": "FRA-SQL-st-1", "distribution_job": "FRA-SQL-st-st_configuration-DUB-SQL-3",
     "sends_back": false}

The names of the jobs are those of the agents in MSlogreader_agents and MSdistribution_agents of the
distribution database. An agent's job is disabled as well as stopped: else it would run again when
SQL Server Agent starts. A Log Reader Agent serves all publications of its database: suspending this
one suspends all of them.

Nothing is missing where no replicated transaction waits in the publisher's log (sp_replcounters),
and after that no command waits in the distribution database (MSdistribution_status).

Transactional replication cannot tell which rows both sides wrote: `compare` says so. What is
written while it is suspended is kept in the publisher's log, which grows, and in the distribution
database for its retention period (sp_helpdistributiondb, max_distretention): it has to be longer
than replication is ever off.
Exit status: 0 done; 1 anything else, which is said on standard error.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHANGES_WITHIN = 60.0
JOBS = """SET NOCOUNT ON;
SELECT j.name, j.enabled, (SELECT COUNT(*) FROM msdb.dbo.sysjobactivity AS a
  WHERE a.job_id = j.job_id AND a.start_execution_date IS NOT NULL
  AND a.stop_execution_date IS NULL
  AND a.session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions))
FROM msdb.dbo.sysjobs AS j WHERE j.name IN ({log_reader_job}, {distribution_job})"""
ARTICLES = """SET NOCOUNT ON;
SELECT a.source_owner + '.' + a.source_object FROM distribution.dbo.MSarticles AS a
JOIN distribution.dbo.MSpublications AS p ON p.publication_id = a.publication_id
WHERE p.publication = {publication} AND p.publisher_db = {publisher_database}"""
UNDELIVERED = """SET NOCOUNT ON;
SELECT COALESCE(SUM(CAST(s.UndelivCmdsInDistDB AS bigint)), 0)
FROM distribution.dbo.MSdistribution_status AS s
JOIN distribution.dbo.MSdistribution_agents AS g ON g.id = s.agent_id
WHERE g.name = {distribution_job}"""
COUNTERS = "SET NOCOUNT ON; EXEC sp_replcounters"
STOP = """EXEC msdb.dbo.sp_update_job @job_name = {job}, @enabled = 0;
IF {runs} = 1 EXEC msdb.dbo.sp_stop_job @job_name = {job}"""
START = """EXEC msdb.dbo.sp_update_job @job_name = {job}, @enabled = 1;
IF {runs} = 0 EXEC msdb.dbo.sp_start_job @job_name = {job}"""


def quoted(name: str) -> str:
    """Return a name as a literal."""
    return "N'" + name.replace("'", "''") + "'"


class Link:
    """One direction."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._literals = {k: quoted(v) for k, v in settings.items() if isinstance(v, str)}

    def ask(self, server: str, query: str, **more: object) -> list[list[str]]:
        """Return the rows of a query: no headings, no blanks around values, errors as status."""
        text = query.format(**self._literals, **more)
        words = [*self._settings[server], "-b", "-h", "-1", "-W", "-s", "|", "-Q", text]
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - the site's own words
        if done.returncode:
            said = (done.stderr + done.stdout).strip()[-300:]
            sys.exit(f"sqlcmd at the {server} ended with {done.returncode}: {said}")
        return [line.split("|") for line in done.stdout.splitlines() if line.strip()]

    def jobs(self) -> dict[str, tuple[bool, bool]]:
        """Return of each agent's job whether it is enabled, and whether it runs."""
        return {name: (on == "1", runs == "1") for name, on, runs in self.ask("distributor", JOBS)}

    def undelivered(self) -> int:
        """Return how many commands wait in the distribution database."""
        [[commands]] = self.ask("distributor", UNDELIVERED)
        return int(commands)

    def observe(self) -> dict[str, Any]:
        """Return how the link is."""
        jobs = self.jobs()
        if len(jobs) != len(("log reader", "distribution")):
            return {"exists": False}
        return {
            "exists": True,
            "enabled": any(on or runs for on, runs in jobs.values()),
            "running": all(runs for _, runs in jobs.values()),
            "compares": False,
            "lag": {"amount": self.undelivered(), "unit": "commands"},
            "tables": [name for [name] in self.ask("distributor", ARTICLES)],
            "sends_back": self._settings["sends_back"],
        }

    def missing(self) -> str:
        """Return what waits in the log; where nothing does, what waits at the distributor."""
        database = self._settings["publisher_database"]
        waiting = [int(row[1]) for row in self.ask("publisher", COUNTERS) if row[0] == database]
        if len(waiting) != 1:
            sys.exit(f"sp_replcounters says nothing of the database {database}")
        if waiting[0]:
            return f"{waiting[0]} transactions"
        commands = self.undelivered()
        return f"{commands} commands" if commands else ""

    def change(self, statement: str, *, runs: bool) -> None:
        """Let each agent's job run, or not; wait until that is so."""
        for name, (_, now) in self.jobs().items():
            self.ask("distributor", statement, job=quoted(name), runs=int(now))
        end = time.monotonic() + CHANGES_WITHIN
        while any(now is not runs for _, now in self.jobs().values()):
            if time.monotonic() > end:
                sys.exit(f"the jobs are {self.jobs()}")
            time.sleep(0.5)


def main(file: str, word: str, *more: str) -> object:
    """Do what the word says; return the document."""
    link = Link(json.loads(Path(file).read_text(encoding="utf-8")))
    if word == "observe":
        return link.observe()
    if word == "position":
        return {"position": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    if word == "missing" and more:
        return {"missing": link.missing()}
    if word == "compare":
        return {"conflicts": None}
    if word == "suspend":
        link.change(STOP, runs=False)
    elif word == "resume":
        link.change(START, runs=True)
    else:
        sys.exit(__doc__)
    return word


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:]) if sys.argv[2:] else sys.exit(__doc__)))
