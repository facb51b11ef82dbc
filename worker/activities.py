"""Build the activities of a worker, and what they share."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio.client import Client

from activities.configuration.activities import RestConfigurations
from activities.drain.activities import DrainActivities
from activities.estate_files import EstateFiles
from activities.load_balancer.activities import LoadBalancerActivities
from activities.logs.activities import LogActivities
from activities.nodes.activities import SshNodes
from activities.nodes.service_status import ServiceStatusReader
from activities.preview import CommandPreviews
from activities.replication.activities import ReplicationLinks
from activities.replication.postgresql.table_digests import PostgresTables
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.storage.activities import SshStorages
from activities.temporal import TemporalReader
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from activities.webhook import SignedWebhook
from worker.settings import Settings
from workflows.ports.routes import activities_of


@asynccontextmanager
async def open_activities(
    settings: Settings, client: Client
) -> AsyncIterator[list[Callable[..., Any]]]:
    """Build every activity around one shell, whose connections are closed at the end."""
    secrets = Secrets(settings.secrets, settings.secret_directories)
    shell = Shell(secrets, behind_jump_hosts=settings.behind_jump_hosts)
    admin = AdminClient(shell, secrets)
    ports = (
        EstateFiles(settings.estates, settings.records, secrets),
        SshNodes(shell, admin),
        RestScheduling(admin),
        DrainActivities(shell, admin),
        LoadBalancerActivities(shell, admin, secrets),
        ReplicationLinks(secrets, shell),
        RestConfigurations(ServiceStatusReader(shell), admin, PostgresTables(shell.logins)),
        SshStorages(shell),
        LogActivities(admin, settings.estates),
        TemporalReader(client),
        SignedWebhook(secrets),
    )
    try:
        yield [each for port in (*ports, CommandPreviews(ports)) for each in activities_of(port)]
    finally:
        await shell.close()
