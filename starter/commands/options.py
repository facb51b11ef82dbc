"""Options of the commands, and the values that they stand for."""

import getpass
import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from starter.client.errors import CommandError, ExitCode
from workflows.errors import BadInput
from workflows.model.request import RejoinRequest, Request, parse_rejoin, parse_request
from workflows.model.stages import StageName

R = TypeVar("R")

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


ESTATE = typer.Argument(metavar="ESTATE", help="the estate file's name")
FROM = typer.Option("--from", metavar="C1", help="the cluster traffic leaves")
TO = typer.Option("--to", metavar="C2", help="the cluster traffic reaches")

EstateName = Annotated[str, ESTATE]
Source = Annotated[str, FROM]
Target = Annotated[str, TO]
Returning = Annotated[
    str, typer.Option("--cluster", metavar="C1", help="the drained cluster that comes back")
]
Preview = Annotated[
    bool, typer.Option("--preview", help="show actions, commands and plan hash; change nothing")
]
Gates = Annotated[
    list[StageName] | None,
    typer.Option("--approve-before", metavar="STAGE", help="wait for an approval; repeatable"),
]
Variant = Annotated[
    Literal["by_stage", "by_node"] | None,
    typer.Option("--variant", help="stage by stage (default), or each source Server independently"),
]
Approvers = Annotated[
    list[str] | None,
    typer.Option("--approver", metavar="WHO", help="who may approve; repeatable; default: anyone"),
]
Needed = Annotated[
    int | None,
    typer.Option(
        "--approvals-needed", metavar="N", help="how many different people must approve; default: 1"
    ),
]
Expires = Annotated[
    str | None,
    typer.Option("--expires-after", metavar="TIME", help="when a gate expires: after 30m, 2h, 1d"),
]
OnExpiry = Annotated[
    Literal["reject", "keep_waiting"] | None,
    typer.Option("--on-expiry", help="an expired gate is rejected, or keeps waiting (default)"),
]
OnFault = Annotated[
    Literal["ask", "roll_back"] | None,
    typer.Option(
        "--on-fault",
        help="after a failure before the point of no return: ask (default), or roll back",
    ),
]
PlanHash = Annotated[str | None, typer.Option(metavar="H", help="start only this reviewed plan")]
Reason = Annotated[str, typer.Option(metavar="R", help="why; recorded in the outcome")]
Accepted = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="FINDING=REASON", help="accept a finding; repeatable"),
]
RunId = Annotated[
    str | None, typer.Option("--run", metavar="ID", help="a run other than the latest")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]
Wait = Annotated[bool, typer.Option("--wait", help="watch the run, and exit with its exit code")]
StageOption = Annotated[
    StageName | None,
    typer.Option("--stage", metavar="STAGE", help="the stage that the decision is about"),
]
NodeName = Annotated[str | None, typer.Option("--node", metavar="N", help="only this node")]
By = Annotated[str, typer.Option(metavar="WHO", help="who decides; default: your user name")]
Minutes = Annotated[
    int | None,
    typer.Option("--minutes", metavar="M", help="how many minutes to add to the drain timeout"),
]


def request(**given: object) -> Request:
    """Return the switchover that the options of a command ask for.

    Raises:
        CommandError: they are wrong.
    """
    return _parsed(parse_request, given)


def rejoin_request(**given: object) -> RejoinRequest:
    """Return the rejoin that the options of a command ask for; CommandError as above."""
    return _parsed(parse_rejoin, given)


def accepted(values: list[str] | None) -> dict[str, str]:
    """Return the accepted findings, each with its reason."""
    pairs = [(value, *value.partition("=")) for value in values or ()]
    for value, _, equals, _ in pairs:
        if not equals:
            message = f"--accept {value}: write FINDING=REASON"
            raise CommandError(message, ExitCode.BAD_INPUT)
    return {finding: reason for _, finding, _, reason in pairs}


def _parsed(parse: Callable[[Sequence[Any]], R], given: dict[str, object]) -> R:
    try:
        return parse([{key: value for key, value in given.items() if value is not None}])
    except BadInput as mistake:
        raise CommandError(str(mistake), ExitCode.BAD_INPUT) from mistake


def expiry(text: str | None) -> str | None:
    """Return the duration given to --expires-after as JSON has it; None if there is none."""
    if text is None:
        return None
    return _DURATION.dump_json(duration(text, "--expires-after")).decode()[1:-1]


def duration(text: str, option: str) -> timedelta:
    """Return a duration such as 30m, 2h or PT2H; CommandError if it is none."""
    short = re.fullmatch(r"(\d+) ?([smhd])", text.strip().lower())
    try:
        given = timedelta(**{UNITS[short[2]]: int(short[1])}) if short else text
        return _DURATION.validate_python(given)
    except (ValidationError, OverflowError) as mistake:
        message = f"{option} {text}: write a time such as 30m, 2h or 1d"
        raise CommandError(message, ExitCode.BAD_INPUT) from mistake


def user_name() -> str:
    """Return the name of the operating system user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())


_DURATION = TypeAdapter(timedelta)
