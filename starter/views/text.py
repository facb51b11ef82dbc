"""How the console says things: commands, times, people, what is left; one line each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from starter.client.sanitize import clean
from workflows.model.progress import OperatorMessage, PendingQuestion, Progress
from workflows.model.results import Remaining, RemainingSessions
from workflows.views.suggested_answers import answers, pause

MOST_ACCOUNTS = 3
"""Enough to know whom to call."""

SHORT_RUN = 2
"""Names that count on and are said one by one."""

SHORT, LONG = timedelta(seconds=90), timedelta(minutes=90)


def commands(progress: Progress, waiting: PendingQuestion) -> tuple[str, ...]:
    """Return the exact commands that answer a wait."""
    return tuple(command(progress.estate, verb, payload) for verb, payload in answers(waiting))


def command(estate: str, verb: str, payload: dict[str, str | int]) -> str:
    """Return the command that tells a run a verb; who says it is who types it."""
    words = ["switchover", verb.replace("_", "-"), estate]
    words += [
        f'--{key} "{value}"' if key == "reason" else f"--{key} {value}"
        for key, value in payload.items()
        if key != "by"
    ]
    return " ".join(words)


def broken(line: str, width: int) -> list[str]:
    """Break a command before an option, so that it can be copied from a narrow screen, too."""
    lines, options = [], line.split(" --")
    shown = options[0]
    for option in options[1:]:
        if len(shown) + len(option) + len(" -- \\") > width:
            lines.append(f"{shown} \\")
            shown = f"    --{option}"
        else:
            shown += f" --{option}"
    return [*lines, shown]


def said_line(said: OperatorMessage) -> str:
    """Say who told the run what, by which way, and what became of it."""
    words = [said.verb, said.stage or "", said.node or ""]
    told = clean(" ".join(word for word in words if word))
    by = f" by {clean(said.by)}" if said.by else ""
    why = f" ({clean(said.reason)})" if said.reason else ""
    return f"{told}{by}{why}, {said.way}: {clean(said.effect)}"


def paused_line(progress: Progress) -> str:
    """Say who paused the run, and when; "" where it is not paused."""
    said = pause(progress)
    if said is None:
        return ""
    why = f" ({clean(said.reason)})" if said.reason else ""
    return f"paused since {clock(said.at)} by {clean(said.by) or 'someone'}{why}"


def left_words(left: Remaining, now: datetime) -> str:
    """Say what is still there, how long it may take, and how fresh that is."""
    if isinstance(left, RemainingSessions):
        there = [f"{count} {protocol}" for protocol, count in left.connections.items() if count]
        more = ["..."] if len(left.accounts) > MOST_ACCOUNTS else []
        who = ", ".join([*left.accounts[:MOST_ACCOUNTS], *more])
    else:
        there = [f"{left.events} events"] if left.events else []
        who = f"{left.active} active" if left.active else ""
    counted = "; ".join(filter(None, (", ".join(there), who)))
    nothing = "nothing left" if left.readings_at_zero else "nothing seen yet"
    quiet = f"quiet for {left.readings_at_zero} readings" if left.readings_at_zero else ""
    age = f"{max(0, int((now - left.at).total_seconds()))} s ago"
    parts = (counted or nothing, quiet, estimate(left.eta), left.error, age)
    return clean(", ".join(filter(None, parts)))


def estimate(eta: timedelta | None) -> str:
    """Say how long it may take, as exactly as a few readings allow; "" where they say nothing."""
    if eta is None:
        return ""
    if eta < SHORT:
        about = f"{max(1, round(eta.total_seconds()))} s"
    elif eta < LONG:
        about = f"{round(eta / timedelta(minutes=1))} min"
    else:
        about = f"{round(eta / timedelta(hours=1))} h"
    return f"about {about} left at this pace"


def clock(at: datetime) -> str:
    """Return a time as the clock on the operator's wall shows it."""
    return f"{at.astimezone():%H:%M:%S}"


def runs_of(names: Sequence[str]) -> str:
    """Say many names in few words: of those that only count on, the first and the last."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _next_to(runs[-1][-1]) == name:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(
        f"{run[0]} … {run[-1]}" if len(run) > SHORT_RUN else ", ".join(run) for run in runs
    )


def _next_to(name: str) -> str:
    stem = name.rstrip("0123456789")
    number = name.removeprefix(stem)
    return f"{stem}{int(number) + 1:0{len(number)}}" if number else ""
