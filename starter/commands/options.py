"""What can be typed behind a command: its options, and the values that they stand for."""

from __future__ import annotations

import getpass
import os
import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from starter.client.errors import Exit, Stop
from workflows.errors import BadInput
from workflows.model.request import Request, parse_request
from workflows.model.stages import StageName

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Variant(StrEnum):
    """In which order the source goes down."""

    BY_STAGE = "by_stage"
    BY_NODE = "by_node"


class OnFault(StrEnum):
    """What follows a fault before the point of no return."""

    ASK = "ask"
    ROLL_BACK = "roll_back"


class OnExpiry(StrEnum):
    """What follows when nobody answers a gate in time."""

    REJECT = "reject"
    KEEP_WAITING = "keep_waiting"


EstateName = Annotated[str, typer.Argument(metavar="ESTATE", help="the estate file's name")]
Source = Annotated[str, typer.Option("--from", metavar="C1", help="the cluster traffic leaves")]
Target = Annotated[str, typer.Option("--to", metavar="C2", help="the cluster traffic reaches")]
Gates = Annotated[
    list[StageName] | None,
    typer.Option("--approve-before", metavar="STAGE", help="wait for an approval; repeatable"),
]
InVariant = Annotated[
    Variant | None,
    typer.Option("--variant", help="stage by stage (default), or each source Server by itself"),
]
Approvers = Annotated[
    list[str] | None,
    typer.Option("--approver", metavar="WHO", help="who may approve; repeatable; default: anyone"),
]
Needed = Annotated[
    int | None,
    typer.Option("--approvals-needed", metavar="N", help="by how many people; default: 1"),
]
Expires = Annotated[
    str | None,
    typer.Option("--expires-after", metavar="TIME", help="how long a gate waits: 30m, 2h, 1d"),
]
Expiry = Annotated[
    OnExpiry | None,
    typer.Option("--on-expiry", help="and then: reject, or keep waiting (default)"),
]
Faulty = Annotated[
    OnFault | None,
    typer.Option("--on-fault", help="before the point of no return: ask (default), or roll back"),
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
StageOption = Annotated[
    StageName | None, typer.Option("--stage", metavar="STAGE", help="the stage it is about")
]
NodeName = Annotated[
    str | None, typer.Option("--node", metavar="N", help="only what concerns this node")
]
By = Annotated[str, typer.Option(metavar="WHO", help="who decides; default: who you are here")]
Minutes = Annotated[
    int | None, typer.Option("--minutes", metavar="M", help="how much longer than its patience")
]


def request(**given: object) -> Request:
    """Return the request that the options of a command stand for; Stop where they make none."""
    try:
        return parse_request([{key: value for key, value in given.items() if value is not None}])
    except BadInput as mistake:
        raise Stop(str(mistake), Exit.BAD_INPUT) from mistake


def accepted(words: list[str] | None) -> dict[str, str]:
    """Return the findings that may stand, each with its reason."""
    pairs = [(word, *word.partition("=")) for word in words or ()]
    for word, _, equals, _ in pairs:
        if not equals:
            raise Stop(f"--accept {word}: write FINDING=REASON", Exit.BAD_INPUT)
    return {finding: reason for _, finding, _, reason in pairs}


def duration(words: str | None) -> str | None:
    """Return a time such as 30m, 2h or PT2H the way JSON says it; None where none was given."""
    if words is None:
        return None
    return _DURATION.dump_json(span(words, "--expires-after")).decode()[1:-1]


def span(words: str, option: str) -> timedelta:
    """Return the time that was given for an option; Stop where it is none."""
    short = re.fullmatch(r"(\d+) ?([smhd])", words.strip().lower())
    try:
        given = timedelta(**{UNITS[short[2]]: int(short[1])}) if short else words
        return _DURATION.validate_python(given)
    except (ValidationError, OverflowError) as mistake:
        told = f"{option} {words}: write a time such as 30m, 2h or 1d"
        raise Stop(told, Exit.BAD_INPUT) from mistake


def who_is_here() -> str:
    """Return the name of whoever types."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())


_DURATION = TypeAdapter(timedelta)
