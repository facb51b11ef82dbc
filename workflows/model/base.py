"""The base of every value: frozen, closed and readable as JSON."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from workflows.model.text import duration

FreeText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
Person = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class Value(BaseModel):
    """A frozen pydantic model that refuses unknown keys and never repeats an input in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _reference(text: str) -> str:
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00\n]*", text):
        raise ValueError(
            "a secret in clear does not belong here; write env:NAME or file:/absolute/path"
        )
    return text


def between(low: timedelta, high: timedelta) -> AfterValidator:
    """Return what a duration must fulfil, with a message in words."""

    def check(span: timedelta) -> timedelta:
        if not low <= span <= high:
            shortest = f"{low.total_seconds():g} s" if low < timedelta(seconds=2) else duration(low)
            raise ValueError(f"write a duration from {shortest} to {duration(high)}")
        return span

    return AfterValidator(check)


SecretReference = Annotated[str, AfterValidator(_reference)]
