"""Lines of text that several views share: commands, times, messages, remaining sessions."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from workflows.model.progress import OperatorMessage, PendingQuestion, Progress
from workflows.model.results import Remaining, RemainingSessions
from workflows.model.text import duration, listed, printable
from workflows.views.suggested_answers import answers, author, decision_text, pause

MAX_SHOWN_ACCOUNTS = 3

MAX_LISTED_NAMES = 2
"""Consecutive names; of more than that, the first and the last are shown."""


def commands(progress: Progress, waiting: PendingQuestion) -> tuple[str, ...]:
    """Return the exact commands that answer a question."""
    return tuple(command(progress.estate, verb, payload) for verb, payload in answers(waiting))


def command(estate: str, verb: str, payload: dict[str, str | int]) -> str:
    """Return the command that sends a decision; `--by` defaults to the operator who types it."""
    argv = ["switchover", verb.replace("_", "-"), estate]
    argv += [
        f'--{key} "{value}"' if key == "reason" else f"--{key} {value}"
        for key, value in payload.items()
        if key != "by"
    ]
    return " ".join(argv)


def wrapped(line: str, width: int) -> list[str]:
    """Wrap a command before an option, so that a shell accepts what is copied from the screen."""
    lines, options = [], line.split(" --")
    shown = options[0]
    for option in options[1:]:
        if len(shown) + len(option) + len(" -- \\") > width:
            lines.append(f"{shown} \\")
            shown = f"    --{option}"
        else:
            shown += f" --{option}"
    return [*lines, shown]


def message_line(message: OperatorMessage) -> str:
    """Return what an operator decided, how it was sent, and its effect."""
    way = f"{message.way} from {message.sender}" if message.sender else message.way
    return printable(f"{decision_text(message)}, {way}: {message.effect}")


def paused_line(progress: Progress) -> str:
    """Return who paused the run, and when; "" if it is not paused."""
    message = pause(progress)
    if message is None:
        return ""
    return printable(f"paused since {clock(message.at)}{author(message)}")


def remaining_line(remaining: Remaining, now: datetime) -> str:
    """Return what remains on a node, how long it may take, and how old this reading is."""
    accounts = remaining.accounts if isinstance(remaining, RemainingSessions) else ()
    some = listed(accounts, MAX_SHOWN_ACCOUNTS)
    counted = "; ".join(filter(None, (counts(remaining), some)))
    zeros = remaining.readings_at_zero
    nothing = f"none remaining, {zeros} readings at zero" if zeros else "no reading yet"
    age = f"{max(0, int((now - remaining.at).total_seconds()))} s ago"
    parts = (counted or nothing, eta_text(remaining.eta), remaining.error, age)
    return printable(", ".join(filter(None, parts)))


def counts(remaining: Remaining) -> str:
    """Return how many sessions remain by protocol, or how many events; "" if there are none."""
    numbers = (
        remaining.connections.items()
        if isinstance(remaining, RemainingSessions)
        else (("events", remaining.events), ("active", remaining.active))
    )
    return ", ".join(f"{number} {kind}" for kind, number in numbers if number)


def eta_text(eta: timedelta | None) -> str:
    """Return the estimate, rounded to what a few readings allow; "" if there is none."""
    if eta is None:
        return ""
    about = timedelta(seconds=max(1, round(eta.total_seconds())))
    return f"about {duration(about)} at this rate"


def clock(at: datetime) -> str:
    """Return a time of day in the operator's time zone."""
    return f"{at.astimezone():%H:%M:%S}"


def name_ranges(names: Sequence[str]) -> str:
    """Join names; of consecutive numbers show the first and the last, as in ``n1 … n9``."""
    ranges: list[list[str]] = []
    for name in names:
        if ranges and _successor(ranges[-1][-1]) == name:
            ranges[-1].append(name)
        else:
            ranges.append([name])
    return ", ".join(
        f"{some[0]} … {some[-1]}" if len(some) > MAX_LISTED_NAMES else ", ".join(some)
        for some in ranges
    )


def _successor(name: str) -> str:
    stem = name.rstrip("0123456789")
    number = name.removeprefix(stem)
    return f"{stem}{int(number) + 1:0{len(number)}}" if number else ""
