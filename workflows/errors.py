"""What can go wrong, by what to do about it.

* SwitchoverError
  + Unreachable        try again: nothing was sent, or nothing that changes anything
  + NotYet             wait: it should come by itself, and nothing was sent before it has
  + OutcomeUnknown     look before trying again: something was sent, and no answer settles it
  + Refused            trying again by itself cannot help
    - AccessRefused    fix keys, host keys, passwords or rights
    - NotReady         the state of the estate forbids it; change that first
    - CommandFailed    it was carried out and said no; read what it printed
    - Lost             it was begun and nobody will ever know how it ended; probe, then decide
    - BadInput         the request or the estate file is wrong

Temporal matches exact class names, so ``PERMANENT`` lists every one that must not be retried.
"""

from __future__ import annotations


class SwitchoverError(Exception):
    """Anything that an operator may be told."""


class Unreachable(SwitchoverError):
    """The place did not answer; nothing was changed by this attempt."""


class NotYet(SwitchoverError):
    """What has to come first has not come yet; nothing was changed by this attempt."""


class OutcomeUnknown(SwitchoverError):
    """Something was asked, or read, and the answer settles nothing."""


class Refused(SwitchoverError):
    """Trying again by itself cannot help."""


class AccessRefused(Refused):
    """The place did not accept us, or we did not accept it."""


class NotReady(Refused):
    """The state of the estate forbids the order."""


class CommandFailed(Refused):
    """The order was carried out and said no."""


class Lost(Refused):
    """The order was begun, its process is gone, and its end was never recorded."""


class BadInput(Refused):
    """The request or the estate file cannot be understood."""


PERMANENT = tuple(
    error.__name__ for error in (Refused, AccessRefused, NotReady, CommandFailed, Lost, BadInput)
)

UNSETTLED = tuple(error.__name__ for error in (Unreachable, NotYet, OutcomeUnknown))
"""After these, a retry keeps its round: whatever was begun is still to be attached to."""
