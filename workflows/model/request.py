"""The input of a switchover, and the parser of everything that operators send."""

import json
from collections.abc import Sequence
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from workflows.errors import BadInput
from workflows.model.base import CheckName, FreeText, Person, Value
from workflows.model.estate import Fingerprint, Name
from workflows.model.objections import objections_in
from workflows.model.site_policy import Expiry
from workflows.model.stages import StageName

T = TypeVar("T", bound=Value)

EXAMPLE = (
    '{"estate": "lab", "source": "cluster1", "target": "cluster2", '
    '"approve_before": ["redirect_traffic"], "reason": "..."}'
)


class Request(Value):
    """The input of a switchover, as the Web UI's form and the CLI send it."""

    estate: Name
    source: Name
    target: Name
    reason: FreeText = ""
    approve_before: tuple[StageName, ...] = ()
    approvers: tuple[Person, ...] = ()
    """Who may approve; empty means anyone."""
    approvals_needed: int = Field(default=1, ge=1, le=10)
    """By how many different people."""
    expires_after: Expiry | None = None
    """How long a gate waits; without it, for ever."""
    on_expiry: Literal["reject", "keep_waiting"] = "keep_waiting"
    on_fault: Literal["ask", "roll_back"] = "ask"
    """What follows a failure before the point of no return; after it the run always asks."""
    variant: Literal["by_stage", "by_node"] = "by_stage"
    """Stage by stage, or stages 6 to 8 on each source Server at its own pace (section 2)."""
    plan_hash: Fingerprint | None = None
    """The plan that was reviewed; another one is refused."""
    accept: dict[CheckName, FreeText] = {}
    """Findings that may stand, each with the reason why."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}; traffic moves between two")
        if self.approvers and len(set(self.approvers)) < self.approvals_needed:
            raise ValueError(
                f"approvals_needed is {self.approvals_needed}, "
                f"but approvers names only {len(set(self.approvers))}"
            )
        for finding, reason in self.accept.items():
            if not reason:
                raise ValueError(f"accept.{finding} needs a reason")
        return self


def parse_request(given: Sequence[Any]) -> Request:
    """Return the request in a run's input; BadInput with one readable sentence."""
    if len(given) != 1:
        raise BadInput(
            f"a switchover needs exactly one input, and got {len(given) or 'none'}; "
            f"give one JSON object such as {EXAMPLE}"
        )
    return parse_object(Request, given[0], "the input", EXAMPLE)


def parse_object(kind: type[T], given: Any, subject: str, example: str) -> T:  # noqa: ANN401
    """Validate as JSON, so that ISO durations and lists read the same from every client."""
    if not isinstance(given, dict):
        raise BadInput(f"{subject} must be one JSON object such as {example}")
    try:
        return kind.model_validate_json(json.dumps(given))
    except ValidationError as mistakes:
        raise BadInput(f"{subject} is not usable: {objections_in(mistakes)}") from mistakes
