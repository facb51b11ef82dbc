"""Sample the files of a storage: POSIX shell scripts, and parsers of their output.

Both sides choose the same files independently: those whose paths have the smallest hashes. So a
file that exists on one side only is noticed on either side. ``awk`` computes the hash, a cheap one,
for every path in one process; contents are compared by SHA-256.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from activities.nodes.linux_facts import parse_digest
from activities.transport.shell_functions import DIGEST, SEARCH, TIMES
from activities.transport.ssh import Command
from workflows.errors import OutcomeUnknown

SEARCH_TIMEOUT = 8
"""Seconds for the search of one storage."""
PART_BYTES = 1024**2
"""Of a larger file, this much of its beginning and of its end is read."""
MAX_PATH_BYTES = 48 * 1024
"""Bytes of paths in one command: more of them need several commands."""

_KEYS = r"""
BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
$0 == "/end" { printf "%010.0f %s\n", 0, $0; next }
{
  hash = 5381
  # Every product stays below 2^53, so that every awk computes the same.
  for (i = length($0); i > 2; i--) hash = (hash * 65599 + code[substr($0, i, 1)]) % 4294967291
  hash = (hash * 1664525 + 1013904223) % 4294967291
  hash = (hash * 1664525 + 1013904223) % 4294967291
  printf "%010.0f %s\n", hash, $0
}
"""

_READ = (
    DIGEST
    + TIMES
    + r"""
part() {
  if [ "$size" -le "$PART" ]; then cat "$path"
  else dd if="$path" bs="$PART" count=1 && tail -c "$PART" "$path"; fi 2>/dev/null
}
for line do
  key=${line%% *} path=${line#* } kind=file state= sum=
  if [ "$path" = /end ]; then kind=end state=$(date +%s)
  elif [ -L "$path" ] || [ ! -f "$path" ]; then kind=gone
  elif state=$(file_times "$path") && size=${state%% *} && state="$size ${state##* }" &&
    sum=$({ { part && echo whole >&3; } | $digest; } 3>&1) && [ "${sum#whole}" != "$sum" ]; then :
  elif [ -f "$path" ]; then kind=unreadable
  else kind=gone; fi
  printf '%s\0' "$kind" "$key" "$state" "$sum" "$path"
done
"""
)

_SAMPLE = (
    SEARCH
    + r"""
most=$1 read=$2 keys=$3 markers=$4
export LC_ALL=C PART
cd "$5" || exit 73
echo sample:
# awk reads lines, and a name may hold a newline; an incomplete search has no end mark.
{ { search . \( -name '.?*' -o -path ./lost+found -o -path "$markers" \) -prune \
      -o -type f ! -name '*.m_inproc' -print0 && [ -d "$5" ] && printf '/end\0'; } |
  tr '\n\0' '\1\n' | awk "$keys" | sort | head -n $((most + 1)) | tr '\n\1' '\0\n' |
  xargs -0 -r sh -c "$read" read && printf '/done\0'; } | base64
"""
)

_AGAIN = r"""
read=$1
export LC_ALL=C PART
cd "$2" || exit 73
echo sample:
{ printf %s "$3" | base64 -d | xargs -0 -r sh -c "$read" read && printf '/done\0'; } | base64
"""

Key = tuple[str, bytes]
"""A path after its hash: the sequence that both sides have in common."""


@dataclass(frozen=True)
class Copy:
    """A file on one side."""

    size: int
    digest: str
    changed: int
    """When content, name or place changed last, by the storage's clock in seconds."""

    def __str__(self) -> str:
        return f"SHA-256 {self.digest[:8]}…, {self.size} bytes"

    def is_like(self, other: Copy) -> bool:
        """Whether both are the same file."""
        return (self.size, self.digest) == (other.size, other.digest)


@dataclass(frozen=True)
class Sample:
    """The files of one side with the smallest keys; None for one that disappeared meanwhile."""

    files: Mapping[Key, Copy | None]
    at: int
    """The node's clock in seconds."""
    full: bool
    """Whether there may be more files."""

    @property
    def last_key(self) -> Key | None:
        """Return the last key of the sample; None if the sample is the whole storage."""
        return max(self.files) if self.full else None


def sample(storage: str, markers: str | None, most: int) -> Command:
    """Return the command that reads the files with the smallest keys, without the markers."""
    pattern = f"./{posixpath.normpath(markers)}" if markers else "./"
    for character in "\\*?[":
        pattern = pattern.replace(character, f"\\{character}")
    return _bounded(_SAMPLE, str(most), _READ, _KEYS, pattern, storage)


def again(storage: str, paths: Iterable[bytes]) -> Command:
    """Return the command that reads these files only."""
    lines = base64.b64encode(b"".join(b"- ./" + path + b"\0" for path in paths)).decode()
    return _bounded(_AGAIN, _READ, storage, lines)


def _bounded(text: str, *arguments: str) -> Command:
    limit = ("timeout", str(SEARCH_TIMEOUT), "env", f"PART={PART_BYTES}")
    return Command((*limit, "sh", "-c", text, "switchover", *arguments))


def parse_sample(text: str, most: int) -> Sample:
    """Read what was sampled; OutcomeUnknown unless the whole storage was searched."""
    records = _records(text)
    ends = [_number(state) for kind, _, state, _, _ in records if kind == b"end"]
    if len(ends) != 1:
        raise OutcomeUnknown("the search of the storage is incomplete")
    files = {
        (key.decode("ascii", "backslashreplace"), _path(name)): _copy(kind, state, digest)
        for kind, key, state, digest, name in records
        if kind != b"end"
    }
    return Sample(files, ends[0], full=len(files) >= most)


def parse_again(text: str) -> dict[bytes, Copy | None]:
    """Read what the files are now; None for one that does not exist."""
    return {
        _path(name): _copy(kind, state, digest) for kind, _, state, digest, name in _records(text)
    }


def settled(copies: Iterable[Copy | None], now: int, unchanged: timedelta) -> bool:
    """Whether replication has had that long since the last change."""
    return all(copy is None or copy.changed <= now - unchanged.total_seconds() for copy in copies)


def comparable(one: Sample, two: Sample, unchanged: timedelta) -> tuple[Key, ...]:
    """Return the files that both sides would have chosen, and that do not change."""
    ends = [end for end in (one.last_key, two.last_key) if end is not None]
    return tuple(
        key
        for key in sorted(one.files.keys() | two.files.keys())
        if all(key <= end for end in ends)
        and (one.files.get(key) or two.files.get(key))
        and settled([one.files.get(key)], one.at, unchanged)
        and settled([two.files.get(key)], two.at, unchanged)
    )


def alike(one: Copy | None, two: Copy | None) -> bool:
    """Whether a file is the same on both sides, or on neither."""
    return one is two is None or (one is not None and two is not None and one.is_like(two))


def portions(paths: Iterable[bytes]) -> Iterable[tuple[bytes, ...]]:
    """Divide paths into portions that fit into one command."""
    portion, length = list[bytes](), 0
    for path in paths:
        if portion and length + len(path) > MAX_PATH_BYTES:
            yield tuple(portion)
            portion, length = [], 0
        portion.append(path)
        length += len(path) + 5  # the marks around each
    if portion:
        yield tuple(portion)


def _records(text: str) -> list[tuple[bytes, ...]]:
    """Decode what the script printed; a login shell may print other lines before."""
    _, begun, body = text.rpartition("sample:\n")
    try:
        fields = base64.b64decode(body).split(b"\0")
    except ValueError as strange:
        raise OutcomeUnknown("the sample of a storage is cut off") from strange
    if not begun or fields[-2:] != [b"/done", b""] or len(fields) % 5 != 2:  # noqa: PLR2004 - five fields each
        raise OutcomeUnknown("the sample of a storage is incomplete")
    return [tuple(fields[at : at + 5]) for at in range(0, len(fields) - 2, 5)]


def _path(name: bytes) -> bytes:
    return name.removeprefix(b"./")


def _copy(kind: bytes, state: bytes, summed: bytes) -> Copy | None:
    if kind == b"gone":
        return None
    match [*state.split(), *summed.split()]:
        case [size, changed, b"whole", digest, _] if kind == b"file":
            return Copy(
                _number(size), parse_digest(digest.decode("ascii", "replace")), _number(changed)
            )
    raise OutcomeUnknown("a file of the storage cannot be read")


def _number(digits: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,18}", digits):
        raise OutcomeUnknown(f"the sample of a storage has no number: {digits[:80]!r}")
    return int(digits)
