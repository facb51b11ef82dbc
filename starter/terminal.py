"""How every command reaches Temporal and the operator's terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console

from starter.client.connection import Temporal, connect

T = TypeVar("T")


def asked(question: Callable[[Temporal], Coroutine[Any, Any, T]]) -> T:
    """Connect, and return the answer; Stop where there is none."""

    async def ask() -> T:
        return await question(await connect())

    return asyncio.run(ask())


def terminal() -> Console:
    """Return where tables go: as wide as the terminal, or wide enough for a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def print_json(value: object) -> None:
    """Print what scripts read."""
    print(json.dumps(value, indent=2))  # noqa: T201 - this is the command's output
