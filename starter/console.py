"""The commands of the operator's console."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import NoReturn

import typer
from rich.console import Console

from starter.client import operations
from starter.client.connection import Temporal
from starter.client.errors import CommandError, ExitCode, exit_code
from starter.client.snapshot import read_snapshot
from starter.commands import options
from starter.commands.check import add_check
from starter.commands.decisions import add_decisions
from starter.commands.estate_files import add_estate_files
from starter.commands.logs import add_logs
from starter.terminal import print_json, terminal, with_temporal
from starter.views.outcome import outcome_view, reports_view
from starter.views.plan import plan_json, plan_view
from starter.views.status import RunView
from starter.views.watch import watch
from workflows.model.decisions import Decision, Verb
from workflows.model.outcome import Outcome
from workflows.model.request import AnyRequest
from workflows.views.direction import subject

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, by the shells' convention."""

app = typer.Typer(
    help="Moves traffic between two SecureTransport clusters. The Temporal server is configured by "
    "TEMPORAL_ADDRESS and the other variables of the temporal CLI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Run one command; every error is one sentence and an exit code."""
    try:
        app()
    except CommandError as error:
        code = _print_error(error, error.code)
    except KeyboardInterrupt:
        code = _print_error("stopped watching; the run continues", INTERRUPTED)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else ExitCode.COMPLETED
    # A busy thread of Temporal's SDK can crash an interpreter that shuts down, after everything
    # went well (temporalio/sdk-python#300): os._exit skips the shutdown.
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)


@app.command()
def plan(  # noqa: PLR0913 - each is an option of the command line
    estate: options.EstateName,
    source: options.Source,
    target: options.Target,
    *,
    approve_before: options.Gates = None,
    variant: options.Variant = None,
    approver: options.Approvers = None,
    approvals_needed: options.Needed = None,
    expires_after: options.Expires = None,
    on_expiry: options.OnExpiry = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the actions and commands of a switchover and its plan hash; changes nothing."""
    request = options.request(
        estate=estate,
        source=source,
        target=target,
        approve_before=approve_before,
        variant=variant,
        approvers=approver,
        approvals_needed=approvals_needed,
        expires_after=options.expiry(expires_after),
        on_expiry=on_expiry,
    )
    _review(request, as_json=as_json)


@app.command()
def start(  # noqa: PLR0913 - each is an option of the command line
    estate: options.EstateName,
    source: options.Source,
    target: options.Target,
    *,
    approve_before: options.Gates = None,
    variant: options.Variant = None,
    approver: options.Approvers = None,
    approvals_needed: options.Needed = None,
    expires_after: options.Expires = None,
    on_expiry: options.OnExpiry = None,
    on_fault: options.OnFault = None,
    plan_hash: options.PlanHash = None,
    reason: options.Reason = "",
    accept: options.Accepted = None,
    wait: options.Wait = False,
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
        expires_after=options.expiry(expires_after),
        on_expiry=on_expiry,
        on_fault=on_fault,
        plan_hash=plan_hash,
        reason=reason,
        accept=options.accepted(accept),
    )
    with_temporal(lambda temporal: _start(temporal, request, wait=wait))


@app.command()
def rejoin(  # noqa: PLR0913 - each is an option of the command line
    estate: options.EstateName,
    cluster: options.Returning,
    *,
    preview: options.Preview = False,
    approve_before: options.Gates = None,
    approver: options.Approvers = None,
    approvals_needed: options.Needed = None,
    expires_after: options.Expires = None,
    on_expiry: options.OnExpiry = None,
    on_fault: options.OnFault = None,
    plan_hash: options.PlanHash = None,
    reason: options.Reason = "",
    accept: options.Accepted = None,
    wait: options.Wait = False,
    as_json: options.AsJson = False,
) -> None:
    """Bring the drained cluster back as the passive one."""
    request = options.rejoin_request(
        estate=estate,
        cluster=cluster,
        approve_before=approve_before,
        approvers=approver,
        approvals_needed=approvals_needed,
        expires_after=options.expiry(expires_after),
        on_expiry=on_expiry,
        on_fault=on_fault,
        plan_hash=plan_hash,
        reason=reason,
        accept=options.accepted(accept),
    )
    if preview:
        _review(request, as_json=as_json)
    else:
        with_temporal(lambda temporal: _start(temporal, request, wait=wait))


@app.command()
def status(
    estate: options.EstateName, run_id: options.RunId = None, *, as_json: options.AsJson = False
) -> None:
    """Show the state of a run once."""
    snapshot = with_temporal(lambda temporal: read_snapshot(temporal.run(estate, run_id)))
    if snapshot.progress is None:
        raise CommandError(snapshot.error or "the run has no plan yet")
    if as_json:
        print_json(snapshot.progress.model_dump(mode="json"))
    else:
        terminal().print(RunView(snapshot, datetime.now(UTC)))


@app.command(name="watch")
def watch_(estate: options.EstateName, run_id: options.RunId = None) -> None:
    """Show a run until it ends; the exit code tells how it ended."""
    console = terminal()
    outcome = with_temporal(lambda temporal: watch(temporal.run(estate, run_id), console))
    _exit(console, outcome)


@app.command()
def report(
    estate: options.EstateName, run_id: options.RunId = None, *, as_json: options.AsJson = False
) -> None:
    """Show the outcome of a run with every report; the exit code tells how it ended."""
    outcome = with_temporal(
        lambda temporal: operations.finished_outcome(temporal.run(estate, run_id), estate)
    )
    if as_json:
        print_json(outcome.model_dump(mode="json"))
        raise typer.Exit(exit_code(outcome))
    console = terminal()
    console.print(reports_view(outcome))
    _exit(console, outcome)


def _send(estate: str, verb: Verb, decision: Decision) -> None:
    answer = with_temporal(lambda temporal: operations.decide(temporal, estate, verb, decision))
    terminal().print(answer, markup=False, soft_wrap=True)


add_check(app)
add_decisions(app, _send)
add_estate_files(app)
add_logs(app)


async def _start(temporal: Temporal, request: AnyRequest, *, wait: bool) -> None:
    run = await operations.start_run(temporal, request)
    console = terminal()
    console.print(
        f"started {subject(request)}; workflow id {run.id}, "
        f"run id {run.run_id}\n"
        f"watch it with `switchover watch {request.estate}`, or in the Web UI under "
        f"/namespaces/{temporal.client.namespace}/workflows/{run.id}/{run.run_id}",
        markup=False,
        soft_wrap=True,
    )
    snapshot = await operations.first_snapshot(run)
    if wait:
        _exit(console, await watch(run, console))
    elif snapshot.ended:
        _exit(console, await operations.outcome_of(run))
    elif snapshot.error:
        console.print(snapshot.error, style="yellow", soft_wrap=True)


def _review(request: AnyRequest, *, as_json: bool) -> None:
    reviewed = with_temporal(lambda temporal: operations.review(temporal, request))
    if as_json:
        print_json(plan_json(reviewed))
    else:
        terminal().print(plan_view(reviewed))


def _print_error(message: object, code: int) -> int:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the operator's terminal
    return code


def _exit(console: Console, outcome: Outcome) -> None:
    """Show the outcome and exit with its code."""
    console.print(outcome_view(outcome))
    raise typer.Exit(exit_code(outcome))
