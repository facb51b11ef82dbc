"""The commands that send an operator's decision to a run."""

from collections.abc import Callable

import typer

from starter.client.errors import CommandError, ExitCode
from starter.commands import options
from workflows.errors import BadInput
from workflows.model.decisions import (
    NEED_MINUTES,
    NEED_REASON,
    NEED_STAGE,
    VERBS,
    Decision,
    Verb,
    parse_decision,
)

DESCRIPTIONS: dict[Verb, str] = {
    "approve": "opens a gate, also before the run has reached it",
    "reject": "refuses a gate: the run stops there, and what was done is rolled back",
    "pause": "starts nothing new and stops all timers; actions in progress finish",
    "resume": "ends a pause",
    "retry": "repeats what failed, and nothing else",
    "skip": "skips stage 5, 8 or 9, or one node of it",
    "extend": "extends the drain timeout",
    "force": "ends a drain although clients are connected, or treats an unreachable node as down",
    "roll_back": "rolls back what was done, to the baseline",
    "abort": "ends the run without undoing anything, but never without scheduling on a cluster",
}

Send = Callable[[str, Verb, Decision], None]
"""Sends a decision to the run of an estate, and shows the answer."""


def add_decisions(app: typer.Typer, send: Send) -> None:
    """Add a command for every verb."""
    for verb in VERBS:
        make = _command_with_minutes if verb in NEED_MINUTES else _command
        description = DESCRIPTIONS[verb]
        text = f"{description[0].upper()}{description[1:]}."
        app.command(name=verb.replace("_", "-"), help=text)(make(verb, send))


def _command(verb: Verb, send: Send) -> Callable[..., None]:
    def decide(
        estate: options.EstateName,
        *,
        stage: options.StageOption = None,
        node: options.NodeName = None,
        by: options.By = "",
        reason: options.Reason = "",
    ) -> None:
        send(estate, verb, _decision(verb, stage=stage, node=node, by=by, reason=reason))

    return decide


def _command_with_minutes(verb: Verb, send: Send) -> Callable[..., None]:
    def decide(  # noqa: PLR0913 - each is an option of the command line
        estate: options.EstateName,
        *,
        stage: options.StageOption = None,
        node: options.NodeName = None,
        minutes: options.Minutes = None,
        by: options.By = "",
        reason: options.Reason = "",
    ) -> None:
        decision = _decision(verb, stage=stage, node=node, minutes=minutes, by=by, reason=reason)
        send(estate, verb, decision)

    return decide


def _decision(verb: Verb, **given: object) -> Decision:
    """Return the decision; CommandError before anything is sent if an option is missing."""
    needs = {"stage": NEED_STAGE, "minutes": NEED_MINUTES, "reason": NEED_REASON}
    missing = [f"--{key}" for key, verbs in needs.items() if verb in verbs and not given[key]]
    if missing:
        name = verb.replace("_", "-")
        message = f"{name} needs {' and '.join(missing)}: it {DESCRIPTIONS[verb]}"
        raise CommandError(message, ExitCode.BAD_INPUT)
    payload = {key: value for key, value in given.items() if value is not None}
    try:
        return parse_decision([{**payload, "by": given["by"] or options.user_name()}])
    except BadInput as mistake:
        raise CommandError(str(mistake), ExitCode.BAD_INPUT) from mistake
