"""Make text of people and machines safe to show."""

from __future__ import annotations


def printable(text: str, instead: str = " ") -> str:
    """Replace every character that a terminal would obey instead of showing it."""
    return "".join(character if character.isprintable() else instead for character in text)
