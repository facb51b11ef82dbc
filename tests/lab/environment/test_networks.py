"""A cluster's own network is reached only where a firewall between data centres would let it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.subprocesses import REPOSITORY

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")


@ROOT
def test_a_cluster_in_a_network_of_its_own_shows_only_its_clients_ports(tmp_path: Path) -> None:
    """Its nodes reach what they need, and never the other cluster."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.separate_networks", str(tmp_path / "lab")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "clients reach it": True,
        "its SSH server from the lab's network": False,
        "its admin API from the lab's network": False,
        "its SSH server from the lab's operator": True,
        "its SSH server from its own network": True,
        "the database from its own network": True,
        "the other cluster's clients' port from its own network": False,
    }
