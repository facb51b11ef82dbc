"""Text of people and machines, made safe for a terminal."""

from __future__ import annotations


def clean(text: str) -> str:
    """Show what people and machines wrote without what could move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)
