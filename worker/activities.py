"""Which hands a worker has: the implementations of the contract, and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from activities.configuration.activities import RestConfigurations
from activities.drain.activities import DrainActivities
from activities.estate_files import EstateFiles
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.drivers import drivers
from activities.nodes.activities import SshNodes
from activities.nodes.service_status import ServiceStatusReader
from activities.preview import CommandPreviews
from activities.replication.activities import ReplicationLinks
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.storage.activities import SshStorages
from activities.temporal import TemporalReader
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from activities.webhook import SignedWebhook
from worker.settings import Settings
from worker.worker import Hands


@asynccontextmanager
async def open_hands(settings: Settings, client: Client) -> AsyncIterator[Hands]:
    """Build the hands around one shell, whose connections are closed at the end."""
    secrets = Secrets(settings.secrets)
    shell = Shell(secrets)
    admin = AdminClient(shell, secrets)
    load_balancers = drivers(shell)
    replication = ReplicationLinks(secrets)
    try:
        yield Hands(
            planning=EstateFiles(settings.estates, settings.records, secrets),
            spelling=CommandPreviews(load_balancers, replication),
            nodes=SshNodes(shell, admin),
            scheduling=RestScheduling(admin),
            waits=DrainActivities(shell, admin),
            traffic=LoadBalancerActivities(shell, admin, secrets, load_balancers),
            databases=replication,
            configurations=RestConfigurations(ServiceStatusReader(shell), admin),
            storages=SshStorages(shell),
            orchestration=TemporalReader(client),
            notices=SignedWebhook(secrets),
        )
    finally:
        await shell.close()
