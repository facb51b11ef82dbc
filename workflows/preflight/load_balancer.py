"""Checks of where traffic goes; what a redirect needs is checked by the driver."""

from collections.abc import Iterator

from workflows.model.checks import Heading, Scope
from workflows.model.findings import Finding
from workflows.model.observations import TrafficReading
from workflows.model.stages import StageName
from workflows.preflight.context import CheckContext, declare


@declare(Scope.HOSTS, heading=Heading.TRAFFIC, until=StageName.REDIRECT_TRAFFIC, only="switchover")
def traffic_not_on_source(context: CheckContext) -> Iterator[Finding]:
    """Traffic goes to the source."""
    # By the load balancer's settings, and by a real login.
    source = context.source.name
    for reading in context.each(TrafficReading):
        for one in reading.destinations:
            if one.seen is not None and one.cluster != source:
                owner = f"of {one.cluster}" if one.cluster else "of no cluster of the estate"
                yield traffic_not_on_source.finding(
                    reading.place,
                    seen=f"{one.item} leads to {one.seen}, {owner}",
                    expected=source,
                    advice="check whether source and target are swapped",
                )
        for protocol, node in reading.lands_on.items():
            if context.estate.cluster_of(node).name != source:
                yield traffic_not_on_source.finding(
                    reading.place,
                    seen=f"a {protocol} login reached {node}",
                    expected=f"a node of {source}",
                    advice="find out why traffic does not follow the load balancer's settings",
                )
