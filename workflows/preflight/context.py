"""What a check is evaluated on, how one is declared, and helpers that several checks need."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Finding, Severity
from workflows.model.stages import Procedure, StageName
from workflows.planning.observations import Observations

H = TypeVar("H", bound=Hashable)

MEBIBYTE = 1024**2


@dataclass(frozen=True)
class CheckContext(Observations):
    """Everything that was read, which stages have begun, and the time of the evaluation."""

    begun: frozenset[StageName]
    now: datetime


Evaluate = Callable[[CheckContext], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class EvaluatedCheck(Check):
    """A check that is evaluated on the readings."""

    evaluate: Evaluate


def declare(  # noqa: PLR0913 - each is a property of the check
    scope: Scope,
    heading: Heading,
    *,
    severity: Severity = Severity.BLOCKS,
    until: StageName | None = None,
    acceptable: bool = False,
    acceptable_in_rejoin: bool = False,
    only: Procedure | None = None,
) -> Callable[[Evaluate], EvaluatedCheck]:
    """Make a check of the function that evaluates it.

    The function's name is the check's, and the first line of its docstring is what holds.
    """

    def made(evaluate: Evaluate) -> EvaluatedCheck:
        holds, _, _ = (evaluate.__doc__ or "").partition("\n")
        return EvaluatedCheck(
            name=evaluate.__name__,
            title=holds.removesuffix("."),
            heading=heading,
            scope=scope,
            severity=severity,
            until=until,
            acceptable=acceptable,
            acceptable_in_rejoin=acceptable_in_rejoin,
            only=only,
            evaluate=evaluate,
        )

    return made


def outliers(values: Mapping[str, H]) -> Iterator[tuple[str, H, H]]:
    """Yield each place whose value is not the common one, with both values.

    The common one is the most frequent; among equals the one that comes first, so with the
    source's nodes first it is the target that differs.
    """
    counted = Counter(values.values()).most_common(1)
    for place, value in values.items():
        if value != counted[0][0]:
            yield place, value, counted[0][0]
