"""Read the facts about a Linux node with one script, and parse its output."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from activities.ledger.private import PRIVATE
from activities.ledger.script import CLAIMS
from activities.nodes.operating_system import LedgerFacts
from activities.securetransport import scripts as securetransport
from activities.transport.shell_functions import DIGEST, SEARCH
from activities.transport.ssh import Command, script
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine, Node
from workflows.model.observations import MachineFacts

MAX_CONF_FILES = 500
"""Files under ``conf``: more of them are not configuration."""
DIGEST_DIGITS = 16
"""Digits of a SHA-256: enough to tell two files apart, and eighty nodes' files fit into history."""
MAX_ADDRESSES = 200
"""More of them are unknown: eighty nodes' addresses fit into history."""
IPV6_DIGITS = 32
MAX_DIGITS = 18
"""Of a number."""

_LEDGER = (
    PRIVATE
    + r"""
LC_ALL=C; export LC_ALL
ledger=$1; shift
echo "user $(id -un)"
# Whose session ends with the connection, where it is another one's: sudo says who called it.
[ -z "$SUDO_USER" ] || echo "session $SUDO_USER"
exposed=$(exposed "$ledger" "$ledger/claims")
[ -z "$exposed" ] || echo "exposed $exposed"
at=$ledger
# By the shell alone: with a program that is missing here, it would never end.
until [ -e "$at" ]; do at=${at%/*}; at=${at:-/}; done
if [ -d "$at" ] && [ -w "$at" ] && [ -x "$at" ]; then echo "ledger yes"; else echo "ledger no"; fi
df -Pk "$at" | awk 'NR == 2 { print "free " $4 }'

[ -d /run/systemd/system ] && echo "systemd yes" || echo "systemd no"
# Without the name of a user it shows the manager's own properties.
if command -v loginctl >/dev/null 2>&1; then
  limit=
  command -v timeout >/dev/null 2>&1 && limit='timeout 3'
  answer=$($limit loginctl show-user 2>/dev/null)
  [ $? -eq 124 ] && echo "login KillUserProcesses=unknown"
  printf '%s\n' "$answer" | grep '^Kill' | sed 's/^/login /'
fi
"""
)

_FACTS = (
    _LEDGER
    + CLAIMS
    + SEARCH
    + DIGEST
    + r"""
home=$1 boot_file=$2 most=$3; shift 3
echo "system $(uname -s)"
if [ -d "$home/bin" ]; then
  echo "owner $(stat -c %U "$home" 2>/dev/null || ls -ld "$home" | awk '{ print $3 }')"
fi
for name in "$@"; do
  case $name in /*) path=$name ;; *) path=$home/bin/$name ;; esac
  # The scripts of a disabled server are renamed.
  { [ -f "$path" ] && [ -x "$path" ]; } || [ -e "$path.disable" ] || echo "unusable ${path##*/}"
done

if [ ! -e "$home/conf" ]; then echo "files 0"
elif cd "$home/conf" && names=$(search . -type f 2>/dev/null); then
  number=$(printf '%s\n' "$names" | grep -c .)
  echo "files $number"
  [ "$number" -gt "$most" ] || find . -type f -exec $digest {} + | sed 's/^/conf /'
else echo "unreadable $home/conf"
fi

# A program that prints addresses may be missing; the kernel's tables are not.
ip4=$(awk '/\/32 host LOCAL/ { print last } { last = $2 }' /proc/net/fib_trie 2>/dev/null)
ip6=$(awk '{ print $1 }' /proc/net/if_inet6 2>/dev/null)
echo "addresses" $ip4 $ip6

now=$(date +%s)
{ [ -f "$boot_file" ] && read -r boot <"$boot_file"; } 2>/dev/null && is_word "$boot" ||
  echo "unreadable $boot_file"
# What others can write says nothing.
[ -n "$exposed" ] || (
  bounds
  while [ "$first" -gt 0 ] && [ "$first" -le "$last" ]; do
    read_claim "$first" && [ "$c_completes" = deadline ] && [ "$c_boot" = "$boot" ] &&
      [ "$now" -lt "$c_deadline" ] && [ ! -e "$c_place/settled" ] && echo "pending $c_service"
    first=$((first + 1))
  done
)
if [ -e "$ledger/claims" ] && ! ls "$ledger/claims" >/dev/null 2>&1; then
  echo "unreadable $ledger/claims"
fi
# Other processes may have these paths among their arguments, but not as what they run. All of them
# are looked at together first, by the shell: no process that looks has the path as an argument.
arguments() { # of processes, one on each line
  cat "$@" 2>/dev/null | tr '\0' '\n'
}
case $(arguments /proc/[0-9]*/cmdline) in
  *"$home/bin/stop_"*)
    for file in /proc/[0-9]*/cmdline; do
      argv=$(arguments "$file")
      case $argv in *"$home/bin/stop_"*) ;; *) continue ;; esac
      run=$(printf '%s\n' "$argv" | head -n 2 | grep -F "$home/bin/stop_") || continue
      printf '%s\n' "$argv" | grep -qx -e -g && echo "stopping ${run##*/}"
    done ;;
esac
echo end
"""
)


def facts_command(node: Node) -> Command:
    """Return the command that prints all facts."""
    fixed = (node.ledger, node.filedrivehome, node.boot_id, str(MAX_CONF_FILES))
    return script(_FACTS, *fixed, *securetransport.needed(node))


def ledger_facts_command(machine: Machine) -> Command:
    """Return the command that prints what a machine's ledger depends on."""
    return script(f"{_LEDGER}echo end", machine.ledger)


def parse_ledger_facts(text: str) -> LedgerFacts:
    """Read the answer; OutcomeUnknown if it is incomplete or cannot be understood."""
    return _ledger_facts(_by_key(text))


def parse_facts(text: str) -> MachineFacts:
    """Read the answer; OutcomeUnknown if it is incomplete or cannot be understood."""
    facts = _by_key(text)
    if "unreadable" in facts:
        raise OutcomeUnknown(f"{facts['unreadable'][0]} cannot be read; correct its path or rights")
    if "refused" in facts:
        raise OutcomeUnknown(facts["refused"][0])
    ledger = _ledger_facts(facts)
    return MachineFacts(
        user=ledger.user,
        owner=_one(facts, "owner") if "owner" in facts else None,
        system=_one(facts, "system"),
        unusable=tuple(facts["unusable"]),
        ledger_writable=ledger.writable,
        ledger_exposed=ledger.exposed,
        ledger_free=ledger.free,
        kills_processes=ledger.kills_processes,
        conf=dict(sorted(_files(facts["conf"], _number(facts, "files")))),
        addresses=_addresses(facts.get("addresses", [])),
        pending=tuple(sorted({*facts["pending"], *map(_service, facts["stopping"])})),
    )


def _by_key(text: str) -> dict[str, list[str]]:
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise OutcomeUnknown("the facts about the machine are incomplete")
    facts: dict[str, list[str]] = defaultdict(list)
    for line in lines[:-1]:
        key, _, value = line.partition(" ")
        facts[key].append(value.strip())
    return facts


def _ledger_facts(facts: dict[str, list[str]]) -> LedgerFacts:
    user = _one(facts, "user")
    session = _one(facts, "session") if "session" in facts else user
    return LedgerFacts(
        user=user,
        writable=_yes(facts, "ledger"),
        exposed=_one(facts, "exposed") if "exposed" in facts else None,
        free=1024 * _number(facts, "free"),
        kills_processes=_kills(facts["login"], session, systemd=_yes(facts, "systemd")),
    )


def _one(facts: Mapping[str, Sequence[str]], key: str) -> str:
    values = facts.get(key, [])
    if len(values) != 1 or not values[0]:
        raise OutcomeUnknown(f"the facts do not contain one {key}: {list(values)[:2]!r:.200}")
    return values[0]


def _yes(facts: Mapping[str, Sequence[str]], key: str) -> bool:
    answers = {"yes": True, "no": False}
    if (text := _one(facts, key)) not in answers:
        raise OutcomeUnknown(f"{key} is neither yes nor no: {text[:80]!r}")
    return answers[text]


def _number(facts: Mapping[str, Sequence[str]], key: str) -> int:
    digits = _one(facts, key)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
        raise OutcomeUnknown(f"{key} is no number: {digits[:80]!r}")
    return int(digits)


def _kills(lines: Sequence[str], user: str, *, systemd: bool) -> bool | None:
    """Return whether logind ends a user's processes with the session; None if it does not say.

    See logind.conf(5): ``KillOnlyUsers`` limits it, ``KillExcludeUsers`` makes exceptions.
    """
    properties = dict(line.split("=", 1) for line in lines if "=" in line)
    match properties.get("KillUserProcesses"):
        case None:
            return None if systemd else False  # without systemd no process is ended
        case "no":
            return False
        case "yes":
            only = properties.get("KillOnlyUsers", "").split()
            excluded = properties.get("KillExcludeUsers", "").split()
            return user not in excluded and (not only or user in only)
        case _:
            return None


def _files(lines: Sequence[str], number: int) -> Iterator[tuple[str, str]]:
    if number > MAX_CONF_FILES:
        raise OutcomeUnknown(f"there are {number} files under conf, more than {MAX_CONF_FILES}")
    if len(lines) != number:
        raise OutcomeUnknown(f"only {len(lines)} of {number} files under conf could be read")
    for line in lines:
        path = line.partition(" ")[2][1:].removeprefix("./")
        if line.startswith("\\"):  # so only sha256sum marks a name in which it doubles these
            path = path.replace(r"\\", "\\")
        if not path:
            raise OutcomeUnknown(f"not a file and its SHA-256: {line[:80]!r}")
        yield path, parse_digest(line)[:DIGEST_DIGITS]


def _addresses(lines: Sequence[str]) -> tuple[str, ...]:
    """Read addresses as the kernel's tables write them: of IPv6 only the digits."""
    try:
        [line] = lines
        found = {
            ip_address(bytes.fromhex(text) if len(text) == IPV6_DIGITS else text)
            for text in line.split()
        }
    except ValueError as strange:
        raise OutcomeUnknown("the addresses of the machine cannot be read") from strange
    own = sorted(str(address) for address in found if not address.is_loopback)
    return tuple(own) if len(own) <= MAX_ADDRESSES else ()


def _service(command: str) -> str:
    names = {f"stop_{name}": service.value for service, name in securetransport.SCRIPTS.items()}
    return names.get(command, command)


def parse_digest(text: str) -> str:
    """Read what ``sha256sum`` prints, and what does the same."""
    word = text.strip().lstrip("\\").split(" ")[0]
    if len(word) != 64 or not set(word) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits
        raise OutcomeUnknown(f"not a SHA-256: {text.strip()[:80]!r}")
    return word
