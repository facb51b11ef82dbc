"""How is a load balancer host told where new connections go? One driver for each way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from activities.ledger.ledger import Ledger, Task, succeeded
from activities.load_balancer import haproxy_config as haproxy
from activities.load_balancer import hosts_file
from activities.load_balancer.haproxy_config import Configured
from activities.runtime.tracing import effect
from activities.transport.ssh import Command, Shell, script
from workflows.errors import BadInput, NotReady, OutcomeUnknown
from workflows.model.actions import Redirect
from workflows.model.estate import LoadBalancer, LoadBalancerHost
from workflows.model.results import Report, changed, unchanged
from workflows.ports.load_balancer import TrafficInput


class Balancer(Protocol):
    """One way of steering traffic: DNS, HAProxy's runtime API and others follow as modules."""

    async def addresses(self, balancer: LoadBalancer, host: str) -> dict[str, str]:
        """Return the address that each of the estate's names has for this host now."""

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Leave the host pointing at the order's cluster."""

    async def rights(self, balancer: LoadBalancer, host: str) -> Rights:
        """Return what a redirect needs and may do on this host; changes nothing."""

    async def configured(self, balancer: LoadBalancer, host: str) -> Configured:
        """Return what the load balancer's own configuration says, if the estate names it."""

    def preview(self, balancer: LoadBalancer, action: Redirect) -> tuple[str, ...]:
        """Return what is written and run for that; asks nobody."""


@dataclass(frozen=True)
class Rights:
    """What a redirect may do on a host."""

    reload_runnable: bool
    hosts_file_writable: bool


_READ = r"""cksum <"$1" && cat "$1" """

_REWRITE = r"""
file=$1 sum=$2 text=$3; shift 3
# What was read may be old: another redirect perhaps had to end first.
if [ "$(cksum <"$file")" != "$sum" ]; then echo "$file was changed meanwhile"; exit 75; fi
if [ -z "$text" ]; then echo already
else
  # A new file in one step, with the old one's mode and owner; where the file is mounted by itself,
  # or is a link, it can only be written where it is.
  new=$file.switchover.$$
  if [ ! -L "$file" ] && cp -p "$file" "$new" 2>/dev/null && printf %s "$text" >"$new" \
    && mv -f "$new" "$file" 2>/dev/null; then :
  else rm -f "$new"; printf %s "$text" >"$file" || exit 74
  fi
  echo rewritten
fi
"$@"
"""

_MAY = r"""
file=$1; shift
folder=$(dirname "$file")
# What the redirect tries first is a new file in the old one's place; else it writes where it is.
replaces() {
  [ -f "$file" ] && [ -r "$file" ] && [ ! -L "$file" ] && [ -w "$folder" ] && [ -x "$folder" ] &&
    { [ ! -k "$folder" ] || [ -O "$folder" ] || [ -O "$file" ]; } &&
    ! grep -Fqs " $file " /proc/self/mountinfo &&
    case $(stat -c %A "$file") in ??w*) true ;; *) false ;; esac
}
# An immutable file, or one that only grows, cannot be replaced either, whoever owns the folder.
frozen() {
  flags=$(lsattr -d "$file" 2>/dev/null)
  case ${flags%% *} in *[ai]*) true ;; *) false ;; esac
}
if [ -f "$file" ] && ! frozen && { [ -w "$file" ] || replaces; }; then echo writable
else echo fixed; fi
runs() {
  case $1 in
    */*) [ -f "$1" ] && [ -x "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}
allowed() {
  case ${1##*/} in
    sudo) sudo=$1; shift; runs "$sudo" && "$sudo" -n -l "$@" >/dev/null 2>&1 ;;
    *) runs "$1" ;;
  esac
}
if allowed "$@"; then echo runnable; else echo refused; fi
"""

# A login shell may print what it likes before; and a file that was cut has no mark behind it.
_WHOLE = """printf 'the %s:\\n' configuration; cat "$1" && printf 'end of configuration'"""
BEGUN, WHOLE = "the configuration:\n", "end of configuration"

LONGEST = 60_000
"""Bytes of a hosts file: it travels in one command."""

RELOADED_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True)
class _HostsFile:
    sum: str
    text: str


class HostsFiles:
    """The vendor's own case: the Edges' names stand in a hosts file (section 2)."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._ledger = Ledger(shell)

    async def addresses(self, balancer: LoadBalancer, host: str) -> dict[str, str]:
        """Return the address that each of the estate's names has in the host's file now."""
        file = await self._read(host_named(balancer, host))
        return hosts_file.addresses(file.text, balancer.names)

    async def rights(self, balancer: LoadBalancer, host: str) -> Rights:
        """Return whether the file may be written, as the redirect does, and the reload run."""
        machine = host_named(balancer, host)
        answer = await self._shell.run(machine, script(_MAY, machine.hosts_file, *machine.reload))
        match answer.out.split()[-2:]:
            case ["writable" | "fixed" as file, "runnable" | "refused" as reload]:
                return Rights(reload == "runnable", file == "writable")
        raise OutcomeUnknown(f"{host}: what a redirect may do cannot be told: {answer.text}")

    async def configured(self, balancer: LoadBalancer, host: str) -> Configured:
        """Return what HAProxy's configuration says; nothing where the estate names no file."""
        machine = host_named(balancer, host)
        if (file := machine.configuration) is None:
            return Configured()
        answer = await self._shell.run(machine, script(_WHOLE, file))
        _, begun, text = answer.out.partition(BEGUN)
        if answer.status != 0 or not begun or not text.endswith(WHOLE):
            raise OutcomeUnknown(f"{host}: {file} cannot be read: {answer.text}")
        try:
            return haproxy.configured(text.removesuffix(WHOLE), balancer.names)
        except OutcomeUnknown as strange:
            raise OutcomeUnknown(f"{host}: {file}: {strange}") from strange

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Rewrite and reload, as one effect.

        The file alone proves nothing: whoever wrote it may never have reloaded. So a reload always
        belongs to this operation, also where the file is right already; ``unchanged`` means that
        the file was, when this operation was claimed. The ledger remembers which of both it was.
        """
        action = given.action
        host = host_named(given.load_balancer, action.host)
        task = Task(given.operation.id, "traffic", Command(()), RELOADED_WITHIN)
        if (await self._ledger.look(host, task)).claim is None:
            command = await self._rewrite(given, host)
            with effect(given, str(action)):
                await self._ledger.claim(
                    host, Task(task.operation, task.service, command, task.within)
                )
        record = succeeded(await self._ledger.ended(host, task), host.name)
        if record.output.startswith("already"):
            return unchanged(action, f"{host.name} pointed at {action.to} already", record.at)
        return changed(action, f"{host.name} points at {action.to}", record.at)

    def preview(self, balancer: LoadBalancer, action: Redirect) -> tuple[str, ...]:
        """Return the lines that the hosts file gets between our markers, and the reload."""
        host = host_named(balancer, action.host)
        lines = hosts_file.entries(_wanted(balancer, action))
        return (
            *(f"{host.hosts_file}: {line}" for line in lines),
            str(Command(host.reload)),
        )

    async def _rewrite(self, given: TrafficInput[Redirect], host: LoadBalancerHost) -> Command:
        names = given.load_balancer.names
        wanted = _wanted(given.load_balancer, given.action)
        file = await self._read(host)
        text = hosts_file.pointed_at(file.text, wanted, host.name)
        if hosts_file.addresses(file.text, names) == wanted:
            text = ""
        if len(text.encode()) > LONGEST:
            raise NotReady(f"{host.name}: {host.hosts_file} is too long to be rewritten safely")
        return script(_REWRITE, host.hosts_file, file.sum, text, *host.reload)

    async def _read(self, host: LoadBalancerHost) -> _HostsFile:
        answer = await self._shell.run(host, script(_READ, host.hosts_file))
        if answer.status != 0:
            raise OutcomeUnknown(f"{host.name}: {host.hosts_file} cannot be read: {answer.text}")
        # A login shell may print what it likes before; the sum is two numbers.
        lines = answer.out.splitlines(keepends=True)
        return _HostsFile(lines[0].strip(), "".join(lines[1:]))


def _wanted(balancer: LoadBalancer, action: Redirect) -> dict[str, str]:
    return {name: addresses[action.to] for name, addresses in balancer.names.items()}


def host_named(balancer: LoadBalancer, name: str) -> LoadBalancerHost:
    """Return the load balancer host of that name."""
    for host in balancer.hosts:
        if host.name == name:
            return host
    raise BadInput(f"the load balancer has no host {name}; look at the plan's estate")


def drivers(shell: Shell) -> Mapping[str, Balancer]:
    """Every driver, by its name in the estate; the only place where they are told apart."""
    return {"hosts_file": HostsFiles(shell)}
