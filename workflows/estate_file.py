"""Read the text of an estate file, and name every mistake by its line and key.

Worker and console share it, so that ``switchover validate`` says what a run would say. No workflow
imports it: a run gets its estate from an activity.
"""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

import yaml
from pydantic import ValidationError

from workflows.model.estate import Estate
from workflows.model.objections import objection
from workflows.preflight.catalogue import BY_NAME

Location = Sequence[int | str]

NOT_YAML = (
    "this is not YAML; check the indentation, "
    "and put quotes around values that begin with a special character"
)


class EstateMistakes(Exception):
    """The text is no usable estate: a sentence for each mistake, never with a value of the file."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


def parse_estate(text: bytes, file: PurePath) -> Estate:
    """Return the estate that the text of this file describes.

    Raises:
        EstateMistakes: it describes none. No message holds a value, which may be a secret that was
            written in clear.
    """
    root, given = _parsed(text)
    try:
        estate = Estate.model_validate(given)
    except ValidationError as error:
        # The errors hold the input, perhaps secrets in clear: only their messages may leave here.
        found = error.errors(include_url=False, include_input=False)
        mistakes = [f"line {_line(root, one['loc'])}: {objection(one)}" for one in found]
        raise EstateMistakes(mistakes) from None
    mistakes = list(_unknown(root, estate, file.stem))
    if mistakes:
        raise EstateMistakes(mistakes)
    return estate


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML in which a key that is given twice is an error, not an override."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            # ``<<`` merges other mappings, and may do so twice.
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise _KeyTwiceError(key.value, key.start_mark.line + 1)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _KeyTwiceError(Exception):
    """A mapping contains a key twice: the key, and its line."""


def _parsed(text: bytes) -> tuple[yaml.Node, dict[Hashable, Any]]:
    """Return the tree of a text, which knows its lines, and what it stands for."""
    try:
        loader = _StrictLoader(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise EstateMistakes(["it is not UTF-8 text"]) from None
    except yaml.reader.ReaderError as mistake:
        line = text[: mistake.position].count(b"\n") + 1
        raise EstateMistakes([f"line {line}: it has a character that no text has"]) from None
    try:
        root = loader.get_single_node()
        given = loader.construct_document(root) if root is not None else None
    except _KeyTwiceError as twice:
        key, line = twice.args
        raise EstateMistakes([f"line {line}: the key {key} is given twice; keep one"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as mistake:
        # PyYAML's own message repeats the text, which may be a secret.
        mark = getattr(mistake, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise EstateMistakes([f"{where}{NOT_YAML}"]) from None
    finally:
        loader.dispose()
    if root is None or not isinstance(given, dict):
        raise EstateMistakes(["it holds no estate; see docs/estate.example.yaml for one"])
    return root, given


def _unknown(root: yaml.Node, estate: Estate, stem: str) -> Iterator[str]:
    """Yield what is well-formed, and unknown here."""
    for check in estate.checks:
        if check not in BY_NAME:
            yield (
                f"line {_line(root, ('checks', check))}: checks.{check}: there is no such check; "
                "`switchover check --list` shows all checks"
            )
    if estate.name != stem:
        yield (
            f"line {_line(root, ('name',))}: name: the estate's name is {estate.name}; "
            f"a file and its estate share one name, so write name: {stem} or rename the file"
        )


def _line(root: yaml.Node, location: Location) -> int:
    """Return the line of a key, or of the last mapping or list on the way to it.

    What a node does not set itself may come from ``defaults``.
    """
    node, depth = _reached(root, location)
    match tuple(location):
        case ("clusters", int(), "nodes", int(), *rest):
            default, reached = _reached(root, ("defaults", *rest))
            if reached - 1 > max(depth - 4, 0):
                node = default
    return int(node.start_mark.line) + 1


def _reached(root: yaml.Node, location: Location) -> tuple[yaml.Node, int]:
    """Return the node where a walk ends, and after how many parts of the location."""
    shown, node = root, root
    for depth, part in enumerate(location):
        match node:
            case yaml.MappingNode():
                found = [pair for pair in node.value if pair[0].value == str(part)]
            case yaml.SequenceNode() if isinstance(part, int):
                found = [(one, one) for one in node.value[part : part + 1]]
            case _:
                found = []
        if not found:
            return shown, depth
        [(shown, node), *_] = found
    return shown, len(location)
