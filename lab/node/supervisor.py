"""The supervisor of a node: services, pending stops and the record of effects.

It starts each service as a process of its own, writes PID files and the lab's record of effects,
and tells a service that was stopped from one that died. A graceful stop runs on the service's own
clock: here it is only known to be pending.

What the facts leave open is decided so:

* a start during a pending stop answers as any start and accepts clients again, until the stop
  completes all the same; a repeated graceful stop is recorded and changes no clock
* ``stop_all`` and ``start_all`` record what they stopped or started; where there was nothing to do
  they record it once, for ``admin``, as unchanged
* Scheduler and Folder Monitor run only while their TM does, so a TM's start or end is recorded as
  theirs, too
* while ``unrecorded`` (any text) is among the node's faults, nothing is recorded: injecting or
  reverting a fault is no effect of a switchover
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lab import records
from lab.forking import Channel, Message, channel, fork
from lab.layout import Layout, NodeLayout
from lab.node import services
from lab.node.programs import PROGRAMS
from lab.node.service import Context
from lab.node.services import Service
from lab.simulation_options import SimulationOptions

BASELINE = "baseline"
"""The actor of what runs when a lab starts; it leaves no record."""
GRACEFUL_AT_LEAST = 30.0
"""Below these seconds a Transaction Manager's stop is not graceful (section 5)."""


@dataclass
class ServiceProcess:
    """A service's process."""

    service: Service
    pid: int
    channel: Channel
    ready: bool = False
    pending: bool = False
    stopped_by: str = ""
    drained_by: str = ""
    cut: int | None = None
    """How many transfers its graceful stop ended, once it has completed."""
    when_ended: list[Callable[[], None]] = field(default_factory=list)


class Supervisor:
    """The services of one node."""

    def __init__(
        self, layout: Layout, node: NodeLayout, attach: Callable[[ServiceProcess], None]
    ) -> None:
        self._layout = layout
        self._node = node
        self._attach = attach
        self.running: dict[str, ServiceProcess] = {}
        self._died: set[str] = set()
        self._scheduling = node.root / "var/scheduling.json"
        self.scheduled: dict[str, bool] = json.loads(self._scheduling.read_text(encoding="utf-8"))

    @property
    def services(self) -> tuple[Service, ...]:
        """Every service this node has."""
        return services.of(self._node.kind)

    def state(self, name: str) -> str:
        """The word of the vendor's status script; a pending stop does not show."""
        if name in services.DISABLED:
            return "disabled"
        return "alive" if name in self.running else "down"

    def start(self, name: str, by: str) -> bool:
        """Run a service; return whether it did not run, or was about to end."""
        old = self.running.get(name)
        if old is None:
            self._start_fresh(name, by)
        else:
            if old.pending:
                old.channel.send(Message("start", name))
            self._record(name, "start", by, changed=old.pending)
        if name != "monitor" and "monitor" not in self.running and by.startswith("start_"):
            self.start("monitor", by)  # every script that starts something does
        return old is None or old.pending

    def _start_fresh(self, name: str, by: str) -> None:
        simulation = SimulationOptions.read(self._layout.simulation)
        delay = simulation.protocol_start_delay if name in services.PROTOCOLS else 0.0
        delay = simulation.admin_start_delay if name == "admin" else delay
        if name == "tm" and by != BASELINE and simulation.scheduling_returns != "if_started":
            returns = simulation.scheduling_returns == "always"
            self._save_scheduling(dict.fromkeys(self.scheduled, returns))
        self._fork(services.BY_NAME[name], 0.0 if by == BASELINE else delay)
        self._died.discard(name)
        self._record(name, "start", by)
        self._dropout(name)
        self._scheduling_follows(name, "start", by)

    def stop(self, name: str, by: str, then: Callable[[], None]) -> bool:
        """End a service at once and go on with *then*; return whether it ran."""
        self._died.discard(name)
        process = self.running.get(name)
        if not process:
            self._record(name, "stop", by, changed=False)
            then()
            return False
        process.when_ended.append(then)
        process.stopped_by = process.stopped_by or by
        os.kill(process.pid, signal.SIGTERM if process.service.polite else signal.SIGKILL)
        return True

    def drain(self, name: str, timeout: float, by: str) -> bool:
        """Ask a service to stop gracefully; return whether it ran and was not asked already."""
        self._died.discard(name)
        process = self.running.get(name)
        fresh = process is not None and not process.pending
        self._record(name, "drain", by, changed=fresh, timeout=timeout)
        if process:
            process.pending = True
            process.drained_by = process.drained_by or by
            process.channel.send(Message("drain", name, body={"timeout": timeout}))
            self._dropout(name)
        return fresh

    def schedule(self, name: str, by: str, *, started: bool) -> bool:
        """Start or stop the Scheduler or the Folder Monitor; return whether that changed it."""
        before = self.scheduling_runs(name)
        self._save_scheduling({**self.scheduled, name: started})
        changed = before != self.scheduling_runs(name)
        effect = "start" if started else "stop"
        self._record(services.SCHEDULING[name], effect, by, changed=changed)
        if tm := self.running.get("tm"):
            tm.channel.send(Message("scheduling", "tm", body=dict(self.scheduled)))
        return changed

    def scheduling_runs(self, name: str) -> bool:
        """Whether the option is on, the service is started and the Transaction Manager runs."""
        return self.scheduled[name] and "tm" in self.running and self.scheduling_enabled()

    def scheduling_enabled(self) -> bool:
        """Whether the cluster's option lets scheduling run at all."""
        options = SimulationOptions.read(self._layout.simulation).scheduling_option
        return options.get(self._node.cluster, True)

    def start_all(self, by: str) -> None:
        """Start what belongs to this node and does not run."""
        missing = [n for n in services.baseline(self._node.kind) if n not in self.running]
        for name in missing or ["admin"]:
            if name != "monitor" or name not in self.running:  # the first start has revived it
                self.start(name, by)

    def stop_all(self, by: str, then: Callable[[], None]) -> None:
        """Stop whatever runs, admin included, and go on with *then*."""
        names = list(self.running) or ["admin"]
        remaining = set(names)

        def ended(name: str) -> None:
            remaining.discard(name)
            if not remaining:
                then()

        for name in names:
            self.stop(name, by, partial(ended, name))

    def revive(self, by: str) -> None:
        """Start again what ended without a command."""
        for name in sorted(self._died):
            self.start(name, by)

    def crash(self, by: str) -> list[str]:
        """Record that everything ended at once; return what ran."""
        names = list(self.running)
        for name in names:
            self._record(name, "died", by)
            self._scheduling_follows(name, "stop", by)
        return names

    def ended(self, pid: int) -> None:
        """Record how the process ended, and continue what waited for it."""
        process = next((p for p in self.running.values() if p.pid == pid), None)
        if process is None:
            return
        name = process.service.name
        before = {n for n in self.scheduled if self.scheduling_runs(n)}
        del self.running[name]
        by = process.stopped_by or process.drained_by
        if process.stopped_by:
            self._record(name, "stop", by)
        elif process.cut is not None:
            self._record(name, "stopped", by, cut=process.cut)
        else:
            by = "died"
            self._died.add(name)
            self._record(name, "died", by)
        if by != "died":  # a service that died leaves its PID file
            self._pid_file(process.service).unlink(missing_ok=True)
        if name == "tm":
            for scheduling in sorted(before):
                self._record(services.SCHEDULING[scheduling], "stop", by)
        self._dropout(name)
        for then in process.when_ended:
            then()

    def _pid_file(self, service: Service) -> Path:
        return self._node.home / "var/run" / service.pid_file

    def _fork(self, service: Service, delay: float) -> None:
        ours, theirs = channel()
        context = Context(self._layout, self._node, service, theirs, delay, dict(self.scheduled))
        log = self._node.home / "var/logs" / f"{service.script}.log"
        program = PROGRAMS[service.name]
        pid = fork(lambda: program(context), when_parent_dies=signal.SIGKILL, log=log)
        theirs.close()
        self._pid_file(service).write_text(f"{pid}\n", encoding="utf-8")
        self.running[service.name] = ServiceProcess(service, pid, ours)
        self._attach(self.running[service.name])

    def _scheduling_follows(self, name: str, effect: str, by: str) -> None:
        if name != "tm":
            return
        for scheduling in sorted(self.scheduled):
            if self.scheduling_runs(scheduling):
                self._record(services.SCHEDULING[scheduling], effect, by)

    def _save_scheduling(self, scheduled: dict[str, bool]) -> None:
        self.scheduled = scheduled
        self._scheduling.write_text(json.dumps(scheduled), encoding="utf-8")

    def _dropout(self, name: str) -> None:
        admin = self.running.get("admin")
        if admin and name in services.GRACEFUL:
            admin.channel.send(Message("dropout", "admin"))

    @property
    def _unrecorded(self) -> bool:
        faults = SimulationOptions.read(self._layout.simulation).faults
        return "unrecorded" in faults.get(self._node.name, {})

    def _record(self, service: str, effect: str, by: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        if by == BASELINE or self._unrecorded:
            return
        entry = {"place": self._node.name, "service": service, "effect": effect, "by": by}
        records.append(self._layout.effects, **entry, **{"changed": True, **more})
