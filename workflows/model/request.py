"""The inputs of a switchover and of a rejoin, and the parser of what operators send."""

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


REJOIN_EXAMPLE = '{"estate": "lab", "cluster": "cluster1", "reason": "..."}'


class BaseRequest(Value):
    """What every run is asked with."""

    estate: Name
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
    plan_hash: Fingerprint | None = None
    """The plan that was reviewed; another one is refused."""
    accept: dict[CheckName, FreeText] = {}
    """Findings that may stand, each with the reason why."""

    @model_validator(mode="after")
    def _has_enough_approvers(self) -> Self:
        if self.approvers and len(set(self.approvers)) < self.approvals_needed:
            raise ValueError(
                f"approvals_needed is {self.approvals_needed}, "
                f"but approvers names only {len(set(self.approvers))}"
            )
        for finding, reason in self.accept.items():
            if not reason:
                raise ValueError(f"accept.{finding} needs a reason")
        return self


class Request(BaseRequest):
    """The input of a switchover, as the Web UI's form and the CLI send it."""

    source: Name
    target: Name
    variant: Literal["by_stage", "by_node"] = "by_stage"
    """Stage by stage, or stages 6 to 8 on each source Server at its own pace (section 2)."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}; traffic moves between two")
        return self


class RejoinRequest(BaseRequest):
    """The input of a rejoin."""

    cluster: Name
    """The drained cluster that comes back as the passive one."""


AnyRequest = Request | RejoinRequest


def parse_request(given: Sequence[Any]) -> Request:
    """Return the request in a switchover's input; BadInput with one readable sentence."""
    return parse_object(Request, _only(given, "a switchover", EXAMPLE), "the input", EXAMPLE)


def parse_rejoin(given: Sequence[Any]) -> RejoinRequest:
    """Return the request in a rejoin's input; BadInput with one readable sentence."""
    only = _only(given, "a rejoin", REJOIN_EXAMPLE)
    return parse_object(RejoinRequest, only, "the input", REJOIN_EXAMPLE)


def parse_any(given: Sequence[Any]) -> AnyRequest:
    """Return the request of a review: that of a rejoin, if it names one cluster."""
    names_one = len(given) == 1 and isinstance(given[0], dict) and "cluster" in given[0]
    return parse_rejoin(given) if names_one else parse_request(given)


def _only(given: Sequence[Any], run: str, example: str) -> Any:  # noqa: ANN401 - whatever was sent
    if len(given) != 1:
        raise BadInput(
            f"{run} needs exactly one input, and got {len(given) or 'none'}; "
            f"give one JSON object such as {example}"
        )
    return given[0]


def parse_object(kind: type[T], given: Any, subject: str, example: str) -> T:  # noqa: ANN401
    """Validate as JSON, so that ISO durations and lists read the same from every client."""
    if not isinstance(given, dict):
        raise BadInput(f"{subject} must be one JSON object such as {example}")
    try:
        return kind.model_validate_json(json.dumps(given))
    except ValidationError as mistakes:
        raise BadInput(f"{subject} is not usable: {objections_in(mistakes)}") from mistakes
