"""The errors, classified by what the operator should do.

* SwitchoverError
  + Unreachable        try again: no effect was sent
  + NotYet             wait: an earlier step is not complete yet, and nothing was sent
  + OutcomeUnknown     read the state before trying again: something was sent, without an answer
  + Refused            trying again by itself cannot help
    - AccessRefused    fix keys, host keys, passwords or rights
      > ForwardingRefused  let its SSH server forward connections, or reach the place directly
      > RunAsRefused       let sudo run commands as the account that the estate names
    - NotReady         the state of the estate forbids it; change that first
    - CommandFailed    the command ran and failed; read what it printed
    - Lost             it was begun and its end was never recorded; read the state, then decide
    - Unresolved       its limit has passed, and what became of it cannot be read; look at it there
    - Stuck            what a wait is for does not change any more; end it there, or end the wait
    - BadInput         the request or the estate file is wrong

Temporal matches exact class names, so ``PERMANENT`` lists every one that must not be retried.
"""


class SwitchoverError(Exception):
    """Any error whose message an operator may see."""


class Unreachable(SwitchoverError):
    """The place did not answer; nothing was changed by this attempt."""


class NotYet(SwitchoverError):
    """An earlier step is not complete yet; nothing was changed by this attempt."""


class OutcomeUnknown(SwitchoverError):
    """A request or reading has no usable answer, so its outcome is unknown."""


class Refused(SwitchoverError):
    """Trying again by itself cannot help."""


class AccessRefused(Refused):
    """The place refused the worker, or the worker refused its identity."""


class ForwardingRefused(AccessRefused):
    """The place's SSH server forwards no connection for the worker."""


class RunAsRefused(AccessRefused):
    """The place's sudo runs no command as the account that the estate names."""


class NotReady(Refused):
    """The state of the estate forbids the action."""


class CommandFailed(Refused):
    """The command ran and failed."""


class Lost(Refused):
    """The command was begun, its process has ended, and its end was never recorded."""


class Unresolved(Refused):
    """The limit of a command or a wait has passed, and its outcome cannot be read."""


class Stuck(Refused):
    """What a wait is for does not change any more."""


class BadInput(Refused):
    """The request or the estate file cannot be understood."""


PERMANENT = tuple(
    error.__name__
    for error in (
        *(Refused, AccessRefused, ForwardingRefused, RunAsRefused, NotReady),
        *(CommandFailed, Lost, Unresolved, Stuck, BadInput),
    )
)

UNSETTLED = tuple(
    error.__name__
    for error in (
        *(Unreachable, NotYet, OutcomeUnknown, Unresolved, Stuck),
        # What an attempt before had begun goes on, although this one was not let in.
        *(AccessRefused, ForwardingRefused, RunAsRefused, BadInput),
    )
)
"""After these, a retry keeps its round: it attaches to the command or the wait that was begun."""
