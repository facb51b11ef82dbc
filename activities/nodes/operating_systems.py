"""Choose the driver of the operating-system port by the estate's ``system``, only here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from activities.ledger.ledger import Ledger
from activities.nodes.linux import Linux
from activities.nodes.operating_system import OperatingSystem
from activities.nodes.windows import Windows
from activities.transport.ssh import Shell
from workflows.model.estate import Machine

DRIVERS: Mapping[str, Callable[[Shell], OperatingSystem]] = MappingProxyType(
    {"linux": Linux, "windows": Windows}
)


def operating_system(shell: Shell, machine: Machine) -> OperatingSystem:
    """Return the driver for a machine's operating system."""
    return DRIVERS[machine.system](shell)


def open_ledger(shell: Shell) -> Ledger:
    """Return the ledgers of all machines, each kept as its operating system does."""
    return Ledger(lambda machine: operating_system(shell, machine).ledger)
