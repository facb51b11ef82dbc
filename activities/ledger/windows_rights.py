"""Tell whether others could write what a ledger on Windows says.

PowerShell prints owner and rights of a directory as a security descriptor in SDDL: its letters are
the same in every language of Windows. Trusted are the account itself, the system, and the group of
administrators, which may do everything anyway.
"""

import re
from collections.abc import Collection, Iterator
from functools import reduce
from operator import or_

from activities.ledger.windows_clock import POWERSHELL
from workflows.errors import OutcomeUnknown

TRUSTED = frozenset(
    {
        *("SY", "S-1-5-18", "BA", "S-1-5-32-544", "LA", "OW", "S-1-3-4"),
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",  # TrustedInstaller
    }
)
CREATOR = frozenset({"CO", "S-1-3-0"})
"""Stands for the owner of what is made below: whoever may make something is judged already."""
# In the sequence of the bits: SDDL's two letters for a right of any object.
_BITS = {
    letters: 1 << bit
    for bit, letters in enumerate(("CC", "DC", "LC", "SW", "RP", "WP", "DT", "LO", "CR"))
} | {
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
}
_OWN = 0x10000 | 0x40000 | 0x80000 | 0x10000000
"""Delete, or rename; change the rights; take ownership; everything."""
REPLACES = _OWN | 0x40
"""With these rights to a directory, someone can put another one in the place of what is below it.
"""
WRITES = REPLACES | 0x2 | 0x4 | 0x40000000
"""With these, they can add to it, too."""
_DESCRIPTOR = re.compile(
    r"O:(?P<owner>[A-Z]{2}|S-[0-9-]+?)(G:[^:]*?)?D:(?P<flags>[A-Z_]*)(?P<entries>(\([^()]*\))*)(S:.*)?"
)
_ENTRY = re.compile(r"\(([^()]*)\)")
FIELDS = 6


def rights(ledger: str) -> str:
    """Return the line that prints the account, and the rights of a ledger and of all above it."""
    # By .NET alone: where PowerShell is confined, nothing answers, and that is no answer.
    asked = (
        f"'user '+[Security.Principal.WindowsIdentity]::GetCurrent().User.Value; $p='{ledger}'; "
        r"if(Test-Path -LiteralPath ($p+'\claims')){ $p=$p+'\claims' }; "
        "while($p){ if(Test-Path -LiteralPath $p){ 'acl '+$p+[char]9+(Get-Acl -LiteralPath $p).Sddl"
        " }; $p=Split-Path -LiteralPath $p }; 'whole'"
    )
    return f'{POWERSHELL} "{asked}" <nul 2>nul'


def exposed(text: str, ledger: str) -> str | None:
    """Return why others could change what a ledger says; None where they cannot.

    Raises:
        OutcomeUnknown: the rights could not be read.
    """
    users, descriptors = list[str](), dict[str, str]()
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        path, tab, descriptor = value.partition("\t")
        if key == "user":
            users.append(value)
        elif key == "acl" and tab:
            descriptors[path] = descriptor
    if "whole" not in text.split() or len(users) != 1:
        raise OutcomeUnknown(
            f"it cannot be read who may write to {ledger}: PowerShell's Get-Acl gives no answer"
        )
    if ledger not in descriptors:
        return f"there is no directory {ledger}"
    for path, descriptor in descriptors.items():
        own = path.startswith(ledger)
        for objection in _objections(path, descriptor, TRUSTED | {users[0]}, own=own):
            return objection
    return None


def _objections(
    path: str, descriptor: str, trusted: Collection[str], *, own: bool
) -> Iterator[str]:
    """Yield what lets others write to the ledger itself, or replace what is above it."""
    found = _DESCRIPTOR.fullmatch(descriptor)
    if found is None or "NO_ACCESS_CONTROL" in found["flags"]:
        yield f"the rights to {path} cannot be understood, or everyone has all: {descriptor[:200]}"
        return
    if found["owner"] not in trusted:
        yield f"{path} belongs to another account, {found['owner']}"
    for entry in _ENTRY.findall(found["entries"]):
        fields = entry.split(";")
        if len(fields) < FIELDS:
            yield f"the rights to {path} cannot be understood: {entry[:80]}"
            return
        kind, flags, mask, account = fields[0], fields[1], fields[2], fields[5]
        inherited_only = "IO" in flags
        if kind in ("D", "OD", "XD") or account in trusted:
            continue
        if inherited_only and (not own or account in CREATOR):
            continue
        if _bits(mask) & (WRITES if own else REPLACES):
            yield f"{account} may write to {path}" if own else f"{account} may replace {path}"


def _bits(mask: str) -> int:
    """Return the rights of an entry as bits; what is not known counts as every right."""
    if re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", mask):
        return int(mask, 16)
    letters = [mask[at : at + 2] for at in range(0, len(mask), 2)]
    return reduce(or_, (_BITS.get(pair, WRITES) for pair in letters), 0)
