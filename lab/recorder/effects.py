"""Read the record of effects, and find repeated and overtaken ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import records

DOWN = ("stop", "drain")
COMPLETIONS = ("stopped", "died")
"""How a pending stop or a crash is recorded: neither is an action that could be repeated."""


@dataclass(frozen=True, order=True)
class Effect:
    """One thing that can happen to one service of one place."""

    place: str
    service: str
    effect: str
    to: str = ""
    """Of a redirect: the cluster."""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.place, self.service, self.effect, self.to)))


@dataclass(frozen=True)
class RecordedEffect:
    """One line of the lab's record."""

    at: float
    effect: Effect
    changed: bool = True
    by: str = ""

    def __str__(self) -> str:
        return f"{self.effect}{'' if self.changed else ' (no change)'} by {self.by or 'unknown'}"


def read_effects(file: Path) -> list[RecordedEffect]:
    """Return the record, the oldest first."""
    found = [
        RecordedEffect(
            line["at"],
            Effect(line["place"], line["service"], line["effect"], line.get("to", "")),
            line.get("changed", True),
            line.get("by", ""),
        )
        for line in records.read(file)
    ]
    return sorted(found, key=lambda recorded: recorded.at)


def repeated(record: Iterable[RecordedEffect]) -> list[RecordedEffect]:
    """What was asked for again: without its opposite in between, or while it was pending."""
    last: dict[tuple[str, str], Effect] = {}
    found = []
    for recorded in record:
        effect = recorded.effect
        if effect.effect in COMPLETIONS:
            continue
        before = last.get((effect.place, effect.service))
        if before is not None and _again(before, recorded):
            found.append(recorded)
        last[effect.place, effect.service] = effect
    return found


def overtaken(record: Iterable[RecordedEffect]) -> list[RecordedEffect]:
    """Starts of what a pending graceful stop was about to end: a start in the wrong sequence."""
    pending: set[tuple[str, str]] = set()
    found = []
    for recorded in record:
        effect = recorded.effect
        service = (effect.place, effect.service)
        if effect.effect == "drain":
            pending.add(service)
        elif effect.effect == "start" and service in pending:
            found.append(recorded)
        elif effect.effect != "start":
            pending.discard(service)
    return found


def _again(before: Effect, recorded: RecordedEffect) -> bool:
    """A stop after a drain is a repetition only if there was nothing to stop."""
    now = recorded.effect
    ends_again = before.effect in DOWN and now.effect in DOWN and not recorded.changed
    return before == now or ends_again
