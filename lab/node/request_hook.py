"""Let a listener hold or drop each request that a machine receives.

The listener on the lab's socket is asked about every SSH command and every admin call twice:
before it is carried out, and after that but before its answer is sent. The answer is one line:
``go`` or ``drop``. Without a listener everything proceeds at once.
"""

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lab.layout import Layout

When = Literal["before", "after"]
DROP = b"drop\n"


@dataclass(frozen=True)
class RequestEvent:
    """One request of a machine, about to be carried out or to be answered."""

    when: When
    place: str
    protocol: Literal["ssh", "rest", "sql", "dns"]
    text: str


def hook_socket(layout: Layout) -> Path:
    """The socket of the listener."""
    return layout.root / "requests.socket"


async def passes(layout: Layout, event: RequestEvent) -> bool:
    """Ask the listener; return whether the request may proceed."""
    if not hook_socket(layout).exists():
        return True
    with suppress(OSError):  # the listener has ended
        reader, writer = await asyncio.open_unix_connection(hook_socket(layout))
        try:
            writer.write(json.dumps(asdict(event)).encode() + b"\n")
            return await reader.readline() != DROP
        finally:
            writer.close()
    return True


def readable(command: str) -> str:
    """Return a command without octal numbers for its characters, as ``printf %b`` reads it.

    A long one comes as several words.
    """
    whole = command.replace("' '", "")
    return re.sub(r"\\0([0-7]{3})", lambda found: chr(int(found[1], 8)), whole)
