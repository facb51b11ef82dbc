"""The names of task queues: the main one, and those that an estate gives its clusters."""

import re
from typing import Annotated

from pydantic import AfterValidator

TASK_QUEUE = "switchover"
"""The main queue: all workflows, and whatever concerns more than one cluster."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def own_queue(name: str) -> str:
    """Return the name of a cluster's own queue; ValueError where it cannot be one."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "write the name of a task queue: letters, digits, dots, hyphens and underscores, "
            "100 at most, such as frankfurt-dmz"
        )
    if name == TASK_QUEUE:
        raise ValueError(
            f"{TASK_QUEUE} is the main task queue; name another one, or leave the key out"
        )
    return name


OwnQueue = Annotated[str, AfterValidator(own_queue)]
