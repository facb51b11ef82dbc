"""Read the text of an estate file, and name every mistake by its line and key.

Worker and console share it, so that ``switchover validate`` says what a run would say. No workflow
imports it: a run gets its estate from an activity.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import yaml
from pydantic import ValidationError

from workflows.estate_yaml import YamlMistake, read_yaml
from workflows.model.estate import Estate
from workflows.model.objections import objection
from workflows.preflight.catalogue import BY_NAME

Location = Sequence[int | str]

MAX_SHOWN_MISTAKES = 20


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
        shown = found[:MAX_SHOWN_MISTAKES]
        mistakes = [f"line {_line(root, one['loc'])}: {objection(one)}" for one in shown]
        raise EstateMistakes(_and_more(mistakes, len(found))) from None
    unknown = list(_unknown(root, estate, file.stem))
    if unknown:
        raise EstateMistakes(_and_more(unknown[:MAX_SHOWN_MISTAKES], len(unknown)))
    return estate


def _and_more(mistakes: Sequence[str], found: int) -> Sequence[str]:
    more = found - len(mistakes)
    return (*mistakes, f"and {more} more mistakes") if more > 0 else mistakes


def _parsed(text: bytes) -> tuple[yaml.Node, dict[str, Any]]:
    """Return the tree of a text, which knows its lines, and what it stands for."""
    try:
        root, given = read_yaml(text)
    except YamlMistake as mistake:
        raise EstateMistakes([str(mistake)]) from None
    if not isinstance(given, dict):
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
