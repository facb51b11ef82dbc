"""Compare the estate with its baseline."""

import psycopg

from lab.environment.loadbalancer import LoadBalancer
from lab.environment.process_state import read_node
from lab.environment.quiesce import files
from lab.environment.storage import runs
from lab.layout import ClusterLayout, Layout, NodeLayout
from lab.node import services

SUBSCRIPTIONS = """
SELECT subname, subenabled,
       EXISTS (SELECT FROM pg_stat_subscription
               WHERE subid = pg_subscription.oid AND relid IS NULL AND pid IS NOT NULL)
FROM pg_subscription
"""


async def differences(layout: Layout) -> list[str]:
    """Everything in which it differs; what clients have written meanwhile is no difference."""
    found = [message for node in layout.nodes for message in node_differences(node)]
    found += LoadBalancer(layout).differences()
    for cluster in layout.clusters:
        found += await _replication(cluster)
    return found + _storages(layout)


def node_differences(node: NodeLayout) -> list[str]:
    """What runs and is scheduled on a node, and should not, or is not, and should."""
    seen = read_node(node)
    found = []
    if seen.running != set(services.baseline(node.kind)):
        found.append(f"{node.name}: runs {', '.join(sorted(seen.running))}")
    expected = set(services.SCHEDULING.values()) if _schedules(node) else set()
    if seen.scheduling != expected:
        found.append(f"{node.name}: schedules {', '.join(sorted(seen.scheduling)) or 'nothing'}")
    return found


def _schedules(node: NodeLayout) -> bool:
    return node.kind == "server" and node.cluster == "cluster1"


async def _replication(cluster: ClusterLayout) -> list[str]:
    async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
        seen = await (await connection.execute(SUBSCRIPTIONS)).fetchall()
    found = [
        f"{cluster.database_name}: {name} is {'not running' if enabled else 'disabled'}"
        for name, enabled, running in seen
        if not (enabled and running)
    ]
    return found if seen else [f"{cluster.database_name}: has no subscription"]


def _storages(layout: Layout) -> list[str]:
    one, two = (files(cluster.storage) for cluster in layout.clusters)
    found = [f"{len(one ^ two)} files are on one storage only"] if one != two else []
    return found if runs(layout) else [*found, "the storages are not kept in sync"]
