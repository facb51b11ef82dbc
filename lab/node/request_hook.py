"""Where may someone from outside hold what a machine is about to do, or to answer?

Whoever listens on the lab's gate is asked about every SSH command and every admin call, twice:
before it is carried out, and after that but before its answer leaves. The answer is one line:
``go`` on, or ``drop`` it. Where nobody listens everything goes on at once.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lab.layout import Layout

When = Literal["before", "after"]
DROP = b"drop\n"


@dataclass(frozen=True)
class Moment:
    """One request of a machine, about to be carried out or to be answered."""

    when: When
    place: str
    wire: Literal["ssh", "rest", "sql"]
    words: str


def gate(layout: Layout) -> Path:
    """The socket on which someone may listen."""
    return layout.root / "gate"


async def passes(layout: Layout, moment: Moment) -> bool:
    """Wait until the moment may pass; whether it may happen at all."""
    if not gate(layout).exists():
        return True
    with suppress(OSError):  # whoever listened is gone
        reader, writer = await asyncio.open_unix_connection(gate(layout))
        try:
            writer.write(json.dumps(asdict(moment)).encode() + b"\n")
            return await reader.readline() != DROP
        finally:
            writer.close()
    return True
