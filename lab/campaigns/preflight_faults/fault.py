"""One fault that can be injected into a running lab."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab.layout import Layout

Action = Callable[[Layout, str], Awaitable[None]]
"""Change a running lab at one of its places; return when the change can be observed."""


@dataclass(frozen=True)
class InjectedFault:
    """One fault, under the name of the product's check."""

    name: str
    place: str
    """Where it is injected by default."""
    description: str
    """One sentence: what is wrong then."""
    inject: Action
    revert: Action
