"""Read YAML that a person may have written, and refuse what only costs time, room or certainty.

PyYAML does what a text says: a few lines of aliases stand for thousands of millions of values, and
a tag makes a value of another kind, or fails in its own way. An estate needs neither. What a text
stands for is counted while it is read, so that the time it can take is bounded.
"""

from collections.abc import Hashable
from typing import Any

import yaml

from workflows.model.text import printable

MAX_BYTES = 256 * 1024
"""The example, with every key and a comment for each, has 15 kB."""
MAX_DEPTH = 30
"""Mappings and lists inside each other; an estate needs 8."""
MAX_VALUES = 20_000
"""Keys and values, those of an alias each time it is used; 80 nodes in full words have 5000."""
MAX_LENGTH = 4096
"""Characters of one key or value."""
MAX_SHOWN_KEY = 64
MERGE = "tag:yaml.org,2002:merge"
TEXT = "tag:yaml.org,2002:str"

NOT_YAML = (
    "this is not YAML; check the indentation, "
    "and put quotes around values that begin with a special character"
)


class YamlMistake(Exception):
    """A text is no YAML that an estate needs: one sentence, which repeats nothing of the text."""


def read_yaml(text: bytes) -> tuple[yaml.Node, Any]:
    """Return the tree of a text, which knows its lines, and what it stands for.

    Raises:
        YamlMistake: it is none, or too much.
    """
    if len(text) > MAX_BYTES:
        raise YamlMistake(f"it is larger than {MAX_BYTES // 1024} KiB; an estate needs far less")
    try:
        loader = _StrictLoader(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise YamlMistake("it is not UTF-8 text") from None
    except yaml.reader.ReaderError as mistake:
        line = text[: mistake.position].count(b"\n") + 1
        raise YamlMistake(f"line {line}: it has a character that no text has") from None
    try:
        root = loader.get_single_node()
        if root is None:
            raise YamlMistake("it holds no estate; see docs/estate.example.yaml for one")
        return root, loader.construct_document(root)
    # A number or a date that YAML recognises and Python does not have.
    except (yaml.YAMLError, ValueError, ArithmeticError) as mistake:
        # PyYAML's own message repeats the text, which may be a secret.
        mark = getattr(mistake, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlMistake(f"{where}{NOT_YAML}") from None
    finally:
        loader.dispose()


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML, bounded, in which a key that is given twice is an error, not an override."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0
        self._worth: dict[yaml.Node | None, int] = {}
        """How many values each finished node stands for."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's signature
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise YamlMistake(f"line {line}: a tag, which begins with !, has no meaning here")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_LENGTH:
            raise YamlMistake(f"line {line}: write at most {MAX_LENGTH} characters")
        if self._depth == MAX_DEPTH:
            raise YamlMistake(f"line {line}: there are more than {MAX_DEPTH} levels")
        before = self._values
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._values += 1
            self._worth[node] = self._values - before
        elif node in self._worth:
            self._values += self._worth[node]
        else:
            raise YamlMistake(f"line {line}: this alias is inside of what it stands for")
        if self._values > MAX_VALUES:
            raise YamlMistake(
                f"line {line}: there are more than {MAX_VALUES} keys and values, those of an alias "
                "counted each time"
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag == MERGE:  # it may be there twice
                continue
            if key.tag != TEXT:
                raise YamlMistake(f"line {line}: a key is a text; put quotes around it")
            if key.value in seen:
                shown = printable(key.value)[:MAX_SHOWN_KEY]
                raise YamlMistake(f"line {line}: the key {shown} is given twice; keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)
