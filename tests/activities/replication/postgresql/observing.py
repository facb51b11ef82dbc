"""Observe a link of the two databases."""

from typing import Any

from activities.replication.activities import ReplicationLinks
from activities.transport.ssh import Shell
from tests.support.postgres_pair import LINKS, SECRETS, THERE, database, input_for
from tests.support.ssh_machines import Attempt
from workflows.model.actions import ObserveReplication
from workflows.model.observations import ReplicationReading
from workflows.model.replications.postgresql import SubscriptionLink


async def observed(link: SubscriptionLink = THERE, **changes: Any) -> ReplicationReading:  # noqa: ANN401
    """Observe a link of an estate that limits the WAL itself, so that nothing is found."""
    limited = {"publisher": database(link.source, wal_space=2**40), **changes}
    links = tuple(link if one.name == link.name else one for one in LINKS)
    given = input_for(ObserveReplication(link=link.name), link, *links, **limited)
    return await Attempt().run(ReplicationLinks(SECRETS, Shell(SECRETS)).observe_replication, given)
