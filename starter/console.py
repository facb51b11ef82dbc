"""The operator's console: which commands there are, and what each of them shows."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from starter import asking
from starter.connection import Temporal, connect
from starter.exits import Exit, Stop, exit_of
from starter.live import outcome_of, watch
from starter.papers import outcome_view, plan_view, reports_view
from starter.schema import estate_schema
from starter.sight import look
from starter.tables import run_view
from workflows.verbs import VERBS
from workflows.errors import BadInput
from workflows.progress import Outcome
from workflows.request import Decision, Request, parse_decision, parse_request
from workflows.stages import Slug

T = TypeVar("T")

INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended."""

app = typer.Typer(
    help="Moves traffic between two SecureTransport clusters. Where Temporal is: TEMPORAL_ADDRESS "
    "and the like, as for the temporal CLI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EstateName = Annotated[str, typer.Argument(metavar="ESTATE", help="the estate file's name")]
Source = Annotated[str, typer.Option("--from", metavar="C1", help="the cluster traffic leaves")]
Target = Annotated[str, typer.Option("--to", metavar="C2", help="the cluster traffic reaches")]
Gates = Annotated[
    list[Slug] | None,
    typer.Option("--approve-before", metavar="STAGE", help="wait for an approval; repeatable"),
]
PlanHash = Annotated[str | None, typer.Option(metavar="H", help="the plan that was reviewed")]
Reason = Annotated[str, typer.Option(metavar="R", help="why; kept in the outcome")]
Accepted = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="FINDING=REASON", help="a finding that may stand; repeatable"),
]
RunId = Annotated[str | None, typer.Option("--run", metavar="ID", help="not the latest run")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]
Wait = Annotated[bool, typer.Option("--wait", help="watch, and exit as the run ends")]
StageName = Annotated[
    Slug | None, typer.Option("--stage", metavar="STAGE", help="the stage it is about")
]
NodeName = Annotated[
    str | None, typer.Option("--node", metavar="N", help="only what concerns this node")
]
By = Annotated[str, typer.Option(metavar="WHO", help="who decides; default: who you are here")]


def main() -> NoReturn:
    """Run one command; whatever goes wrong is one sentence and an exit code."""
    try:
        app()
    except Stop as stop:
        code = _complain(stop, stop.code)
    except KeyboardInterrupt:
        code = _complain("left; a run that is under way goes on", INTERRUPTED)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else Exit.COMPLETED
    # A thread of Temporal's SDK that is still busy can crash an interpreter that is being taken
    # down, after everything went well (temporalio/sdk-python#300): so it is not taken down.
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)


@app.command()
def plan(
    estate: EstateName,
    source: Source,
    target: Target,
    *,
    approve_before: Gates = None,
    as_json: AsJson = False,
) -> None:
    """Show what a switchover would do, stage by stage, and its plan hash; changes nothing."""
    request = _request(estate, source, target, approve_before=approve_before)
    reviewed = _asked(lambda temporal: asking.review(temporal, request))
    if as_json:
        _print_json({"hash": reviewed.hash, **reviewed.model_dump(mode="json")})
    else:
        _console().print(plan_view(reviewed))


@app.command()
def start(  # noqa: PLR0913 - each is a word of the command line
    estate: EstateName,
    source: Source,
    target: Target,
    *,
    approve_before: Gates = None,
    plan_hash: PlanHash = None,
    reason: Reason = "",
    accept: Accepted = None,
    wait: Wait = False,
) -> None:
    """Start a switchover."""
    request = _request(
        estate,
        source,
        target,
        approve_before=approve_before,
        plan_hash=plan_hash,
        reason=reason,
        accept=dict(_accepted(word) for word in accept or ()),
    )

    async def begin(temporal: Temporal) -> None:
        run = await asking.begin(temporal, request)
        console = _console()
        console.print(
            f"started {estate}: {source} → {target}; workflow id {run.id}, run id {run.run_id}\n"
            f"watch it with `switchover watch {estate}`, or in the Web UI under "
            f"/namespaces/{temporal.client.namespace}/workflows/{run.id}/{run.run_id}",
            markup=False,
            soft_wrap=True,
        )
        sight = await asking.settled(run)
        if wait:
            _end(console, await watch(run, console))
        elif sight.over:
            _end(console, await outcome_of(run))
        elif sight.trouble:
            console.print(sight.trouble, style="yellow", soft_wrap=True)

    _asked(begin)


@app.command()
def status(
    estate: EstateName,
    run_id: RunId = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show where a run is, once."""
    sight = _asked(lambda temporal: look(temporal.run(estate, run_id)))
    if sight.progress is None:
        raise Stop(sight.trouble or "the run has no plan yet")
    if as_json:
        _print_json(sight.progress.model_dump(mode="json"))
    else:
        _console().print(run_view(sight, datetime.now(UTC)))


@app.command(name="watch")
def watch_(estate: EstateName, run_id: RunId = None) -> None:
    """Show a run until it ends, and exit as it ended."""
    console = _console()
    outcome = _asked(lambda temporal: watch(temporal.run(estate, run_id), console))
    _end(console, outcome)


@app.command()
def report(
    estate: EstateName,
    run_id: RunId = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show how a run ended, with the evidence, and exit as it ended."""
    outcome = _asked(lambda temporal: asking.ended(temporal.run(estate, run_id), estate))
    if as_json:
        _print_json(outcome.model_dump(mode="json"))
        raise typer.Exit(exit_of(outcome))
    console = _console()
    console.print(reports_view(outcome))
    _end(console, outcome)


@app.command()
def schema() -> None:
    """Print the JSON Schema of estate files."""
    _print_json(estate_schema())


def _decision_command(verb: str) -> Callable[..., None]:
    def decide(
        estate: EstateName,
        *,
        stage: StageName = None,
        node: NodeName = None,
        by: By = "",
        reason: Reason = "",
    ) -> None:
        decision = _decision(
            stage=stage and stage.value, node=node, by=by or _who_is_here(), reason=reason
        )
        answer = _asked(lambda temporal: asking.decide(temporal, estate, verb, decision))
        _console().print(answer, markup=False, soft_wrap=True)

    return decide


for _verb in VERBS:
    app.command(
        name=_verb.replace("_", "-"), help=f"Tell a run that waits, or will wait: {_verb}."
    )(_decision_command(_verb))


def _complain(why: object, code: int) -> int:
    print(why, file=sys.stderr, flush=True)  # noqa: T201 - the operator's terminal
    return code


def _asked(question: Callable[[Temporal], Coroutine[Any, Any, T]]) -> T:
    async def ask() -> T:
        return await question(await connect())

    return asyncio.run(ask())


def _end(console: Console, outcome: Outcome) -> None:
    """Show the outcome, and exit as it says."""
    console.print(outcome_view(outcome))
    raise typer.Exit(exit_of(outcome))


def _request(estate: str, source: str, target: str, **more: object) -> Request:
    given = {"estate": estate, "source": source, "target": target, **more}
    try:
        return parse_request([{key: value for key, value in given.items() if value}])
    except BadInput as mistake:
        raise Stop(str(mistake), Exit.BAD_INPUT) from mistake


def _decision(**given: str | None) -> Decision:
    try:
        return parse_decision([{key: value for key, value in given.items() if value}])
    except BadInput as mistake:
        raise Stop(str(mistake), Exit.BAD_INPUT) from mistake


def _accepted(word: str) -> tuple[str, str]:
    finding, equals, reason = word.partition("=")
    if not equals:
        raise Stop(f"--accept {word}: write FINDING=REASON", Exit.BAD_INPUT)
    return finding, reason


def _who_is_here() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())


def _console() -> Console:
    """Return where tables go: as wide as the terminal, or wide enough for a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))  # noqa: T201 - this is the command's output
