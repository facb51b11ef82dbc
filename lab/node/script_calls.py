"""Carry out a call of a script and answer it.

Faults (``SimulationOptions.faults``), with SCRIPT such as ``status_sshd``:

* ``SCRIPT``, for status scripts: the text to print instead; ``{status}`` in it stands for the
  true line
* ``exit_SCRIPT``: exit 1 without doing anything, with this text on standard error
* ``hang_SCRIPT``: the script is killed before it answers: ``before`` doing anything, or ``after``
* ``lands_late`` (any text): a graceful stop's script answers only once the stop has completed,
  whatever the option is (and ``lab.node.draining`` completes it at its timeout)
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lab.layout import Layout, NodeLayout
from lab.node import services
from lab.node.options import grace
from lab.node.supervisor import GRACEFUL_AT_LEAST, Control
from lab.simulation_options import SimulationOptions


@dataclass(frozen=True)
class Answer:
    """What a script prints and how it exits."""

    code: int
    text: str

    @property
    def stream(self) -> int:
        """Refusals go to standard error."""
        return 2 if self.code else 1


@dataclass(frozen=True)
class Call:
    """A script that was started and waits for its answer."""

    pid: int
    script: str
    arguments: tuple[str, ...]
    run: Path

    def answer(self, answer: Answer) -> None:
        """Let the script print and exit; one that is gone by now is nobody's loss (F2)."""
        reply = self.run / f"reply.{self.pid}"
        line = answer.text.replace("\\", "\\\\").replace("\n", "\\n")
        with suppress(OSError):
            handle = os.open(reply, os.O_WRONLY | os.O_NONBLOCK)
            os.write(handle, f"{answer.code} {answer.stream} {line}\n".encode())
            os.close(handle)
        reply.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the script before it could answer."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        (self.run / f"reply.{self.pid}").unlink(missing_ok=True)


def carry_out(call: Call, control: Control, layout: Layout, node: NodeLayout) -> None:
    """Do what a script was started for, then answer it; faults come first."""
    simulation = SimulationOptions.read(layout.simulation)
    planted = simulation.faults.get(node.name, {})
    if "lands_late" in planted:
        simulation = replace(simulation, graceful_stop_command="blocks")
    if refusal := planted.get(f"exit_{call.script}"):
        call.answer(Answer(1, refusal))
        return
    hang = planted.get(f"hang_{call.script}")
    if hang == "before":
        call.kill()
        return

    def answer(answer: Answer) -> None:
        if hang:
            call.kill()
        else:
            call.answer(answer)

    verb, _, what = call.script.partition("_")
    if what == "all":
        _all(verb, control, call.script, answer)
    elif verb == "status":
        answer(_status(what, control, planted.get(call.script)))
    elif verb == "start":
        control.start(services.BY_SCRIPT[what].name, call.script)
        answer(Answer(0, f"{what} started"))
    else:
        _stop(call, control, simulation, answer)


def _all(verb: str, control: Control, by: str, answer: Callable[[Answer], None]) -> None:
    if verb == "start":
        control.start_all(by)
        answer(Answer(0, "SecureTransport started"))
    else:
        control.stop_all(by, lambda: answer(Answer(0, "SecureTransport stopped")))


def _status(script: str, control: Control, planted: str | None) -> Answer:
    admin = control.running.get("admin")
    if not admin or not admin.ready:
        return Answer(1, "ERROR: cannot connect to the Administration Tool server")
    state = control.state(services.BY_SCRIPT[script].name)
    line = f"{script} is {state}"
    return Answer(0, planted.replace("{status}", line) if planted else line)


def _stop(
    call: Call, control: Control, simulation: SimulationOptions, answer: Callable[[Answer], None]
) -> None:
    script = call.script.removeprefix("stop_")
    name = services.BY_SCRIPT[script].name
    arguments = " ".join(call.arguments)
    wanted = re.fullmatch(
        r"(?P<graceful>-g)?( ?-timeout (?P<timeout>\d+))?", _without_alias(arguments)
    )
    if wanted is None or (wanted["timeout"] and not wanted["graceful"]):
        answer(Answer(1, f"usage: {call.script} [-A ALIAS] [-g [-timeout SECONDS]]"))
        return
    graceful = wanted["graceful"] and name in services.GRACEFUL
    timeout = float(wanted["timeout"] or grace(name)) if graceful else 0
    if not graceful or (name == "tm" and timeout < GRACEFUL_AT_LEAST):
        control.stop(name, call.script, lambda: answer(Answer(0, f"{script} stopped")))
        return
    control.drain(name, timeout, call.script)
    process = control.running.get(name)
    if process and simulation.graceful_stop_command == "blocks":
        process.when_gone.append(lambda: answer(Answer(0, f"{script} stopped")))
    else:
        answer(Answer(0, f"{script} is shutting down gracefully"))


def _without_alias(arguments: str) -> str:
    return re.sub(r" ?-[Af]( (?!-)\S+)?", "", arguments).strip()
