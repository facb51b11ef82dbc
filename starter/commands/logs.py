"""The `switchover logs` command."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from starter.client.connection import Temporal
from starter.client.errors import CommandError, ExitCode
from starter.client.logs import MergedLists, queries
from starter.commands import options
from starter.terminal import terminal, with_temporal
from starter.views.logs import Format, writing
from workflows.model.logs import LogQuery
from workflows.model.objections import objections_in

Since = Annotated[
    str, typer.Option("--from", metavar="TIME", help="the first moment: 2026-11-27T02:00:00Z")
]
Until = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="the last moment; default: now")
]
Account = Annotated[
    str, typer.Option(metavar="A", help="only this account; * stands for any characters")
]
File = Annotated[
    str, typer.Option(metavar="F", help="only transfers of this path or file name; * as above")
]
Form = Annotated[
    Format, typer.Option("--format", help="a table (default), or CSV or JSON lines for scripts")
]


def add_logs(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def logs(  # noqa: PLR0913 - each is an option of the command line
        estate: options.EstateName,
        since: Since,
        *,
        until: Until = None,
        account: Account = "",
        file: File = "",
        form: Form = "table",
    ) -> None:
        """Show transfers and audit entries of both clusters by time, with the side of each.

        Exits with 0 only if everything was read.
        """
        asked = _queries(
            estate=estate,
            since=moment(since, "--from"),
            until=datetime.now(UTC) if until is None else moment(until, "--to"),
            account=account,
            file=file,
        )
        with_temporal(lambda temporal: _show(temporal, asked, form))


def moment(text: str, option: str) -> datetime:
    """Return a time; without a zone it is this machine's. CommandError if it is none."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError) as mistake:
        message = (
            f"{option} {text}: write a time such as 2026-11-27T02:00:00Z, or "
            '"2026-11-27 02:00" in the time zone of this machine'
        )
        raise CommandError(message, ExitCode.BAD_INPUT) from mistake


def _queries(**given: object) -> tuple[LogQuery, ...]:
    try:
        return queries(**given)
    except ValidationError as mistakes:
        raise CommandError(objections_in(mistakes), ExitCode.BAD_INPUT) from mistakes


async def _show(temporal: Temporal, asked: tuple[LogQuery, ...], form: Format) -> None:
    lists = MergedLists(temporal, asked)
    with writing(form, terminal()) as write:
        async for record in lists.records():
            write(record)
    if lists.unread:
        raise CommandError(f"this is not complete; {'; '.join(sorted(lists.unread))}")
