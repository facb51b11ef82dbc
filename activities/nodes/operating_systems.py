"""Choose the driver of the operating-system port by the estate's ``system``, only here."""

from __future__ import annotations

from activities.ledger.ledger import Ledger
from activities.nodes.linux import Linux
from activities.nodes.operating_system import OperatingSystem
from activities.transport.ssh import Shell
from workflows.model.estate import Machine

DRIVERS = {"linux": Linux}


class OperatingSystems:
    """One driver of each kind, over one shell."""

    def __init__(self, shell: Shell) -> None:
        self._drivers: dict[str, OperatingSystem] = {
            system: driver(shell) for system, driver in DRIVERS.items()
        }

    def of(self, machine: Machine) -> OperatingSystem:
        """Return the driver for a machine's operating system."""
        return self._drivers[machine.system]


def open_ledger(shell: Shell) -> Ledger:
    """Return the ledgers of all machines, each kept as its operating system does."""
    systems = OperatingSystems(shell)
    return Ledger(lambda machine: systems.of(machine).ledger)
