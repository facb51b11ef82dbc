"""What a site's own command answers about a replication link (docs/drivers.md)."""

from typing import Annotated, Self

from pydantic import Field, NonNegativeFloat, StringConstraints, model_validator

from activities.site_commands.answer import MAX_FINDINGS, SiteFinding
from workflows.model.base import OneLine, Value

MAX_TABLES = 5000
MAX_CONFLICTS = 100

Text = Annotated[str, StringConstraints(max_length=200), OneLine]
Word = Annotated[Text, StringConstraints(min_length=1)]


class Lag(Value):
    """How far the subscriber is behind, as the link's own programs say it."""

    amount: NonNegativeFloat
    unit: Word


class Observed(Value):
    """The document that ``observe`` prints."""

    exists: bool
    """Whether there is such a link at all; if not, nothing else is said."""
    enabled: bool | None = None
    """Whether it is to replicate; false only where none of its parts is."""
    running: bool | None = None
    """Whether it does; true only where all of its parts run."""
    compares: bool = False
    """Whether ``compare`` can tell which rows both sides wrote."""
    lag: Lag | None = None
    tables: tuple[Word, ...] | None = Field(default=None, max_length=MAX_TABLES)
    """Every table that it carries, with or without its schema; null where that cannot be told."""
    sends_back: bool | None = None
    """Whether it also sends what its publisher received by replication."""
    findings: tuple[SiteFinding, ...] = Field(default=(), max_length=MAX_FINDINGS)

    @model_validator(mode="after")
    def _says_how_it_is(self) -> Self:
        if self.exists and (self.enabled is None or self.running is None):
            raise ValueError("enabled and running have to be true or false where the link exists")
        return self


class Position(Value):
    """The document that ``position`` prints."""

    position: Word


class Missing(Value):
    """The document that ``missing`` prints."""

    missing: Text
    """What the subscriber lacks, such as "12 commands"; empty where nothing is."""


class Compared(Value):
    """The document that ``compare`` prints."""

    conflicts: tuple[Word, ...] | None = Field(max_length=MAX_CONFLICTS)
    """Rows that both sides wrote since the suspension; null where that cannot be told."""
