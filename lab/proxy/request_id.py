"""Identify a remote request across runs."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from lab.node.request_hook import RequestEvent

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
VARIABLE_TEXT = re.compile(
    r"\b\d{6,}\b|\d{4}-\d\d-\d\d[ T][0-9:.+%A]*|[0-9A-F]+/[0-9A-F]+"
    r"|\b(answer-)?[0-9a-f]{16}\b|127(\.\d+){3}"
)
"""Times, positions, marks, random words and addresses: they are others in every run or lab."""
MAX_WORD_LENGTH = 80


@dataclass(frozen=True, order=True)
class Request:
    """What was asked of which place, without what differs between two runs."""

    place: str
    protocol: str
    text: str

    @classmethod
    def of(cls, event: RequestEvent, root: Path) -> Request:
        """Tell which request this is, whatever the lab's directory."""
        text = VARIABLE_TEXT.sub("#", RUN_ID.sub("*", event.text.replace(str(root), "")))
        return cls(event.place, event.protocol, _short(text) if event.protocol == "ssh" else text)

    @property
    def key(self) -> str:
        """A short name for it, the same in every run of this product."""
        return hashlib.sha256(f"{self}".encode()).hexdigest()[:8]

    def __str__(self) -> str:
        return f"{self.place} {self.protocol}: {self.text}"


def _short(command: str) -> str:
    """Shorten a command: a digest stands for every long word of it."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = [command]
    return " ".join(
        word if len(word) <= MAX_WORD_LENGTH else f"[{_digest(word)}]" for word in words
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
