r"""Ask HAProxy on its runtime socket: the scripts that run on the host, and what they print.

No POSIX program speaks to a socket of the file system, so the scripts take the first that is there
of perl, python3, socat and nc. HAProxy closes the connection after its answer, and ends each answer
with an empty line: one without it is not whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from activities.load_balancer.file_scripts import REPLACES
from workflows.errors import OutcomeUnknown
from workflows.model.load_balancers.haproxy import endpoint_of
from workflows.model.text import printable

MAX_STATE = 4 << 20
"""Bytes of an answer; each server takes about a hundred."""
ANSWER_SECONDS = 10
PROGRAMS = ("perl", "python3", "socat", "nc")
"""Any of them is enough; the first that works is used."""
LEVELS = ("user", "operator", "admin")
STATE_HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state "
CONFIGURED = 0x2
"""The bit of a check's state that says that there is one."""
MAINTENANCE = 0x67
"""The bits of a server's administrative state with any of which it gets no client."""

ASK = (
    r"""
works() {
  case $1 in
    perl) perl -MSocket -e 1 ;;
    python3) python3 -c 'import signal, socket' ;;
    socat) socat -V ;;
    nc) nc -h 2>&1 | grep -e -U ;;
  esac >/dev/null 2>&1
}
program=
for one in PROGRAMS; do
  if works "$one"; then program=$one; break; fi
done
# Sends a line of commands to the socket and prints what HAProxy answers, so many bytes at most.
ask() {
  case $program in
    perl) perl -MSocket -e '
        alarm SECONDS;
        socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, sockaddr_un($ARGV[0])) or die "$!\n";
        defined(syswrite(S, "$ARGV[1]\n")) or die "$!\n";
        while ($n = sysread(S, $answer, 65536)) { print $answer }
        defined($n) or die "$!\n"' "$socket" "$1" ;;
    python3) python3 -c '
import signal, socket, sys
signal.alarm(SECONDS)
try:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(sys.argv[1])
        control.sendall((sys.argv[2] + "\n").encode())
        while answer := control.recv(65536):
            sys.stdout.buffer.write(answer)
except OSError as failure:
    sys.exit(failure.strerror)' "$socket" "$1" ;;
    socat) printf '%s\n' "$1" | socat -t SECONDS -T SECONDS - "UNIX-CONNECT:$socket" ;;
    nc) printf '%s\n' "$1" | nc -w SECONDS -U "$socket" ;;
  esac | head -c BYTES
}
""".replace("PROGRAMS", " ".join(PROGRAMS))
    .replace("SECONDS", str(ANSWER_SECONDS))
    .replace("BYTES", str(MAX_STATE))
)

READ = (
    r"""
socket=$1 file=$2 write=replace
"""
    + ASK
    + REPLACES
    + r"""
new() { [ ! -e "$file" ] && [ ! -L "$file" ] && [ -w "${file%/*}/." ] && [ -x "${file%/*}/." ]; }
if [ -z "$file" ] || replaces || new; then echo writable; else echo fixed; fi
if [ ! -S "$socket" ]; then echo missing
elif [ ! -r "$socket" ] || [ ! -w "$socket" ]; then echo forbidden
elif [ -z "$program" ]; then echo helpless
else
  echo asked
  ask "show cli level;show servers state"
fi
"""
)
"""Prints whether the state file could be written, then what keeps it from asking or the answer."""

REDIRECT = (
    r"""
socket=$1 file=$2; shift 2
"""
    + ASK
    + r"""
[ -n "$program" ] || { echo "there is none of the programs PROGRAMS"; exit 69; }
# Whether HAProxy has the address and port of every server: SERVER ADDRESS PORT for each.
holds() {
  rows=$(ask "show servers state" 2>&1)
  while [ $# -gt 0 ]; do
    (
      printf '%s\n' "$rows" |
        while read -r _ backend _ server address _ _ _ _ _ _ _ _ _ _ _ _ _ port _; do
          [ "$backend/$server $address $port" != "$1 $2 $3" ] || echo found
        done
    ) | grep -q found || return 1
    shift 3
  done
}
told() {
  while [ $# -gt 0 ]; do
    said="$said $1: $(ask "set server $1 addr $2 port $3" 2>&1 | head -n 1);"
    shift 3
  done
}
# A new file in one step, with the old one's mode and owner, and on the disk.
saved() {
  new=$file.switchover.$$
  (umask 022; set -C; : >"$new") || return 1
  { [ ! -e "$file" ] || cp -p "$file" "$new"; } &&
    ask "show servers state" | dd of="$new" conv=fsync &&
    [ "$(head -n 1 "$new")" = 1 ] && [ -z "$(tail -n 1 "$new")" ] && mv -f "$new" "$file" && return
  rm -f "$new"
  return 1
} 2>/dev/null
outcome=unchanged
# HAProxy may be reloaded meanwhile: then a new process has what its files said a moment ago.
for attempt in 1 2 3; do
  said=
  holds "$@" || { told "$@"; outcome=changed; }
  if [ -n "$file" ] && ! saved; then
    echo "HAProxy was told the addresses, but $file could not be written:$said"; exit 74
  fi
  if holds "$@"; then echo "$outcome"; exit 0; fi
  sleep 1
done
echo "HAProxy has not taken every address:$said"
exit 75
""".replace("PROGRAMS", ", ".join(PROGRAMS))
)
"""Tells HAProxy the addresses, saves its servers' state, and reads both back; may be repeated."""


@dataclass(frozen=True)
class RunningServer:
    """A server as HAProxy has it now."""

    name: str
    """BACKEND/SERVER."""
    address: str
    port: int
    in_maintenance: bool
    resolved: bool
    """Whether name servers decide its address, by a record for services."""
    health_addresses: tuple[str, ...]
    """Other addresses at which its health is asked for."""

    @property
    def endpoint(self) -> str:
        """Where its clients go, as the estate writes it."""
        return endpoint_of(self.address, self.port)


@dataclass(frozen=True)
class Runtime:
    """What HAProxy says of itself."""

    level: str
    """What the socket allows: user, operator or admin."""
    servers: Mapping[str, RunningServer]


@dataclass(frozen=True)
class Unusable:
    """Why HAProxy could not be asked, and what to do."""

    seen: str
    advice: str


@dataclass(frozen=True)
class RuntimeReading:
    """What the script ``READ`` has printed."""

    state_file_writable: bool
    runtime: Runtime | Unusable


def reading(printed: str, errors: str, socket: str, user: str) -> RuntimeReading:
    """Understand what the script ``READ`` printed; OutcomeUnknown where it is not the script's."""
    writable, _, rest = printed.partition("\n")
    word, _, answer = rest.partition("\n")
    if writable not in {"writable", "fixed"}:
        raise OutcomeUnknown(f"the script printed {printable(printed)[:80]!r}")
    why = {
        "missing": Unusable(
            f"{socket} is not there, or is no socket",
            "start HAProxy, or correct socket in the estate; HAProxy makes it with the line "
            f"`stats socket {socket} level admin` in its global section",
        ),
        "forbidden": Unusable(
            f"{user} may not use {socket}",
            "add the user to the socket's group (user, group and mode of `stats socket`)",
        ),
        "helpless": Unusable(
            f"{user} finds none of the programs {', '.join(PROGRAMS)}",
            "install one of them where a command of this user finds it",
        ),
    }
    runtime = why[word] if word in why else _runtime(answer, errors, socket)
    return RuntimeReading(writable == "writable", runtime)


def _runtime(answer: str, errors: str, socket: str) -> Runtime | Unusable:
    level, _, state = answer.partition("\n\n")
    whole = level in LEVELS and state.startswith(STATE_HEAD) and state.endswith("\n\n")
    if not whole:
        shown = printable(" ".join((answer[:200] or "nothing", errors[-200:]))).strip()
        return Unusable(
            f"{socket} gave no whole answer within {ANSWER_SECONDS} s: {shown}",
            "check that HAProxy runs, and that this is a worker's socket and not the master's",
        )
    try:
        servers = map(_server, _rows(state))
        return Runtime(level, {one.name: one for one in servers})
    except (ValueError, KeyError):
        return Unusable(
            f"{socket} gave an answer that cannot be understood: {printable(state[:200])}",
            "check the version of HAProxy: 2.4 and later are understood",
        )


def _rows(state: str) -> Iterator[dict[str, str]]:
    _, head, *lines = state.splitlines()
    columns = head.removeprefix("# ").split()
    for line in filter(None, lines):
        yield dict(zip(columns, line.split(), strict=True))


def _server(row: Mapping[str, str]) -> RunningServer:
    ways = (("srv_check_state", "srv_check_addr"), ("srv_agent_state", "srv_agent_addr"))
    asked = [row[address] for state, address in ways if int(row[state]) & CONFIGURED]
    return RunningServer(
        name=f"{row['be_name']}/{row['srv_name']}",
        address=row["srv_addr"],
        port=int(row["srv_port"]),
        in_maintenance=bool(int(row["srv_admin_state"]) & MAINTENANCE),
        resolved=row["srvrecord"] != "-",
        health_addresses=tuple(one for one in asked if one not in {"-", row["srv_addr"]}),
    )
