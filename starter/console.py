"""The operator's console: which commands there are, and what each of them shows."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import NoReturn

import typer
from rich.console import Console

from starter.client import operations as asking
from starter.client.connection import Temporal
from starter.client.errors import Exit, Stop, exit_of
from starter.client.operations import outcome_of
from starter.client.snapshot import look
from starter.commands import options
from starter.commands.check import add_check
from starter.commands.decisions import add_verbs
from starter.commands.options import (
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
from starter.estate_schema import estate_schema
from starter.terminal import asked, print_json, terminal
from starter.views.outcome import outcome_view, reports_view
from starter.views.plan import plan_json, plan_view
from starter.views.status import RunView
from starter.views.watch import watch
from workflows.model.decisions import Decision, Verb
from workflows.model.outcome import Outcome
from workflows.model.request import Request

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
    request = options.request(
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
    reviewed = asked(lambda temporal: asking.review(temporal, request))
    if as_json:
        print_json(plan_json(reviewed))
    else:
        terminal().print(plan_view(reviewed))


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
    request = options.request(
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
    asked(lambda temporal: _begin(temporal, request, wait=wait))


@app.command()
def status(
    estate: EstateName,
    run_id: RunId = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show where a run is, once."""
    sight = asked(lambda temporal: look(temporal.run(estate, run_id)))
    if sight.progress is None:
        raise Stop(sight.error or "the run has no plan yet")
    if as_json:
        print_json(sight.progress.model_dump(mode="json"))
    else:
        terminal().print(RunView(sight, datetime.now(UTC)))


@app.command(name="watch")
def watch_(estate: EstateName, run_id: RunId = None) -> None:
    """Show a run until it ends, and exit as it ended."""
    console = terminal()
    outcome = asked(lambda temporal: watch(temporal.run(estate, run_id), console))
    _end(console, outcome)


@app.command()
def report(
    estate: EstateName,
    run_id: RunId = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show how a run ended, with the evidence, and exit as it ended."""
    outcome = asked(lambda temporal: asking.ended(temporal.run(estate, run_id), estate))
    if as_json:
        print_json(outcome.model_dump(mode="json"))
        raise typer.Exit(exit_of(outcome))
    console = terminal()
    console.print(reports_view(outcome))
    _end(console, outcome)


@app.command()
def schema() -> None:
    """Print the JSON Schema of estate files."""
    print_json(estate_schema())


def _deliver(estate: str, verb: Verb, decision: Decision) -> None:
    answer = asked(lambda temporal: asking.decide(temporal, estate, verb, decision))
    terminal().print(answer, markup=False, soft_wrap=True)


add_check(app)
add_verbs(app, _deliver)


async def _begin(temporal: Temporal, request: Request, *, wait: bool) -> None:
    run = await asking.begin(temporal, request)
    console = terminal()
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
    elif sight.error:
        console.print(sight.error, style="yellow", soft_wrap=True)


def _complain(why: object, code: int) -> int:
    print(why, file=sys.stderr, flush=True)  # noqa: T201 - the operator's terminal
    return code


def _end(console: Console, outcome: Outcome) -> None:
    """Show the outcome, and exit as it says."""
    console.print(outcome_view(outcome))
    raise typer.Exit(exit_of(outcome))
