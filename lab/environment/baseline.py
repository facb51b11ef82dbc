"""Compare the estate with the situation in which it should be."""

import psycopg

from lab.environment.load_balancers.registry import load_balancer
from lab.environment.process_state import read_node
from lab.environment.quiesce import files
from lab.environment.situation import BASELINE, Situation
from lab.environment.storage import runs
from lab.layout import ClusterLayout, Layout, NodeLayout
from lab.node import services

SUBSCRIPTIONS = """
SELECT subname, subenabled,
       EXISTS (SELECT FROM pg_stat_subscription
               WHERE subid = pg_subscription.oid AND relid IS NULL AND pid IS NOT NULL)
FROM pg_subscription
"""


async def differences(layout: Layout, situation: Situation = BASELINE) -> list[str]:
    """Everything in which it differs; what clients have written meanwhile is no difference."""
    found = [message for node in layout.nodes for message in node_differences(node, situation)]
    found += load_balancer(layout).differences(situation.active)
    for cluster in layout.clusters:
        found += await _replication(cluster, replicates=not situation.drained)
    return found + _storages(layout)


def node_differences(node: NodeLayout, situation: Situation = BASELINE) -> list[str]:
    """What runs and is scheduled on a node, and should not, or is not, and should."""
    seen = read_node(node)
    found = []
    if seen.running != set(situation.running(node)):
        found.append(f"{node.name}: runs {', '.join(sorted(seen.running)) or 'nothing'}")
    expected = set(services.SCHEDULING.values()) if situation.schedules(node) else set()
    if seen.scheduling != expected:
        found.append(f"{node.name}: schedules {', '.join(sorted(seen.scheduling)) or 'nothing'}")
    return found


async def _replication(cluster: ClusterLayout, *, replicates: bool) -> list[str]:
    async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
        seen = await (await connection.execute(SUBSCRIPTIONS)).fetchall()
    found = [
        f"{cluster.database_name}: {name} is {_state(enabled=enabled, running=running)}"
        for name, enabled, running in seen
        if (enabled, running) != (replicates, replicates)
    ]
    return found if seen else [f"{cluster.database_name}: has no subscription"]


def _state(*, enabled: bool, running: bool) -> str:
    if not enabled:
        return "disabled, and still running" if running else "disabled"
    return "enabled" if running else "enabled, and not running"


def _storages(layout: Layout) -> list[str]:
    one, two = (files(cluster.storage) for cluster in layout.clusters)
    found = [f"{len(one ^ two)} files are on one storage only"] if one != two else []
    return found if runs(layout) else [*found, "the storages are not kept in sync"]
