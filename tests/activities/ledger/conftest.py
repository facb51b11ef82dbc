"""The ledgers of the tests' machines, and a file that counts executions."""

from pathlib import Path

import pytest

from activities.ledger.ledger import Ledger
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Shell


@pytest.fixture
def ledger(shell: Shell) -> Ledger:
    """The ledgers of the test's machines."""
    return open_ledger(shell)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file with one line for each execution."""
    return tmp_path / "ran"
