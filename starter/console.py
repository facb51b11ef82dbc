"""The operator's console: which commands there are, and what each of them shows."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console

from starter import asking, options
from starter.connection import Temporal, connect
from starter.exits import Exit, Stop, exit_of
from starter.live import outcome_of, watch
from starter.options import (
    Accepted,
    Approvers,
    AsJson,
    EstateName,
    Expires,
    Expiry,
    Faulty,
    Gates,
    InVariant,
    Needed,
    PlanHash,
    Reason,
    RunId,
    Source,
    Target,
    Wait,
)
from starter.papers import outcome_view, reports_view
from starter.plans import plan_json, plan_view
from starter.schema import estate_schema
from starter.screen import RunView
from starter.sight import look
from starter.verbs import add_verbs
from workflows.progress import Outcome
from workflows.request import Decision, Request
from workflows.verbs import Verb

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
def plan(  # noqa: PLR0913 - each is a word of the command line
    estate: EstateName,
    source: Source,
    target: Target,
    *,
    approve_before: Gates = None,
    variant: InVariant = None,
    approver: Approvers = None,
    approvals_needed: Needed = None,
    expires_after: Expires = None,
    on_expiry: Expiry = None,
    as_json: AsJson = False,
) -> None:
    """Show what a switchover would send, what holds already, and its plan hash; only looks."""
    asked = options.request(
        estate=estate,
        source=source,
        target=target,
        approve_before=approve_before,
        variant=variant,
        approvers=approver,
        approvals_needed=approvals_needed,
        expires_after=options.duration(expires_after),
        on_expiry=on_expiry,
    )
    reviewed = _asked(lambda temporal: asking.review(temporal, asked))
    if as_json:
        _print_json(plan_json(reviewed))
    else:
        _console().print(plan_view(reviewed))


@app.command()
def start(  # noqa: PLR0913 - each is a word of the command line
    estate: EstateName,
    source: Source,
    target: Target,
    *,
    approve_before: Gates = None,
    variant: InVariant = None,
    approver: Approvers = None,
    approvals_needed: Needed = None,
    expires_after: Expires = None,
    on_expiry: Expiry = None,
    on_fault: Faulty = None,
    plan_hash: PlanHash = None,
    reason: Reason = "",
    accept: Accepted = None,
    wait: Wait = False,
) -> None:
    """Start a switchover."""
    asked = options.request(
        estate=estate,
        source=source,
        target=target,
        approve_before=approve_before,
        variant=variant,
        approvers=approver,
        approvals_needed=approvals_needed,
        expires_after=options.duration(expires_after),
        on_expiry=on_expiry,
        on_fault=on_fault,
        plan_hash=plan_hash,
        reason=reason,
        accept=options.accepted(accept),
    )
    _asked(lambda temporal: _begin(temporal, asked, wait=wait))


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
        _console().print(RunView(sight, datetime.now(UTC)))


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


def _deliver(estate: str, verb: Verb, decision: Decision) -> None:
    answer = _asked(lambda temporal: asking.decide(temporal, estate, verb, decision))
    _console().print(answer, markup=False, soft_wrap=True)


add_verbs(app, _deliver)


async def _begin(temporal: Temporal, request: Request, *, wait: bool) -> None:
    run = await asking.begin(temporal, request)
    console = _console()
    console.print(
        f"started {request.estate}: {request.source} → {request.target}; workflow id {run.id}, "
        f"run id {run.run_id}\n"
        f"watch it with `switchover watch {request.estate}`, or in the Web UI under "
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


def _console() -> Console:
    """Return where tables go: as wide as the terminal, or wide enough for a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))  # noqa: T201 - this is the command's output
