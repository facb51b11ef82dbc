"""Read everything that the lab recorded of one run."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from lab import records
from lab.environment.baseline import differences
from lab.environment.situation import BASELINE, Situation
from lab.layout import PROBE_ACCOUNT, ClusterLayout, Layout
from lab.recorder.effects import RecordedEffect, read_effects
from lab.recorder.samples import Sample, read_samples

UPLOADS = "SELECT id::text, account || '/' || path FROM transferdata WHERE direction = 'upload'"
IN_PROGRESS = "SELECT count(*) FROM transferdata WHERE status = 'In Progress'"


@dataclass(frozen=True)
class ClientOperation:
    """What a client, or an application, tried."""

    begin: float
    end: float
    client: str
    operation: str
    path: str = ""
    """Of a transfer: ACCOUNT/NAME; of an application's file: its name."""
    sha256: str = ""
    ok: bool = True
    message: str = ""


@dataclass(frozen=True)
class SessionEvent:
    """A client session's begin or end, as a node's protocol server saw it."""

    at: float
    node: str
    account: str
    what: str


@dataclass(frozen=True)
class Evidence:
    """All records of one run."""

    effects: list[RecordedEffect] = field(default_factory=list)
    operations: list[ClientOperation] = field(default_factory=list)
    sessions: list[SessionEvent] = field(default_factory=list)
    work: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (kind, key) was done, on both clusters together."""
    samples: list[Sample] = field(default_factory=list)
    uploads: Mapping[str, str] = field(default_factory=dict)
    """By the id that its event has, too: the path of each upload a cluster has tracked."""
    stored: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By cluster, then by path on its storage: the content's SHA-256."""
    in_progress: int = 0
    """Transfers that the clusters' databases still call In Progress."""
    orphans: int = 0
    """Files named ``*.m_inproc`` that are never finished."""
    behind: frozenset[str] = frozenset()
    """The machines that are behind a jump host."""
    ways: list[dict[str, Any]] = field(default_factory=list)
    """How machines behind a jump host were reached (see ``lab.records``)."""
    sudo_machines: frozenset[str] = frozenset()
    """The machines whose owner has no login."""
    logins: list[dict[str, Any]] = field(default_factory=list)
    """What was sent to the account that logs in there instead (see ``lab.records``)."""
    differences: list[str] = field(default_factory=list)
    """In what the estate differs from how it should be in the end."""


async def gather(layout: Layout, end: Situation = BASELINE) -> Evidence:
    """Read every record of the lab, its databases and its storages; *end*: how it should be."""
    uploads: dict[str, str] = {}
    in_progress = 0
    for cluster in layout.clusters:
        async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
            cursor = await connection.execute(UPLOADS)
            uploads |= {str(one[0]): str(one[1]) for one in await cursor.fetchall()}
            counted = await (await connection.execute(IN_PROGRESS)).fetchone()
            in_progress += counted[0] if counted else 0
    return Evidence(
        effects=read_effects(layout.effects),
        operations=[_operation(line) for line in records.read(layout.traffic)],
        sessions=[
            SessionEvent(line["at"], line["node"], line["account"], line["what"])
            for line in records.read(layout.sessions)
            if line["account"] != PROBE_ACCOUNT
        ],
        work=Counter((line["kind"], line["key"]) for line in records.read(layout.work)),
        samples=list(read_samples(layout.samples)),
        uploads=uploads,
        stored={cluster.name: _digests(cluster) for cluster in layout.clusters},
        in_progress=in_progress,
        orphans=sum(len(list(c.storage.rglob("*.m_inproc"))) for c in layout.clusters),
        behind=frozenset(layout.behind.values() if layout.drivers.jump_host else ()),
        ways=list(records.read(layout.ways)),
        sudo_machines=frozenset(layout.behind.values() if layout.drivers.run_as else ()),
        logins=list(records.read(layout.logins)),
        differences=await differences(layout, end),
    )


def _operation(line: Mapping[str, object]) -> ClientOperation:
    known = {name: line[name] for name in ("begin", "end", "client", "operation", "sha256", "ok")}
    path = "/".join(str(line[part]) for part in ("account", "name") if line[part])
    return ClientOperation(**known, path=path, message=str(line["message"]))  # type: ignore[arg-type]


def _digests(cluster: ClusterLayout) -> dict[str, str]:
    return {
        str(path.relative_to(cluster.storage)): _digest(path)
        for path in sorted(cluster.storage.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
