"""The command ``switchover check``: is this estate ready, by which checks, and ever since when?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from starter.client import operations as asking
from starter.client import schedules
from starter.client.connection import Temporal
from starter.client.errors import Exit, Stop
from starter.client.readiness import looked
from starter.client.schedules import InForce
from starter.commands import options
from starter.commands.options import Accepted, AsJson
from starter.terminal import asked, print_json, terminal
from starter.views.html_report import page, write
from starter.views.readiness import ReadinessView, catalogue_view, schedule_view
from workflows.model.request import Request
from workflows.preflight.catalogue import CHECKS
from workflows.preflight.report import ReadinessReport

OFF = ("off", "never")

Estate = Annotated[str | None, typer.Argument(metavar="ESTATE", help="the estate file's name")]
Source = Annotated[
    str | None, typer.Option("--from", metavar="C1", help="the cluster traffic leaves")
]
Target = Annotated[
    str | None, typer.Option("--to", metavar="C2", help="the cluster traffic reaches")
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="write a page for others to read, too")
]
Every = Annotated[
    str | None,
    typer.Option("--every", metavar="TIME", help="look by itself from now on: 30m, 6h; or off"),
]
Scheduled = Annotated[
    bool, typer.Option("--schedule", help="show when it is looked at by itself, and what came out")
]
Listed = Annotated[bool, typer.Option("--list", help="show which checks there are")]


def add_check(app: typer.Typer) -> None:
    """Let the console know the command."""

    @app.command()
    def check(  # noqa: PLR0913 - each is a word of the command line
        estate: Estate = None,
        source: Source = None,
        target: Target = None,
        *,
        accept: Accepted = None,
        as_json: AsJson = False,
        html: Html = None,
        every: Every = None,
        scheduled: Scheduled = False,
        listed: Listed = False,
    ) -> None:
        """Look whether a switchover could begin now; changes nothing, exits 0 if all holds."""
        if listed:
            _list(as_json=as_json)
            return
        if every is not None or scheduled:
            if html is not None:
                raise Stop("--html is written by a look now, not by a schedule", Exit.BAD_INPUT)
            _schedule(_request(estate, source, target, accept), every, as_json=as_json)
            return
        _look(_request(estate, source, target, accept), html, as_json=as_json)


LISTED = ("name", "title", "heading", "scope", "severity", "until", "acceptable")


def _list(*, as_json: bool) -> None:
    if as_json:
        print_json([{key: getattr(check, key) for key in LISTED} for check in CHECKS])
    else:
        terminal().print(catalogue_view())


def _look(request: Request, html: Path | None, *, as_json: bool) -> None:
    console = terminal()
    verdict: ReadinessReport = asked(lambda temporal: looked(temporal, request, console))
    if html is not None:
        write(html, page(verdict))
    if as_json:
        print_json(verdict.model_dump(mode="json"))
    else:
        console.print(ReadinessView(verdict))
    raise typer.Exit(Exit.FINDINGS if verdict.findings else Exit.COMPLETED)


def _schedule(request: Request, every: str | None, *, as_json: bool) -> None:
    name = schedules.schedule_id(request)
    if every is not None and every.strip().lower() in OFF:
        gone = asked(lambda temporal: schedules.drop(temporal, request))
        if as_json:
            print_json(None)
        else:
            words = f"{name}: no more" if gone else f"{name}: there was no such schedule"
            terminal().print(words, markup=False)
        return
    length = None if every is None else options.span(every, "--every")
    there = asked(lambda temporal: _in_force(temporal, request, length))
    if as_json:
        print_json(there.as_json())
    else:
        terminal().print(*schedule_view(there), sep="\n")


async def _in_force(temporal: Temporal, request: Request, every: timedelta | None) -> InForce:
    """Make or change the schedule, if it is to be; then return what Temporal says of it."""
    if every is not None:
        # A mistake shows now, to whoever made it, and not in runs that nobody watches.
        await asking.review(temporal, request)
        await schedules.keep(temporal, request, every)
    return await schedules.in_force(temporal, request)


def _request(
    estate: str | None, source: str | None, target: str | None, accept: list[str] | None
) -> Request:
    given = {"ESTATE": estate, "--from": source, "--to": target}
    if missing := [name for name, value in given.items() if value is None]:
        raise Stop(
            f"check needs {', '.join(missing)}; `switchover check --list` shows all checks",
            Exit.BAD_INPUT,
        )
    accepted = options.accepted(accept)
    return options.request(estate=estate, source=source, target=target, accept=accepted)
