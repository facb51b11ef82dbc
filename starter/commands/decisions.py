"""The operator's verbs as commands: one for each, saying what is missing before it is sent."""

from __future__ import annotations

from collections.abc import Callable

import typer

from starter.client.errors import Exit, Stop
from starter.commands.options import (
    By,
    EstateName,
    Minutes,
    NodeName,
    Reason,
    StageOption,
    who_is_here,
)
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

DOES: dict[Verb, str] = {
    "approve": "opens a gate, also before the run has reached it",
    "reject": "refuses a gate: the run goes no further, and what was done is taken back",
    "pause": "begins nothing new and stops our own clocks; what is under way finishes",
    "resume": "ends a pause",
    "retry": "tries what failed again, and only that",
    "skip": "leaves out stage 5, 8 or 9, or one node of it",
    "extend": "waits longer for clients and partners than the estate's patience",
    "force": "ends such a wait, whoever is still there; or counts a dead node as down",
    "roll_back": "takes back what was done, to the baseline",
    "abort": "ends the run with nothing undone, but never without scheduling anywhere",
}

Deliver = Callable[[str, Verb, Decision], None]
"""Tells the run of an estate a verb, and shows its answer."""


def add_verbs(app: typer.Typer, deliver: Deliver) -> None:
    """Give the console a command for every verb."""
    for verb in VERBS:
        make = _longer if verb in NEED_MINUTES else _usual
        app.command(name=verb.replace("_", "-"), help=_help(verb))(make(verb, deliver))


def _usual(verb: Verb, deliver: Deliver) -> Callable[..., None]:
    def decide(
        estate: EstateName,
        *,
        stage: StageOption = None,
        node: NodeName = None,
        by: By = "",
        reason: Reason = "",
    ) -> None:
        told = _decision(verb, stage=stage, node=node, by=by, reason=reason)
        deliver(estate, verb, told)

    return decide


def _longer(verb: Verb, deliver: Deliver) -> Callable[..., None]:
    def decide(  # noqa: PLR0913 - each is a word of the command line
        estate: EstateName,
        *,
        stage: StageOption = None,
        node: NodeName = None,
        minutes: Minutes = None,
        by: By = "",
        reason: Reason = "",
    ) -> None:
        told = _decision(verb, stage=stage, node=node, minutes=minutes, by=by, reason=reason)
        deliver(estate, verb, told)

    return decide


def _decision(verb: Verb, **given: object) -> Decision:
    given["by"] = given["by"] or who_is_here()
    needs = [
        option
        for option, verbs in (
            ("--stage", NEED_STAGE),
            ("--minutes", NEED_MINUTES),
            ("--reason", NEED_REASON),
        )
        if verb in verbs and given[option.removeprefix("--")] in (None, "")
    ]
    if needs:
        words = f"{verb.replace('_', '-')} needs {' and '.join(needs)}: it {DOES[verb]}"
        raise Stop(words, Exit.BAD_INPUT)
    try:
        return parse_decision([{key: value for key, value in given.items() if value is not None}])
    except BadInput as mistake:
        raise Stop(str(mistake), Exit.BAD_INPUT) from mistake


def _help(verb: Verb) -> str:
    words = DOES[verb]
    return f"{words[0].upper()}{words[1:]}."
