"""The base of every value: frozen, closed and readable as JSON."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from workflows.model.text import duration, printable

CHECK_NAME = r"^[a-z][a-z0-9_]{0,63}$"


def _shown(text: str) -> str:
    """Put a blank for each character that a reader would not see, or see as others."""
    return printable(text).strip()


def _one_line(text: str) -> str:
    if printable(text, "") != text or text.strip() != text:
        raise ValueError(
            "write characters that can be seen, on one line, without blanks before or behind them"
        )
    return text


OneLine = AfterValidator(_one_line)
"""Refuse control characters, newlines, marks that turn the direction of text, and outer blanks."""
FreeText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_shown)
]
"""What people write for people; a reason with a newline is a reason all the same."""
Person = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), OneLine]
CheckName = Annotated[str, StringConstraints(pattern=CHECK_NAME)]


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


SecretReference = Annotated[
    str, StringConstraints(max_length=1000), AfterValidator(_reference), OneLine
]
