"""Which hands a worker has: the implementations of the contract, and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from activities.admin import Admin
from activities.configurations import RestConfigurations
from activities.estates import EstateFiles
from activities.nodes import SshNodes
from activities.orchestration import TemporalItself
from activities.replication import ReplicationLinks
from activities.scheduling import RestScheduling
from activities.secrets import Secrets
from activities.shell import Shell
from activities.spelling import PlanSpelling
from activities.storages import SshStorages
from activities.survey import Survey
from activities.traffic import LoadBalancers
from activities.waits import NodeWaits
from activities.webhook import SignedNotices
from worker.settings import Settings
from worker.wiring import Hands


@asynccontextmanager
async def open_hands(settings: Settings, client: Client) -> AsyncIterator[Hands]:
    """Build the hands around one shell, whose connections are closed at the end."""
    secrets = Secrets(settings.secrets)
    shell = Shell(secrets)
    admin = Admin(shell, secrets)
    try:
        yield Hands(
            planning=EstateFiles(settings.estates, settings.records, secrets),
            spelling=PlanSpelling(shell),
            nodes=SshNodes(shell, admin),
            scheduling=RestScheduling(admin),
            waits=NodeWaits(shell, admin),
            traffic=LoadBalancers(shell, admin, secrets),
            databases=ReplicationLinks(secrets),
            configurations=RestConfigurations(Survey(shell), admin),
            storages=SshStorages(shell),
            orchestration=TemporalItself(client),
            notices=SignedNotices(secrets),
        )
    finally:
        await shell.close()
