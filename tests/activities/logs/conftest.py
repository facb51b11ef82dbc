"""Two clusters with an admin API each, named by an estate file."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from activities.logs.activities import LogActivities
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.support import estates
from tests.support.admin_api import Api, Certificate, serving
from tests.support.ssh_machines import SECRETS, Attempt, admin_access
from workflows.model.logs import LogPage, LogQuery, LogRecord

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass
class Sides:
    """The activities, and what the Servers of both clusters answer."""

    activities: LogActivities
    apis: dict[str, Api] = field(default_factory=dict)
    """By Server."""

    async def page(self, **changes: Any) -> LogPage:  # noqa: ANN401 - keys of a query
        """Read one page: the transfers of cluster1 around noon, unless said."""
        return await Attempt().run(self.activities.read_records, query(**changes))

    async def read(self, **changes: Any) -> list[LogRecord]:  # noqa: ANN401 - keys of a query
        """Read all pages."""
        found: list[LogRecord] = []
        asked = query(**changes)
        while True:
            page = await Attempt().run(self.activities.read_records, asked)
            assert page.unread is None, page.unread
            found += page.records
            if page.next is None:
                return found
            asked = asked.model_copy(update={"after": page.next})


def query(**changes: Any) -> LogQuery:  # noqa: ANN401 - keys of a query
    """Return a query for the transfers of cluster1, from noon to one o'clock."""
    hour = timedelta(hours=1)
    usual = {"estate": "lab", "side": 1, "kind": "transfer", "since": NOON, "until": NOON + hour}
    return LogQuery.model_validate(usual | changes)


@pytest.fixture
async def sides(shell: Shell, certificate: Certificate, tmp_path: Path) -> AsyncIterator[Sides]:
    """Two Servers in each cluster; the second one of each is another API with other records."""
    sides = Sides(LogActivities(AdminClient(shell, SECRETS), tmp_path))
    written = estates.written(2, 1, timing={"reach_timeout": "PT1S"})
    async with AsyncExitStack() as stack:
        for cluster in written["clusters"]:
            for node in cluster["nodes"]:
                if node["kind"] == "server":
                    api = await stack.enter_async_context(serving(certificate))
                    sides.apis[node["name"]] = api
                    access = admin_access(api.port, fingerprint=certificate.fingerprint)
                    ssh = written["defaults"]["ssh"] | {"port": api.port}  # no two machines are one
                    node |= {"address": "127.0.0.1", "admin": access, "ssh": ssh}
        (tmp_path / "lab.yaml").write_text(yaml.safe_dump(written))
        yield sides
