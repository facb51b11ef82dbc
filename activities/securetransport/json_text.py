"""Read JSON of others: bounded in depth, in the number of values, and in what a value may be."""

import asyncio
import json
from typing import Any, NoReturn

MAX_DEPTH = 32
MAX_VALUES = 300_000
"""Of one answer: each takes up to a hundred bytes of memory, however short it is written."""
MAX_NUMBER = 2**63
MAX_DIGITS = 20
SMALL = 1 << 15
"""Bytes that are read faster than a thread begins."""

_SEPARATORS = b",[{"
"""One of them precedes each value, or each pair of a key and a value."""


def count(body: bytes) -> int:
    """Return how many values there may be at most: separators within strings are counted, too."""
    return len(body) - len(body.translate(None, _SEPARATORS)) + 1


async def parse(body: bytes) -> object:
    """Return what the text says, without standing in the way of others; ValueError says why not."""
    return _parsed(body) if len(body) <= SMALL else await asyncio.to_thread(_parsed, body)


def _parsed(body: bytes) -> object:
    if count(body) > MAX_VALUES:
        raise ValueError(f"it has more than {MAX_VALUES} values")
    try:
        value: object = _DECODER.decode(body.decode("utf-8"))
        _check(value, 0)
    except RecursionError:
        raise ValueError(_DEEP) from None
    except UnicodeError:
        raise ValueError("it is no UTF-8, or has half a character") from None
    return value


_LARGE = "it has a number that is too large"
_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"


def _check(value: object, depth: int) -> None:
    """Refuse what could not be written again, or computed with, later."""
    if depth > MAX_DEPTH:
        raise ValueError(_DEEP)
    match value:
        case str():
            if not value.isascii():
                value.encode()  # half a character of two cannot be
        case dict():
            for key, one in value.items():
                _check(key, depth)
                _check(one, depth + 1)
        case list():
            for one in value:
                _check(one, depth + 1)
        case int() | float():
            if abs(value) > MAX_NUMBER:  # 1e999 is infinite
                raise ValueError(_LARGE)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has one key twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:  # to compute it takes the square of its length
        raise ValueError(_LARGE)
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=_no_constant
)
