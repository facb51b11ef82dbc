"""The input of a Freeze: what it goes on watching, and for whom."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from workflows.errors import BadInput
from workflows.model.base import Value
from workflows.model.configuration import ConfigurationRecord
from workflows.model.estate import Name
from workflows.model.request import Request, parse_object

EXAMPLE = '{"estate": "lab", "source": "cluster1", "target": "cluster2"}'


class FreezeRequest(Value):
    """Which estate is watched, with what is known of its configuration so far."""

    estate: Name
    source: Name
    target: Name
    """The clusters of the run that left the watch to it; both are watched."""
    dark: tuple[Name, ...] = ()
    """Clusters that are shut down, so that nothing is read there."""
    record: ConfigurationRecord = ConfigurationRecord()

    @property
    def switchover(self) -> Request:
        """The request whose plan has the estate that is watched."""
        return Request(estate=self.estate, source=self.source, target=self.target)


def freeze_id(estate: str) -> str:
    """Return the workflow id of an estate's Freeze: there is one at a time."""
    return f"freeze-{estate}"


def parse_freeze(given: Sequence[Any]) -> FreezeRequest:
    """Return a Freeze's input; BadInput with one readable sentence."""
    if len(given) != 1:
        raise BadInput(
            f"a Freeze needs exactly one input, and got {len(given) or 'none'}; "
            f"give one JSON object such as {EXAMPLE}"
        )
    return parse_object(FreezeRequest, given[0], "the input", EXAMPLE)


def parse_record(given: object) -> ConfigurationRecord | None:
    """Return a record that Temporal has kept; None where another version of the tool made it."""
    try:
        return ConfigurationRecord.model_validate_json(json.dumps(given))
    except (ValidationError, TypeError):
        return None
