"""Find the files of a Transaction Manager that was stopped at work, on a Linux machine."""

import re

from activities.transport.shell_functions import SEARCH, TIMES
from activities.transport.ssh import Command, script
from workflows.errors import OutcomeUnknown

UNFINISHED = r"-depth \( -type f -name '*.m_inproc' -o -name . \)"
"""What ``find`` looks for: such files, and at last where it began, so that the answer is whole."""

_ORPHANS = (
    SEARCH
    + rf"""
cd "$1" || exit 1
search . {UNFINISHED} -exec sh -c "$2" orphans "$1" {{}} +
"""
)

_ORPHAN_STATES = (
    TIMES
    + r"""
root=$1; shift
for file do
  if [ "$file" = . ]; then echo end
  elif seen=$(file_times "$file"); then
    size=${seen%% *} seen=${seen#* }
    printf '%s.%s %s\0' "$size" "${seen% *}" "$root${file#.}"
  elif [ -e "$file" ]; then exit 1
  fi
done
"""
)

# A login shell may print what it likes before the first.
_ORPHAN = re.compile(r"(?:.*\n)?(?P<state>[0-9]+\.[0-9]+(\.[0-9]+)?) (?P<path>/.+)", re.DOTALL)


def orphans(storage: str) -> Command:
    """Return the search for files of a Transaction Manager that was stopped at work (section 5)."""
    return script(_ORPHANS, storage, _ORPHAN_STATES)


def parse_orphans(text: str) -> frozenset[tuple[str, str]]:
    """Read what ``find`` prints: each path, with its size and time to tell whether it changes."""
    *files, end = text.split("\0")
    if end.splitlines()[-1:] != ["end"] or not end.endswith("\n"):
        raise OutcomeUnknown("the search of the storage is incomplete")
    found = [_ORPHAN.fullmatch(file) for file in files]
    if not all(found):
        raise OutcomeUnknown("the list of files on the storage cannot be read")
    return frozenset((file["path"], file["state"]) for file in found if file)
