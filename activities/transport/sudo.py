"""Say why sudo ran nothing, and what it lets the account that logs in run besides."""

import re

from workflows.model.estate import Machine, SshAccess
from workflows.model.text import printable

WHY = r"""
LC_ALL=C LANGUAGE=C; export LC_ALL LANGUAGE
command -v sudo >/dev/null 2>&1 || { echo "missing $PATH"; exit 0; }
if said=$(sudo -n -H -u "$1" -- /bin/sh -c : 2>&1 </dev/null); then echo works
else printf 'refuses %s\n' "$said"; fi
"""
"""Has sudo run nothing as an account, and prints what becomes of it, in English."""
LISTING = r"""
LC_ALL=C LANGUAGE=C; export LC_ALL LANGUAGE
sudo -n -l </dev/null 2>&1
"""
MAX_SAID = 300
"""Characters of sudo's own words."""
_RULES = re.compile(r"may run the following commands on [^\n]*:\n(.*)", re.DOTALL)
_ACCOUNTS = re.compile(r"^[ \t]+\(([^)]*)\)", re.MULTILINE)


def without(machine: Machine) -> Machine:
    """Return the machine as the account that logs in reaches it, over the same connection."""
    login = machine.ssh.model_copy(update={"run_as": None})
    return machine.model_copy(update={"ssh": login})


def rule(ssh: SshAccess) -> str:
    """Return the line of sudoers that lets the worker run its commands."""
    return f"{ssh.user} ALL=({ssh.account}) NOPASSWD: /bin/sh"


def refusal(machine: Machine, answer: str) -> str | None:
    """Return why sudo runs nothing, by what ``WHY`` printed; None where it does not refuse."""
    state, _, words = answer.strip().partition(" ")
    user, account, said = machine.ssh.user, machine.ssh.account, printable(words)[:MAX_SAID]
    match state:
        case "missing":
            seen, move = f"no program sudo in {said}", f"install it there, or correct {user}'s PATH"
        case "refuses":
            seen, move = said or "it printed nothing", _move(said, machine)
        case _:
            return None
    return f"{machine.name}: sudo runs no command of {user} as {account} ({seen}); {move}"


def _move(said: str, machine: Machine) -> str:
    if "unknown user" in said:
        return f"create {machine.ssh.account} there, or correct ssh.run_as"
    if "must have a tty" in said:
        return f"write into sudoers: Defaults:{machine.ssh.user} !requiretty"
    return f"write into sudoers: {rule(machine.ssh)}"


def others(listing: str, account: str) -> tuple[str, ...] | None:
    """Return the other accounts that the listing allows; None where it is no listing."""
    rules = _RULES.search(listing)
    if rules is None:
        return None
    # In brackets: the accounts, and perhaps a colon and groups.
    found = (named.partition(":")[0].split(",") for named in _ACCOUNTS.findall(rules[1]))
    names = (name.strip() for one in found for name in one)
    return tuple(dict.fromkeys(name for name in names if name and name != account))
