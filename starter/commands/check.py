"""The `switchover check` command."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from starter.client import operations, schedules
from starter.client.connection import Temporal
from starter.client.errors import CommandError, ExitCode
from starter.client.readiness import check_readiness
from starter.client.schedules import ScheduleStatus
from starter.commands import options
from starter.terminal import print_json, terminal, with_temporal
from starter.views.html_report import html_report, write
from starter.views.readiness import ReadinessView, checks_view, schedule_view
from workflows.model.request import Request
from workflows.preflight.catalogue import CHECKS

OFF = ("off", "never")

LISTED = ("name", "title", "heading", "scope", "severity", "until", "acceptable")
"""The keys of a check in `--list --json`."""

# `--list` needs none of these.
Estate = Annotated[str | None, options.ESTATE]
Source = Annotated[str | None, options.FROM]
Target = Annotated[str | None, options.TO]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="also write the report as a web page")
]
Every = Annotated[
    str | None,
    typer.Option("--every", metavar="TIME", help="check regularly from now on: 30m, 6h; or off"),
]
Scheduled = Annotated[
    bool, typer.Option("--schedule", help="show the regular checks and their results")
]
Listed = Annotated[bool, typer.Option("--list", help="list all checks")]


def add_check(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def check(  # noqa: PLR0913 - each is an option of the command line
        estate: Estate = None,
        source: Source = None,
        target: Target = None,
        *,
        accept: options.Accepted = None,
        as_json: options.AsJson = False,
        html: Html = None,
        every: Every = None,
        scheduled: Scheduled = False,
        listed: Listed = False,
    ) -> None:
        """Check whether a switchover could start now; changes nothing, exits 0 if all pass."""
        if listed:
            _list(as_json=as_json)
            return
        if every is not None or scheduled:
            if html is not None:
                message = "--html needs a check now; it cannot be combined with a schedule"
                raise CommandError(message, ExitCode.BAD_INPUT)
            _schedule(_request(estate, source, target, accept), every, as_json=as_json)
            return
        _check(_request(estate, source, target, accept), html, as_json=as_json)


def _list(*, as_json: bool) -> None:
    if as_json:
        print_json([{key: getattr(check, key) for key in LISTED} for check in CHECKS])
    else:
        terminal().print(checks_view())


def _check(request: Request, html: Path | None, *, as_json: bool) -> None:
    console = terminal()
    report = with_temporal(lambda temporal: check_readiness(temporal, request, console))
    if html is not None:
        write(html, html_report(report))
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        console.print(ReadinessView(report))
    raise typer.Exit(ExitCode.FINDINGS if report.findings else ExitCode.COMPLETED)


def _schedule(request: Request, every: str | None, *, as_json: bool) -> None:
    if every is not None and every.strip().lower() in OFF:
        deleted = with_temporal(lambda temporal: schedules.delete_schedule(temporal, request))
        if as_json:
            print_json(None)
        else:
            result = "schedule deleted" if deleted else "there was no such schedule"
            terminal().print(f"{schedules.schedule_id(request)}: {result}", markup=False)
        return
    interval = None if every is None else options.duration(every, "--every")
    status = with_temporal(lambda temporal: _set_and_read(temporal, request, interval))
    if as_json:
        print_json(status.as_json())
    else:
        terminal().print(*schedule_view(status), sep="\n")


async def _set_and_read(
    temporal: Temporal, request: Request, interval: timedelta | None
) -> ScheduleStatus:
    """Set the schedule if there is an interval; then return it as Temporal has it."""
    if interval is not None:
        # Wrong input is refused now, instead of failing in every scheduled run.
        await operations.review(temporal, request)
        await schedules.set_schedule(temporal, request, interval)
    return await schedules.read_schedule(temporal, request)


def _request(
    estate: str | None, source: str | None, target: str | None, accept: list[str] | None
) -> Request:
    given = {"ESTATE": estate, "--from": source, "--to": target}
    if missing := [name for name, value in given.items() if value is None]:
        raise CommandError(
            f"check needs {', '.join(missing)}; `switchover check --list` shows all checks",
            ExitCode.BAD_INPUT,
        )
    accepted = options.accepted(accept)
    return options.request(estate=estate, source=source, target=target, accept=accepted)
