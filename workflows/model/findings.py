"""A finding: one prerequisite that does not hold."""

from enum import StrEnum

from workflows.model.base import Value


class Severity(StrEnum):
    """What a finding does to a run."""

    BLOCKS = "blocks"
    WARNS = "warns"


class Finding(Value):
    """One prerequisite that does not hold: where, what was seen, what was expected, what to do."""

    name: str
    """The name of its check."""
    place: str
    seen: str
    expected: str
    advice: str
    severity: Severity = Severity.BLOCKS

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.name}: saw {self.seen}, expected {self.expected}; {self.advice}"
        )
