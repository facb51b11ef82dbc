"""An operating system in memory: the smallest driver that the port allows."""

# ruff: noqa: ARG002, D102 - arguments and methods are documented in the port

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from activities.ledger.store import Busy, Claim, LedgerCommand, LedgerRecord, LedgerStore
from activities.nodes.operating_system import LedgerFacts, OperatingSystem, Socket
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine, Node
from workflows.model.observations import MachineFacts


def now() -> datetime:
    """Return the machine's time, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class MemoryLedger(LedgerStore):
    """Claims by operation; every command ends at once and prints its arguments."""

    records: dict[str, tuple[LedgerCommand, LedgerRecord]] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    runs: list[tuple[str, ...]] = field(default_factory=list)

    async def read(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        _, record = self.records.get(command.operation, (command, LedgerRecord(now(), now())))
        of_run = f"{command.operation.split('.')[0]}."
        earlier = [
            operation
            for operation, (other, _) in self.records.items()
            if operation.startswith(of_run) and other.service == command.service
        ]
        others = [operation for operation in earlier if operation != command.operation]
        return replace(
            record, now=now(), busy=self._open(command), earlier=others[-1] if others else None
        )

    async def begin(self, machine: Machine, command: LedgerCommand) -> Busy | None:
        if command.operation in self.records:
            return None
        if (busy := self._open(command)) is not None:
            return busy
        self.runs.append(command.command.argv)
        began, deadline = now(), now() + command.timeout
        stops = [
            claim.deadline
            for other, record in self.records.values()
            if (claim := record.claim) and other.completes_on == "deadline"
        ]
        claim = Claim(
            command.operation, command.service, began, deadline, max([began, *stops]), command.note
        )
        record = LedgerRecord(began, began, claim=claim, status=0, ended=began, output="ran")
        self.records[command.operation] = command, record
        return None

    async def settle(self, machine: Machine, command: LedgerCommand) -> None:
        self.settled.add(command.operation)

    def _open(self, command: LedgerCommand) -> Busy | None:
        for operation, (other, record) in self.records.items():
            assert record.claim is not None
            if (
                other.completes_on == "deadline"
                and other.service == command.service
                and operation not in {command.operation, *self.settled}
                and now() < record.claim.deadline
            ):
                return Busy(operation, record.claim.deadline, now())
        return None


@dataclass
class MemorySystem(OperatingSystem):
    """Files, living processes and sockets, as a test has set them."""

    files: dict[str, str] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    table: list[Socket] = field(default_factory=list)
    store: MemoryLedger = field(default_factory=MemoryLedger)

    @property
    def ledger(self) -> MemoryLedger:
        return self.store

    async def scripts(self, node: Node) -> frozenset[str]:
        folder = f"{node.filedrivehome}/bin/"
        return frozenset(path.removeprefix(folder) for path in self.files if folder in path)

    async def running(self, node: Node, pid_files: Iterable[str]) -> frozenset[str]:
        return frozenset(self.alive & set(pid_files))

    async def sockets(self, machine: Machine) -> tuple[Socket, ...]:
        return tuple(self.table)

    async def digest(self, machine: Machine, path: str) -> str:
        if path not in self.files:
            raise OutcomeUnknown(f"{machine.name}: there is no {path}")
        return hashlib.sha256(self.files[path].encode()).hexdigest()

    async def now(self, machine: Machine) -> datetime:
        return now()

    async def orphaned_files(self, machine: Machine, storage: str) -> frozenset[tuple[str, str]]:
        found = {path: text for path, text in self.files.items() if path.startswith(storage)}
        if not found:
            raise OutcomeUnknown(f"{machine.name}: there is no {storage}")
        return frozenset(
            (path, f"{len(text)}.1700000000.0")
            for path, text in found.items()
            if path.endswith(".m_inproc")
        )

    async def ledger_facts(self, machine: Machine) -> LedgerFacts:
        return LedgerFacts(user="st", writable=True, free=2**30, kills_processes=False)

    async def facts(self, node: Node) -> MachineFacts:
        return MachineFacts(
            user="st",
            owner="st",
            system="Memory",
            ledger_writable=True,
            ledger_free=2**20,
            kills_processes=False,
        )

    def preview_scripts(self, node: Node) -> str:
        return f"list {node.filedrivehome}/bin"

    def preview_sockets(self) -> str:
        return "read the table"

    def preview_orphaned_files(self, storage: str) -> str:
        return f"search {storage}"
