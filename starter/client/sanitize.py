"""Make text of people and machines safe for a terminal."""

from __future__ import annotations

from workflows.model.text import printable


def clean(text: str) -> str:
    """Replace every character that could move a terminal's cursor by a space."""
    return printable(text)
