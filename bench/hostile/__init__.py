"""Hostile peers, one module for each kind of place; each has ``CASES``, which the bench finds."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

MAX_RESIDENT_MIB = 300
"""Of the process that talks to the peer, whatever the peer does."""


@dataclass(frozen=True)
class Case:
    """One hostile peer, and the real code that talks to it."""

    name: str
    """The kind of peer, and after a colon what it does: "SSH: an answer without an end"."""
    peer: Callable[[], AbstractAsyncContextManager[str]]
    """Serves while the block runs; gives what *run* needs to find it, such as a port, as text."""
    run: Callable[[str], Awaitable[object]]
    """Calls the activities' own code, in another process than the peer."""
    says: str
    """A regular expression for the error, or for the result where the peer cannot prevent one."""
    before: Callable[[str], tuple[str, ...]] = lambda _: ()
    """For what *peer* gives, the words before the command that runs the process with *run*."""
    limit: float = 10.0
    """Seconds after which *run* must have ended, however slow the machine is."""

    @property
    def titles(self) -> tuple[str, str]:
        """Return the kind of peer, and what it does."""
        kind, _, does = self.name.partition(": ")
        return kind, does


def cases() -> Iterator[Case]:
    """Yield the cases of every module of this package, in the sequence of their names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        yield from getattr(importlib.import_module(f"{__name__}.{module.name}"), "CASES", ())
