"""Carry out a call of a script and answer it.

Faults (``SimulationOptions.faults``), with SCRIPT such as ``status_sshd``:

* ``SCRIPT``, for status scripts: the text to print instead; ``{status}`` in it stands for the
  true line
* ``exit_SCRIPT``: exit 1 without doing anything, with this text on standard error
* ``hang_SCRIPT``: the script is killed before it answers: ``before`` doing anything, or ``after``;
  ``with_session``: before doing anything, and with what started it, so that no process reports how
  it ended
* ``completes_late`` (any text): a graceful stop's script answers only once the stop has completed,
  whatever the option is (and ``lab.node.draining`` completes it at its timeout)

What a site may bring, in the same place: ``exit_status``: how scripts that start or stop something
exit although they did it; no exit status is documented.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from lab.layout import Layout, NodeLayout
from lab.node import services
from lab.node.calls import ScriptAnswer, ScriptCall
from lab.node.options import grace
from lab.node.supervisor import GRACEFUL_AT_LEAST, Supervisor
from lab.simulation_options import SimulationOptions


def carry_out(call: ScriptCall, supervisor: Supervisor, layout: Layout, node: NodeLayout) -> None:
    """Do what a script was started for, then answer it; faults come first."""
    simulation = SimulationOptions.read(layout.simulation)
    faults = simulation.faults.get(node.name, {})
    if "completes_late" in faults:
        simulation = replace(simulation, graceful_stop_command="blocks")
    if refusal := faults.get(f"exit_{call.script}"):
        call.answer(ScriptAnswer(1, refusal))
        return
    hang = faults.get(f"hang_{call.script}")
    if killed := {"before": call.kill, "with_session": call.kill_session}.get(hang or ""):
        killed()
        return

    def answer(answer: ScriptAnswer) -> None:
        if hang:
            call.kill()
        elif "exit_status" in faults and not call.script.startswith("status_"):
            call.answer(replace(answer, code=int(faults["exit_status"])))
        else:
            call.answer(answer)

    verb, _, what = call.script.partition("_")
    if what == "all":
        _all(verb, supervisor, call.script, answer)
    elif verb == "status":
        answer(_status(what, supervisor, faults.get(call.script)))
    elif verb == "start":
        supervisor.start(services.BY_SCRIPT[what].name, call.script)
        answer(ScriptAnswer(0, f"{what} started"))
    else:
        _stop(call, supervisor, simulation, answer)


def _all(
    verb: str, supervisor: Supervisor, by: str, answer: Callable[[ScriptAnswer], None]
) -> None:
    if verb == "start":
        supervisor.start_all(by)
        answer(ScriptAnswer(0, "SecureTransport started"))
    else:
        supervisor.stop_all(by, lambda: answer(ScriptAnswer(0, "SecureTransport stopped")))


def _status(script: str, supervisor: Supervisor, faults: str | None) -> ScriptAnswer:
    admin = supervisor.running.get("admin")
    if not admin or not admin.ready:
        return ScriptAnswer(1, "ERROR: cannot connect to the Administration Tool server")
    state = supervisor.state(services.BY_SCRIPT[script].name)
    line = f"{script} is {state}"
    return ScriptAnswer(0, faults.replace("{status}", line) if faults else line)


def _stop(
    call: ScriptCall,
    supervisor: Supervisor,
    simulation: SimulationOptions,
    answer: Callable[[ScriptAnswer], None],
) -> None:
    script = call.script.removeprefix("stop_")
    name = services.BY_SCRIPT[script].name
    arguments = " ".join(call.arguments)
    parsed = re.fullmatch(
        r"(?P<graceful>-g)?( ?-timeout (?P<timeout>\d+))?", _without_alias(arguments)
    )
    if parsed is None or (parsed["timeout"] and not parsed["graceful"]):
        answer(ScriptAnswer(1, f"usage: {call.script} [-A ALIAS] [-g [-timeout SECONDS]]"))
        return
    graceful = parsed["graceful"] and name in services.GRACEFUL
    timeout = float(parsed["timeout"] or grace(name)) if graceful else 0
    if not graceful or (name == "tm" and timeout < GRACEFUL_AT_LEAST):
        supervisor.stop(name, call.script, lambda: answer(ScriptAnswer(0, f"{script} stopped")))
        return
    supervisor.drain(name, timeout, call.script)
    process = supervisor.running.get(name)
    if process and simulation.graceful_stop_command == "blocks":
        process.when_ended.append(lambda: answer(ScriptAnswer(0, f"{script} stopped")))
    else:
        answer(ScriptAnswer(0, f"{script} is shutting down gracefully"))


def _without_alias(arguments: str) -> str:
    return re.sub(r" ?-[Af]( (?!-)\S+)?", "", arguments).strip()
