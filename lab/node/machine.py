"""One simulated machine: its shell, its services and the messages between them.

A single-threaded loop, the first process of the machine: it forks the shell and the services,
passes messages between them, receives the calls of scripts, and adopts every orphan, so that
detached commands survive their SSH session but not the machine.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.forking import Channel, Message, adopt_orphans, channel, fork, sweep
from lab.layout import JUMP_HOST, Layout, NodeLayout
from lab.networks import enter, namespace
from lab.node import jump_host, script_calls, services, shell
from lab.node.calls import ScriptCall, take_calls
from lab.node.operations import ServiceOperation, carry_out
from lab.node.supervisor import BASELINE, ServiceProcess, Supervisor
from lab.node.windows.answers import ANSWERED, answer
from lab.node.windows.system import Windows


@dataclass(frozen=True)
class Place:
    """The place of a machine; without a node it has only an SSH server."""

    layout: Layout
    name: str
    address: str
    root: Path
    node: NodeLayout | None = None

    @classmethod
    def of(cls, layout: Layout, name: str) -> Place:
        """Return the place of that name, ``loadbalancer1`` and ``jumphost1`` included."""
        if layout.is_no_node(name):
            return cls(layout, name, layout.address(name), layout.machine_root(name))
        node = layout.node(name)
        return cls(layout, name, node.address, node.root, node)


class Machine:
    """One machine from boot to halt."""

    def __init__(self, place: Place, superior: Channel) -> None:
        self._place = place
        self._superior = superior
        node = place.node
        self._windows = Windows(place.layout, node) if node and node.windows else None
        self._selector = selectors.DefaultSelector()
        self._supervisor: Supervisor | None = None
        self._awaited: set[str] = set()
        self._calls: list[ScriptCall] = []
        """Of scripts that may still wait for their answers."""
        self._halted = False

    def run(self, boot: list[str], by: str) -> None:
        """Start the shell and these services, then serve until halted."""
        adopt_orphans()
        self._connect_to_network()
        self._listen_to_signals()
        self._selector.register(self._superior, selectors.EVENT_READ, self._obey)
        (self._place.root / "proc").mkdir(parents=True, exist_ok=True)
        (self._place.root / "proc/boot_id").write_text(f"{uuid.uuid4()}\n", encoding="utf-8")
        self._awaited = {"shell", *boot}
        if self._windows:
            self._windows.boot()
        self._start_shell()
        if self._place.node:
            take_calls(self._place.node, self._selector, self._carry_out)
            self._supervisor = Supervisor(self._place.layout, self._place.node, self._attach)
            for name in boot:
                self._supervisor.start(name, by)
        while not self._halted:
            for key, _ in self._selector.select():
                key.data()
        sweep()
        if self._windows:
            self._windows.halt()

    def _connect_to_network(self) -> None:
        """Be in the cluster's own network, if it has one."""
        place = self._place
        network = place.node and namespace(place.layout, place.node.cluster)
        if network:
            with network.open("rb") as opened:
                enter(opened.fileno())

    def _listen_to_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.settimeout(0)
        writer.settimeout(0)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._halt)
        self._wakeup = reader, writer
        self._selector.register(reader, selectors.EVENT_READ, self._reap)

    def _halt(self, *_: object) -> None:
        self._halted = True

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup[0].recv(4096)
        while not self._halted:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if self._supervisor:
                self._read_last_messages(pid)
                self._supervisor.ended(pid)

    def _read_last_messages(self, pid: int) -> None:
        """Read what a service sent just before it ended: its stop may have completed."""
        assert self._supervisor
        for process in list(self._supervisor.running.values()):
            if process.pid == pid:
                while (message := process.channel.receive()) is not None:
                    self._handle(process, message)
                self._selector.unregister(process.channel)
                process.channel.close()

    def _start_shell(self) -> None:
        ours, theirs = channel()
        place = self._place
        context = shell.Context(
            place.layout, place.name, place.address, place.root, theirs, self._windows
        )
        log = place.root / "var/log/shell.log"
        serve = jump_host.run if place.name == JUMP_HOST else shell.run
        fork(lambda: serve(context), when_parent_dies=signal.SIGKILL, log=log)
        theirs.close()

        def receive() -> None:
            if ours.receive() is None:
                self._selector.unregister(ours)
            else:
                self._ready("shell")

        self._selector.register(ours, selectors.EVENT_READ, receive)

    def _carry_out(self, call: ScriptCall) -> None:
        node, supervisor = self._place.node, self._supervisor
        assert node
        assert supervisor
        self._calls = [one for one in self._calls if one.waits()]
        if node.windows and call.script in ANSWERED:
            call.answer(answer(call, node, self._calls))
        else:
            self._calls.append(call)
            script_calls.carry_out(call, supervisor, self._place.layout, node)

    def _attach(self, process: ServiceProcess) -> None:
        def receive() -> None:
            if (
                self._supervisor
                and self._supervisor.running.get(process.service.name) is not process
            ):
                return  # its end was noticed just before
            if message := process.channel.receive():
                self._handle(process, message)
            else:
                self._reap()

        self._selector.register(process.channel, selectors.EVENT_READ, receive)

    def _handle(self, process: ServiceProcess, message: Message) -> None:
        supervisor = self._supervisor
        assert supervisor
        if message.to != "machine":
            self._pass_on(supervisor, message)
        elif message.what == "ready":
            process.ready = True
            self._ready(process.service.name)
        elif message.what == "completed":
            process.cut = message.body["cut"]
        elif message.what == "revive":
            supervisor.revive("monitord")
        elif message.what == "states":
            process.channel.send(message.answered(**_states(supervisor)))
        elif message.what == "operation":
            accepted = carry_out(supervisor, ServiceOperation(**message.body))
            process.channel.send(message.answered(accepted=accepted))

    def _pass_on(self, supervisor: Supervisor, message: Message) -> None:
        receiver = supervisor.running.get(message.to)
        if receiver:
            receiver.channel.send(message)
        elif message.what != "answer" and (sender := supervisor.running.get(message.sender)):
            sender.channel.send(message.answered())

    def _ready(self, name: str) -> None:
        if name in self._awaited:
            self._awaited.discard(name)
            if not self._awaited:
                self._superior.send(Message("ready", sender=self._place.name))

    def _obey(self) -> None:
        message = self._superior.receive()
        if message is None or message.what == "halt":
            self._halted = True
        elif message.what == "crash":
            ran = self._supervisor.crash("reboot") if self._supervisor else []
            self._superior.send(message.answered(ran=ran))
            self._halted = True
        elif message.what == "restart" and self._supervisor:
            self._restart(self._supervisor, message.body["service"])

    def _restart(self, supervisor: Supervisor, name: str) -> None:
        def again() -> None:
            self._awaited = {name}
            supervisor.start(name, BASELINE)

        if name in supervisor.running:
            supervisor.stop(name, BASELINE, again)
        else:
            again()


def _states(supervisor: Supervisor) -> dict[str, object]:
    tm = supervisor.running.get("tm")
    return {
        "services": {
            service.name: supervisor.state(service.name) for service in supervisor.services
        },
        "scheduling": {name: supervisor.scheduling_runs(name) for name in services.SCHEDULING},
        "enabled": supervisor.scheduling_enabled(),
        "tm_pending": tm is not None and tm.pending,
    }
