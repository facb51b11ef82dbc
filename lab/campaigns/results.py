"""Add up the numbers of verdicts."""

from collections import Counter
from collections.abc import Mapping

from lab.checker.verdict import MUST_BE_ZERO, Verdict
from workflows.model.stages import Procedure

MUST_NOT_BE_ZERO = (
    *("effects.expected", "effects.recorded", "traffic.attempted", "traffic.straddling"),
    *("files.expected", "events.expected", "invariants.samples"),
)
NUMBERS = (*MUST_NOT_BE_ZERO, *MUST_BE_ZERO)

Numbers = Counter[str]
"""By ``SECTION.NAME`` as in a verdict."""


def must_not_be_zero(procedure: Procedure) -> tuple[str, ...]:
    """Return the denominators of runs of this procedure: a rejoin redirects no traffic."""
    redirects = procedure == "switchover"
    return tuple(n for n in MUST_NOT_BE_ZERO if redirects or n != "traffic.straddling")


def numbers_of(verdict: Verdict) -> Numbers:
    """Return what one verdict adds to the totals."""
    found = Numbers()
    for number in NUMBERS:
        section, _, name = number.partition(".")
        found[number] = int(getattr(getattr(verdict, section), name))
    return found


def by_section(numbers: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the numbers as the sections of a verdict."""
    sections: dict[str, dict[str, int]] = {}
    for number in NUMBERS:
        section, _, name = number.partition(".")
        sections.setdefault(section, {})[name] = numbers[number]
    return sections


def summary(numbers: Mapping[str, int], section: str) -> str:
    """Return one section in a line."""
    return ", ".join(f"{count} {name}" for name, count in by_section(numbers)[section].items())
