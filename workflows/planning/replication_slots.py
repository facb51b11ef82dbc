"""Plan what keeps changes while replication is suspended, and what repairs it where it did not.

All of these actions decide by reading: on an estate that needs nothing of them they change nothing.
"""

from workflows.model import actions
from workflows.model.estate import Estate
from workflows.planning.waves import Wave


def begin_slots(estate: Estate, active: str) -> Wave:
    """Keep what the cluster writes that becomes active: after the suspension, before traffic."""
    return tuple(actions.BeginSlot(link=name) for name in _from(estate, active))


def repair_lost_changes(estate: Estate, active: str) -> tuple[Wave, ...]:
    """Bring over what slots should have kept and did not; before anything is resumed.

    First the passive side becomes equal to the active one. Then it owes nothing, so that the way
    back may begin anew.
    """
    to_passive, back = _from(estate, active), _to(estate, active)
    return (
        tuple(actions.CopyTables(link=name) for name in to_passive),
        tuple(actions.RenewSlot(link=name) for name in back),
    )


def drop_resting_slots(estate: Estate, active: str) -> Wave:
    """Let links to the active cluster keep nothing where they rest; after both were compared."""
    return tuple(actions.DropSlot(link=name) for name in _to(estate, active))


def _from(estate: Estate, cluster: str) -> tuple[str, ...]:
    replication = estate.replication
    links = replication.links if replication.has_slots else ()
    return tuple(link.name for link in links if link.source == cluster)


def _to(estate: Estate, cluster: str) -> tuple[str, ...]:
    replication = estate.replication
    links = replication.links if replication.has_slots else ()
    return tuple(link.name for link in links if link.target == cluster)
