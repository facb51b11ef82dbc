"""Digest many items into one small value, and name what is not as such a value says."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from workflows.model.configuration import Change, PartDigest
from workflows.model.text import listed

Items = Mapping[str, str]
"""By name: the digest of an item."""
Difference = tuple[str, Change]
"""The name of an item, and what became of it."""

DIGITS = 16
"""Of a SHA-256: enough to tell two contents apart."""
BUCKET_DIGITS = 4
LEAST_BUCKETS, MOST_BUCKETS = 4, 256
RECORD_BYTES = 40_000
"""That the buckets of all parts of an estate may take together: they go into history."""
MAX_REMEMBERED = 1000
"""Parts whose items a worker remembers."""
MAX_CANDIDATES = 5


def digest(text: str) -> str:
    """Return the first digits of a text's SHA-256."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def bucket_count(parts: int) -> int:
    """Return how many buckets each of so many parts may have: a power of two."""
    room = RECORD_BYTES // (BUCKET_DIGITS * max(1, parts))
    return max(LEAST_BUCKETS, min(MOST_BUCKETS, 1 << max(0, room.bit_length() - 1)))


def digested(items: Items, buckets: int) -> PartDigest:
    """Return the digest of these items."""
    contents: list[list[str]] = [[] for _ in range(buckets)]
    for name in sorted(items):
        contents[_bucket(name, buckets)].append(f"{name}\0{items[name]}")
    return PartDigest(
        items=len(items),
        digest=digest("\n".join(f"{name}\0{items[name]}" for name in sorted(items))),
        buckets="".join(digest("\n".join(one))[:BUCKET_DIGITS] for one in contents),
    )


class ItemMemory:
    """The items behind the last digests, so that a change is named exactly by the same worker."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, Items] = OrderedDict()

    def remember(self, part: PartDigest, items: Items) -> None:
        """Remember the items of a digest; the oldest of too many are forgotten."""
        self._items[part.digest] = items
        self._items.move_to_end(part.digest)
        while len(self._items) > MAX_REMEMBERED:
            self._items.popitem(last=False)

    def differences(self, known: PartDigest, kind: str, now: Items) -> tuple[Difference, ...]:
        """Name what is not as *known* says: by item, or as exactly as its buckets tell."""
        if digested(now, 1).digest == known.digest:
            return ()
        before = self._items.get(known.digest)
        if before is not None:
            return tuple((f"{kind} {name}", what) for name, what in _exactly(before, now))
        return tuple(_by_bucket(known, kind, now)) or ((f"a {kind}", "changed"),)


def _exactly(before: Items, now: Items) -> Iterator[Difference]:
    for name in sorted({*before, *now}):
        if name not in now:
            yield name, "removed"
        elif name not in before:
            yield name, "added"
        elif before[name] != now[name]:
            yield name, "changed"


def _by_bucket(known: PartDigest, kind: str, now: Items) -> Iterator[Difference]:
    """Yield the candidates of each bucket that differs: only the names of now are known."""
    count = len(known.buckets) // BUCKET_DIGITS
    current = digested(now, count).buckets
    names: dict[int, list[str]] = {}
    for name in sorted(now):
        names.setdefault(_bucket(name, count), []).append(name)
    for number in range(count):
        place = slice(number * BUCKET_DIGITS, (number + 1) * BUCKET_DIGITS)
        if known.buckets[place] == current[place]:
            continue
        match names.get(number, []):
            case []:
                yield f"a {kind} whose name is not known any more", "removed"
            case [only]:
                yield f"{kind} {only}", "changed"
            case several:
                yield f"{kind} {listed(several, MAX_CANDIDATES)}: at least one of them", "changed"


def _bucket(name: str, buckets: int) -> int:
    return int(digest(name)[:8], 16) % buckets
