"""Connect a command to Temporal and to the operator's terminal."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console

from starter.client.connection import Temporal, connect

T = TypeVar("T")

FILE_WIDTH = 160
"""Columns of output that is not a terminal."""


def with_temporal(call: Callable[[Temporal], Coroutine[Any, Any, T]]) -> T:
    """Connect, run the call and return its result."""

    async def run() -> T:
        return await call(await connect())

    return asyncio.run(run())


def terminal() -> Console:
    """Return the console for tables: as wide as the terminal, or wide enough for a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=FILE_WIDTH)


def print_json(value: object) -> None:
    """Print what scripts read."""
    print(json.dumps(value, indent=2))  # noqa: T201 - this is the command's output
