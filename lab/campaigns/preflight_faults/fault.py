"""What is one fault that can be planted in a running lab, and taken out again?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab.layout import Layout

Action = Callable[[Layout, str], Awaitable[None]]
"""Does something to a running lab, at one of its places; returns when it shows."""


@dataclass(frozen=True)
class InjectedFault:
    """One thing that can be wrong, under the name that a product has for it."""

    name: str
    place: str
    """Where it is planted unless told otherwise."""
    words: str
    """One sentence: what is wrong then."""
    inject: Action
    revert: Action
