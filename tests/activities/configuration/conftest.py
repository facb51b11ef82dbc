"""Two clusters for every test here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.transport.ssh import Shell
from tests.support.admin_api import Certificate
from tests.support.configuration_site import Site, configuration_site
from tests.support.ssh_machines import SshServer


@pytest.fixture
async def site(
    ssh_server: SshServer, certificate: Certificate, tmp_path: Path, shell: Shell
) -> AsyncIterator[Site]:
    """Two clusters that are alike."""
    async with configuration_site(ssh_server, certificate, tmp_path, shell) as site:
        yield site
