"""The seals by which activities know what a worker has read in an estate file."""

from collections.abc import Iterable, Mapping

from workflows.model.base import Value


class Seals(Value):
    """Codes over parts of an estate, made for one run by a worker (`worker.seal_keys`)."""

    key: str = ""
    """The id of the key that they were made with."""
    codes: Mapping[str, str] = {}
    """By the name of a part."""

    def of(self, parts: Iterable[str]) -> "Seals":
        """Return those of these parts."""
        return Seals(key=self.key, codes={p: self.codes[p] for p in parts if p in self.codes})
