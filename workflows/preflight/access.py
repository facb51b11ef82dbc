"""Checks that every place can be read; the activities that read make their findings."""

from __future__ import annotations

from workflows.model.checks import AccessCheck, Heading, Scope
from workflows.model.stages import StageName

_ACCOUNT = "correct the account, its key or password, or the host key"

no_reading = AccessCheck(
    name="no_reading",
    title="A reading of every place was made",
    scope=Scope.EVERYWHERE,
    advice="read the worker's log",
)
reading_unusable = AccessCheck(
    name="reading_unusable",
    title="Every answer is understood",
    scope=Scope.EVERYWHERE,
    advice="run the query by hand; if the text is the vendor's, report it",
)
node_unreachable_ssh = AccessCheck(
    name="node_unreachable_ssh", title="The node answers over SSH", scope=Scope.NODES
)
ssh_access_refused = AccessCheck(
    name="ssh_access_refused",
    title="SSH accepts the configured key, and the host key is the expected one",
    scope=Scope.NODES,
    advice=_ACCOUNT,
)
node_unreachable_admin = AccessCheck(
    name="node_unreachable_admin", title="The node's admin API answers", scope=Scope.NODES
)
admin_access_refused = AccessCheck(
    name="admin_access_refused",
    title="The admin API accepts the configured account",
    scope=Scope.NODES,
    advice=_ACCOUNT,
)
access_refused = AccessCheck(
    name="access_refused",
    title="Load balancer, databases and probes accept the configured accounts",
    scope=Scope.EVERYWHERE,
    advice=_ACCOUNT,
)
configuration_unreadable = AccessCheck(
    name="configuration_unreadable",
    title="The configuration of both clusters can be compared",
    heading=Heading.EQUALITY,
    scope=Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
database_unreachable = AccessCheck(
    name="database_unreachable",
    title="Both databases answer",
    heading=Heading.REPLICATION,
    scope=Scope.LINKS,
)
storage_unreadable = AccessCheck(
    name="storage_unreadable",
    title="Both storages can be read",
    heading=Heading.STORAGE,
    scope=Scope.CLUSTERS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
load_balancer_unreachable = AccessCheck(
    name="load_balancer_unreachable",
    title="The load balancer host answers",
    heading=Heading.TRAFFIC,
    scope=Scope.HOSTS,
)
probe_unreachable = AccessCheck(
    name="probe_unreachable",
    title="The load balancer lets a probe log in",
    heading=Heading.TRAFFIC,
    scope=Scope.HOSTS,
)
temporal_unreadable = AccessCheck(
    name="temporal_unreadable",
    title="Temporal answers the worker",
    heading=Heading.TEMPORAL,
    scope=Scope.ESTATE,
)
