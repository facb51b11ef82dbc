"""Say in plain words what is wrong in the input of people: by its key, and never with its value."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from workflows.model.base import CHECK_NAME
from workflows.model.machines import (
    ABSOLUTE_PATH,
    ACCOUNT,
    ALIAS,
    FINGERPRINT,
    NAME,
    PUBLIC_KEY,
    RELATIVE_PATH,
    WORD,
)
from workflows.model.site_policy import TIME_ZONE
from workflows.model.text import listed, printable

Context = Mapping[str, Any]

PATTERNS = {
    NAME: "write lower-case letters, digits, - and _, at most 63, and begin with a letter or digit",
    ABSOLUTE_PATH: "write a path that begins with /",
    RELATIVE_PATH: "write a path that does not begin with /",
    FINGERPRINT: "write the 64 hexadecimal digits of a SHA-256",
    ACCOUNT: "write a name without spaces before or behind it",
    WORD: "write a word that is not empty, on one line",
    CHECK_NAME: "write the name of a check; `switchover check --list` shows all checks",
    PUBLIC_KEY: "write one line such as ssh-ed25519 AAAA..., as in a file .pub",
    ALIAS: "begin with a letter, a digit or _: it is an argument of every script",
    TIME_ZONE: "write a time zone such as Europe/Berlin",
}
MAX_NAMED = 20
"""Mistakes in one message."""
MAX_SHOWN, MAX_SHOWN_PARTS = 64, 12
"""Characters of one part of a key, and parts of it: people may have written it."""
BLOCK = "write keys and values, indented below it"
WORDS: Mapping[str, Callable[[Context], str]] = {
    "missing": lambda _: "this key is missing",
    "extra_forbidden": lambda _: "there is no such key here",
    "string_pattern_mismatch": lambda c: PATTERNS.get(c["pattern"], f"write {c['pattern']}"),
    "string_too_short": lambda _: "write something",
    "string_too_long": lambda c: f"write at most {c['max_length']} characters",
    "too_short": lambda c: f"give at least {c['min_length']}",
    "too_long": lambda c: f"give at most {c['max_length']}",
    "greater_than": lambda c: f"write a number greater than {c['gt']}",
    "greater_than_equal": lambda c: f"write a number of at least {c['ge']}",
    "less_than_equal": lambda c: f"write a number of at most {c['le']}",
    "literal_error": lambda c: f"write {c['expected']}",
    "enum": lambda c: f"write {c['expected']}",
    "string_type": lambda _: "write a text; put quotes around what looks like a number",
    "bool_type": lambda _: "write true or false",
    "bool_parsing": lambda _: "write true or false",
    "int_type": lambda _: "write a whole number",
    "int_parsing": lambda _: "write a whole number",
    "int_from_float": lambda _: "write a whole number",
    "tuple_type": lambda _: "write a list",
    "dict_type": lambda _: BLOCK,
    "model_type": lambda _: BLOCK,
    "time_delta_type": lambda _: "write a number of seconds, or a duration such as PT10M",
    "time_delta_parsing": lambda _: "write a number of seconds, or a duration such as PT10M",
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"),
        lambda _: "write a time with its zone, such as 2026-11-27T02:00:00Z",
    ),
}
"""What pydantic's types of errors mean to an operator."""


def objections_in(error: ValidationError) -> str:
    """Name every mistake in one line."""
    found = error.errors(include_url=False, include_input=False)
    return listed(map(objection, found), MAX_NAMED, "; ")


def objection(mistake: ErrorDetails) -> str:
    """Name one mistake."""
    parts = [str(part)[:MAX_SHOWN] for part in mistake["loc"]]
    key = ".".join(parts[:MAX_SHOWN_PARTS]) or "input"
    words = WORDS.get(mistake["type"])
    text = words(mistake.get("ctx", {})) if words else mistake["msg"]
    return printable(f"{key}: {text.removeprefix('Value error, ')}")
