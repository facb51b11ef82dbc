"""Conceal the passwords that an attempt has sent, where the place that got them shows them again.

Some servers quote a request in their refusal. What this attempt sent is known, so it is replaced in
whatever reaches history, logs and spans; a place that disguises a password is not stopped.

What the attempt was given says nothing secret, so its names stay readable, whatever a password is.
"""

import base64
import binascii
import re
from contextvars import ContextVar
from itertools import takewhile
from operator import eq

HIDDEN = "[secret]"
SHORTEST = 8
"""Characters of a password that are recognised in a text: as many may be left of one that is cut.
Shorter passwords are words, and are recognised only as HTTP sends them."""

_SENT: ContextVar[set[str] | None] = ContextVar("passwords of this attempt", default=None)
_GIVEN: ContextVar[str] = ContextVar("what this attempt was given", default="")
_ENCODED = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
"""What may be ``user:password`` as HTTP sends it."""


def begin_attempt(given: str = "") -> None:
    """Forget what other attempts have sent; *given* is this one's input as text."""
    _SENT.set(set())
    _GIVEN.set(given)


def remember(password: str) -> None:
    """Conceal this from now on, in this attempt."""
    sent = _SENT.get()
    if sent is not None and password:
        sent.add(password)


def concealed(text: str) -> str:
    """Return a text without any password that this attempt has sent, or the beginning of one."""
    sent = _SENT.get()
    if not sent:
        return text
    for password in sent:
        if len(password) >= SHORTEST:
            text = _without(text, password)
    return _ENCODED.sub(lambda found: _encoded(found[0], sent), text)


def _without(text: str, password: str) -> str:
    given = _GIVEN.get()
    begin = password if password[:SHORTEST] in given else password[:SHORTEST]
    if begin in given:
        return text
    at = text.find(begin)
    while at >= 0:
        shown = sum(1 for _ in takewhile(bool, map(eq, text[at : at + len(password)], password)))
        text = f"{text[:at]}{HIDDEN}{text[at + shown :]}"
        at = text.find(begin, at + len(HIDDEN))
    return text


def _encoded(token: str, sent: set[str]) -> str:
    try:
        plain = base64.b64decode(token[: len(token) // 4 * 4]).decode("utf-8", "replace")
    except binascii.Error:
        return token
    return HIDDEN if any(f":{one[:SHORTEST]}" in plain for one in sent) else token
