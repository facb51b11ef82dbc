"""What every value of the core is: frozen, closed, and readable as JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
Person = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class Value(BaseModel):
    """A frozen pydantic model that refuses unknown keys and never repeats an input in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
